"""Text of foreign origin for people: log lines, terminals and reprs show characters that control a terminal as escapes."""

from __future__ import annotations


def printable(text: str, *, keep: str = "") -> str:
    """Return *text* with every character that is not printable as a Python escape, except the characters *keep*.

    A line end in an event id would forge a log line, and an escape sequence would control the reader's terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1] for character in text
    )
