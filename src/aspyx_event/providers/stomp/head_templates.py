"""The headers that MESSAGE frames have in common: once they are known, one expression reads the values of a frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

# A layout is made when two frames had the same headers of those that are looked at: at first every fourth without one.
# Each time that learning begins anew it becomes rarer, so that a sender of ever new headers does not keep us at it.
_LOOK_EVERY, _RAREST_LOOK = 4, 1024
# Of one subscription (an event may come with a key or without), of a connection, and subscriptions that are looked at:
# names are few and come again, and a hostile sender's must not fill the memory.
_VARIANTS, _LAYOUTS, _SUBSCRIPTIONS = 4, 64, 1024
_LONGEST = 4096


class Layout:
    """A MESSAGE frame with certain headers in a certain order, up to its body.

    Attributes:
        names: The headers whose values are read.
        places: Where in the values each of them is.
        length: The place of content-length.
        match: Finds such a frame in a text, at a position; its groups are the values.
        plan: What who reads such frames has found out about them.
    """

    __slots__ = ("length", "match", "names", "places", "plan")

    def __init__(self, lines: Sequence[str], wanted: Callable[[str], bool]) -> None:
        places: dict[str, int] = {}
        pattern = ["MESSAGE"]
        for name in lines:
            value = ".*"
            # STOMP 1.2, "Repeated Header Entries": the first one counts.
            if name not in places and (name == "content-length" or wanted(name)):
                places[name] = len(places)
                value = "([0-9]{1,9})" if name == "content-length" else "(.*)"
            pattern.append(f"{re.escape(name)}:{value}")
        self.match = re.compile("\n".join([*pattern, "", ""])).match
        self.places, self.names, self.length = places, tuple(places), places["content-length"]
        self.plan: Any = None


class _Seen:
    """What is known of the frames with the same first header, mostly that of their subscription."""

    __slots__ = ("frames", "latest", "layouts")

    def __init__(self) -> None:
        self.frames = 0
        self.latest: tuple[str, ...] = ()
        self.layouts: tuple[Layout, ...] = ()


class Layouts:
    """Learns the layouts of one connection.

    Args:
        wanted: Tells of a name whether anybody needs the value.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._look_every = _LOOK_EVERY
        self._seen: dict[bytes, _Seen] = {}
        self._known: dict[tuple[str, ...], Layout] = {}

    def of(self, start: bytes) -> tuple[Layout, ...]:
        """Return the layouts of frames that begin with *start*: the command and the first header."""
        seen = self._seen.get(start)
        return () if seen is None else seen.layouts

    def learn(self, start: bytes, head: bytes) -> None:
        """Look at a frame that had no layout yet.

        Args:
            start: As for `of`.
            head: Command and headers, as they came, without the line end of the last one.
        """
        seen = self._seen.get(start)
        if seen is None:
            if len(self._seen) >= _SUBSCRIPTIONS:
                self._seen.clear()
            seen = self._seen[start] = _Seen()
        seen.frames += 1
        if seen.frames % self._look_every:
            return
        lines = tuple(line.partition(b":")[0].decode("latin-1") for line in head.split(b"\n")[1:])
        if lines != seen.latest:
            seen.latest = lines
        elif _readable(lines, head):
            # Kinds change while a connection lasts: the latest stay.
            seen.layouts = (self._layout(lines), *seen.layouts[: _VARIANTS - 1])

    def _layout(self, lines: tuple[str, ...]) -> Layout:
        layout = self._known.get(lines)
        if layout is None:
            if len(self._known) >= _LAYOUTS:
                self._known.clear()
                self._seen.clear()
                self._look_every = min(2 * self._look_every, _RAREST_LOOK)
            layout = self._known[lines] = Layout(lines, self._wanted)
        return layout


def _readable(lines: tuple[str, ...], head: bytes) -> bool:
    """Whether the names stand for themselves, in ASCII and without escapes."""
    return (
        "content-length" in lines
        and len(head) < _LONGEST
        and all(name.isascii() and "\\" not in name for name in lines)
    )
