"""Event to bytes and back: the port, JSON by pydantic, and upcasters for payloads of earlier versions."""

from .base import Codec, UpcastingCodec
from .json import JsonCodec

__all__ = ["Codec", "JsonCodec", "UpcastingCodec"]
