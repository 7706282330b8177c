"""The samples are checked by type checkers where these are installed."""

from __future__ import annotations

import importlib.util

import pytest
from support_left_out import deselect


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = [name for name in ("mypy", "pyright") if importlib.util.find_spec(name) is None]
    if missing:
        checked = [item for item in items if item.get_closest_marker("type_checkers")]
        deselect(config, items, checked, f"{' and '.join(missing)} not installed (make lint installs and runs them)")
