"""STOMP 1.2 frames to bytes and back, like `convert_frame` and `parse_frame` of stomp.py but several times as fast.

Coding dominates the cost of a message, so it is written by hand, and tested against stomp.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ...exceptions import HeaderError
from ..settings import DEFAULT_MAX_MESSAGE_SIZE
from .errors import ProtocolError
from .head_templates import HeaderTemplate, TemplateCache

__all__ = ["MAX_SENT_HEADER", "Frame", "FrameParser", "acknowledgement", "encode", "escape"]

#: Largest headers of a frame that we send, in bytes. Artemis drops the connection without an ERROR somewhere between
#: 200 and 300 KB, and a client that resends such a frame would never get past it.
MAX_SENT_HEADER = 65_536
#: Digits of a content-length that is believed. Artemis has nothing larger than 2 GiB.
_MAX_LENGTH_DIGITS = 10

# STOMP 1.2, "Value Encoding".
_UNESCAPE = {"\\\\": "\\", "\\n": "\n", "\\c": ":", "\\r": "\r"}
_replace_escapes = re.compile(r"\\.?", re.DOTALL).sub
_COMMANDS = frozenset({"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"})
_FIRST_BYTES = frozenset(command[0].encode()[0] for command in _COMMANDS)
_R = b"R"[0]
_receipt = re.compile(rb"RECEIPT\nreceipt-id:([0-9]{1,20})\n\n\0").match
# Above this number of bytes, received data is not decoded as a whole for the templates.
_LARGE = 1 << 20


# Format strings for the head of a frame, by command and header names. Names are few and recur in the same order;
# bounded, because a caller may invent names.
_CACHE_LIMIT, _MAX_CACHED_FORMAT = 1024, 4096
_formats: dict[tuple[str, ...], str] = {}


class Frame:
    """A received frame.

    Attributes:
        cmd, body: As in stomp.py's class of this name.
        template: The template that matched it, or None.
        values: The values of the template's headers.
        oversized: Why the body was dropped; "" if it was not.
    """

    __slots__ = ("_headers", "body", "cmd", "oversized", "template", "values")

    def __init__(
        self,
        cmd: str,
        headers: dict[str, str] | None,
        body: bytes,
        template: HeaderTemplate | None = None,
        values: Sequence[str] = (),
        oversized: str = "",
    ) -> None:
        self.cmd, self._headers, self.body, self.template, self.values = cmd, headers, body, template, values
        self.oversized = oversized

    @property
    def headers(self) -> dict[str, str]:
        """As in stomp.py's class. Those of a MESSAGE may lack headers that the parser's `needs_header` rejects."""
        if self._headers is None:
            self._headers = {} if self.template is None else dict(zip(self.template.names, self.values, strict=True))
        return self._headers

    def get(self, name: str) -> str:
        """Return the value of a needed header, or "" if there is none."""
        if self.template is None:
            return self.headers.get(name, "")
        position = self.template.positions.get(name)
        return "" if position is None else self.values[position]


def escape(text: str) -> str:
    """Return the escaped form of a name or value (STOMP 1.2, "Value Encoding")."""
    # The backslash first, because the other replacements add backslashes.
    return text.replace("\\", "\\\\").replace(":", "\\c").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(match: re.Match[str]) -> str:
    try:
        return _UNESCAPE[match[0]]
    except KeyError:
        raise ProtocolError(f"undefined escape {match[0]!r} in a header") from None


def _unescaped(text: str) -> str:
    # Usually only colons of a time are escaped. After an escaped backslash, a "\\c" may not be an escape.
    plain = text if "\\\\" in text else text.replace("\\c", ":")
    return _replace_escapes(_unescape, text) if "\\" in plain else plain


def encode(command: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """Return the bytes of a frame, with `content-length` if there is a body.

    CONNECT is not escaped (STOMP 1.2, "Value Encoding"), so its values must not contain line ends.

    Raises:
        HeaderError: the headers are larger than brokers accept, or cannot be encoded.
    """
    if body is not None and "content-length" in headers:
        headers = {name: value for name, value in headers.items() if name != "content-length"}
    names = (command, *headers)
    head_format = _formats.get(names) or _format(names)
    text = "\n".join(headers.values())
    if text.count("\n") >= len(headers) > 0:
        if command == "CONNECT":
            raise HeaderError("user, password and virtual host cannot contain line ends over STOMP")
        values = [escape(value) for value in headers.values()]
    else:  # all at once
        if command != "CONNECT":
            text = text.replace("\\", "\\\\").replace(":", "\\c").replace("\r", "\\r")
        elif "\r" in text:
            raise HeaderError("user, password and virtual host cannot contain line ends over STOMP")
        values = text.split("\n") if headers else []
    head = (head_format % tuple(values)).encode("utf-8", "replace")
    head += b"\n" if body is None else b"content-length:%d\n\n" % len(body)
    if len(head) >= MAX_SENT_HEADER:
        raise HeaderError(
            f"the headers have {len(head)} bytes; {MAX_SENT_HEADER} are the limit, put large values in the event"
        )
    return b"%b%b\0" % (head, body or b"")


def acknowledgement(message: str) -> bytes:
    """Return the ACK frame of a message.

    Args:
        message: The header "ack" of its MESSAGE frame.
    """
    return f"ACK\nid:{escape(message)}\n\n\0".encode()


def _format(names: tuple[str, ...]) -> str:
    """Return a format string for the head of a frame, with a `%s` for each value.

    Args:
        names: The command, then the names of the headers.
    """
    command, *headers = names
    escaped = headers if command == "CONNECT" else [escape(name) for name in headers]
    head_format = "\n".join([command, *(name.replace("%", "%%") + ":%s" for name in escaped), ""])
    if len(head_format) < _MAX_CACHED_FORMAT:
        if len(_formats) >= _CACHE_LIMIT:
            _formats.clear()
        _formats[names] = head_format
    return head_format


class FrameParser:
    """Splits a byte stream into frames, like `stomp.utils.parse_frame` but stricter and several times as fast.

    Args:
        max_size: Largest headers and largest body of a frame, in bytes. The body of a larger MESSAGE is dropped while it
            arrives: the frame alone can acknowledge its message, and an error would cost the connection again and again.
        needs_header: Returns whether the value of the header of this name is needed in a MESSAGE.
    """

    def __init__(
        self,
        max_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        needs_header: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._max_size = max_size
        self._templates = TemplateCache(needs_header)
        #: The incomplete frame at the end of the data received so far.
        self._pending = bytearray()
        #: Bytes of the pending frame when complete; 0 if not known.
        self._needed_bytes = 0
        #: The pending frame has no content-length and ends with the next NUL.
        self._ends_with_nul = False
        #: The headers of the pending frame are incomplete.
        self._in_head = False
        #: A frame whose body is dropped, and the bytes of it that have not arrived, with the NUL.
        self._dropping: Frame | None = None
        self._to_drop = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that *data* completes.

        Raises:
            ProtocolError: the data is not STOMP 1.2, or a frame exceeds the limits.
        """
        frames: list[Frame] = []
        at = 0
        if self._pending:
            if self._is_still_incomplete(data):
                return []
            data = bytes(self._pending)
            self._pending.clear()
        elif self._dropping is not None:
            at = self._drop(data, 0, frames)
        self._needed_bytes, self._ends_with_nul, self._in_head = 0, False, False
        size = len(data)
        text: str | None = None
        while at < size:
            first = data[at]
            if first in b"\r\n":  # a heart-beat, or a line end after a frame
                at += 1
                continue
            if first == _R and (receipt := _receipt(data, at)) is not None:
                frames.append(Frame("RECEIPT", {"receipt-id": receipt[1].decode()}, b""))
                at = receipt.end()
                continue
            if text is None:
                # One character per byte, so that offsets are equal in both. No template matches a carriage return.
                text = "" if size > _LARGE or b"\r" in data else data.decode("latin-1")
            after = self._by_template(data, text, at, frames) or self._in_full(data, at, frames)
            if self._dropping is not None:
                after = self._drop(data, after, frames)
            if after == at:
                self._pending += data[at:]
                break
            at = after
        return frames

    def _is_still_incomplete(self, data: bytes) -> bool:
        """Append *data* to the pending frame; return whether it is certainly not complete yet.

        Looks at new data only, so a frame that arrives in many parts takes linear time.
        """
        pending, before = self._pending, len(self._pending)
        pending += data
        if len(pending) < self._needed_bytes:
            return True
        if self._ends_with_nul:
            if 0 in data:
                return False
            self._check_body(len(pending) - self._max_size)
            return True
        if (
            not self._in_head
            or pending.find(b"\n\n", before - 1) >= 0
            or pending.find(b"\n\r\n", max(before - 2, 0)) >= 0
        ):
            return False
        self._check_head(len(pending))
        return True

    def _drop(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Skip what *data* has of the body that is dropped; append its frame at the end. Return the offset after it."""
        frame, available = self._dropping, len(data) - at
        if frame is None or available < self._to_drop:
            self._to_drop -= available
            return len(data)
        end = at + self._to_drop
        self._dropping = None
        if data[end - 1]:
            raise ProtocolError("a frame does not end with NUL")
        frames.append(frame)
        return end

    def _by_template(self, data: bytes, text: str, at: int, frames: list[Frame]) -> int:
        """Append the frame at offset *at* if it is complete and matches a template; return its end, or 0."""
        for template in self._templates.candidates(data[at : data.find(b"\n", at + 8)]):
            match = template.match(text, at)
            if match is not None:
                break
        else:
            return 0
        values: Sequence[str] = match.groups()
        start = match.end()
        end = start + int(values[template.length])
        if end >= len(data) or data[end] or start - at > self._max_size or end - start > self._max_size:
            return 0  # `_in_full` waits, or raises the error
        joined = "\n".join(values)
        if not joined.isascii():
            joined = joined.encode("latin-1").decode("utf-8", "replace")
            values = joined.split("\n")
        if "\\" in joined:
            values = [_unescaped(value) if "\\" in value else value for value in values]
        frames.append(Frame("MESSAGE", None, data[start:end], template, values))
        return end + 1

    def _in_full(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Append the frame at offset *at* and return its end, or *at* while it is incomplete."""
        if data[at] not in _FIRST_BYTES:
            raise ProtocolError(f"this is not STOMP 1.2: {data[at : at + 20]!r}")
        head, gap = data.find(b"\n\n", at), 2
        crlf = data.find(b"\n\r\n", at, head if head >= 0 else len(data))
        if crlf >= 0:
            head, gap = crlf, 3
        self._check_head((len(data) if head < 0 else head) - at)
        if head < 0:
            self._in_head = True
            return at
        command, headers = _head(data[at:head])
        start, length = head + gap, headers.get("content-length")
        if length is None:
            end = data.find(b"\0", start)
            if end < 0:
                self._check_body(len(data) - start)
                self._ends_with_nul = True
                return at
        else:
            if not (length.isascii() and length.isdecimal() and len(length) <= _MAX_LENGTH_DIGITS):
                raise ProtocolError(f"content-length {length[:20]!r}")
            if command == "MESSAGE" and int(length) > self._max_size:
                reason = f"its body has {int(length):,} bytes, {self._max_size:,} are the limit (max_message_size)"
                self._dropping, self._to_drop = Frame(command, headers, b"", oversized=reason), int(length) + 1
                return start
            self._check_body(int(length))
            end = start + int(length)
            if end >= len(data):
                self._needed_bytes = end + 1 - at
                return at
            if data[end]:
                raise ProtocolError("a frame does not end with NUL")
        frames.append(Frame(command, headers, data[start:end]))
        if command == "MESSAGE":
            self._templates.learn(data[at : data.find(b"\n", at + 8)], data[at:head])
        return end + 1

    def _check_head(self, size: int) -> None:
        if size > self._max_size:
            raise ProtocolError(f"headers of more than {self._max_size} bytes (max_message_size)")

    def _check_body(self, size: int) -> None:
        if size > self._max_size:
            raise ProtocolError(f"a body of more than {self._max_size} bytes (max_message_size)")


def _head(data: bytes) -> tuple[str, dict[str, str]]:
    text = data.decode("utf-8", "replace")
    command, *lines = (text.replace("\r", "") if "\r" in text else text).split("\n")
    if command not in _COMMANDS:
        raise ProtocolError(f"this is not STOMP 1.2: {command[:20]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if "\\" in line and command != "CONNECTED":
            name, value = _unescaped(name), _unescaped(value)
        if name not in headers:  # STOMP 1.2, "Repeated Header Entries": the first entry counts
            headers[name] = value
        elif name == "ack" and value == headers.get("message-id"):
            # Artemis writes the properties of a message between its own `message-id` and its own `ack`, which are equal.
            # An application property of this name would otherwise replace the id to acknowledge.
            headers[name] = value
    return command, headers
