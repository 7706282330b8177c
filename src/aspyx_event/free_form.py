"""Events without a declared class, for programs that exchange names and JSON."""

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
#: Header of events that were sent without a declared class and not as a `CloudEvent`.
FREE_FORM = FRAMEWORK_PREFIX + "free-form"


class SelfDescribed:
    """Base class of `CloudEvent` alone. It identifies a CloudEvent without importing `aspyx_event.cloudevents`, whose
    pydantic model takes longer to build than the import of all the rest.
    """

    __slots__ = ()


def is_cloudevent_class(cls: type) -> bool:
    """Return whether *cls* is `CloudEvent` itself, not a class that derives from it."""
    return SelfDescribed in cls.__bases__


class FreeFormEvent(ABC):
    """Base class of events whose name belongs to the instance, not to the class.

    A handler gets such an event for a message whose event name no class of its manager has.
    """

    @property
    @abstractmethod
    def event_name(self) -> str:
        """Name on the wire, which is also the address on a broker."""

    @abstractmethod
    def write(self) -> tuple[bytes, dict[str, str]]:
        """Return the body, and headers that replace the default ones (id, source, time, content type).

        Raises:
            EncodeError: it has a value that cannot be encoded.
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
    """An event with a name and a JSON payload, for events without a declared class.

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
            raise EncodeError(f"event {self.name!r}: its payload cannot be encoded as JSON: {error}") from error
        return body, {CONTENT_TYPE: "application/json", FREE_FORM: "generic"}

    @classmethod
    def read(cls, name: str, body: bytes, headers: Mapping[str, str]) -> GenericEvent:
        del headers
        try:
            return cls(name, json.loads(body) if body else None)
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"event {name!r}: its body is not JSON: {error}") from error
