"""Declarations of event classes: ``@event``, and the `EventDescriptor` made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel

from .canonical import canonical_json, content_hash
from .exceptions import DeclarationError, UnregisteredEventTypeError
from .free_form import FreeFormEvent, is_cloudevent_class
from .names import check_name, uri_reference

C = TypeVar("C", bound=type)
_DECLARATION = "__aspyx_event__"
_DESCRIPTOR = "__aspyx_event_descriptor__"


class EventDeclaration(NamedTuple):
    """The arguments of ``@event``, stored on the class. The class itself is not inspected yet."""

    name: str
    broadcast: bool = False
    durable: bool = False
    version: int = 1
    key: str | Callable[[Any], str] | None = None
    description: str = ""
    owner: str = ""
    tags: frozenset[str] = frozenset()
    schema: dict[str, Any] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class EventDescriptor:
    """Describes an event class.

    Attributes:
        type: The event class.
        name: Its name on the wire, which is also the address on a broker.
        durable: The broker keeps the event during a restart and while its listeners are away.
        broadcast: Every listener is treated as `per_process`.
        version: Version of the payload's shape.
        key: Field name or function that returns the partition key of an event; None without a key.
        description, owner, tags: For people and documents.
        declared_schema: The JSON Schema of ``@event(schema=...)``; None if only the class is declared.
        source: CloudEvents source of the events, a URI reference; "" uses the manager's.
        wire_version: The version as text, as on the wire.
        self_described: The class is `CloudEvent`.
        free_form: The class is a `FreeFormEvent`: each instance has its own event name.
    """

    type: type
    name: str
    durable: bool = False
    broadcast: bool = False
    version: int = 1
    key: str | Callable[[Any], str] | None = None
    description: str = ""
    owner: str = ""
    tags: frozenset[str] = frozenset()
    declared_schema: dict[str, Any] | None = field(default=None, compare=False, repr=False)
    source: str = ""
    wire_version: str = field(init=False, compare=False, repr=False)
    self_described: bool = field(init=False, compare=False, repr=False)
    free_form: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire_version", str(self.version))
        object.__setattr__(self, "self_described", is_cloudevent_class(self.type))
        object.__setattr__(self, "free_form", issubclass(self.type, FreeFormEvent))

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the payload: the schema of ``@event``, or else that of the class.

        Raises:
            DeclarationError: the class has fields that JSON Schema cannot describe.
        """
        from .schemas.json_schema import schema_of

        return schema_of(self.type, self.name, self.declared_schema)

    def json(self) -> str:
        """Return the descriptor as canonical JSON, including the JSON Schema."""
        return canonical_json(self._as_dict())

    @property
    def content_hash(self) -> str:
        """SHA-256, in hex, of `json`: equal declarations have equal hashes."""
        return content_hash(self._as_dict())

    def _as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "durable": self.durable,
            "broadcast": self.broadcast,
            "version": self.version,
            "description": self.description,
            "owner": self.owner,
            "tags": sorted(self.tags),
            "schema": self.schema,
        }

    @staticmethod
    def of(event_class: Any) -> EventDescriptor:
        """Return the descriptor of *event_class* itself; a subclass of an event is not an event unless it is declared.

        Raises:
            UnregisteredEventTypeError: *event_class* is not declared as an event.
            DeclarationError: *event_class* is neither a dataclass nor a pydantic model.
        """
        known = event_class.__dict__.get(_DESCRIPTOR) if isinstance(event_class, type) else None
        # @dataclass(slots=True) above @event copies the attributes to a new class; the copy describes the old class.
        if known is not None and known.type is event_class:
            return cast("EventDescriptor", known)
        descriptor = _describe(event_class)
        setattr(event_class, _DESCRIPTOR, descriptor)
        return descriptor

    def key_of(self, event: Any) -> str | None:
        """Return the partition key of *event* as text; None if it has no key or an empty key."""
        if self.key is None:
            return None
        value = attrgetter(self.key)(event) if isinstance(self.key, str) else self.key(event)
        return None if value is None else str(value) or None


def is_event(cls: object) -> bool:
    """Return whether ``@event`` declares this class."""
    return isinstance(cls, type) and _declaration(cls) is not None


def _declaration(cls: type) -> EventDeclaration | None:
    declaration = cls.__dict__.get(_DECLARATION)
    if declaration is None:
        # Order[int] is a separate class that pydantic creates from the declared Order.
        origin = (getattr(cls, "__pydantic_generic_metadata__", None) or {}).get("origin")
        declaration = origin.__dict__.get(_DECLARATION) if origin is not None else None
    return declaration


