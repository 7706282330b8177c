"""Reads the headers of an envelope from a MESSAGE frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from ...envelope import CONTENT_TYPE, MAX_CACHED_NAME, header_name

if TYPE_CHECKING:
    from .frames import Frame

# Artemis passes on the content type of an AMQP message under these names.
_AMQP_CONTENT_TYPES = ("JMS_AMQP_ContentType", "_AMQ_CONTENT_TYPE")
_DELIVERY_HEADERS = frozenset({"ack", "destination", "redelivered", "subscription", *_AMQP_CONTENT_TYPES})

_header_names: dict[str, str | None] = {}


def needs_header(name: str) -> bool:
    """Return whether a consumer reads the header of this name in a MESSAGE frame."""
    return name in _DELIVERY_HEADERS or header_name(name) is not None


def read_headers(frame: Frame) -> dict[str, str]:
    """Return the headers of an envelope, without those of the protocol and the broker."""
    template = frame.template
    if template is None:
        return _read(frame.headers)
    if template.envelope_headers is None:
        # Reading a frame whose values are the names themselves shows which value becomes which header.
        wire_names = _read({name: name for name in template.names})
        positions = [template.positions[wire] for wire in wire_names.values()]
        template.envelope_headers = tuple(wire_names), _picker(positions)
    names, pick = template.envelope_headers
    return dict(zip(names, pick(frame.values)))  # noqa: B905 - `strict` costs as much as four of the headers


def _picker(positions: list[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda values: [values[position] for position in positions]


def _read(frame_headers: dict[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for wire, value in frame_headers.items():
        try:
            name = _header_names[wire]
        except KeyError:
            name = header_name(wire)
            # Header names are few and short; those of a hostile sender must not fill the memory.
            if len(_header_names) < 4096 and len(wire) <= MAX_CACHED_NAME:
                _header_names[wire] = name
        if name is not None:
            headers[name] = value
    if CONTENT_TYPE not in headers:
        for amqp_name in _AMQP_CONTENT_TYPES:
            if amqp_name in frame_headers:
                headers[CONTENT_TYPE] = frame_headers[amqp_name]
                break
    return headers
