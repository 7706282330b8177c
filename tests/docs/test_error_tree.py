"""The tree of errors in `docs/errors.md` is the class hierarchy, and the reference lists the same classes."""

from __future__ import annotations

import re
from pathlib import Path

from aspyx_event import exceptions

DOCS = Path(__file__).parents[2] / "docs"
#: One line of the tree: its branches, the class, and the remark.
LINE = re.compile(r"(?P<branches>[│├└─ ]*)(?P<name>\w+)(?: {2,}(?P<remark>.*))?$")
ALSO = re.compile(r"also an? (\w+)")


def documented_tree():
    """Return the parent of each class in the tree, and the other base class that its remark names."""
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    tree = text.partition("```text\n")[2].partition("```")[0]
    parents, others, path = {}, {}, []
    for line in tree.splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        del path[len(match["branches"]) // 4 :]
        assert match["name"] not in parents, f"{match['name']} has two lines"
        parents[match["name"]] = path[-1] if path else None
        others[match["name"]] = ALSO.findall(match["remark"] or "")
        path.append(match["name"])
    return parents, others


def defined_errors():
    return {
        name: cls
        for name, cls in vars(exceptions).items()
        if isinstance(cls, type) and issubclass(cls, exceptions.EventException)
    }


def test_tree_is_class_hierarchy():
    """Every error stands below its base class, and the remark names a further base class."""
    parents, others = documented_tree()
    classes = defined_errors()
    assert parents == {
        name: cls.__bases__[0].__name__ if cls is not exceptions.EventException else None
        for name, cls in classes.items()
    }
    assert others == {name: [base.__name__ for base in cls.__bases__[1:]] for name, cls in classes.items()}


def test_reference_has_every_error():
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: aspyx_event\.(?:exceptions\.)?(\w+)$", page, re.MULTILINE)
    assert sorted(names) == sorted(defined_errors())
