"""The programs in examples/ run and print what matters, on every provider they are made for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
TESTED = {
    "order_story/main.py",
    "plain_script.py",
    "without_container.py",
    "configured/main.py",
    "change_journal/main.py",
    "property_sync/main.py",
    "chat_room/main.py",
    "alert_webhook/main.py",
    "http_fastapi/main.py",  # in tests/cloudevents
    "http_starlette/main.py",
}


def run(example: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example)],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def scene(story: str, number: int) -> str:
    """The lines of one scene, blanks reduced to one."""
    part = story.split(f"\n{number}. ", 1)[1].split("\n\n", 1)[0]
    return re.sub(r" +", " ", part)


def check_story(story: str) -> None:
    lines = scene(story, 1)
    for line in (
        "main order 1: sends OrderPlaced(coffee) [alice]",
        "Billing order 1: booked 10.00 + 19 % VAT = 11.90, sends OrderPaid [alice]",
        "Mailer order 1: told Alice that the order has arrived [alice]",
        "Warehouse order 1: packed the coffee (attempt 1) [alice]",
        "Shipping order 1: 11.90 paid, prepares the parcel label [alice]",
    ):
        assert lines.count(line) == 1, (line, lines)
    lines = scene(story, 2)
    assert "Warehouse order 2: attempt 1 failed: ScannerBusy: the scanner is in use [bob]" in lines
    assert "Warehouse order 2: packed the teapot (attempt 2) [bob]" in lines
    assert "Shipping order 2: 47.60 paid" in lines
    lines = scene(story, 3)
    assert lines.count("failed: OutOfStock: no unicorn on the shelf [carol]") == 3
    assert "Warehouse order 3: gives up after attempt 3; the event becomes a dead letter [carol]" in lines
    assert "Mailer order 3: told Carol that the order has arrived [carol]" in lines
    assert "Shipping order 3: 1188.81 paid" in lines
    letter = re.sub(r" +", " ", story.split("Where the unicorn went", 1)[1].split("\n4. ", maxsplit=1)[0])
    assert "queue dead-letters.shop.order-placed.Warehouse" in letter
    assert 'event {"order_id":3,"customer":"Carol","article":"unicorn","net":"999.00"}' in letter
    assert "session carol" in letter
    assert "cause shop.listeners.OutOfStock: no unicorn on the shelf" in letter
    assert "attempts 3" in letter
    # Replayed to the warehouse and to nobody else.
    replayed = scene(story, 4).splitlines()[1:]
    assert [line.strip() for line in replayed] == ["Warehouse order 3: packed the unicorn (attempt 1) [carol]"]
    assert "End of the day: 3 orders in the ledger, 1248.31 in total." in story


def test_the_order_story_in_one_process():
    story = run("order_story/main.py", PROVIDER="local")
    assert "inside this process" in story
    check_story(story)


@pytest.mark.broker
@pytest.mark.parametrize("provider", ["amqp", "stomp"])
def test_the_order_story_over_a_broker(provider, broker, management):
    story = run("order_story/main.py", PROVIDER=provider, ARTEMIS_URL=broker.url)
    assert f"{broker.host}:{broker.port}" in story
    check_story(story)
    # The story's whole traffic has been consumed, its dead letter included.
    queues = [name for name in management.queues() if name.startswith(("shop.order-", "dead-letters.shop."))]
    assert "shop.order-placed.Warehouse" in queues
    assert [management.messages(name) for name in queues] == [0] * len(queues)


def test_the_plain_script_greets_in_order():
    assert run("plain_script.py") == "Hello, Ada!\nHello, Grace!\n"


def test_the_program_without_a_container_records_and_alarms():
    lines = run("without_container.py").splitlines()
    assert "alarm: oven has 220.0 degrees (from kitchen)" in lines
    assert [line for line in lines if not line.startswith("alarm")] == [
        "record: fridge 4.5",
        "record: oven 220.0",
        "recorded 2 readings",
    ]


def test_the_change_journal_is_read_replayed_and_read_on():
    assert run("change_journal/main.py").splitlines() == [
        "the journal:",
        '  1 published {"customer":"ada","field":"city","old":"","new":"London"}',
        '  2 published {"customer":"grace","field":"city","old":"","new":"New York"}',
        '  3 published {"customer":"ada","field":"city","old":"London","new":"Turin"}',
        '  4 published {"customer":"ada","field":"title","old":"","new":"Countess"}',
        "after 4 earlier changes: {'ada': {'city': 'Turin', 'title': 'Countess'}, 'grace': {'city': 'New York'}}",
        "after one more change: {'city': 'New York', 'title': 'Rear Admiral'}",
        """new since position 4: ['{"customer":"grace","field":"title","old":"","new":"Rear Admiral"}']""",
    ]


def test_two_properties_are_kept_in_step():
    assert run("property_sync/main.py").splitlines() == [
        "wall sets 21.5: wall 21.5, phone 21.5, bath 18.0",
        "phone sets 19.0: wall 19.0, phone 19.0, bath 18.0",
        "bath sets 24.0: wall 19.0, phone 19.0, bath 24.0",
        "3 changes were sent, 2 followed",
    ]


CHAT = [
    "ada received: bob enters, eve enters, bob: Hello, both!",
    "bob received: ada: Hello, Bob!, eve enters",
    "eve received: bob: Hello, both!",
]


def test_guests_of_a_chat_room_hear_the_others_and_not_themselves():
    assert run("chat_room/main.py", PROVIDER="local").splitlines() == CHAT


@pytest.mark.broker
@pytest.mark.parametrize("provider", ["amqp", "stomp"])
def test_guests_of_a_chat_room_hear_each_other_over_a_broker(provider, broker):
    assert run("chat_room/main.py", PROVIDER=provider, ARTEMIS_URL=broker.url).splitlines() == CHAT


def test_an_alert_is_posted_again_until_the_receiver_takes_it():
    printed = run("alert_webhook/main.py")
    alert = 'ops.exception-raised {"where":"storage","kind":"OSError","text":"no space left","serious":true}'
    # The pager prints in a thread of its own: its line may come before the end of another line.
    assert re.findall(r"pager: .*?}", printed) == [f"pager: 503 to {alert}", f"pager: 202 to {alert}"]
    assert re.findall(r"log: \w+ in \w+", printed) == ["log: ValueError in form", "log: OSError in storage"]
    assert printed.splitlines()[-2:] == [
        "answer: WebhookAnswer(status=202, payload={'accepted': True})",
        "posted 1, failed attempts 1, skipped 1",
    ]


def test_the_configured_program_reads_its_file():
    assert run("configured/main.py").splitlines() == [
        "provider local, server server-1, broker localhost:61616",
        "Hello, world!",
    ]


def test_environment_variables_override_the_file():
    assert "provider local, server blue-7," in run("configured/main.py", EVENT_SERVER_NAME="blue-7")


@pytest.mark.broker
@pytest.mark.parametrize("provider", ["amqp", "stomp"])
def test_the_configured_program_takes_the_broker_from_the_environment(provider, broker):
    printed = run(
        "configured/main.py",
        EVENT_PROVIDER=provider,
        EVENT_HOST=broker.host,
        EVENT_PORT=str(broker.port),
        EVENT_USER=broker.user,
        EVENT_PASSWORD=broker.password,
    )
    assert printed.splitlines() == [
        f"provider {provider}, server server-1, broker {broker.host}:{broker.port}",
        "Hello, world!",
    ]


def test_every_example_is_tested():
    programs = {path for path in EXAMPLES.rglob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert {str(path.relative_to(EXAMPLES)) for path in programs} == TESTED
