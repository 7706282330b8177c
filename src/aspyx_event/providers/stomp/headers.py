"""What a MESSAGE frame says to its consumer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from ...envelope import CONTENT_TYPE, header_name

if TYPE_CHECKING:
    from .frames import Frame

# Under these names Artemis passes on the content type of an AMQP message.
_FOREIGN_CONTENT_TYPES = ("JMS_AMQP_ContentType", "_AMQ_CONTENT_TYPE")
_OF_THE_DELIVERY = frozenset({"ack", "destination", "redelivered", "subscription", *_FOREIGN_CONTENT_TYPES})

_header_names: dict[str, str | None] = {}


def wanted(name: str) -> bool:
    """Tell whether a consumer looks at the header of this name."""
    return name in _OF_THE_DELIVERY or header_name(name) is not None


def read_headers(frame: Frame) -> dict[str, str]:
    """Return the headers of an envelope: what belongs to the protocol or the broker is left out."""
    layout = frame.layout
    if layout is None:
        return _read(frame.headers)
    if layout.plan is None:
        # A frame whose values are its names says which value becomes which header.
        found = _read({name: name for name in layout.names})
        places = [layout.places[wire] for wire in found.values()]
        layout.plan = tuple(found), _pick(places)
    names, pick = layout.plan
    return dict(zip(names, pick(frame.values)))  # noqa: B905 - `strict` costs as much as four of the headers


def _pick(places: list[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: [values[place] for place in places]


def _read(frame_headers: dict[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for wire, value in frame_headers.items():
        try:
            name = _header_names[wire]
        except KeyError:
            name = header_name(wire)
            if len(_header_names) < 4096:  # header names are few; a hostile sender's must not fill the memory
                _header_names[wire] = name
        if name is not None:
            headers[name] = value
    if CONTENT_TYPE not in headers:
        for foreign in _FOREIGN_CONTENT_TYPES:
            if foreign in frame_headers:
                headers[CONTENT_TYPE] = frame_headers[foreign]
                break
    return headers
