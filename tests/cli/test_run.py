"""`aspyx-event run`: how it serves, how signals end it, and what it says where it cannot start."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest
from support_waiting import soon


def test_it_finishes_what_is_in_hand_and_ends_with_0(shop):
    running = shop.serve(SEND="40", SLEEP="0.3")
    soon(lambda: shop.journal("done"))
    running.signal()
    assert running.wait() == 0, running.text
    assert sorted(shop.journal("done")) == sorted(shop.journal("begun")), running.text
    assert len(shop.journal("begun")) < 40


def test_ctrl_c_ends_it_as_well(shop):
    running = shop.serve()
    running.signal(signal.SIGINT)
    assert running.wait() == 0
    assert "Traceback" not in running.text


def test_the_grace_time_bounds_the_stop(shop):
    running = shop.serve("--grace", "0.2", SEND="1", SLEEP="300")
    soon(lambda: shop.journal("begun"))
    running.signal()
    assert running.wait() == 0
    assert shop.journal("done") == []
    assert "0.2 s" in running.text


def test_a_second_signal_hurries(shop):
    running = shop.serve("--grace", "300", SEND="1", SLEEP="300")
    soon(lambda: shop.journal("begun"))
    running.signal()
    running.until("stopping")
    running.signal()
    assert running.wait() == 0
    assert "again" in running.text


def test_a_sync_handler_that_never_returns_does_not_keep_the_process(shop):
    running = shop.serve("--grace", "0.2", SEND="1", STUCK="1")
    soon(lambda: shop.journal("shipping"))
    running.signal()
    assert running.wait() == 0
    assert "exiting without waiting" in running.text


@pytest.mark.broker
def test_under_load_nothing_finished_comes_again_and_nothing_is_lost(networked):
    shop = networked
    first = shop.serve(SLEEP="0.02")
    shop.send(0, 300)
    soon(lambda: len(shop.journal("done")) >= 20)
    first.signal()
    assert first.wait() == 0, first.text
    done = shop.journal("done")
    assert sorted(done) == sorted(shop.journal("begun")), first.text
    assert len(done) < 300
    second = shop.serve()
    soon(lambda: len(shop.journal("done")) >= 300 and len(shop.journal("shipping")) >= 300)
    second.signal()
    assert second.wait() == 0, second.text
    assert sorted(shop.journal("done")) == list(range(300))
    assert sorted(shop.journal("shipping")) == list(range(300))


@pytest.mark.broker
def test_what_does_not_finish_in_time_comes_again(networked):
    shop = networked
    first = shop.serve("--grace", "0.2", SLEEP="300")
    shop.send(0, 1)
    soon(lambda: shop.journal("begun"))
    first.signal()
    assert first.wait() == 0, first.text
    assert shop.journal("done") == []
    shop.serve()
    soon(lambda: shop.journal("done") == [0])


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere:Module", "there is no module 'nowhere'"),
        ("shop.nowhere:Module", "there is no module 'shop.nowhere'"),
        ("shop.main:Shop", "there is no 'Shop'; module classes there: ShopModule"),
        ("shop.main:NoModule", "'NoModule' has no @module()"),
        ("broken.main:Module", "cannot import broken.main: ZeroDivisionError"),
        ("bare.main:Bare", "Bare has no EventManager"),
        ("needy.main:Needy", "DIRegistrationException"),
    ],
)
def test_what_prevents_the_start_is_one_line(shop, target, said):
    for package, code in (
        ("broken", "1 / 0"),
        ("bare", "from aspyx.di import module\n@module()\nclass Bare: pass"),
        (
            "needy",
            (
                "from aspyx.di import injectable, module\nclass Gone: pass\n@injectable()\nclass Wants:\n"
                "    def __init__(self, gone: Gone): pass\n@module()\nclass Needy: pass"
            ),
        ),
    ):
        (shop.directory / package).mkdir()
        (shop.directory / package / "__init__.py").write_text("")
        (shop.directory / package / "main.py").write_text(code)
    ended = shop.call("run", target)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert "Traceback" in shop.call("run", target, "--debug").stderr


def test_a_target_that_is_none_is_a_usage_error(shop):
    assert shop.call("run", "shop.main").returncode == 2
    assert shop.call("run").returncode == 2


@pytest.mark.parametrize("kind", ["amqp", "stomp"])
def test_a_broker_that_is_not_there_is_one_line_without_the_password(shop, kind):
    with socket.socket() as taken:  # bound and not listening: nobody answers
        taken.bind(("127.0.0.1", 0))
        given = {"KIND": kind, "PORT": str(taken.getsockname()[1]), "BROKER_USER": "u", "PASSWORD": "s3cr3t-word"}
        ended = shop.call("run", "shop.main:ShopModule", "--log-level", "debug", START_TIMEOUT="0.5", **given)
        quiet = shop.call("run", "shop.main:ShopModule", "--log-level", "error", START_TIMEOUT="0.5", **given)
    assert ended.returncode == quiet.returncode == 1
    assert "s3cr3t-word" not in ended.stdout + ended.stderr
    (line,) = quiet.stderr.splitlines()
    assert "connection refused" in line


@pytest.mark.broker
def test_no_output_has_the_password(networked):
    running = networked.serve("--log-level", "debug", PASSWORD=networked.environ["PASSWORD"])
    networked.send(0, 1)
    soon(lambda: networked.journal("done"))
    running.signal()
    assert running.wait() == 0
    refused = networked.call("run", "shop.main:ShopModule", "--log-level", "debug", "--debug", PASSWORD="wr0ng-w0rd")
    assert refused.returncode == 1
    assert "wr0ng-w0rd" not in refused.stdout + refused.stderr
    assert "asscode:admin" not in running.text


WRONG_KEYWORD = """
from shop.main import Placed
from aspyx_event import EventListener, event_listener
@event_listener(Placed, workers=3)
class Audit(EventListener[Placed]):
    def on(self, event): ...
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_driver", "ModuleNotFoundError: No module named 'no_such_driver'"),
        ("def broken(:", "SyntaxError: invalid syntax (lost.py, line 1)"),
        (WRONG_KEYWORD, "@event_listener got an unexpected keyword argument 'workers'"),
    ],
)
def test_a_module_that_cannot_be_imported_refuses_the_application(shop, code, reason):
    """Its listeners would be missing; every command refuses, not `run` alone."""
    (shop.directory / "shop" / "lost.py").write_text(code)
    for command in (("run",), ("dlq", "list"), ("docs", "asyncapi"), ("contract", "check", "folder")):
        ended = shop.call(*command, "shop.main:ShopModule")
        assert ended.returncode == 1, command
        (line,) = ended.stderr.splitlines()
        assert "module shop.lost cannot be imported" in line
        assert reason in line
        assert "--lenient" in line


