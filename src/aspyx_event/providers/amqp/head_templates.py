"""Templates for the heads of AMQP messages: recurring heads are written and read at once instead of item by item.

A head is everything before the content of the body: properties and headers. Events of the same kind have the same header
names in the same order and, mostly, values of the same lengths, so most bytes of their heads are identical. Other heads
are left to the general code of `sections`, which produces the same result and takes two to four times as long.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from ...envelope import CE_ID, CE_SOURCE, CE_SPECVERSION, CE_TYPE, CONTENT_TYPE, header_name, wire_name
from .values import NeedsFullDecoder, first_item, value_end, value_text

#: Artemis, "Duplicate Message Detection": the application property, a string, that it compares.
DEDUP_PROPERTY = "_AMQ_DUPL_ID"

_DATA_SECTION = b"\x00\x53\x75"
_two_u32 = struct.Struct(">II").pack


class Received(NamedTuple):
    """A decoded message.

    Attributes:
        body: Bytes of a data section; text as UTF-8; other values as JSON text.
        headers: Application properties as text, under the names of the sender's headers.
        delivery_count: Earlier deliveries that failed.
        dedup_id: Of the message, or "".
    """

    body: bytes
    headers: dict[str, str]
    delivery_count: int
    dedup_id: str = ""


class LearningBudget:
    """Limits how many templates are learned. When messages keep differing, learning stops and is retried with exponential
    back-off, counted in messages.

    Args:
        limit: Number of templates until the first pause, and between two pauses.
        forget: Called at the end of each pause, before learning starts again; removes all templates.
    """

    __slots__ = ("_forget", "_limit", "_pause", "_remaining", "_wait")

    def __init__(self, limit: int, forget: Callable[[], None]) -> None:
        self._limit = self._remaining = limit
        self._forget = forget
        #: Calls of `spend` until the end of the pause, and the length of the pause.
        self._wait = self._pause = 8 * limit

    def spend(self) -> bool:
        """Return whether another template may be learned."""
        if self._remaining:
            self._remaining -= 1
            return True
        self._wait -= 1
        if not self._wait:
            self._pause = min(2 * self._pause, 1 << 24)
            self._wait, self._remaining = self._pause, self._limit
            self._forget()
        return False


class _WriteTemplates(NamedTuple):
    """Templates for messages with the same header names.

    Attributes:
        content_type: Index of the content type among the headers.
        keys: Names of the application properties, encoded; the name of the duplicate id first.
        by_lengths: By the lengths of all values: the constant text before each value, followed by an empty slot for it.
    """

    content_type: int
    keys: tuple[str, ...]
    by_lengths: dict[bytes, list[str]]


_write_templates: dict[tuple[str, ...], _WriteTemplates] = {}
# Names are few and recur, but a caller may generate them, and values may have any length.
_write_budget = LearningBudget(1024, _write_templates.clear)


def write_head(headers: dict[str, str], dedup_id: str, group: str | None) -> bytes | None:
    """Return the sections `properties` and `application-properties` of a message.

    None if they cannot be written with a template: no id or no content type, a name or value longer than 255 bytes,
    or learning is paused.

    Raises:
        UnicodeEncodeError: a header is not Unicode text.
    """
    names = tuple(headers)
    templates = _write_templates.get(names) or _new_write_templates(names)
    if templates is None:
        return None
    if group is None:
        values = [headers[CE_ID], headers[CONTENT_TYPE], dedup_id, *headers.values()]
        del values[3 + templates.content_type]
    else:
        values = [headers[CE_ID], headers[CONTENT_TYPE], group, dedup_id, *headers.values()]
        del values[4 + templates.content_type]
    # Bytes are joined as text, a character per byte, because that is faster than encoding each value.
    if not "".join(values).isascii():
        if not values[1].isascii():
            return None
        values = [_as_text(value) for value in values]
    try:
        lengths = bytes(map(len, values))
    except ValueError:
        return None
    template = templates.by_lengths.get(lengths) or _new_write_template(templates, lengths, grouped=group is not None)
    if template is None:
        return None
    parts = template.copy()
    parts[1::2] = values
    return "".join(parts).encode("latin-1")


def _new_write_templates(names: tuple[str, ...]) -> _WriteTemplates | None:
    if CE_ID not in names or CONTENT_TYPE not in names or not _write_budget.spend():
        return None
    keys = [_as_text(name) for name in (DEDUP_PROPERTY, *(wire_name(name) for name in names if name != CONTENT_TYPE))]
    if max(map(len, keys)) > 255:
        return None
    templates = _WriteTemplates(names.index(CONTENT_TYPE), tuple(_short_string(key) for key in keys), {})
    _write_templates[names] = templates
    return templates


def _new_write_template(templates: _WriteTemplates, lengths: bytes, *, grouped: bool) -> list[str] | None:
    """Return the template for values of these lengths; None if the id or the content type is empty."""
    if not lengths[0] or not lengths[1] or not _write_budget.spend():
        return None
    first = 3 if grouped else 2
    pairs = [key + "\xa1" + chr(size) for key, size in zip(templates.keys, lengths[first:], strict=True)]
    size = sum(map(len, pairs)) + sum(lengths[first:])
    # "@" is the code of null, for the fields between message-id, content-type and group-id: see `sections._properties`.
    fields = ["\xa1" + chr(lengths[0]), "@@@@@\xa3" + chr(lengths[1])]
    if grouped:
        fields.append("@@@\xa1" + chr(lengths[2]))
    fields_size = sum(map(len, fields)) + sum(lengths[:first])
    fields[0] = "\x00\x53\x73\xd0" + _sizes(fields_size, 11 if grouped else 7) + fields[0]
    pairs[0] = "\x00\x53\x74\xd1" + _sizes(size, 2 * len(pairs)) + pairs[0]
    template = templates.by_lengths[lengths] = [part for text in (*fields, *pairs) for part in (text, "")]
    return template


def _as_text(text: str) -> str:
    """Return the UTF-8 bytes of *text*, a character per byte."""
    return text.encode().decode("latin-1")


def _short_string(text: str) -> str:
    return "\xa1" + chr(len(text)) + text


def _sizes(content: int, count: int) -> str:
    return _two_u32(content + 4, count).decode("latin-1")


# Events of the same kind have the same values of these headers, or nearly.
_CONSTANT_HEADERS = frozenset({CE_SPECVERSION, CE_SOURCE, CE_TYPE})
_MAX_TEMPLATES = 32
_MAX_TEMPLATES_AT_OFFSET = 3
# Bytes of a head for which a template is built: a sender must not fill the memory with long ones.
_MAX_HEAD = 8192


class HeaderTemplate(NamedTuple):
    """A received head, and how to recognize and read another head like it.

    Attributes:
        fixed_parts: Extracts the parts of a message that must equal `fixed`: descriptors, types, lengths, names and
            constant values.
        values: Extracts the values of `names`. Values that are not needed, such as the message's id, are in neither.
        headers: All headers, with the constant values.
    """

    fixed_parts: Callable[[bytes], tuple[Any, ...]]
    fixed: tuple[bytes, ...]
    values: Callable[[bytes], tuple[Any, ...]]
    names: tuple[str, ...]
    headers: dict[str, str]
    delivery_count: int


class TemplateCache:
    """The templates for the messages of a receiver."""

    __slots__ = ("_budget", "_by_offset", "_end", "_first")

    def __init__(self) -> None:
        #: By the offset of the data section.
        self._by_offset: dict[int, tuple[HeaderTemplate, ...]] = {}
        # The first of these offsets, and the end of the data section's descriptor at the last offset.
        self._first = self._end = 0
        self._budget = LearningBudget(_MAX_TEMPLATES, self._by_offset.clear)

    def read(self, data: bytes) -> Received | None:
        """Return the decoded message; None if there is no template for it.

        Raises:
            UnicodeDecodeError: a value is not text.
            IndexError, struct.error: the message ends too early.
        """
        at = data.find(_DATA_SECTION, self._first, self._end)
        for template in self._by_offset.get(at, ()):
            fixed_parts, fixed, values, names, headers, count = template
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
            headers.update(zip(names, map(bytes.decode, values(data))))  # noqa: B905  of equal length
            dedup_id = headers.pop(DEDUP_PROPERTY, "")
            return tuple.__new__(Received, (data[start:], headers, count, dedup_id))
        return None

    def learn(self, data: bytes, received: Received) -> None:
        """Add a template for messages like this one, which the full decoder has read."""
        if len(data) - len(received.body) > _MAX_HEAD or not self._budget.spend():
            return
        # If several kinds of events have heads of the same length, no value is constant.
        is_new_offset = data.find(_DATA_SECTION, self._first, self._end) not in self._by_offset
        try:
            at, template = _TemplateBuilder(data, _CONSTANT_HEADERS if is_new_offset else frozenset()).build(received)
        except (NeedsFullDecoder, IndexError, UnicodeDecodeError, struct.error):
            return
        others = self._by_offset.get(at, ())
        if len(others) < _MAX_TEMPLATES_AT_OFFSET:
            self._by_offset[at] = (*others, template)
            self._first, self._end = min(self._by_offset), max(self._by_offset) + len(_DATA_SECTION)


class _TemplateBuilder:
    """Builds a template from a message that the full decoder has read.

    Args:
        data: The message.
        constant: Headers whose values become part of the template.
    """

    def __init__(self, data: bytes, constant: frozenset[str]) -> None:
        self._data, self._constant = data, constant
        # Spans of bytes: start and end.
        self._unread: list[tuple[int, int]] = []
        self._values: list[tuple[int, int]] = []
        self._names: list[str] = []
        self._headers: dict[str, str] = {}

    def build(self, received: Received) -> tuple[int, HeaderTemplate]:
        """Return the offset of the message's data section, and the template.

        Raises:
            NeedsFullDecoder: a template cannot read messages like this one.
            IndexError, UnicodeDecodeError, struct.error: the message is damaged.
        """
        data, at, previous, has_type = self._data, 0, 0x6F, False
        while (section := data[at + 2]) != 0x75:
            start = at + 3
            at = value_end(data, start)
            if not previous < section < 0x75:  # each section at most once, and no other kind of body
                raise NeedsFullDecoder
            previous = section
            if section == 0x70:
                self._read_field(start, at, 4)  # the delivery count
            elif section == 0x73:
                has_type = self._read_field(start, at, 6)  # the content type
            elif section == 0x74:
                self._read_application_properties(start, at)
            else:  # annotations
                self._unread.append((_content(data, start), at))
        if not has_type:
            raise NeedsFullDecoder
        self._headers[CONTENT_TYPE] = received.headers[CONTENT_TYPE]
        spans = sorted(self._unread + self._values)
        fixed_parts = struct.Struct(_format(spans, "s", "x", at + 3)).unpack_from
        values = struct.Struct(_format(self._values, "x", "s")).unpack_from
        names, count = tuple(self._names), received.delivery_count
        return at, HeaderTemplate(fixed_parts, fixed_parts(data), values, names, self._headers, count)

    def _read_field(self, at: int, end: int, field: int) -> bool:
        """Go through a list in which only *field* is fixed; return whether that field is present and not empty."""
        data, present = self._data, False
        at, count = first_item(data, at)
        for index in range(count):
            start, at = at, value_end(data, at)
            if index == field:
                present = bool(value_text(data, start, at))
            else:
                self._unread.append((_content(data, start), at))
        if at != end:
            raise NeedsFullDecoder
        return present

    def _read_application_properties(self, at: int, end: int) -> None:
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
                raise NeedsFullDecoder
            if name == DEDUP_PROPERTY != wire:  # a header that happens to have this name
                raise NeedsFullDecoder
            if name in self._constant:
                self._headers[name] = value_text(data, start, at)
            else:
                self._headers[name] = ""
                self._names.append(name)
                self._values.append((_content(data, start), at))
        if at != end:
            raise NeedsFullDecoder


def _content(data: bytes, at: int) -> int:
    """Return the offset of the content of the value at *at*, after its type and size."""
    kind = data[at] >> 4
    return at + (1 if kind < 0xA else 2 if kind in (0xA, 0xC, 0xE) else 5)


def _format(spans: list[tuple[int, int]], between: str, inside: str, end: int = 0) -> str:
    """Return the format of `struct` that extracts, "s", or skips, "x", the bytes between and inside of spans."""
    parts, at = [], 0
    for start, stop in spans:
        parts.append(f"{start - at}{between}{stop - start}{inside}")
        at = stop
    if end:
        parts.append(f"{end - at}{between}")
    return "".join(parts)
