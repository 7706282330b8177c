"""Heads of messages that look alike, written and read at once instead of item by item.

A head is what comes before the content of the body: properties and headers. Events of one kind have the same names in
the same order and, mostly, values of the same lengths, so that most bytes of their heads are the same. What is not as
usual is left to the general code of `sections`, which gives the same result and takes two to four times as long.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from ...envelope import CE_ID, CE_SOURCE, CE_SPECVERSION, CE_TYPE, CONTENT_TYPE, header_name, wire_name
from .values import UncommonError, first_item, value_end, value_text

#: Artemis, "Duplicate Message Detection": the application property, a string, that it compares.
DEDUP_PROPERTY = "_AMQ_DUPL_ID"

_DATA = b"\x00\x53\x75"
_two_u32 = struct.Struct(">II").pack


class Received(NamedTuple):
    """A decoded message.

    Attributes:
        body: Bytes of a data section; text as UTF-8; other values as JSON text.
        headers: Application properties as text, under the names of the sender's headers.
        delivery_count: Deliveries before this one that failed.
        dedup_id: Of the message, or "".
    """

    body: bytes
    headers: dict[str, str]
    delivery_count: int
    dedup_id: str = ""


class _Learning:
    """Ends the learning where what comes is never the same, and tries it again later, ever more rarely.

    Args:
        most: How much may be learned.
        forget: Called before it is begun anew.
    """

    __slots__ = ("_forget", "_left", "_most", "_pause", "_wait")

    def __init__(self, most: int, forget: Callable[[], None]) -> None:
        self._most = self._left = most
        self._forget = forget
        self._wait = self._pause = 8 * most

    def goes_on(self) -> bool:
        """Return whether to learn something that was not known."""
        if self._left:
            self._left -= 1
            return True
        self._wait -= 1
        if not self._wait:
            self._pause = min(2 * self._pause, 1 << 24)
            self._wait, self._left = self._pause, self._most
            self._forget()
        return False


class _Layout(NamedTuple):
    """How messages with the same headers are written.

    Attributes:
        content_type: Where the content type is among the headers.
        keys: Names of the application properties, encoded, the one of the duplicate id first.
        known: By the lengths of all values: what is written between them, with a gap for each of them.
    """

    content_type: int
    keys: tuple[str, ...]
    known: dict[bytes, list[str]]


_layouts: dict[tuple[str, ...], _Layout] = {}
# Names are few and come again, but a caller may make them up, and values may be of any length.
_learning = _Learning(1024, _layouts.clear)


def write_head(headers: dict[str, str], dedup_id: str, group: str | None) -> bytes | None:
    """Return the sections `properties` and `application-properties` of a message.

    None where they cannot be written this way: there is no id or no content type, or something is longer than 255
    bytes, or nothing like it came lately.

    Raises:
        UnicodeEncodeError: something is no Unicode text.
    """
    names = tuple(headers)
    layout = _layouts.get(names) or _new_layout(names)
    if layout is None:
        return None
    if group is None:
        values = [headers[CE_ID], headers[CONTENT_TYPE], dedup_id, *headers.values()]
        del values[3 + layout.content_type]
    else:
        values = [headers[CE_ID], headers[CONTENT_TYPE], group, dedup_id, *headers.values()]
        del values[4 + layout.content_type]
    # Bytes are put together as text, a character each, because that is quicker than to encode each value.
    if not "".join(values).isascii():
        if not values[1].isascii():
            return None
        values = [_as_text(value) for value in values]
    try:
        lengths = bytes(map(len, values))
    except ValueError:
        return None
    known = layout.known.get(lengths) or _between(layout, lengths, grouped=group is not None)
    if known is None:
        return None
    parts = known.copy()
    parts[1::2] = values
    return "".join(parts).encode("latin-1")


def _new_layout(names: tuple[str, ...]) -> _Layout | None:
    if CE_ID not in names or CONTENT_TYPE not in names or not _learning.goes_on():
        return None
    keys = [_as_text(name) for name in (DEDUP_PROPERTY, *(wire_name(name) for name in names if name != CONTENT_TYPE))]
    if max(map(len, keys)) > 255:
        return None
    layout = _layouts[names] = _Layout(names.index(CONTENT_TYPE), tuple(_prefixed(key) for key in keys), {})
    return layout


def _between(layout: _Layout, lengths: bytes, *, grouped: bool) -> list[str] | None:
    """Return what is written between values of these lengths; None where id or content type are empty."""
    if not lengths[0] or not lengths[1] or not _learning.goes_on():
        return None
    first = 3 if grouped else 2
    pairs = [key + "\xa1" + chr(size) for key, size in zip(layout.keys, lengths[first:], strict=True)]
    size = sum(map(len, pairs)) + sum(lengths[first:])
    start = ["\xa1" + chr(lengths[0]), "@@@@@\xa3" + chr(lengths[1])]
    if grouped:
        start.append("@@@\xa1" + chr(lengths[2]))
    described = sum(map(len, start)) + sum(lengths[:first])
    start[0] = "\x00\x53\x73\xd0" + _sizes(described, 11 if grouped else 7) + start[0]
    pairs[0] = "\x00\x53\x74\xd1" + _sizes(size, 2 * len(pairs)) + pairs[0]
    between = layout.known[lengths] = [part for piece in (*start, *pairs) for part in (piece, "")]
    return between


def _as_text(text: str) -> str:
    """Return the bytes of *text* as characters."""
    return text.encode().decode("latin-1")


def _prefixed(text: str) -> str:
    return "\xa1" + chr(len(text)) + text


def _sizes(content: int, count: int) -> str:
    return _two_u32(content + 4, count).decode("latin-1")


# All values of these are the same for one kind of event, or nearly.
_STEADY = frozenset({CE_SPECVERSION, CE_SOURCE, CE_TYPE})
_MOST_HEADS = 32
_MOST_AT_ONE_PLACE = 3


class _Head(NamedTuple):
    """A head that came, and how to tell another one like it.

    Attributes:
        fixed_parts: Takes from a message what has to be `fixed`: descriptors, types, lengths, names, steady values.
        values: Takes the values of `names` from it. What nobody asks for, such as the message's id, is in neither.
        headers: All of them, with the steady values.
    """

    fixed_parts: Callable[[bytes], tuple[Any, ...]]
    fixed: tuple[bytes, ...]
    values: Callable[[bytes], tuple[Any, ...]]
    names: tuple[str, ...]
    headers: dict[str, str]
    delivery_count: int


class Heads:
    """The heads that came to one receiver."""

    __slots__ = ("_end", "_known", "_learning", "_least")

    def __init__(self) -> None:
        #: By where the data section follows.
        self._known: dict[int, tuple[_Head, ...]] = {}
        # The first of these places, and the end of the last one.
        self._least = self._end = 0
        self._learning = _Learning(_MOST_HEADS, self._known.clear)

    def read(self, data: bytes) -> Received | None:
        """Return what *data* says if its head is known.

        Raises:
            UnicodeDecodeError: a value is no text.
            IndexError, struct.error: it ends too early.
        """
        at = data.find(_DATA, self._least, self._end)
        for head in self._known.get(at, ()):
            fixed_parts, fixed, values, names, headers, count = head
            if fixed_parts(data) != fixed:
                continue
            if data[at + 3] == 0xA0:
                start, size = at + 5, data[at + 4]
            elif data[at + 3] == 0xB0:
                start, size = at + 8, int.from_bytes(data[at + 4 : at + 8], "big")
            else:
                return None
            if start + size != len(data):
                return None
            headers = headers.copy()
            headers.update(zip(names, map(bytes.decode, values(data))))  # noqa: B905  of one length
            dedup_id = headers.pop(DEDUP_PROPERTY, "")
            return tuple.__new__(Received, (data[start:], headers, count, dedup_id))
        return None

    def learn(self, data: bytes, received: Received) -> None:
        """Remember the head of a message that the general code has read."""
        if not self._learning.goes_on():
            return
        # Where events of several kinds have heads of one length, nothing is steady.
        steady = _STEADY if data.find(_DATA, self._least, self._end) not in self._known else frozenset()
        try:
            at, head = _Lesson(data, steady).head(received)
        except (UncommonError, IndexError, UnicodeDecodeError):
            return
        others = self._known.get(at, ())
        if len(others) < _MOST_AT_ONE_PLACE:
            self._known[at] = (*others, head)
            self._least, self._end = min(self._known), max(self._known) + len(_DATA)


class _Lesson:
    """What a message that the general code has read tells about the next one like it."""

    def __init__(self, data: bytes, steady: frozenset[str]) -> None:
        self._data, self._steady = data, steady
        # Where their bytes begin and end.
        self._unread: list[tuple[int, int]] = []
        self._values: list[tuple[int, int]] = []
        self._names: list[str] = []
        self._headers: dict[str, str] = {}

    def head(self, received: Received) -> tuple[int, _Head]:
        """Return where the data section of the message lies, and its head.

        Raises:
            UncommonError: it cannot be told by its head what the next one says.
            IndexError, UnicodeDecodeError: it is damaged.
        """
        data, at, before, has_type = self._data, 0, 0x6F, False
        while (section := data[at + 2]) != 0x75:
            start = at + 3
            at = value_end(data, start)
            if not before < section < 0x75:  # each once at most, and no other body
                raise UncommonError
            before = section
            if section == 0x70:
                self._fields(start, at, 4)  # the delivery count
            elif section == 0x73:
                has_type = self._fields(start, at, 6)  # the content type
            elif section == 0x74:
                self._application_properties(start, at)
            else:  # annotations
                self._unread.append((_content(data, start), at))
        if not has_type:
            raise UncommonError
        self._headers[CONTENT_TYPE] = received.headers[CONTENT_TYPE]
        spans = sorted(self._unread + self._values)
        fixed_parts = struct.Struct(_format(spans, "s", "x", at + 3)).unpack_from
        values = struct.Struct(_format(self._values, "x", "s")).unpack_from
        names, count = tuple(self._names), received.delivery_count
        return at, _Head(fixed_parts, fixed_parts(data), values, names, self._headers, count)

    def _fields(self, at: int, end: int, wanted: int) -> bool:
        """Go through a list of which one field is read; True if that is there."""
        data, found = self._data, False
        at, count = first_item(data, at)
        for index in range(count):
            start, at = at, value_end(data, at)
            if index == wanted:
                found = bool(value_text(data, start, at))
            else:
                self._unread.append((_content(data, start), at))
        if at != end:
            raise UncommonError
        return found

    def _application_properties(self, at: int, end: int) -> None:
        data = self._data
        at, count = first_item(data, at)
        for _ in range(count >> 1):
            start = value_end(data, at)
            wire = value_text(data, at, start)
            at = value_end(data, start)
            name = DEDUP_PROPERTY if wire == DEDUP_PROPERTY else header_name(wire)
            if name is None:
                self._unread.append((_content(data, start), at))
                continue
            if data[start] not in (0xA1, 0xB1) or name in self._headers or name == CONTENT_TYPE:
                raise UncommonError
            if name == DEDUP_PROPERTY != wire:  # a header that has just the same name
                raise UncommonError
            if name in self._steady:
                self._headers[name] = value_text(data, start, at)
            else:
                self._headers[name] = ""
                self._names.append(name)
                self._values.append((_content(data, start), at))
        if at != end:
            raise UncommonError


def _content(data: bytes, at: int) -> int:
    """Return where the content of the value at *at* begins, after its type and size."""
    kind = data[at] >> 4
    return at + (1 if kind < 0xA else 2 if kind in (0xA, 0xC, 0xE) else 5)


def _format(spans: list[tuple[int, int]], between: str, inside: str, end: int = 0) -> str:
    """Return the format of `struct` that takes, "s", or leaves out, "x", what is between and inside of spans."""
    parts, at = [], 0
    for start, stop in spans:
        parts.append(f"{start - at}{between}{stop - start}{inside}")
        at = stop
    if end:
        parts.append(f"{end - at}{between}")
    return "".join(parts)