def test_a_module_that_cannot_be_imported_is_noticed_whatever_the_application_logs(shop):
    (shop.directory / "shop" / "lost.py").write_text("1 / 0")
    with (shop.directory / "shop" / "main.py").open("a") as main:
        main.write("\nimport logging\nlogging.disable()\n")
    assert "ZeroDivisionError" in shop.call("run", "shop.main:ShopModule").stderr


def test_with_lenient_a_module_that_cannot_be_imported_is_left_out(shop):
    (shop.directory / "shop" / "lost.py").write_text("import no_such_driver")
    running = shop.serve("--lenient")
    assert "module shop.lost cannot be imported: ModuleNotFoundError" in running.text
    running.signal()
    assert running.wait() == 0


def test_nothing_found_says_where_it_was_looked_for(shop):
    """Subscriptions made in @on_running do not exist for commands that start nothing."""
    listed = shop.call("dlq", "list", "shop.main:ShopModule")
    assert "no dead letters; declared listeners:" in listed.stderr
    assert f"{shop.name}-billing" in listed.stderr
    assert "@on_running, are not seen here" in listed.stderr
    (shop.directory / "bare").mkdir()
    (shop.directory / "bare" / "__init__.py").write_text("")
    (shop.directory / "bare" / "main.py").write_text(
        "from aspyx.di import create, module\nfrom aspyx_event import EventManager, LocalProvider\n@module()\n"
        "class Bare:\n    @create()\n    def manager(self) -> EventManager: return EventManager(LocalProvider())"
    )
    for command, code in (
        (("dlq", "replay", "--all"), 0),
        (("dlq", "list"), 0),
        (("dlq", "list", "--subscription", "billing"), 1),
        (("docs", "asyncapi"), 0),
        (("contract", "snapshot", "folder"), 0),
    ):
        ended = shop.call(*command, "bare.main:Bare")
        assert ended.returncode == code, ended.stderr
        assert "@on_running, are not seen here" in ended.stderr, command
        assert "None" not in ended.stderr


def test_without_its_packages_the_command_says_what_to_install(shop):
    for name in ("typer", "rich"):
        code = f"import sys; sys.modules[{name!r}] = None; from aspyx_event.cli import main; main()"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        (line,) = ended.stderr.splitlines()
        assert "pip install 'aspyx-event[cli]'" in line
