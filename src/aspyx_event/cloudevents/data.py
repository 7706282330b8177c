"""The data of an event: encoding and decoding by media type."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NoReturn, Protocol

from pydantic_core import to_jsonable_python

from ..exceptions import DecodeError, EncodeError, EventException
from .media_types import JSON, MediaType


class DataCoder(Protocol):
    """Encodes and decodes the data of a media type. Its exceptions become `EncodeError` or `DecodeError`."""

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        """Encode *data*, which is neither None nor bytes, in this media type."""

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:
        """Decode *encoded*, which is not empty."""


class JsonCoder:
    """``*/json`` and ``*/*+json``. Dataclasses, models, dates and the like are encoded as by pydantic."""

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        return write_json(data).encode(media_type.encoding)

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:
        return read_json(encoded.decode(media_type.encoding))


class TextCoder:
    """``text/*`` and XML, as str. Without a `charset` it is UTF-8.

    Args:
        binary: Return bytes that are not UTF-8 unchanged if there is no `charset`, because the content may state its
            own encoding.
    """

    def __init__(self, *, binary: bool = False) -> None:
        self._binary = binary

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        if not isinstance(data, str):
            raise TypeError(f"{type(data).__name__} is not text; give a str or encoded bytes, or register a coder")
        return data.encode(media_type.encoding)

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:
        try:
            return encoded.decode(media_type.encoding)
        except UnicodeDecodeError:
            if self._binary and not media_type.charset:
                return encoded
            raise


class RawCoder:
    """Media types without a registered coder: bytes stay bytes."""

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        if isinstance(data, str):
            return data.encode(media_type.encoding)
        raise TypeError(f"no coder for {type(data).__name__} as {media_type.essence}; give bytes, or register a coder")

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:  # noqa: ARG002
        return encoded


_RAW = RawCoder()
_xml = TextCoder(binary=True)
_coders: dict[str, DataCoder] = {
    "*/json": JsonCoder(),
    "+json": JsonCoder(),
    "text/*": TextCoder(),
    "*/xml": _xml,
    "+xml": _xml,
}


def register_coder(pattern: str, coder: DataCoder) -> None:
    """Register a coder for a media type, in this process. Coders are shared by all managers, like Python's `codecs`.

    Args:
        pattern: ``application/cbor``, ``*/cbor``, ``+cbor`` or ``application/*``; the most specific pattern wins.
        coder: Replaces an earlier coder of this pattern.
    """
    _coders[pattern.lower()] = coder


def find_coder(media_type: MediaType) -> DataCoder:
    """Return the coder of a media type."""
    keys = [media_type.essence, f"*/{media_type.subtype}", f"{media_type.type}/*"]
    if media_type.suffix:
        keys.insert(2, f"+{media_type.suffix}")
    return next((_coders[key] for key in keys if key in _coders), _RAW)


def encode_data(data: Any, content_type: str | None) -> bytes:
    """Encode *data*; bytes are returned unchanged. Without a media type it is encoded as JSON.

    Raises:
        EncodeError: *data* cannot be encoded in this media type.
    """
    if isinstance(data, bytes):
        return data
    try:
        media_type = JSON if content_type is None else MediaType.parse(content_type)
        return find_coder(media_type).encode(data, media_type)
    except EventException:
        raise
    except Exception as error:
        raise EncodeError(f"data cannot be encoded as {(content_type or str(JSON))[:80]}: {error}") from error


def decode_data(encoded: bytes, content_type: str | None) -> Any:
    """Decode the data of a message. Without a media type, bytes stay bytes.

    Raises:
        DecodeError: the bytes do not match the media type.
    """
    if content_type is None:
        return encoded
    try:
        media_type = MediaType.parse(content_type)
        return find_coder(media_type).decode(encoded, media_type)
    except EventException:
        raise
    except Exception as error:
        raise DecodeError(f"data is not valid {content_type[:80]}: {error or type(error).__name__}") from error


def write_json(value: Any) -> str:
    """Return *value* as JSON text without white space.

    Raises:
        ValueError, TypeError: it cannot be represented in JSON, such as infinities and NaN.
    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_to_jsonable)


_to_jsonable = partial(to_jsonable_python, bytes_mode="base64")


def read_json(text: str, pairs: Any = None) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Args:
        text: The text.
        pairs: Creates an object from its members, as `object_pairs_hook` of `json.loads`; None creates a dict.

    Raises:
        ValueError: it is not JSON, contains a constant that only Python's parser accepts, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
