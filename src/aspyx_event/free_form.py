"""Events without a class of their own, for programs that exchange names and JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .envelope import CONTENT_TYPE, FRAMEWORK_PREFIX
from .exceptions import DecodeError, EncodeError
from .names import check_name

S = TypeVar("S", bound="FreeFormEvent")
#: Header of what was sent as an event without a class, and not as a CloudEvent.
FREE_FORM = FRAMEWORK_PREFIX + "free-form"


class SelfDescribed:
    """Base of `CloudEvent` alone. It tells one by its class without loading the package of CloudEvents, whose model takes
    longer to build than most programs, which have no use for it, take to import the rest.
    """

    __slots__ = ()


def is_cloudevent_class(cls: type) -> bool:
    """Tell whether *cls* is `CloudEvent` itself, and no class that derives from it."""
    return SelfDescribed in cls.__bases__


class FreeFormEvent(ABC):
    """Base of events whose name belongs to the instance, not to the class.

    A handler gets one for every message of a name that no event class known to its manager has.
    """

    @property
    @abstractmethod
    def event_name(self) -> str:
        """Name on the wire, which is also the address on a broker."""

    @abstractmethod
    def write(self) -> tuple[bytes, dict[str, str]]:
        """Return the body, and headers that replace those which every event gets (id, source, time, content type).

        Raises:
            EncodeError: it holds a value that cannot be written.
        """

    @classmethod
    @abstractmethod
    def read(cls: type[S], name: str, body: bytes, headers: Mapping[str, str]) -> S:
        """Return the event of a message.

        Raises:
            DecodeError: the message is not such an event.
        """


@dataclass
class GenericEvent(FreeFormEvent):
    """A name and a payload of JSON values: what is sent and received where no class is declared.

    Attributes:
        name: Name of the event.
        payload: Any JSON value; usually a dict.
    """

    name: str
    payload: Any = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "event name")

    @property
    def event_name(self) -> str:
        return self.name

    def write(self) -> tuple[bytes, dict[str, str]]:
        try:
            body = json.dumps(self.payload, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise EncodeError(f"event {self.name!r}: its payload cannot be written as JSON: {error}") from error
        return body, {CONTENT_TYPE: "application/json", FREE_FORM: "generic"}

    @classmethod
    def read(cls, name: str, body: bytes, headers: Mapping[str, str]) -> GenericEvent:
        del headers
        try:
            return cls(name, json.loads(body) if body else None)
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"event {name!r}: its body is no JSON: {error}") from error
