"""`aspyx-event dlq`, on real brokers: what it shows, what it changes, and that it attaches no listener."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import subprocess
import sys
from uuid import uuid4

import pytest
from support_waiting import soon

from aspyx_event import Envelope, StompProvider
from aspyx_event.providers import AddressKind, Outgoing

SHOP = "shop.main:ShopModule"
pytestmark = pytest.mark.broker


def letters(shop, *options):
    ended = shop.call("dlq", "list", SHOP, "--json", *options)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture
def failing(networked):
    """An application, stopped again, whose billing failed for three events; shipping took them."""
    running = networked.serve(FAIL="1")
    networked.send(0, 3)
    soon(lambda: len(networked.journal("shipping")) == 3 and running.text.count("no card") >= 3)
    soon(lambda: len(letters(networked)) == 3)
    running.signal()
    assert running.wait() == 0, running.text
    return networked


def serve_until(shop, condition):
    running = shop.serve()
    soon(condition)
    running.signal()
    assert running.wait() == 0, running.text


def test_list_as_json_tells_what_failed_where_and_why(failing):
    found = letters(failing)
    assert len({letter["id"] for letter in found}) == 3
    for letter in found:
        assert letter["event"] == f"{failing.name}.placed"
        assert letter["subscription"] == f"{failing.name}-billing"
        assert letter["cause"]["type"] == "builtins.LookupError"
        assert letter["attempts"] == 1
        assert letter["failed_at"]
    assert len(letters(failing, "--limit", "2")) == 2
    assert len(letters(failing, "--subscription", f"{failing.name}-billing")) == 3
    assert letters(failing, "--subscription", f"{failing.name}-shipping") == []


def test_the_table_has_whole_ids_and_nothing_that_a_terminal_obeys(failing):
    shown = failing.call("dlq", "list", SHOP).stdout
    for letter in letters(failing):
        assert letter["id"] in shown
    assert "\x1b" not in shown
    assert "no card\\x1b[31m for" in shown


def test_looking_attaches_no_listener(failing):
    failing.send(3, 5)
    before = failing.journal("begun"), failing.journal("shipping")
    assert len(letters(failing)) == 3
    assert failing.call("dlq", "inspect", SHOP, letters(failing)[0]["id"]).returncode == 0
    assert (failing.journal("begun"), failing.journal("shipping")) == before
    serve_until(failing, lambda: set(failing.journal("done")) == {3, 4} and len(failing.journal("shipping")) == 5)


def test_a_replay_reaches_the_subscription_that_failed_alone(failing):
    chosen = letters(failing)[1]
    ended = failing.call("dlq", "replay", SHOP, chosen["id"])
    assert (ended.returncode, ended.stdout) == (0, "replayed 1 dead letter\n"), ended.stderr
    number = int(chosen["cause"]["message"].split()[-1])
    assert chosen["id"] not in {letter["id"] for letter in letters(failing)}
    failing.send(7, 8)  # comes after the replayed one
    serve_until(failing, lambda: {number, 7} <= set(failing.journal("done")) and 7 in failing.journal("shipping"))
    assert sorted(failing.journal("done")) == [number, 7]
    assert sorted(failing.journal("shipping")) == [0, 1, 2, 7]


def test_a_replay_reaches_a_process_that_runs(failing):
    running = failing.serve()
    assert failing.call("dlq", "replay", SHOP, "--all", "--rate", "100").returncode == 0
    soon(lambda: sorted(failing.journal("done")) == [0, 1, 2])
    running.signal()
    assert running.wait() == 0


def test_all_can_be_narrowed_to_a_cause(failing):
    assert failing.call("dlq", "replay", SHOP, "--all", "--cause", "timeout").stdout == "replayed 0 dead letters\n"
    ended = failing.call("dlq", "replay", SHOP, "--all", "--cause", "LOOKUPERROR", "--json")
    assert json.loads(ended.stdout) == {"replayed": 3}
    assert letters(failing) == []


def test_purge_deletes_one_or_all(failing):
    first = letters(failing)[0]["id"]
    assert failing.call("dlq", "purge", SHOP, first, "--yes").stdout == "deleted 1 dead letter\n"
    assert first not in {letter["id"] for letter in letters(failing)}
    assert failing.call("dlq", "purge", SHOP, first, "--yes").returncode == 1
    assert failing.call("dlq", "purge", SHOP, "--all", "--yes").stdout == "deleted 2 dead letters\n"
    assert letters(failing) == []


def test_without_anybody_to_ask_purge_deletes_nothing(failing):
    assert failing.call("dlq", "purge", SHOP, "--all").returncode == 2
    assert len(letters(failing)) == 3


def on_a_terminal(shop, answer, *arguments):
    """Run a command on a terminal that answers its question; return its exit code and output."""
    code = "from aspyx_event.cli import main; main()"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=shop.directory,
        env=shop.environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while part := os.read(ours, 4096):
                text += part
                if b"[y/N]" in text and answer:
                    os.write(ours, answer)
                    answer = b""
        os.close(ours)
        return process.wait(), text.decode()


def test_on_a_terminal_purge_asks_and_replay_shows_progress(failing):
    code, text = on_a_terminal(failing, b"n\n", "dlq", "purge", SHOP, "--all")
    assert code == 1
    assert "Delete 3 dead letters permanently?" in text
    assert len(letters(failing)) == 3
    code, text = on_a_terminal(failing, b"", "dlq", "replay", SHOP, "--all")
    assert code == 0
    assert "3/3" in text
    assert letters(failing) == []


def test_a_letter_that_cannot_be_read_hides_no_other(failing):
    body = b"\xff\xfe\x00 not text"

    async def put():
        port = int(failing.environ["PORT"])
        user, password = failing.environ["BROKER_USER"], failing.environ["PASSWORD"]
        provider = StompProvider(host=failing.environ["HOST"], port=port, user=user, password=password)
        await provider.start()
        address = f"dead-letters.{failing.name}.placed.{failing.name}-billing"
        foreign = Envelope(body, {"title": "\x1b]0;owned"})
        message = Outgoing(
            address=address, envelope=foreign, dedup_id=str(uuid4()), kind=AddressKind.QUEUE, durable=True
        )
        await provider.publish(message)
        await provider.stop()

    asyncio.run(put())
    found = letters(failing)
    assert len(found) == 4
    (foreign,) = [letter for letter in found if not letter["attempts"]]
    assert foreign["id"]
    assert foreign["size"] == len(body)
    shown = failing.call("dlq", "inspect", SHOP, foreign["id"])
    assert shown.returncode == 0, shown.stderr
    assert r"\xff\xfe\x00 not text" in shown.stdout
    assert "\x1b" not in shown.stdout
    given = json.loads(failing.call("dlq", "inspect", SHOP, foreign["id"], "--json").stdout)
    assert given["body_base64"] == "//4AIG5vdCB0ZXh0"
    assert failing.call("dlq", "list", SHOP).stdout.count("LookupError") == 3


def test_inspect_shows_cause_headers_and_the_body_up_to_a_limit(failing):
    letter = letters(failing)[0]
    shown = failing.call("dlq", "inspect", SHOP, letter["id"]).stdout
    for part in ("Traceback", "headers", letter["event_id"], '{"number":'):
        assert part in shown
    cut = failing.call("dlq", "inspect", SHOP, letter["id"], "--body-limit", "4").stdout
    assert '{"nu\n' in cut
    assert "more characters" in cut
    unknown = failing.call("dlq", "inspect", SHOP, "no-such-id")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)


def test_what_is_asked_for_wrongly_is_a_usage_error_or_one_line(failing):
    for wrong in (("replay", SHOP), ("replay", SHOP, "x", "--all"), ("purge", SHOP, "x", "--cause", "y", "--yes")):
        assert failing.call("dlq", *wrong).returncode == 2
    ended = failing.call("dlq", "replay", SHOP, "--all", "--subscription", "nobody")
    assert ended.returncode == 1
    assert "there is no subscription 'nobody'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
