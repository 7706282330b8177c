"""STOMP 1.2 frames to bytes and back: what `convert_frame` and `parse_frame` of stomp.py do, several times as fast.

They are most of a message's cost, so they are written by hand, and tested against stomp.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ...exceptions import HeaderError
from .errors import ProtocolError
from .head_templates import Layout, Layouts

__all__ = ["MAX_BODY", "MAX_HEADER", "MAX_SENT_HEADER", "Frame", "FrameParser", "acknowledgement", "encode", "escape"]

#: Bytes of headers in a frame that we send. Artemis drops the connection without an ERROR somewhere between 200 and
#: 300 KB, and whoever resends such a frame would never come to an end.
MAX_SENT_HEADER = 65_536
#: Bytes of headers and of body in a frame that we accept.
MAX_HEADER = 1 << 20
MAX_BODY = 256 << 20

# STOMP 1.2, "Value Encoding".
_UNESCAPE = {"\\\\": "\\", "\\n": "\n", "\\c": ":", "\\r": "\r"}
_replace_escapes = re.compile(r"\\.?", re.DOTALL).sub
_COMMANDS = frozenset({"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"})
_FIRST_BYTES = frozenset(command[0].encode()[0] for command in _COMMANDS)
_R = b"R"[0]
_receipt = re.compile(rb"RECEIPT\nreceipt-id:([0-9]{1,20})\n\n\0").match
# Bytes above which what was received is not looked at as a text as well.
_LARGE = 1 << 20


# A frame is cut into its lines: how they are joined again, by command and names. Names are few and come again, in the
# same order; bounded, because a caller may make names up.
_CACHE_LIMIT, _LONGEST_LAYOUT = 1024, 4096
_layouts: dict[tuple[str, ...], str] = {}


class Frame:
    """A frame that was received.

    Attributes:
        cmd, body: As in stomp.py's class of this name.
        layout: The one it was read by, or None.
        values: Of the layout's headers.
    """

    __slots__ = ("_headers", "body", "cmd", "layout", "values")

    def __init__(
        self,
        cmd: str,
        headers: dict[str, str] | None,
        body: bytes,
        layout: Layout | None = None,
        values: Sequence[str] = (),
    ) -> None:
        self.cmd, self._headers, self.body, self.layout, self.values = cmd, headers, body, layout, values

    @property
    def headers(self) -> dict[str, str]:
        """As in stomp.py's class; of a MESSAGE, those that nobody wants may be missing."""
        if self._headers is None:
            self._headers = {} if self.layout is None else dict(zip(self.layout.names, self.values, strict=True))
        return self._headers

    def get(self, name: str) -> str:
        """Return a header that somebody wants, or "" where there is none."""
        if self.layout is None:
            return self.headers.get(name, "")
        place = self.layout.places.get(name)
        return "" if place is None else self.values[place]


def escape(text: str) -> str:
    """Return a name or a value as it stands in a frame (STOMP 1.2, "Value Encoding")."""
    # The backslash goes first, because the others bring new ones.
    return text.replace("\\", "\\\\").replace(":", "\\c").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(match: re.Match[str]) -> str:
    try:
        return _UNESCAPE[match[0]]
    except KeyError:
        raise ProtocolError(f"undefined escape {match[0]!r} in a header") from None


def _unescaped(text: str) -> str:
    # Mostly a time of day. A backslash after a backslash may be no beginning of an escape.
    plain = text if "\\\\" in text else text.replace("\\c", ":")
    return _replace_escapes(_unescape, text) if "\\" in plain else plain