def _describe(cls: Any) -> EventDescriptor:
    declaration = _declaration(cls) if isinstance(cls, type) else None
    if declaration is None:
        name = getattr(cls, "__qualname__", repr(cls))
        raise UnregisteredEventTypeError(f"{name} is not an event; decorate its class with @event()")
    if not (is_dataclass(cls) or issubclass(cls, BaseModel)):
        raise DeclarationError(
            f"event {declaration.name!r}: {cls.__qualname__} is neither a dataclass nor a pydantic model; "
            "add @dataclass or derive from pydantic.BaseModel"
        )
    check_field(cls, declaration.key, f"event {declaration.name!r}: key")
    return EventDescriptor(
        cls,
        declaration.name,
        declaration.durable,
        declaration.broadcast,
        declaration.version,
        declaration.key,
        declaration.description or _docstring(cls),
        declaration.owner,
        declaration.tags,
        declaration.schema,
        declaration.source,
    )


def check_field(cls: type, key: object, what: str) -> None:
    """Check that *key*, if it is a str, begins with the name of a field or property of the event class *cls*.

    Raises:
        DeclarationError: there is no such field; the message begins with *what* and lists the fields.
    """
    if not isinstance(key, str):
        return
    known = [field.name for field in fields(cls)] if is_dataclass(cls) else list(getattr(cls, "model_fields", ()))
    first = key.partition(".")[0]
    if first not in known and not hasattr(cls, first):
        raise DeclarationError(
            f"{what}={key!r} is not a field of {cls.__qualname__}; it has {', '.join(known) or 'none'}"
        )


def _docstring(cls: type) -> str:
    text = (cls.__dict__.get("__doc__") or "").strip()
    # @dataclass sets the signature as docstring if there is none.
    return "" if text.startswith(f"{cls.__name__}(") else text


def event(
    name: str | type = "",
    *,
    broadcast: bool = False,
    durable: bool = False,
    version: int = 1,
    key: str | Callable[[Any], str] | None = None,
    description: str = "",
    owner: str = "",
    tags: tuple[str, ...] | frozenset[str] = (),
    schema: Mapping[str, Any] | str | None = None,
    source: str = "",
) -> Callable[[C], C]:
    """Declare a dataclass or a pydantic model as an event. May stand above or below ``@dataclass``.

    Args:
        name: Name on the wire and address on the broker; "" uses the class name.
        broadcast: Treat every listener of this event as `per_process`.
        durable: Persistent messages, and queues that keep them while no listener is attached.
        version: Version of the payload's shape, 1 or higher; sent with the event. `upcaster` converts older payloads.
        key: Name of the field (or a function of the event) whose value is the ordering key: events with the same key are
            handled in sequence, also across processes.
        description: For documents; "" uses the docstring.
        owner: Team or person responsible for the event.
        tags: Words for searches.
        schema: JSON Schema of the payload, as a mapping or as JSON text. Every event is validated when it is sent (extra
            ``schema``). None: only the class is validated.
        source: CloudEvents source of these events, a URI reference; "" uses the manager's.

    Raises:
        InvalidNameError: the name has characters that brokers interpret as syntax.
        InvalidSchemaError: the schema is not a JSON Schema.
        MissingDriverError: a schema is given and jsonschema is not installed.
        DeclarationError: used without parentheses, on something that is not a class, or with a version below 1.
    """
    if isinstance(name, type):
        raise DeclarationError(f"write @event() with parentheses over {name.__qualname__}")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DeclarationError(f"event {name!r}: version={version!r} is not a whole number from 1 up")

    def decorate(cls: C) -> C:
        if not isinstance(cls, type):
            raise DeclarationError(f"@event decorates a class, not {cls!r}")
        declaration = EventDeclaration(
            name=check_name(name or cls.__name__, "event name"),
            broadcast=broadcast,
            durable=durable,
            version=version,
            key=key,
            description=description,
            owner=owner,
            tags=frozenset(tags),
            schema=None if schema is None else _checked_schema(schema, name or cls.__name__),
            source=uri_reference(source),
        )
        # Stored only on the class itself: there is no registry of the process.
        setattr(cls, _DECLARATION, declaration)
        return cls

    return decorate


def _checked_schema(schema: Mapping[str, Any] | str, name: str) -> dict[str, Any]:
    from .schemas.json_schema import checked

    return checked(schema, name)
