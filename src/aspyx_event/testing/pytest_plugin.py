"""Plugin for pytest: ``pytest_plugins = ["aspyx_event.testing.pytest_plugin"]`` in the topmost ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .isolation import isolated_container


@pytest.fixture(autouse=True)
def container() -> Iterator[None]:
    """Give each test a container of its own; see `aspyx_event.testing.isolated_container`."""
    with isolated_container():
        yield
