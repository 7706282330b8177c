"""`CloudEvent`: an event of CloudEvents v1.0, for what has no class of its own here."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict

from ..free_form import SelfDescribed
from .attributes import (
    AttributeType,
    Value,
    as_type,
    canonical,
    check_attribute_name,
    check_full_text,
    check_time,
    check_uri,
    check_uri_reference,
    check_value,
    parse_time,
)
from .data import encode_data
from .media_types import JSON, MediaType

#: In the order in which they are written.
CORE_ATTRIBUTES = ("id", "source", "specversion", "type", "subject", "time", "datacontenttype", "dataschema")


def _moment(value: object) -> object:
    if isinstance(value, str):
        return parse_time(value)
    if value is not None and not isinstance(value, datetime):
        raise ValueError("a time is a datetime, or a str of RFC 3339")
    return value


def _content_type(text: str) -> str:
    MediaType.parse(text)
    return text


def _data(value: object) -> object:
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def _now() -> datetime:
    return datetime.now(timezone.utc)


_Text = Annotated[str, Strict(), AfterValidator(check_full_text)]
_Reference = Annotated[str, Strict(), AfterValidator(check_uri_reference)]
_Uri = Annotated[str, Strict(), AfterValidator(check_uri)]
_Moment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(check_time)]
_ContentType = Annotated[str, Strict(), AfterValidator(_content_type)]


class CloudEvent(BaseModel, SelfDescribed):
    """An event of CloudEvents v1.0: its attributes, extensions among them, and its data.

    It is an event of its own: it can be sent, and subscribed to by its type. Extension attributes are keywords beside
    the others, ``CloudEvent(type=..., source=..., tenant="blue")``, and are read as attributes, or from `extensions`
    where their name is one of Python's or pydantic's. What is assigned is checked too.

    Two of them are equal if they say the same: the same attributes in whatever spelling or form (an integer, or its
    canonical string) and the same data.

    Attributes:
        id: Names the event among those of its source.
        source: Where it happened, a URI-reference.
        type: What happened; the name of the event.
        subject: What it is about, within the source.
        time: When it happened; a datetime with a time zone or a str of RFC 3339. None where it is not known.
        datacontenttype: Media type of the data, kept as it was given. None with data that is not bytes means JSON.
        dataschema: URI of what the data adheres to.
        data: A value to be written in its media type, or bytes that are written already. None is no data; JSON's null
            it is only if it was given, and with the media type of JSON.

    Raises:
        pydantic.ValidationError: an attribute is missing or not what the specification says.
    """

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    if TYPE_CHECKING:  # an annotation, which type checkers would have be an argument
        __pydantic_extra__: ClassVar[dict[str, Any]]  # type: ignore[misc]
    else:
        __pydantic_extra__: dict[
            Annotated[str, AfterValidator(check_attribute_name)], Annotated[Any, AfterValidator(check_value)]
        ]

    id: _Text = Field(default_factory=lambda: str(uuid4()))
    source: _Reference
    specversion: Literal["1.0"] = "1.0"
    type: _Text
    subject: _Text | None = None
    time: _Moment | None = Field(default_factory=_now)
    datacontenttype: _ContentType | None = None
    dataschema: _Uri | None = None
    data: Annotated[Any, AfterValidator(_data)] = None

    @property
    def extensions(self) -> dict[str, Value]:
        """The extension attributes that are set."""
        return {name: value for name, value in self.__pydantic_extra__.items() if value is not None}

    @property
    def attributes(self) -> dict[str, Value]:
        """All attributes that are set, extensions last. The data is none of them."""
        found = {name: self.__dict__[name] for name in CORE_ATTRIBUTES if self.__dict__[name] is not None}
        found.update(self.extensions)
        return found

    @property
    def has_data(self) -> bool:
        """True if there is data, if only JSON's null."""
        if self.data is not None:
            return True
        return "data" in self.model_fields_set and self.datacontenttype is not None and self.is_json

    @property
    def is_json(self) -> bool:
        """True if the media type of the data is that of JSON, stated or implied."""
        if self.datacontenttype is None:
            return self.data is not None and not isinstance(self.data, bytes)
        return MediaType.parse(self.datacontenttype).is_json

    @property
    def content_type(self) -> str | None:
        """`datacontenttype`, or the one that is implied: JSON, unless the data is bytes or there is none."""
        return "application/json" if self.datacontenttype is None and self.is_json else self.datacontenttype

    @property
    def encoded_data(self) -> bytes:
        """The data in its media type; b"" where there is none.

        Raises:
            EncodeError: it cannot be written so.
        """
        return encode_data(self.data, self.datacontenttype) if self.has_data else b""

    def extension(self, name: str, kind: AttributeType) -> Value | None:
        """Return an extension attribute as the native value of its type; None where it is not set.

        HTTP and STOMP carry all values as strings, so that the receiver has to know the type.

        Raises:
            ValueError: it is no value of this type.
        """
        value = self.__pydantic_extra__.get(name)
        return None if value is None else as_type(value, kind)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).model_fields and not name.startswith("_"):
            check_attribute_name(name)  # pydantic checks the names of extensions in the constructor only
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return self._meaning() == other._meaning() if isinstance(other, CloudEvent) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def _meaning(self) -> tuple[Any, ...]:
        attributes: dict[str, Any] = {name: canonical(value) for name, value in self.extensions.items()}
        for name in ("id", "source", "type", "subject", "time", "dataschema"):
            attributes[name] = self.__dict__[name]
        content_type = JSON if self.datacontenttype is None and self.is_json else self.datacontenttype
        if isinstance(content_type, str):
            content_type = MediaType.parse(content_type)
        return attributes, content_type, self.has_data, self.data

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        # Data and the values of extensions may be confidential, so they are not shown.
        return [("type", self.type), ("source", self.source), ("id", self.id)]
