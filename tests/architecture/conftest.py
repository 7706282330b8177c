"""The source as these tests see it: parsed modules, and the imports between them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "aspyx_event"


@dataclass(frozen=True)
class Import:
    """One import inside the package: absolute name of the module it is in and of what it names."""

    importer: str
    target: str
    line: int
    type_checking: bool


@dataclass
class Module:
    """One parsed file of src."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @property
    def shown(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imports(self) -> Iterator[Import]:
        """Imports of this package's own modules, wherever they stand."""
        hidden = {
            id(inner)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        for node in ast.walk(self.tree):
            for target in self._targets(node):
                if target.split(".")[0] == PACKAGE:
                    yield Import(self.name, target, getattr(node, "lineno", 0), id(node) in hidden)

    def _targets(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if not isinstance(node, ast.ImportFrom):
            return []
        if node.level == 0:
            return [node.module or ""]
        base = self.package.split(".")
        base = base[: len(base) - (node.level - 1)]
        if node.module:
            return [".".join([*base, node.module])]
        # `from . import x`: x may be a module.
        return [".".join([*base, alias.name]) for alias in node.names]


def _modules() -> list[Module]:
    base = ROOT / "src" / PACKAGE
    found = []
    for path in sorted(base.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(base).with_suffix("").parts]
        found.append(Module(path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)))
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module of the package."""
    found = _modules()
    assert len(found) > 10, "the source was not found: these tests would check nothing"
    return found
