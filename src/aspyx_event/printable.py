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


def error_text(error: BaseException) -> str:
    """Return the message of an error as printable text; a placeholder if the error cannot tell it."""
    try:
        return printable(str(error))
    except Exception:  # noqa: BLE001  the application's __str__ may raise anything
        return f"<{type(error).__name__} without a readable message>"
