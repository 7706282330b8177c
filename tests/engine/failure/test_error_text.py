"""Errors described in text: hostile ones give a placeholder, and never an error."""

from __future__ import annotations

import pytest

from aspyx_event.error_text import (
    error_text,
    is_printable,
    message_of,
    repr_of,
    short_type_name,
    traceback_frames,
    traceback_text,
    type_name,
)
from aspyx_event.testing.conformance.hostile_errors import HOSTILE_ERRORS


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize("name", HOSTILE_ERRORS)
def test_every_hostile_error_is_described(name):
    """All texts are plain, short, and can be written to a header."""
    error = raised(HOSTILE_ERRORS[name]())
    frames = traceback_frames(error)
    texts = (type_name(error), short_type_name(error), message_of(error), error_text(error), repr_of(error))
    for text in (*texts, traceback_text(error, frames)):
        assert type(text) is str
        assert len(text) <= 4_000
        text.encode("utf-8")
    assert traceback_text(error, frames)
    assert is_printable(error) in (True, False)
    del frames


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("frozen", "Frozen: "),
        ("unprintable", "Unprintable: <unprintable>"),
        ("surrogates", "ValueError: \\ud800\\udfff"),
    ],
)
def test_the_summary_of_an_error_names_its_class(name, expected):
    assert error_text(HOSTILE_ERRORS[name]()).startswith(expected.rstrip(" :") if name == "frozen" else expected)


#: Exception groups exist since Python 3.11.
UNDESCRIBABLE = {"unprintable", "hidden-notes", "hidden-attributes", "deep-group"} & HOSTILE_ERRORS.keys()


@pytest.mark.parametrize("name", sorted(UNDESCRIBABLE))
def test_the_traceback_of_an_undescribable_error_has_its_frames(name):
    error = raised(HOSTILE_ERRORS[name]())
    text = traceback_text(error, traceback_frames(error))
    assert "in raised" in text or "deep" in text


def test_an_ordinary_error_is_described_as_python_does():
    error = raised(KeyError("k"))
    assert (type_name(error), message_of(error)) == ("builtins.KeyError", "'k'")
    assert traceback_text(error, traceback_frames(error)).endswith("KeyError: 'k'\n")
    assert is_printable(error)
