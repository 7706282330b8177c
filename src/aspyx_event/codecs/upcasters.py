"""``@upcaster``: payloads of older versions brought to the version that this program's class has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from ..events import EventDescriptor, is_event
from ..exceptions import DeclarationError, DecodeError, SchemaVersionError
from .base import Codec, UpcastingCodec

Payload = dict[str, Any]
F = TypeVar("F", bound=Callable[[Payload], Payload])
_STEPS = "__aspyx_event_upcasters__"


class Step(NamedTuple):
    """One use of ``@upcaster``."""

    from_version: int
    to_version: int
    function: Callable[[Payload], Payload]

    @property
    def name(self) -> str:
        """The function as errors name it."""
        return f"{self.function.__module__}.{getattr(self.function, '__qualname__', self.function)}"

    @property
    def shown(self) -> str:
        return f"{self.name} (version {self.from_version} to {self.to_version})"


def upcaster(event: type, *, from_version: int, to_version: int | None = None) -> Callable[[F], F]:
    """Declare a function that brings payloads of an older version of *event* one step further.

    It gets the payload as JSON has it, a dict, may change it, and returns the payload of the later version. The
    steps are chained up to the version that ``@event(version=...)`` says. The function must be imported before the
    manager starts: write it beside the class.

    Args:
        event: The event class.
        from_version: The version it reads.
        to_version: The version it makes; None is the next one.

    Raises:
        DeclarationError: *event* is no event class, or a version is no whole number from 1 up. A chain that does not
            lead to the event's version is found when the manager starts.
    """
    if not is_event(event):
        raise DeclarationError(f"@upcaster({event!r}): the first argument is an event class, declared with @event()")
    target = from_version + 1 if to_version is None and isinstance(from_version, int) else to_version
    for value in (from_version, target):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise DeclarationError(
                f"@upcaster({event.__qualname__}): version {value!r} is no whole number from 1 up; "
                f"write @upcaster({event.__qualname__}, from_version=1)"
            )

    def decorate(function: F) -> F:
        if not callable(function):
            raise DeclarationError(f"@upcaster({event.__qualname__}) decorates a function, not {function!r}")
        step = Step(from_version, target, function)
        # The same function of a module that was loaded anew replaces the old one.
        others = [one for one in declared_steps(event) if (one.name, one.from_version) != (step.name, from_version)]
        setattr(event, _STEPS, (*others, step))
        return function

    return decorate


def declared_steps(event: type) -> tuple[Step, ...]:
    """Return what ``@upcaster`` left on exactly this class."""
    return cast("tuple[Step, ...]", event.__dict__.get(_STEPS, ()))


def chains_of(descriptor: EventDescriptor) -> dict[int, tuple[Step, ...]]:
    """Return the steps from each version that can be read to the version of the class.

    Raises:
        DeclarationError: two functions for one step, a step that leads back or past the event's version, or one
            after which nothing leads on. The message names them.
    """
    steps: dict[int, Step] = {}
    what = f"event {descriptor.name!r}, version {descriptor.version}"
    for step in declared_steps(descriptor.type):
        other = steps.get(step.from_version)
        if other is not None:
            raise DeclarationError(f"{what}: two upcasters read version {step.from_version}: {other.name}, {step.name}")
        if step.to_version <= step.from_version:
            raise DeclarationError(f"{what}: upcaster {step.shown} goes in a circle; it must lead to a later version")
        if step.to_version > descriptor.version:
            raise DeclarationError(
                f"{what}: upcaster {step.shown} leads past it; raise @event(version={step.to_version}) or remove it"
            )
        steps[step.from_version] = step
    chains: dict[int, tuple[Step, ...]] = {}
    for version in sorted(steps, reverse=True):
        step = steps[version]
        if step.to_version != descriptor.version and step.to_version not in chains:
            raise DeclarationError(
                f"{what}: nothing leads on from upcaster {step.shown}; add one with from_version={step.to_version}"
            )
        chains[version] = (step, *chains.get(step.to_version, ()))
    return chains


class VersionedDecoding:
    """Decodes payloads whose version is not that of their class.

    Args:
        codec: Decodes those that are.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._chains: dict[type, tuple[tuple[Step, ...], dict[int, tuple[Step, ...]]]] = {}

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
        """Return the event of a body of the version *stated* on the wire.

        Without any upcaster an older payload goes to the class as it is, which may read it or not.

        Raises:
            SchemaVersionError: the version is none, is newer than the class, or nothing leads on from it.
            DecodeError: an upcaster fails, or what it made does not fit the class.
        """
        version = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 10 else 0
        what = f"event {descriptor.name!r}"
        if version < 1:
            raise SchemaVersionError(f"{what}: the payload's version {stated[:40]!r} is no whole number from 1 up")
        if version > descriptor.version:
            raise SchemaVersionError(
                f"{what}: the payload has version {version}, this program knows versions up to {descriptor.version}; "
                "bring it up to date, then replay the dead letter"
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

    def _chains_of(self, descriptor: EventDescriptor) -> dict[int, tuple[Step, ...]]:
        steps = declared_steps(descriptor.type)
        known = self._chains.get(descriptor.type)
        if known is None or known[0] is not steps:
            known = self._chains[descriptor.type] = (steps, chains_of(descriptor))
        return known[1]


def _upcast(what: str, steps: tuple[Step, ...], payload: Payload) -> Payload:
    for step in steps:
        try:
            made = step.function(payload)
        except Exception as error:
            raise DecodeError(f"{what}: upcaster {step.shown} failed: {type(error).__name__}: {error}") from error
        if not isinstance(made, dict):
            raise DecodeError(f"{what}: upcaster {step.shown} returned {type(made).__name__}, not the payload, a dict")
        payload = made
    return payload