def encode(command: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """Return the bytes of one frame, `content-length` included where there is a body.

    CONNECT is not escaped (STOMP 1.2, "Value Encoding"), so its values must have no line ends.

    Raises:
        HeaderError: the headers are larger than brokers take, or cannot be written.
    """
    if body is not None and "content-length" in headers:
        headers = {name: value for name, value in headers.items() if name != "content-length"}
    names = (command, *headers)
    layout = _layouts.get(names) or _layout(names)
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
    head = (layout % tuple(values)).encode("utf-8", "replace")
    head += b"\n" if body is None else b"content-length:%d\n\n" % len(body)
    if len(head) >= MAX_SENT_HEADER:
        raise HeaderError(
            f"the headers have {len(head)} bytes; {MAX_SENT_HEADER} are the limit, put large values in the event"
        )
    return b"%b%b\0" % (head, body or b"")


def acknowledgement(message: str) -> bytes:
    """Return the frame that acknowledges a message.

    Args:
        message: The header "ack" of its frame.
    """
    return f"ACK\nid:{escape(message)}\n\n\0".encode()


def _layout(names: tuple[str, ...]) -> str:
    """Return the lines of a frame as a format for its values.

    Args:
        names: The command, then the names of the headers.
    """
    command, *headers = names
    written = headers if command == "CONNECT" else [escape(name) for name in headers]
    layout = "\n".join([command, *(name.replace("%", "%%") + ":%s" for name in written), ""])
    if len(layout) < _LONGEST_LAYOUT:
        if len(_layouts) >= _CACHE_LIMIT:
            _layouts.clear()
        _layouts[names] = layout
    return layout


class FrameParser:
    """Cuts a stream of bytes into frames: `stomp.utils.parse_frame`, stricter and several times as fast.

    Args:
        max_header, max_body: Bytes of a frame's headers and of its body, at most.
        wanted: Tells of a header's name whether anybody needs its value in a MESSAGE.
    """

    def __init__(
        self, max_header: int = MAX_HEADER, max_body: int = MAX_BODY, wanted: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._max_header, self._max_body = max_header, max_body
        self._layouts = Layouts(wanted)
        self._rest = bytearray()
        # Bytes that the frame at the start of _rest needs to be whole; 0 where that is not known.
        self._need = 0
        # The frame at the start of _rest has no content-length and ends with the next NUL.
        self._until_nul = False

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that *data* completes, bodies as bytes.

        Raises:
            ProtocolError: this is not STOMP 1.2, or a frame is larger than the limits.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return []
            if self._until_nul and 0 not in data:
                self._check_body(len(self._rest) - self._max_header)
                return []
            data = bytes(self._rest)
            self._rest.clear()
        self._need, self._until_nul = 0, False
        frames: list[Frame] = []
        at, size = 0, len(data)
        text: str | None = None
        while at < size:
            first = data[at]
            if first in b"\r\n":  # a heart-beat, or the line end that may follow a frame
                at += 1
                continue
            if first == _R and (receipt := _receipt(data, at)) is not None:
                frames.append(Frame("RECEIPT", {"receipt-id": receipt[1].decode()}, b""))
                at = receipt.end()
                continue
            if text is None:
                # One character for each byte, so that positions are the same in both. Layouts know no carriage returns.
                text = "" if size > _LARGE or b"\r" in data else data.decode("latin-1")
            after = self._usual(data, text, at, frames) or self._frame(data, at, frames)
            if after == at:
                self._rest += data[at:]
                break
            at = after
        return frames

    def _usual(self, data: bytes, text: str, at: int, frames: list[Frame]) -> int:
        """Append the frame that starts at *at* if it is whole and looks like earlier ones; return where it ends, or 0."""
        for layout in self._layouts.of(data[at : data.find(b"\n", at + 8)]):
            match = layout.match(text, at)
            if match is not None:
                break
        else:
            return 0
        values: Sequence[str] = match.groups()
        start = match.end()
        end = start + int(values[layout.length])
        if end >= len(data) or data[end] or start - at > self._max_header or end - start > self._max_body:
            return 0  # for `_frame` to say what is the matter
        joined = "\n".join(values)
        if not joined.isascii():
            joined = joined.encode("latin-1").decode("utf-8", "replace")
            values = joined.split("\n")
        if "\\" in joined:
            values = [_unescaped(value) if "\\" in value else value for value in values]
        frames.append(Frame("MESSAGE", None, data[start:end], layout, values))
        return end + 1

    def _frame(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Append the frame that starts at *at* and return where it ends, or *at* while it is not whole."""
        if data[at] not in _FIRST_BYTES:
            raise ProtocolError(f"this is not STOMP 1.2: {data[at : at + 20]!r}")
        head, gap = data.find(b"\n\n", at), 2
        crlf = data.find(b"\n\r\n", at, head if head >= 0 else len(data))
        if crlf >= 0:
            head, gap = crlf, 3
        if (len(data) if head < 0 else head) - at > self._max_header:
            raise ProtocolError(f"headers of more than {self._max_header} bytes")
        if head < 0:
            return at
        command, headers = _head(data[at:head])
        start, length = head + gap, headers.get("content-length")
        if length is None:
            end = data.find(b"\0", start)
            if end < 0:
                self._check_body(len(data) - start)
                self._until_nul = True
                return at
        else:
            if not (length.isascii() and length.isdecimal()):
                raise ProtocolError(f"content-length {length[:20]!r}")
            self._check_body(int(length))
            end = start + int(length)
            if end >= len(data):
                self._need = end + 1 - at
                return at
            if data[end]:
                raise ProtocolError("a frame does not end with NUL")
        frames.append(Frame(command, headers, data[start:end]))
        if command == "MESSAGE":
            self._layouts.learn(data[at : data.find(b"\n", at + 8)], data[at:head])
        return end + 1

    def _check_body(self, size: int) -> None:
        if size > self._max_body:
            raise ProtocolError(f"a body of more than {self._max_body} bytes")


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
        if name not in headers:  # STOMP 1.2, "Repeated Header Entries": the first one counts
            headers[name] = value
    return command, headers
