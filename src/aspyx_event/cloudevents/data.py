"""The payload of an event: values to bytes and back, by media type."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NoReturn, Protocol

from pydantic_core import to_jsonable_python

from ..exceptions import DecodeError, EncodeError, EventException
from .media_types import JSON, MediaType


class DataCoder(Protocol):
    """Writes and reads the payloads of a media type. What it raises becomes `EncodeError` or `DecodeError`."""

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        """Return *data*, which is neither None nor bytes, in this media type."""

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:
        """Return the value of *encoded*, which is not empty."""


class JsonCoder:
    """``*/json`` and ``*/*+json``. Dataclasses, models, dates and the like are written as pydantic writes them."""

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        return write_json(data).encode(media_type.charset or "utf-8")

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:
        return read_json(encoded.decode(media_type.charset or "utf-8"))


class TextCoder:
    """``text/*``, XML and its like: str. Without a `charset` it is UTF-8.

    Args:
        binary: What is no text in this charset is left as bytes, because the content may say itself how it is encoded.
    """

    def __init__(self, *, binary: bool = False) -> None:
        self._binary = binary

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        if not isinstance(data, str):
            raise TypeError(f"{type(data).__name__} is no text; give a str, bytes that are encoded already, or a coder")
        return data.encode(media_type.charset or "utf-8")

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:
        try:
            return encoded.decode(media_type.charset or "utf-8")
        except UnicodeDecodeError:
            if self._binary and not media_type.charset:
                return encoded
            raise


class RawCoder:
    """All that nobody else reads: bytes stay bytes."""

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        if isinstance(data, str):
            return data.encode(media_type.charset or "utf-8")
        raise TypeError(f"nobody can write {type(data).__name__} as {media_type.essence}; give bytes, or a coder")

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
    """Let *coder* write and read the payloads of a media type, in this process. A media type means the same to all
    managers, as an encoding does in Python's `codecs`.

    Args:
        pattern: ``application/cbor``, ``*/cbor``, ``+cbor`` or ``application/*``; what says most is taken first.
        coder: Takes the place of the one before it.
    """
    _coders[pattern.lower()] = coder


def coder_of(media_type: MediaType) -> DataCoder:
    """Return who writes and reads a media type."""
    keys = [media_type.essence, f"*/{media_type.subtype}", f"{media_type.type}/*"]
    if media_type.suffix:
        keys.insert(2, f"+{media_type.suffix}")
    return next((_coders[key] for key in keys if key in _coders), _RAW)


def encode_data(data: Any, content_type: str | None) -> bytes:
    """Return a payload as bytes; bytes are encoded already. Without a media type it is written as JSON.

    Raises:
        EncodeError: the value cannot be written in this media type.
    """
    if isinstance(data, bytes):
        return data
    try:
        media_type = JSON if content_type is None else MediaType.parse(content_type)
        return coder_of(media_type).encode(data, media_type)
    except EventException:
        raise
    except Exception as error:
        raise EncodeError(f"data cannot be written as {content_type or JSON}: {error}") from error


def decode_data(encoded: bytes, content_type: str | None) -> Any:
    """Return the value of a payload. Without a media type nothing is known of it: bytes stay bytes.

    Raises:
        DecodeError: it is not what its media type says.
    """
    if content_type is None:
        return encoded
    try:
        media_type = MediaType.parse(content_type)
        return coder_of(media_type).decode(encoded, media_type)
    except EventException:
        raise
    except Exception as error:
        raise DecodeError(f"data is no {content_type}: {error or type(error).__name__}") from error


def write_json(value: Any) -> str:
    """Return *value* as JSON text, without blanks.

    Raises:
        ValueError, TypeError: it has no form in JSON; infinities and NaN have none.
    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain)


_plain = partial(to_jsonable_python, bytes_mode="base64")


def read_json(text: str, pairs: Any = None) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Args:
        text: The text.
        pairs: Makes an object of its members, where they are not to become a dict.

    Raises:
        ValueError: it is none, also by values that Python's parser takes beyond the standard, or is nested too deep.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
