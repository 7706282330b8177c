"""mypy in strict mode and pyright accept every sample of README.md and docs/, and the example programs.

Each checker runs once, over all samples. Both are in the group lint, and `make lint` runs these tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support_samples import PAGES, PROGRAMS, ROOT, files_of

pytestmark = [pytest.mark.type_checkers, pytest.mark.timeout(400)]

_TIMEOUT = 380
# Of mypy, between runs.
_CACHE = ROOT / ".cache" / "mypy-samples"


def module_prefix(path: Path) -> str:
    """A prefix that keeps the modules of one page or example apart from those of all others."""
    return re.sub(r"\W", "_", str(path.relative_to(ROOT).with_suffix(""))) + "__"


def renamed(files: dict[str, str], prefix: str) -> dict[str, str]:
    """Prefix the top-level modules of *files*, and their imports, so that all pages fit into one directory."""
    names = {name.removesuffix(".py").split("/")[0] for name in files}
    imports = re.compile(rf"^( *(?:from|import) )({'|'.join(map(re.escape, names))})\b", re.MULTILINE)
    return {prefix + name: imports.sub(rf"\g<1>{prefix}\g<2>", text) for name, text in files.items()}


def sample_files() -> dict[str, str]:
    files: dict[str, str] = {}
    for page in PAGES:
        of_page = {name: text for name, text in files_of(page).items() if name.endswith(".py")}
        for program in PROGRAMS:
            if program.page == page:
                block = program.blocks[0]
                of_page[block.title or f"line_{block.line}.py"] = program.source()
        files |= renamed(of_page, module_prefix(page))
    for example in sorted((ROOT / "examples").iterdir()):
        sources = sorted(example.rglob("*.py")) if example.is_dir() else [example]
        base = example if example.is_dir() else example.parent
        of_example = {str(path.relative_to(base)): path.read_text(encoding="utf-8") for path in sources}
        files |= renamed(of_example, module_prefix(example))
    return files


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("samples")
    files = sample_files()
    assert len(files) > len(PROGRAMS) > 50
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


def check(directory: Path, checker: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", checker, *arguments, "."],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_in_strict_mode_accepts_the_samples(samples):
    check(samples, "mypy", "--strict", "--config-file=", "--explicit-package-bases", f"--cache-dir={_CACHE}")


def test_pyright_accepts_the_samples(samples):
    check(samples, "pyright", "--pythonpath", sys.executable)


def test_the_stubs_of_aspyx_say_what_its_code_says(tmp_path):
    configuration = tmp_path / "mypy.ini"
    configuration.write_text("[mypy]\n", encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy.stubtest",
            "aspyx",
            "--ignore-missing-stub",
            f"--mypy-config-file={configuration}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


_LISTENER = """
from aspyx_event import EventContext, EventListener

class Placed: ...
class Cancelled: ...

class Listener(EventListener[Placed]):
    {on}
"""


@pytest.mark.parametrize(
    ("on", "accepted"),
    [
        ("def on(self, event: Placed) -> None: ...", True),
        ("async def on(self, event: Placed) -> None: ...", True),
        ("def on(self, order: Placed | Cancelled, context: EventContext) -> list[Placed]: return []", True),
        ("async def on(self, event: Placed, context: EventContext) -> None: ...", True),
        ("def on(self, event: Cancelled) -> None: ...", False),
        ("def on(self) -> None: ...", False),
    ],
)
def test_mypy_accepts_the_signatures_of_on_that_a_listener_may_have(tmp_path, on, accepted):
    """Issue K11.2: ``on(self, event)`` was an error of the kind [override], because the base declared a context."""
    from mypy import api  # of the group lint

    source = tmp_path / "listener.py"
    source.write_text(_LISTENER.format(on=on), encoding="utf-8")
    output, errors, code = api.run(["--strict", "--config-file=", f"--cache-dir={_CACHE}", str(source)])
    assert not errors
    assert (code == 0) is accepted, output
    assert accepted or "[override]" in output
