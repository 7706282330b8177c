"""Where a profiled run spent its time: shares by part of the program, then the costliest functions."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections import defaultdict
from pathlib import PurePath

_ROWS = 25
# Of a builtin there is only a name like "{method 'poll' of 'select.epoll' objects}".
_BUILTINS = (
    (("select.",), "waiting"),
    (("socket",), "sockets"),
    (("pydantic",), "pydantic"),
    (("cproton",), "python-qpid-proton"),
    (("_asyncio", "_contextvars"), "asyncio"),
)
_PACKAGES = {
    "proton": "python-qpid-proton",
    "cproton.py": "python-qpid-proton",
    "stomp": "stomp.py",
    "asyncio": "asyncio",
    "pydantic": "pydantic",
    "benchmarks": "the application (this benchmark)",
}
_OTHER = "Python's builtins and library"


def describe(profile: cProfile.Profile) -> str:
    """Return the shares and the functions as text. The profiler charges every call, so many small functions look
    dearer than they are.
    """
    text = io.StringIO()
    statistics = pstats.Stats(profile, stream=text)
    seconds: dict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own, _, _) in statistics.stats.items():  # type: ignore[attr-defined]
        seconds[part(file, name)] += own
    waiting = seconds.pop("waiting", 0.0)
    total = sum(seconds.values())
    text.write(f"{total:.2f} s of work, {waiting:.2f} s of waiting\n")
    for where, own in sorted(seconds.items(), key=lambda item: -item[1]):
        if own >= total / 100:
            text.write(f"{own / total:7.0%}  {where}\n")
    statistics.strip_dirs().sort_stats("tottime").print_stats(_ROWS)
    return text.getvalue()


def part(file: str, name: str) -> str:
    """Return the part of the program that a function belongs to.

    Args:
        file: Its file; "~" for a builtin.
        name: Its name.
    """
    if file == "~":
        return next((where for words, where in _BUILTINS if any(word in name for word in words)), _OTHER)
    pieces = PurePath(file).parts
    if "aspyx_event" in pieces:
        inside = pieces[len(pieces) - pieces[::-1].index("aspyx_event") :]
        return "aspyx_event." + ".".join(inside).removesuffix(".py")
    return next((_PACKAGES[piece] for piece in pieces if piece in _PACKAGES), _OTHER)
