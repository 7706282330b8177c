"""Context attributes: valid names, the type system and canonical strings.

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
# Control characters, surrogates and noncharacters of Unicode.
_NONCHARACTERS = "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_find_forbidden = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]").search
_URI_CHARACTER = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})"
_is_uri_reference = re.compile(rf"{_URI_CHARACTER}*(?:#{_URI_CHARACTER}*)?").fullmatch
_is_uri = re.compile(rf"[A-Za-z][A-Za-z0-9+\-.]*:{_URI_CHARACTER}+(?:#{_URI_CHARACTER}*)?").fullmatch
_match_timestamp = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
).fullmatch


class AttributeType(Enum):
    """The types of attribute values."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    STRING = "string"
    BINARY = "binary"
    URI = "uri"
    URI_REFERENCE = "uri-reference"
    TIMESTAMP = "timestamp"


def check_attribute_name(name: str) -> str:
    """Return *name* if it is a valid attribute name.

    Raises:
        ValueError: it has other characters than a-z and 0-9, or is `data`.
    """
    if not _is_name(name):
        raise ValueError(f"attribute name {name[:80]!r}: must consist of lower-case letters a-z and digits")
    if name == "data":
        raise ValueError("attribute name 'data' is reserved for the payload")
    return name


def check_value(value: object) -> Value | None:
    """Return *value* if it is a valid attribute value; None stands for an attribute that is not set.

    Raises:
        ValueError: its type is not part of the type system, or it is outside the range of the type.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise ValueError(f"the integer {value} is not in the range {_MIN_INTEGER} to {_MAX_INTEGER}")
        return int(value)
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, datetime):
        return check_time(value)
    # The module is slow to import; if there is such a value, it is loaded.
    urls = sys.modules.get("pydantic.networks")
    if urls is not None and isinstance(value, urls.AnyUrl):
        return check_text(str(value))
    raise ValueError(
        f"{type(value).__name__} is not a type of attributes; give a bool, an int of 32 bits, a str, bytes or a datetime"
    )


def check_text(text: str) -> str:
    """Return *text* if it is a String of the specification.

    Raises:
        ValueError: it contains control characters, unpaired surrogates or noncharacters.
    """
    forbidden = _find_forbidden(text)
    if forbidden is not None:
        raise ValueError(f"a String must not contain U+{ord(forbidden[0]):04X}")
    return text


def check_full_text(text: str) -> str:
    """Return *text* if it is a String that is not blank.

    Raises:
        ValueError: it is blank, or not a String.
    """
    if not text.strip():
        raise ValueError("the value is blank; it must not be empty")
    return check_text(text)


def check_uri_reference(text: str) -> str:
    """Return *text* if it is a URI-reference (RFC 3986 section 4.1) that is not empty.

    Raises:
        ValueError: it is not.
    """
    if not text.strip():
        raise ValueError("the value is blank; a URI-reference must not be empty")
    if not _is_uri_reference(text):
        raise ValueError(f"{text[:80]!r} is not a URI-reference (RFC 3986): percent-encode other characters")
    return text


def check_uri(text: str) -> str:
    """Return *text* if it is an absolute URI.

    A fragment is permitted: the text of the specification refers to RFC 3986 section 4.3, which has no fragment, but its
    JSON schema to section 3, which has; and identifiers of schemas often have a fragment.

    Raises:
        ValueError: it is not a URI, or relative.
    """
    if not _is_uri(text):
        raise ValueError(f"{text[:80]!r} is not an absolute URI (RFC 3986)")
    return text


def check_time(value: datetime) -> datetime:
    """Return *value* if it has a time zone.

    Raises:
        ValueError: it has no time zone.
    """
    if value.utcoffset() is None:
        raise ValueError("a time without a time zone is ambiguous; give an aware datetime")
    return value


def parse_time(text: str) -> datetime:
    """Parse a timestamp of RFC 3339. Digits beyond microseconds are truncated; a leap second becomes the end of second 59.

    Raises:
        ValueError: *text* is not a timestamp.
    """
    match = _match_timestamp(text)
    if match is None:
        raise ValueError(
            f"{text[:80]!r} is not a timestamp (RFC 3339) such as 2018-04-05T17:31:00Z; the offset is required"
        )
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    if second == 60:
        second, microsecond = 59, 999_999
    zone = timezone.utc
    if match[8]:
        if int(match[9]) > 23 or int(match[10]) > 59:
            raise ValueError(f"{text!r}: invalid offset")
        offset = timedelta(hours=int(match[9]), minutes=int(match[10]))
        zone = timezone(-offset if match[8] == "-" else offset) if offset else timezone.utc
    return datetime(year, month, day, hour, minute, second, microsecond, zone)


def canonical(value: Value) -> str:
    """Return the canonical string of a value, as bindings carry it."""
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
        ValueError: *text* is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the value is not base64 (RFC 4648 section 4)") from None


def as_type(value: Value, kind: AttributeType) -> Value:
    """Convert a value, or its canonical string, to the native value of a type.

    Raises:
        ValueError: it is not a value of this type.
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
    raise ValueError(f"{value!r} is not a value of type {kind.value}")


def _text(value: Value, kind: AttributeType) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a value of type {kind.value}")
    return value
