"""`CloudEvent`: an event of CloudEvents v1.0, for events without a declared class."""

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

#: In the order of writing.
CORE_ATTRIBUTES = ("id", "source", "specversion", "type", "subject", "time", "datacontenttype", "dataschema")


def _datetime_of(value: object) -> object:
    if isinstance(value, str):
        return parse_time(value)
    if value is not None and not isinstance(value, datetime):
        raise ValueError("a time must be a datetime, or a str in the format of RFC 3339")
    return value


def _checked_content_type(text: str) -> str:
    MediaType.parse(text)
    return text


def _data(value: object) -> object:
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def _now() -> datetime:
    return datetime.now(timezone.utc)


_Text = Annotated[str, Strict(), AfterValidator(check_full_text)]
_UriReference = Annotated[str, Strict(), AfterValidator(check_uri_reference)]
_Uri = Annotated[str, Strict(), AfterValidator(check_uri)]
_Time = Annotated[datetime, BeforeValidator(_datetime_of), AfterValidator(check_time)]
_ContentType = Annotated[str, Strict(), AfterValidator(_checked_content_type)]


class CloudEvent(BaseModel, SelfDescribed):
    """An event of CloudEvents v1.0: its attributes, including extensions, and its data.

    It can be sent like an event of a declared class, and subscribed to by its type. Extension attributes are further
    keywords, ``CloudEvent(type=..., source=..., tenant="blue")``, and are read as attributes, or from `extensions` if
    their name is used by Python or pydantic. Assignments are validated.

    Two events are equal if they have the same data and the same attributes, regardless of spelling and form (an integer
    equals its canonical string).

    Attributes:
        id: Identifies the event among those of its source.
        source: Where the event occurred, a URI-reference.
        type: The kind of occurrence; the name of the event.
        subject: What the event is about, within the source.
        time: When the event occurred; a datetime with a time zone, or a str in the format of RFC 3339. None if unknown.
        datacontenttype: Media type of the data, unchanged. None means JSON, unless the data is bytes.
        dataschema: URI of the schema of the data.
        data: A value to be encoded in its media type, or encoded bytes. None is no data; it is JSON's null only if it
            was passed explicitly, with the media type of JSON.

    Raises:
        pydantic.ValidationError: an attribute is missing or violates the specification.
    """

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    if TYPE_CHECKING:
        # Type checkers would take the annotation for an argument, and refuse extension attributes.
        __pydantic_extra__: ClassVar[dict[str, Any]]  # type: ignore[misc]

        def __init__(
            self,
            *,
            id: str = ...,  # noqa: A002
            source: str,
            specversion: Literal["1.0"] = "1.0",
            type: str,  # noqa: A002
            subject: str | None = None,
            time: datetime | str | None = ...,
            datacontenttype: str | None = None,
            dataschema: str | None = None,
            data: Any = None,
            **extensions: Any,
        ) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

    else:
        __pydantic_extra__: dict[
            Annotated[str, AfterValidator(check_attribute_name)], Annotated[Any, AfterValidator(check_value)]
        ]

    id: _Text = Field(default_factory=lambda: str(uuid4()))
    source: _UriReference
    specversion: Literal["1.0"] = "1.0"
    type: _Text
    subject: _Text | None = None
    time: _Time | None = Field(default_factory=_now)
    datacontenttype: _ContentType | None = None
    dataschema: _Uri | None = None
    data: Annotated[Any, AfterValidator(_data)] = None

    @property
    def extensions(self) -> dict[str, Value]:
        """The extension attributes that are set."""
        return {name: value for name, value in self.__pydantic_extra__.items() if value is not None}

    @property
    def attributes(self) -> dict[str, Value]:
        """All attributes that are set, without the data; extensions last."""
        attributes = {name: self.__dict__[name] for name in CORE_ATTRIBUTES if self.__dict__[name] is not None}
        attributes.update(self.extensions)
        return attributes

    @property
    def has_data(self) -> bool:
        """True if there is data, including JSON's null."""
        if self.data is not None:
            return True
        return "data" in self.model_fields_set and self.datacontenttype is not None and self.is_json

    @property
    def is_json(self) -> bool:
        """True if the media type of the data is JSON, stated or implied."""
        if self.datacontenttype is None:
            return self.data is not None and not isinstance(self.data, bytes)
        return MediaType.parse(self.datacontenttype).is_json

    @property
    def content_type(self) -> str | None:
        """`datacontenttype`, or the implied media type: JSON, unless the data is bytes or there is none."""
        return "application/json" if self.datacontenttype is None and self.is_json else self.datacontenttype

    @property
    def encoded_data(self) -> bytes:
        """The data encoded in its media type; b"" if there is none.

        Raises:
            EncodeError: it cannot be encoded.
        """
        return encode_data(self.data, self.datacontenttype) if self.has_data else b""

    def extension(self, name: str, kind: AttributeType) -> Value | None:
        """Return an extension attribute as the native value of its type; None if it is not set.

        HTTP and STOMP carry all values as strings, so the receiver must know the type.

        Raises:
            ValueError: it is not a value of this type.
        """
        value = self.__pydantic_extra__.get(name)
        return None if value is None else as_type(value, kind)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).model_fields and not name.startswith("_"):
            check_attribute_name(name)  # pydantic checks names of extensions only in the constructor
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return self._comparison_key() == other._comparison_key() if isinstance(other, CloudEvent) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def _comparison_key(self) -> tuple[Any, ...]:
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
