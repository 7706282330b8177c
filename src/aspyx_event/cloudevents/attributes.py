"""Context attributes: what a name may be, and the type system with its canonical strings.

Source: CloudEvents v1.0.2, sections "Naming Conventions" and "Type System".
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, cast

Value = bool | int | str | bytes | datetime
_MIN_INTEGER, _MAX_INTEGER = -(2**31), 2**31 - 1
_is_name = re.compile(r"[a-z0-9]+").fullmatch
_is_integer = re.compile(r"-?(?:0|[1-9][0-9]*)").fullmatch
# Control characters, surrogates and what Unicode calls noncharacters.
_NONCHARACTERS = "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_forbidden = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]").search
_URI_CHARACTER = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})"
_is_uri_reference = re.compile(rf"{_URI_CHARACTER}*(?:#{_URI_CHARACTER}*)?").fullmatch
_is_uri = re.compile(rf"[A-Za-z][A-Za-z0-9+\-.]*:{_URI_CHARACTER}+(?:#{_URI_CHARACTER}*)?").fullmatch
_moment = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
).fullmatch


class AttributeType(Enum):
    """The types that the value of an attribute may have."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    STRING = "string"
    BINARY = "binary"
    URI = "uri"
    URI_REFERENCE = "uri-reference"
    TIMESTAMP = "timestamp"


def check_attribute_name(name: str) -> str:
    """Return *name* if an attribute may have it.

    Raises:
        ValueError: it has other characters than a-z and 0-9, or is `data`.
    """
    if not _is_name(name):
        raise ValueError(f"attribute name {name[:80]!r}: a name has lower-case letters a-z and digits, at least one")
    if name == "data":
        raise ValueError("attribute name 'data' is reserved for the payload")
    return name


def check_value(value: object) -> Value | None:
    """Return *value* if an attribute may have it; None stands for an attribute that is not set.

    Raises:
        ValueError: its type is none of the type system, or it is outside of the type's range.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise ValueError(f"the integer {value} is outside of {_MIN_INTEGER} to {_MAX_INTEGER}")
        return int(value)
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, datetime):
        return check_time(value)
    # Its module takes long to import; whoever has such a value has it loaded.
    urls = sys.modules.get("pydantic.networks")
    if urls is not None and isinstance(value, urls.AnyUrl):
        return check_text(str(value))
    raise ValueError(
        f"{type(value).__name__} is no type of an attribute; give a bool, an int of 32 bits, a str, bytes or a datetime"
    )


def check_text(text: str) -> str:
    """Return *text* if it is a String.

    Raises:
        ValueError: it has control characters, unpaired surrogates or noncharacters.
    """
    found = _forbidden(text)
    if found is not None:
        raise ValueError(f"a String must not contain U+{ord(found[0]):04X}")
    return text


def check_full_text(text: str) -> str:
    """Return *text* if it is a String that is not blank.

    Raises:
        ValueError: it is blank, or no String.
    """
    if not text.strip():
        raise ValueError("the value is blank; it must not be empty")
    return check_text(text)


def check_uri_reference(text: str) -> str:
    """Return *text* if it is a URI-reference (RFC 3986 section 4.1) that is not empty.

    Raises:
        ValueError: it is none.
    """
    if not text.strip():
        raise ValueError("the value is blank; a URI-reference must not be empty")
    if not _is_uri_reference(text):
        raise ValueError(f"{text[:80]!r} is no URI-reference (RFC 3986): percent-encode what has no place in one")
    return text


def check_uri(text: str) -> str:
    """Return *text* if it is a URI.

    It may have a fragment: the specification's text refers to RFC 3986 section 4.3, which has none, its JSON schema
    to section 3, which has; and identifiers of schemas often do.

    Raises:
        ValueError: it is none, or relative.
    """
    if not _is_uri(text):
        raise ValueError(f"{text[:80]!r} is no absolute URI (RFC 3986)")
    return text


def check_time(value: datetime) -> datetime:
    """Return *value* if it says what moment it means.

    Raises:
        ValueError: it has no time zone.
    """
    if value.utcoffset() is None:
        raise ValueError("a time without a time zone is no moment; give an aware datetime")
    return value


def parse_time(text: str) -> datetime:
    """Read a timestamp of RFC 3339. Digits beyond microseconds are cut off; a leap second is the end of the 59th.

    Raises:
        ValueError: it is none.
    """
    found = _moment(text)
    if found is None:
        raise ValueError(
            f"{text[:80]!r} is no timestamp (RFC 3339), such as 2018-04-05T17:31:00Z; the offset is needed"
        )
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    microsecond = int((found[7] or "0")[:6].ljust(6, "0"))
    if second == 60:
        second, microsecond = 59, 999_999
    zone = timezone.utc
    if found[8]:
        if int(found[9]) > 23 or int(found[10]) > 59:
            raise ValueError(f"{text!r}: there is no such offset")
        offset = timedelta(hours=int(found[9]), minutes=int(found[10]))
        zone = timezone(-offset if found[8] == "-" else offset) if offset else timezone.utc
    return datetime(year, month, day, hour, minute, second, microsecond, zone)


def canonical(value: Value) -> str:
    """Return the canonical string of a value, by which bindings carry it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def decode_base64(text: str) -> bytes:
    """Decode base64 (RFC 4648 section 4).

    Raises:
        ValueError: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the value is no base64 (RFC 4648 section 4)") from None


def as_type(value: Value, kind: AttributeType) -> Value:
    """Return a value, or its canonical string, as the native value of a type.

    Raises:
        ValueError: it is no value of this type.
    """
    if kind is AttributeType.BINARY:
        return value if isinstance(value, bytes) else decode_base64(_text(value, kind))
    if kind is AttributeType.TIMESTAMP:
        return value if isinstance(value, datetime) else parse_time(_text(value, kind))
    if kind is AttributeType.BOOLEAN:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
    elif kind is AttributeType.INTEGER:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and _is_integer(value):
            return cast("int", check_value(int(value)))
    else:
        checks: dict[AttributeType, Any] = {
            AttributeType.STRING: check_text,
            AttributeType.URI: check_uri,
            AttributeType.URI_REFERENCE: check_uri_reference,
        }
        return cast("str", checks[kind](canonical(value)))
    raise ValueError(f"{value!r} is no {kind.value}")


def _text(value: Value, kind: AttributeType) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no {kind.value}")
    return value
