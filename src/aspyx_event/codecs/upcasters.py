"""``@upcaster``: converts payloads of older versions to the version of this program's class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from ..events import EventDescriptor, is_event
from ..exceptions import DeclarationError, DecodeError, SchemaVersionError
from .base import Codec, UpcastingCodec

Payload = dict[str, Any]
F = TypeVar("F", bound=Callable[[Payload], Payload])
_UPCASTERS = "__aspyx_event_upcasters__"


class Upcaster(NamedTuple):
    """A function that ``@upcaster`` declares."""

    from_version: int
    to_version: int
    function: Callable[[Payload], Payload]

    @property
    def name(self) -> str:
        """The name of the function in errors."""
        return f"{self.function.__module__}.{getattr(self.function, '__qualname__', self.function)}"

    @property
    def shown(self) -> str:
        return f"{self.name} (version {self.from_version} to {self.to_version})"


def upcaster(event: type, *, from_version: int, to_version: int | None = None) -> Callable[[F], F]:
    """Declare a function that converts payloads of an older version of *event* to a later version.

    It gets the decoded JSON payload, a dict, may change it, and returns the payload of the later version. Upcasters are
    chained up to the version of ``@event(version=...)``. The function must be imported before the manager starts, so
    define it next to the class.

    Args:
        event: The event class.
        from_version: The version that it reads.
        to_version: The version that it returns; None means `from_version` + 1.

    Raises:
        DeclarationError: *event* is not an event class, or a version is not a whole number from 1 up. A chain that does
            not lead to the event's version is refused when the manager starts.
    """
    if not is_event(event):
        raise DeclarationError(f"@upcaster({event!r}): the first argument is an event class, declared with @event()")
    target = from_version + 1 if to_version is None and isinstance(from_version, int) else to_version
    for value in (from_version, target):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise DeclarationError(
                f"@upcaster({event.__qualname__}): version {value!r} is not a whole number from 1 up; "
                f"write @upcaster({event.__qualname__}, from_version=1)"
            )

    def decorate(function: F) -> F:
        if not callable(function):
            raise DeclarationError(f"@upcaster({event.__qualname__}) decorates a function, not {function!r}")
        added = Upcaster(from_version, target, function)
        # After a reload of its module, a function replaces its earlier version.
        others = [
            other
            for other in declared_upcasters(event)
            if (other.name, other.from_version) != (added.name, from_version)
        ]
        setattr(event, _UPCASTERS, (*others, added))
        return function

    return decorate


def declared_upcasters(event: type) -> tuple[Upcaster, ...]:
    """Return the upcasters of this class itself, without those of its bases."""
    return cast("tuple[Upcaster, ...]", event.__dict__.get(_UPCASTERS, ()))


def chains_of(descriptor: EventDescriptor) -> dict[int, tuple[Upcaster, ...]]:
    """Return, for each version that can be read, the upcasters that convert it to the version of the class.

    Raises:
        DeclarationError: two upcasters read the same version, an upcaster does not lead to a later version, leads past the
            event's version, or leads to a version that no upcaster reads. The message names them.
    """
    upcasters: dict[int, Upcaster] = {}
    what = f"event {descriptor.name!r}, version {descriptor.version}"
    for upcaster in declared_upcasters(descriptor.type):
        other = upcasters.get(upcaster.from_version)
        if other is not None:
            raise DeclarationError(
                f"{what}: two upcasters read version {upcaster.from_version}: {other.name}, {upcaster.name}"
            )
        if upcaster.to_version <= upcaster.from_version:
            raise DeclarationError(f"{what}: upcaster {upcaster.shown} does not lead to a later version")
        if upcaster.to_version > descriptor.version:
            raise DeclarationError(
                f"{what}: upcaster {upcaster.shown} leads past it; raise @event(version={upcaster.to_version}) or remove it"
            )
        upcasters[upcaster.from_version] = upcaster
    chains: dict[int, tuple[Upcaster, ...]] = {}
    for version in sorted(upcasters, reverse=True):
        upcaster = upcasters[version]
        if upcaster.to_version != descriptor.version and upcaster.to_version not in chains:
            raise DeclarationError(
                f"{what}: no upcaster reads the result of upcaster {upcaster.shown}; "
                f"add an upcaster with from_version={upcaster.to_version}"
            )
        chains[version] = (upcaster, *chains.get(upcaster.to_version, ()))
    return chains


class VersionedDecoding:
    """Decodes payloads whose version is not that of their class.

    Args:
        codec: Decodes payloads of the class's own version.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._chains: dict[type, tuple[tuple[Upcaster, ...], dict[int, tuple[Upcaster, ...]]]] = {}

    def prepare(self, descriptor: EventDescriptor) -> None:
        """Check the upcasters of an event.

        Raises:
            DeclarationError: see `chains_of`; or the codec cannot be used with upcasters.
        """
        if self._chains_of(descriptor) and not isinstance(self._codec, UpcastingCodec):
            raise DeclarationError(
                f"event {descriptor.name!r} has upcasters, and the codec {type(self._codec).__qualname__} has no method "
                "decode_older(body, descriptor, upcast) to use them"
            )

    def decode(self, body: bytes, stated: str, descriptor: EventDescriptor) -> Any:
        """Decode a body that has the version *stated* on the wire.

        Without any upcaster, an older payload is decoded as if it had the version of the class.

        Raises:
            SchemaVersionError: the version is invalid, is newer than the class, or no upcaster reads it.
            DecodeError: an upcaster failed, or its result does not match the class.
        """
        version = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 10 else 0
        what = f"event {descriptor.name!r}"
        if version < 1:
            raise SchemaVersionError(f"{what}: the payload's version {stated[:40]!r} is not a whole number from 1 up")
        if version > descriptor.version:
            raise SchemaVersionError(
                f"{what}: the payload has version {version}, this program knows versions up to {descriptor.version}; "
                "update it, then replay the dead letter"
            )
        chains = self._chains_of(descriptor)
        if version == descriptor.version or not chains:
            return self._codec.decode(body, descriptor)
        if version not in chains:
            raise SchemaVersionError(
                f"{what}: the payload has version {version}, upcasters read versions from {min(chains)} on"
            )
        if not isinstance(self._codec, UpcastingCodec):
            raise SchemaVersionError(f"{what}: the payload has version {version}, and the codec has no decode_older")
        try:
            return self._codec.decode_older(body, descriptor, partial(_upcast, what, chains[version]))
        except DecodeError as error:
            raise DecodeError(f"{error} (of a payload of version {version})") from error

    def _chains_of(self, descriptor: EventDescriptor) -> dict[int, tuple[Upcaster, ...]]:
        upcasters = declared_upcasters(descriptor.type)
        known = self._chains.get(descriptor.type)
        if known is None or known[0] is not upcasters:
            known = self._chains[descriptor.type] = (upcasters, chains_of(descriptor))
        return known[1]


def _upcast(what: str, upcasters: tuple[Upcaster, ...], payload: Payload) -> Payload:
    for upcaster in upcasters:
        try:
            result = upcaster.function(payload)
        except Exception as error:
            raise DecodeError(f"{what}: upcaster {upcaster.shown} failed: {type(error).__name__}: {error}") from error
        if not isinstance(result, dict):
            raise DecodeError(
                f"{what}: upcaster {upcaster.shown} returned {type(result).__name__}, not the payload, a dict"
            )
        payload = result
    return payload
