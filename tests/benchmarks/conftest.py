"""Makes the benchmarks importable, which are not part of the package, and runs their command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture
def benchmarks() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m benchmarks` with arguments and the broker of a URL."""

    def run(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "benchmarks", *arguments],
            cwd=ROOT,
            env={**os.environ, "ARTEMIS_URL": url},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    return run
