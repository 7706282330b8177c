"""Templates of MESSAGE frames: once the headers of recurring frames are known, a single expression reads their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# A template is built when two observed frames have the same headers. At first every fourth frame without a template is
# observed. Each time the cache is full and starts anew, observation becomes rarer, so that a sender of ever new headers
# does not keep us busy.
_OBSERVE_EVERY, _RAREST_OBSERVATION = 4, 1024
# Templates per subscription (an event may come with a key or without) and per connection, and observed subscriptions:
# names are few and recur, and those of a hostile sender must not fill the memory.
_PER_SUBSCRIPTION, _PER_CONNECTION, _SUBSCRIPTIONS = 4, 64, 1024
_MAX_HEAD = 4096

#: The names of an envelope's headers, and a function that picks their values from those of a frame.
EnvelopeHeaders = tuple[tuple[str, ...], Callable[[Sequence[str]], Sequence[str]]]


class HeaderTemplate:
    """A MESSAGE frame with certain headers in a certain order, up to its body.

    Attributes:
        names: The headers whose values are read.
        positions: The position of each of them among the values.
        length: The position of content-length.
        match: Matches such a frame in a text, at an offset; its groups are the values.
        envelope_headers: Set by `headers.read_headers` at the first frame.
    """

    __slots__ = ("envelope_headers", "length", "match", "names", "positions")

    def __init__(self, lines: Sequence[str], needs_header: Callable[[str], bool]) -> None:
        positions: dict[str, int] = {}
        pattern = ["MESSAGE"]
        for name in lines:
            value = ".*"
            # STOMP 1.2, "Repeated Header Entries": the first entry counts.
            if name not in positions and (name == "content-length" or needs_header(name)):
                positions[name] = len(positions)
                value = "([0-9]{1,9})" if name == "content-length" else "(.*)"
            pattern.append(f"{re.escape(name)}:{value}")
        self.match = re.compile("\n".join([*pattern, "", ""])).match
        self.positions, self.names, self.length = positions, tuple(positions), positions["content-length"]
        self.envelope_headers: EnvelopeHeaders | None = None


class _Observations:
    """Observations of the frames with the same first header, usually those of a subscription."""

    __slots__ = ("frames", "latest", "templates")

    def __init__(self) -> None:
        self.frames = 0
        self.latest: tuple[str, ...] = ()
        self.templates: tuple[HeaderTemplate, ...] = ()


class TemplateCache:
    """Builds and finds the templates of a connection.

    Args:
        needs_header: Returns whether the value of the header of this name is needed.
    """

    def __init__(self, needs_header: Callable[[str], bool]) -> None:
        self._needs_header = needs_header
        self._observe_every = _OBSERVE_EVERY
        self._observations: dict[bytes, _Observations] = {}
        self._templates: dict[tuple[str, ...], HeaderTemplate] = {}

    def candidates(self, start: bytes) -> tuple[HeaderTemplate, ...]:
        """Return the templates of frames that begin with *start*: the command and the first header."""
        observations = self._observations.get(start)
        return () if observations is None else observations.templates

    def learn(self, start: bytes, head: bytes) -> None:
        """Observe a frame that matched no template.

        Args:
            start: As for `candidates`.
            head: Command and headers, as received, without the final line end.
        """
        observations = self._observations.get(start)
        if observations is None:
            if len(self._observations) >= _SUBSCRIPTIONS:
                self._observations.clear()
            observations = self._observations[start] = _Observations()
        observations.frames += 1
        if observations.frames % self._observe_every:
            return
        lines = tuple(line.partition(b":")[0].decode("latin-1") for line in head.split(b"\n")[1:])
        if lines != observations.latest:
            observations.latest = lines
        elif _has_plain_names(lines, head):
            # The kinds of frames change while a connection lasts: the latest templates stay.
            observations.templates = (self._template(lines), *observations.templates[: _PER_SUBSCRIPTION - 1])

    def _template(self, lines: tuple[str, ...]) -> HeaderTemplate:
        template = self._templates.get(lines)
        if template is None:
            if len(self._templates) >= _PER_CONNECTION:
                self._templates.clear()
                self._observations.clear()
                self._observe_every = min(2 * self._observe_every, _RAREST_OBSERVATION)
            template = self._templates[lines] = HeaderTemplate(lines, self._needs_header)
        return template


def _has_plain_names(lines: tuple[str, ...], head: bytes) -> bool:
    """Return whether a template can be built: all names are ASCII without escapes, and there is a content-length.

    A repeated `ack` is read by `frames`, because its first entry may be an application property.
    """
    return (
        "content-length" in lines
        and lines.count("ack") < 2
        and len(head) < _MAX_HEAD
        and all(name.isascii() and "\\" not in name for name in lines)
    )
