"""What arrives over the wire is data: nothing that could turn it into code is within its reach."""

from __future__ import annotations

import ast

#: Modules that import by a name: of a driver, of an entry point, of what the command line, a configuration file or a test
#: is told to load.
IMPORTING = {
    "aspyx_event",
    "aspyx_event.cli.loader",
    "aspyx_event.configuration",
    "aspyx_event.schemas.examples",
    "aspyx_event.providers.stomp.provider",
    "aspyx_event.testing.conformance.processes",
}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "jsonpickle", "code", "codeop"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}


def test_no_serialization_that_runs_code_is_used(modules):
    wrong = [
        f"{module.shown}: {name}"
        for module in modules
        for node in ast.walk(module.tree)
        for name in imported(node)
        if name.partition(".")[0] in UNSAFE_MODULES
    ]
    assert not wrong, wrong


def test_no_text_is_run_and_no_name_imported_but_by_those_who_are_told_to(modules):
    wrong = []
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            if isinstance(function, ast.Name) and function.id in UNSAFE_CALLS:
                wrong.append(f"{module.shown}:{node.lineno} calls {function.id}()")
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name == "import_module" and module.name not in IMPORTING:
                wrong.append(f"{module.shown}:{node.lineno} imports by a name")
    assert not wrong, wrong


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
