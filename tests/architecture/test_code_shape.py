"""What every file of src keeps to: sizes, no output, no hidden classes, loggers and docstrings where they belong."""

from __future__ import annotations

import ast

FILE_LIMIT = 350
# What users hold, what others implement, and what wires the rooms: one page each, rather than mixins.
FACADES = {
    "src/aspyx_event/manager.py",
    "src/aspyx_event/providers/base.py",
    "src/aspyx_event/engine/engine.py",
}
FACADE_LIMIT = 450
FUNCTION_LIMIT = 50
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(function):
    """Lines of a function without its docstring: explaining is not to be punished."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= first.end_lineno - first.lineno + 1
    return lines


def test_no_file_is_too_long(modules):
    long = {
        module.shown: lines
        for module in modules
        if (lines := len(module.text.splitlines())) > (FACADE_LIMIT if module.shown in FACADES else FILE_LIMIT)
    }
    assert not long, f"more than {FILE_LIMIT} lines: {long}"


def test_no_function_is_too_long(modules):
    long = [
        f"{module.shown}:{node.lineno} {node.name} has {code_lines(node)} lines"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, FUNCTIONS) and code_lines(node) > FUNCTION_LIMIT
    ]
    assert not long, "\n".join(long)


def test_only_the_command_line_prints(modules):
    prints = [
        f"{module.shown}:{node.lineno}"
        for module in modules
        if not module.name.startswith("aspyx_event.cli")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "pprint")
    ]
    assert not prints, f"print in {prints}"


def test_no_class_hides_in_a_class_or_a_function(modules):
    hidden = [
        f"{module.shown}:{inner.lineno} {inner.name}"
        for module in modules
        for outer in ast.walk(module.tree)
        if isinstance(outer, (*FUNCTIONS, ast.ClassDef))
        for inner in ast.walk(outer)
        if isinstance(inner, ast.ClassDef) and inner is not outer
    ]
    assert not hidden, "\n".join(hidden)


def test_every_module_says_what_lives_in_it(modules):
    silent = [module.shown for module in modules if not (ast.get_docstring(module.tree) or "").strip()]
    assert not silent, f"no docstring: {silent}"


def test_loggers_are_named_for_the_package(modules):
    wrong = [
        f"{module.shown}:{node.lineno} {ast.unparse(node)}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("getLogger")
        # httpx's own logger, whose lines about our requests are masked.
        if "getLogger('httpx')" not in ast.unparse(node)
        if not (
            node.args and isinstance(node.args[0], ast.Constant) and str(node.args[0].value).startswith("aspyx.event")
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_loggers_never_raise(modules):
    """Logging runs filters, handlers and formatters of the application, whose errors must not change what is logged."""
    wrong = [
        f"{module.shown}:{node.lineno} {ast.unparse(node)}"
        for module in modules
        if not module.name.startswith("aspyx_event.testing")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign) and "getLogger(" in ast.unparse(node.value)
        if not ast.unparse(node.value).startswith("SafeLogger(")
    ]
    assert not wrong, "\n".join(wrong)


def test_names_tell_what_they_hold(modules):
    vague = [module.shown for module in modules if module.path.stem in ("utils", "util", "helpers", "common", "misc")]
    assert not vague, f"name these after what they hold: {vague}"
