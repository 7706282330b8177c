"""Processes that fork after a manager was started: the child ends, and a use of the manager in it is an error."""

from __future__ import annotations

import os

import pytest
from support_core import run_program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PROGRAM = """
import asyncio, os, sys
from aspyx_event import EventManager, GenericEvent, LocalProvider, StateError

manager = EventManager(LocalProvider())
manager.subscribe("foo", lambda event: None, name="l")
manager.send_event(GenericEvent("foo", 1))
child = os.fork()
if child == 0:
    {child}
    sys.exit(7)
_, status = os.waitpid(child, 0)
print("child", os.waitstatus_to_exitcode(status))
manager.send_event(GenericEvent("foo", 2))
manager.stop()
print("parent", manager.stats.sent())
"""


def _run(child, tmp_path):
    return run_program(PROGRAM.format(child=child), tmp_path)


def test_a_child_that_does_not_touch_the_manager_ends(tmp_path):
    done = _run("pass", tmp_path)
    assert done.stdout == "child 7\nparent 2\n", done.stderr


@pytest.mark.parametrize(
    "use",
    [
        'manager.send_event(GenericEvent("foo", 3))',
        'manager.subscribe("bar", print, name="b")',
        "manager.stop()",
        "manager.health()",
        "manager.dead_letters.list()",
        "manager.process(GenericEvent('foo', 3))",
        "manager.join(1)",
        "asyncio.run(manager.start())",
    ],
)
def test_a_use_of_the_manager_in_the_child_says_so(use, tmp_path):
    child = f"""
    try:
        {use}
    except StateError as error:
        assert "fork" in str(error), error
    else:
        sys.exit(1)
    """
    done = _run(child.strip(), tmp_path)
    assert done.stdout == "child 7\nparent 2\n", done.stdout + done.stderr
