"""Shows dead letters as a table, in detail, and as JSON. Their content is untrusted and is escaped for the terminal."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..engine.operations.dead_letters import DeadLetter
from ..printable import printable

_CAUSE_LIMIT = 200


def as_json(letter: DeadLetter, *, full: bool = False) -> dict[str, Any]:
    """Return a letter as values that JSON can express; *full* adds headers, body and traceback.

    A body that is not UTF-8 is returned as ``body_base64`` instead of ``body``.
    """
    values: dict[str, Any] = {
        "id": letter.id,
        "event": letter.address,
        "event_id": letter.event_id,
        "subscription": letter.subscription,
        "queue": letter.queue,
        "cause": {"type": letter.cause.type, "message": letter.cause.message},
        "attempts": letter.attempts,
        "failed_at": letter.failed_at.isoformat() if letter.failed_at else None,
        "size": len(letter.body),
    }
    if full:
        values["cause"]["traceback"] = letter.cause.traceback
        values["headers"] = letter.headers
        try:
            values["body"] = letter.body.decode()
        except UnicodeDecodeError:
            values["body_base64"] = base64.b64encode(letter.body).decode()
    return values


def table_of(letters: Iterable[DeadLetter]) -> Table:
    """Return a table with a row for each letter. Ids are never shortened, because the other commands need them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True, overflow="fold", style="cyan")
    table.add_column("event", overflow="fold")
    table.add_column("subscription", overflow="fold")
    table.add_column("cause", overflow="ellipsis", no_wrap=True, min_width=12)
    table.add_column("tries", justify="right")
    table.add_column("failed at (UTC)", no_wrap=True)
    for letter in letters:
        table.add_row(
            printable(letter.id),
            printable(letter.address),
            printable(letter.subscription),
            printable(_shortened(_cause(letter), _CAUSE_LIMIT)),
            str(letter.attempts or "?"),
            f"{letter.failed_at:%Y-%m-%d %H:%M:%S}" if letter.failed_at else "?",
        )
    return table


def details_of(letter: DeadLetter, limit: int) -> RenderableType:
    """Return all details of a letter, with *limit* characters of its body; 0 shows all."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    failed = f"{letter.failed_at:%Y-%m-%d %H:%M:%S} UTC" if letter.failed_at else "unknown"
    for label, value in (
        ("id", letter.id),
        ("event", letter.address),
        ("event id", letter.event_id),
        ("subscription", letter.subscription),
        ("queue", letter.queue or "(no named queue)"),
        ("cause", _cause(letter)),
        ("attempts", str(letter.attempts or "unknown")),
        ("failed at", failed),
        ("size", f"{len(letter.body):,} bytes"),
    ):
        grid.add_row(label, printable(value))
    parts: list[RenderableType] = [grid]
    if letter.headers:
        headers = Table.grid(padding=(0, 2))
        headers.add_column(no_wrap=True)
        headers.add_column(overflow="fold")
        for name, value in sorted(letter.headers.items()):
            headers.add_row(printable(name), printable(value))
        parts += _section("headers", headers)
    if letter.cause.traceback:
        parts += _section("traceback", Text(printable(letter.cause.traceback.rstrip(), keep="\n"), overflow="fold"))
    parts += _section("body", _body(letter.body, limit))
    return Group(*parts)


def _section(title: str, content: RenderableType) -> list[RenderableType]:
    return [Text(f"\n{title}", "bold"), Padding(content, (0, 0, 0, 2))]


def _body(body: bytes, limit: int) -> Text:
    if not body:
        return Text("(empty)", "dim")
    try:
        # Decoded before it is shortened: a cut inside a character must not make the whole body unreadable.
        text, rest = body.decode(), ""
        if limit and len(text) > limit:
            text, rest = text[:limit], f"\n… {len(text) - limit:,} more characters; --body-limit 0 shows all"
        shown = Text(printable(text, keep="\n\t"), overflow="fold")
    except UnicodeDecodeError:
        part = body[: limit or None]
        rest = f"\n… {len(body) - len(part):,} more bytes; --body-limit 0 shows all" if len(part) < len(body) else ""
        shown = Text("not UTF-8 text; as Python bytes:\n", "dim").append(repr(part), "not dim")
    return shown.append(rest, "dim")


def _cause(letter: DeadLetter) -> str:
    if not letter.cause.type:
        return letter.cause.message or "unknown"
    # The module of built-in exceptions adds nothing for the reader.
    kind = letter.cause.type.removeprefix("builtins.")
    return f"{kind}: {letter.cause.message}" if letter.cause.message else kind


def _shortened(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
