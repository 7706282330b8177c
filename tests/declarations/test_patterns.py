"""Patterns of names: what they match, and in which time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event.names import pattern_matches

words = st.sampled_from(["a", "b", "c"])
names = st.lists(words, min_size=1, max_size=7).map(".".join)
patterns = st.lists(st.one_of(words, st.sampled_from(["*", "#"])), min_size=1, max_size=7).map(".".join)


def _reference(pattern, words):
    """The definition: `*` is a word, `#` any number of words, none included."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_reference(pattern[1:], words[start:]) for start in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _reference(pattern[1:], words[1:])


@given(patterns, names)
def test_a_pattern_matches_by_its_definition(pattern, name):
    assert pattern_matches(pattern, name) == _reference(pattern.split("."), name.split("."))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("#", "a", True), ("#", "a.b.c", True), ("a.#", "a", True), ("#.a", "b.a", True), ("a.#.b", "a.b", True),
        ("*", "a.b", False), ("a.*", "a", False), ("*.#", "a", True), ("#.*", "a", True), ("a*", "ab", False),
        ("a#", "a#", True), ("", "", True), ("#", "", True), ("*", "", True), ("a", "a", True),
    ],
)  # fmt: skip
def test_examples(pattern, name, expected):
    assert pattern_matches(pattern, name) is expected


@pytest.mark.parametrize("count", [20, 400, 5_000])
@pytest.mark.parametrize("shape", ["#.", "#.a.", "#.*.", "*.#.a.", "#.a.a.a.a."])
def test_a_pattern_with_many_wildcards_takes_no_time(shape, count):
    name = ".".join(["a"] * 2 * count)
    began = time.perf_counter()
    assert pattern_matches(f"{shape * count}b", f"{name}.c") is False
    pattern_matches(f"{shape * count}#", name)
    assert time.perf_counter() - began < 5
