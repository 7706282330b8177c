"""The public surface: what `__all__` says is what is there, and importing it costs no driver, thread or output."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys

import pytest

THIRD_PARTY = """
import json, sys, threading
{statement}
tops = {{name.split(".")[0] for name in sys.modules}}
print(json.dumps({{
    "packages": sorted(tops - set(sys.stdlib_module_names)),
    "threads": [thread.name for thread in threading.enumerate()],
}}))
"""


def loaded_by(statement):
    done = subprocess.run(
        [sys.executable, "-c", THIRD_PARTY.format(statement=statement)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), done.stderr


def own_names(module):
    """Public names a package defines, or takes from inside the package; and those of them it only hands on."""
    names, imported = set(), set()
    for node in module.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            imported |= {alias.asname or alias.name for alias in node.names}
    used = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    public = {name for name in names | imported if not name.startswith("_") or name == "__version__"}
    return public, public - (imported & used)


def packages_with_all(modules):
    return [module for module in modules if module.path.name == "__init__.py" and "__all__" in module.text]


def test_all_is_what_a_package_defines(modules):
    for module in packages_with_all(modules):
        if module.path.with_suffix(".pyi").exists():
            continue  # the stub is the list
        listed = set(importlib.import_module(module.name).__all__)
        there, due = own_names(module)
        assert not listed - there, f"{module.shown} lists what it does not have"
        assert not due - listed, f"{module.shown} does not list what it defines or hands on"


def test_all_is_sorted_and_has_no_double(modules):
    for module in packages_with_all(modules):
        listed = list(importlib.import_module(module.name).__all__)
        assert listed == sorted(set(listed)), module.shown


def test_every_listed_name_can_be_had(modules):
    missing = [
        f"{module.name}.{name}"
        for module in modules
        if "__all__" in module.text
        for name in importlib.import_module(module.name).__all__
        if getattr(importlib.import_module(module.name), name, None) is None
    ]
    assert not missing


def test_an_unknown_name_of_the_root_is_an_attribute_error():
    package = importlib.import_module("aspyx_event")
    with pytest.raises(AttributeError, match="NoSuchThing"):
        package.NoSuchThing  # noqa: B018


@pytest.mark.parametrize("statement", ["import aspyx_event", "import aspyx_event.testing"])
def test_importing_loads_nothing_but_the_declared_dependencies(statement):
    base, _ = loaded_by("import lazy_loader, pydantic, aspyx.di, aspyx.di.aop, aspyx.reflection, aspyx.exception")
    found, output = loaded_by(statement)
    extra = set(found["packages"]) - set(base["packages"]) - {"aspyx_event"}
    assert not extra, f"drivers and extras are imported when they are used: {sorted(extra)}"
    assert found["threads"] == ["MainThread"]
    assert output == ""


def test_a_cloudevent_is_known_by_its_class_without_its_package():
    cloudevents = importlib.import_module("aspyx_event.cloudevents")
    free_form = importlib.import_module("aspyx_event.free_form")

    class Derived(cloudevents.CloudEvent):  # type: ignore[name-defined]
        pass

    assert free_form.is_cloudevent_class(cloudevents.CloudEvent)
    assert not free_form.is_cloudevent_class(Derived)
    assert issubclass(Derived, free_form.SelfDescribed)
    assert not issubclass(free_form.GenericEvent, free_form.SelfDescribed)
