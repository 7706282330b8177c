"""Every test that the page of guarantees names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8"))))


def test_the_page_names_tests():
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(path, name):
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^\s*(?:async def|def|class) {name}\b|^{name} = ", source, re.MULTILINE), f"{path} has no {name}"


def test_every_fault_test_is_named():
    named = {name for _, name in NAMED}
    found = {
        name
        for path in (ROOT / "tests" / "faults").glob("test_faults_*.py")
        if path.stem != "test_faults_harness"
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert not found - named, f"docs/guarantees.md does not name {sorted(found - named)}"
