"""`EventConfiguration`: settings of a manager that may come from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from .database.base import EventStore
from .events import is_event
from .exceptions import ConfigurationError
from .masking import masked_url
from .names import check_name

_ROOT = "event"
#: The key of each attribute, below the root.
_KEYS = {
    "application": "application",
    "start_in_background": "start_in_background",
    "ignore_unregistered": "eventtypes.ignore_unregistered",
    "pre_registered": "eventtypes.pre_registered",
    "validate_schema": "events.validate_schema",
    "persist": "events.persist",
    "persistence_backend": "events.persistence_backend",
    "propagate_exceptions": "listeners.propagate_exceptions",
    "register_topics_on_binding": "topics.register_on_binding",
}
#: Dotted paths of backends, so that unused ones are not imported.
_BACKENDS = {"memory": "aspyx_event.database.memory.MemoryEventStore"}
_SQL = "aspyx_event.database.SqlEventStore"


class Configured(Protocol):
    """The part of `aspyx.di.configuration.ConfigurationManager` that is used."""

    def get_raw(self, path: str, default: Any = None) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventConfiguration:
    """Settings of an `EventManager`.

    Attributes:
        application: Name of the application: see `EventManager`. Key ``event.application``.
        start_in_background: Starting does not wait for the broker: see `EventManager`. Key ``event.start_in_background``.
        ignore_unregistered: Accept event names that no registered class has; False refuses to send and to subscribe to
            them. Key ``event.eventtypes.ignore_unregistered``.
        pre_registered: Dotted paths of event classes that are registered at the start. Key
            ``event.eventtypes.pre_registered``.
        validate_schema: Validate sent events against their declared JSON Schema. Key ``event.events.validate_schema``.
        persist: Store each event that is sent. Key ``event.events.persist``.
        persistence_backend: The store, unless the manager has a `store=`: "memory", the URL of a database, or the
            dotted path of an `EventStore` class that needs no arguments. Key ``event.events.persistence_backend``.
        propagate_exceptions: `process` raises the errors of handlers; False logs them and continues with the next handler.
            Key ``event.listeners.propagate_exceptions``.
        register_topics_on_binding: Passing an unregistered `Topic` object to `subscribe` or `send_event` registers
            it; False refuses it. Key ``event.topics.register_on_binding``.

    Raises:
        ConfigurationError: a value has the wrong type.
    """

    application: str = ""
    start_in_background: bool = False
    ignore_unregistered: bool = True
    pre_registered: tuple[str, ...] = ()
    validate_schema: bool = True
    persist: bool = False
    persistence_backend: str = "memory"
    propagate_exceptions: bool = True
    register_topics_on_binding: bool = True

    def __repr__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if "://" in self.persistence_backend:
            values["persistence_backend"] = masked_url(self.persistence_backend)
        return f"EventConfiguration({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "pre_registered":
                listed = isinstance(value, (list, tuple)) and all(isinstance(path, str) for path in value)
                if not listed:
                    raise ConfigurationError(f"{_where(field.name)}: {_shown(value)} is no list of dotted paths")
                object.__setattr__(self, field.name, tuple(value))
            elif field.name == "application":
                if not isinstance(value, str):
                    raise ConfigurationError(f"{_where(field.name)}: {_shown(value)} is not a str")
                if value:
                    check_name(value, "application name")
            elif field.name == "persistence_backend":
                if not isinstance(value, str) or not value:
                    raise ConfigurationError(f"{_where(field.name)}: {_shown(value)} is not a str, or is empty")
            elif not isinstance(value, bool):
                raise ConfigurationError(f"{_where(field.name)}: {_shown(value)} is neither true nor false")

    @staticmethod
    def from_yaml(path: str | Path) -> EventConfiguration:
        """Read a YAML file. Missing keys have their defaults.

        Raises:
            ConfigurationError: the file does not exist or is invalid; the message names line and key.
        """
        import yaml

        try:
            text = Path(path).read_text(encoding="utf-8")
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            data = yaml.safe_load(text)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f", line {mark.line + 1}" if mark is not None else ""
            raise ConfigurationError(f"{path}{line}: this is not YAML: {error.problem}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: this is not YAML: {error}") from error
        return EventConfiguration.from_mapping(data, where=str(path), lines=_lines(node))

    @staticmethod
    def from_mapping(
        data: Any, *, where: str = "configuration", lines: Mapping[str, int] | None = None
    ) -> EventConfiguration:
        """Read nested mappings, with the root key ``event`` or without it.

        Args:
            data: The mappings; None means empty.
            where: Their name in errors.
            lines: Line numbers of keys, as far as known.

        Raises:
            ConfigurationError: a key is unknown, or a value has the wrong type.
        """
        values: dict[str, Any] = {}
        names = {key: name for name, key in _KEYS.items()}
        for key, value in _flat(data, where).items():
            plain = key.removeprefix(f"{_ROOT}.")
            line = (lines or {}).get(key)
            place = f"{where}, line {line}" if line else where
            if plain not in names:
                raise ConfigurationError(f"{place}: unknown key {key!r}; known: {', '.join(_KEYS.values())}")
            try:
                EventConfiguration(**{names[plain]: value})
            except ConfigurationError as error:
                raise ConfigurationError(f"{place}: {error}") from None
            values[names[plain]] = value
        return EventConfiguration(**values)

    @staticmethod
    def of(configuration: Configured) -> EventConfiguration:
        """Read the keys ``event.*`` of the container's configuration.

        Raises:
            ConfigurationError: see `from_mapping`.
        """
        return EventConfiguration.from_mapping(configuration.get_raw(_ROOT, None), where="configuration 'event'")

    def as_dict(self) -> dict[str, Any]:
        """Return the nested mappings below the root key, as `from_mapping` accepts them."""
        sections: dict[str, Any] = {}
        for name, key in _KEYS.items():
            section, _, last = key.partition(".")
            value = getattr(self, name)
            if last:
                sections.setdefault(section, {})[last] = list(value) if isinstance(value, tuple) else value
            else:
                sections[section] = value
        return sections

    def event_classes(self) -> list[type]:
        """Return the pre-registered event classes.

        Raises:
            ConfigurationError: a path does not lead to an event class.
        """
        classes = []
        for path in self.pre_registered:
            cls = _load(path, _where("pre_registered"))
            if not is_event(cls):
                raise ConfigurationError(
                    f"{_where('pre_registered')}: {path!r} is not an event; decorate it with @event()"
                )
            classes.append(cls)
        return classes

    def make_store(self) -> EventStore | None:
        """Return the configured event store; None without `persist`.

        Raises:
            ConfigurationError: the backend is invalid.
        """
        if not self.persist:
            return None
        where = _where("persistence_backend")
        if "://" in self.persistence_backend:
            return _load(_SQL, where)(self.persistence_backend)  # type: ignore[no-any-return]
        cls = _load(_BACKENDS.get(self.persistence_backend, self.persistence_backend), where)
        if not isinstance(cls, type) or not issubclass(cls, EventStore):
            raise ConfigurationError(f"{where}: {_shown(self.persistence_backend)} does not derive from EventStore")
        return cls()


def _where(name: str) -> str:
    return f"{_ROOT}.{_KEYS[name]}"


def _flat(data: Any, where: str, prefix: str = "") -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"{where}: {prefix.rstrip('.') or 'the whole'} is not a mapping of keys to values")
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        plain = name.removeprefix(f"{_ROOT}.")
        inner = name == _ROOT or any(known.startswith(f"{plain}.") for known in _KEYS.values())
        if inner:
            values.update(_flat(value, where, f"{name}."))
        else:
            values[name] = value
    return values


def _lines(node: Any, prefix: str = "") -> dict[str, int]:
    """Return the line of each key of a YAML document."""
    lines: dict[str, int] = {}
    for key, value in getattr(node, "value", ()) if type(node).__name__ == "MappingNode" else ():
        lines[f"{prefix}{key.value}"] = key.start_mark.line + 1
        lines.update(_lines(value, f"{prefix}{key.value}."))
    return lines


def _load(path: str, where: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        if "@" in path:  # a URL without "://": the import error would quote it
            raise ConfigurationError(f"{where}: {_shown(path)} cannot be loaded") from None
        raise ConfigurationError(f"{where}: {path!r} cannot be loaded: {error}") from error


def _shown(value: Any) -> str:
    """Return the repr of a value, masked where it may be a URL."""
    text = repr(value)
    return masked_url(text) if "@" in text or "://" in text else text
