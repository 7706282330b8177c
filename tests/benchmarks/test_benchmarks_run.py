"""The benchmark command: it measures every contender, writes what it measured, and fails where a figure would lie."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from benchmarks.rounds import BenchmarkError, Plan, prepared, run, work
from benchmarks.settings import CONTENDERS, KINDS, TITLES, Order

NOBODY = "amqp://nobody:nothing@127.0.0.1:1"
TINY = ("--quick", "--rounds", "1", "--messages", "20")
BY_KEY = {one.key: one for one in CONTENDERS}


def assert_measured(found: dict, key: str) -> None:
    contender, measured = BY_KEY[key], found["contenders"][key]
    assert set(measured["work"]) == set(contender.kinds)
    for kind, result in measured["work"].items():
        (sample,) = result["samples"]
        assert sample["messages"] >= 20
        assert sample["seconds"] > 0
        assert sample["cpu_seconds"] > 0
        assert result["rate"]["median"] > 0
        assert (sample["p50"] is not None) == (kind == "confirm")


@pytest.mark.broker
def test_the_quick_mode_measures_every_contender(benchmarks, broker, tmp_path):
    target = tmp_path / "results.json"
    done = benchmarks(*TINY, "--json", str(target), url=broker.url)
    assert done.returncode == 0, done.stderr
    found = json.loads(target.read_text())
    assert set(found["contenders"]) == set(BY_KEY)
    for key, contender in BY_KEY.items():
        assert_measured(found, key)
        assert contender.label in done.stdout
    for kind in KINDS:
        assert TITLES[kind] in done.stdout
        assert found["contenders"]["ours-amqp"]["work"][kind]["cpu_to_raw"]["median"] > 0
    assert "Artemis" in found["machine"]["broker"]
    assert "password" not in target.read_text()


@pytest.mark.broker
def test_the_benchmark_leaves_no_queue_behind(benchmarks, broker, management, tmp_path):
    done = benchmarks(*TINY, "--only", "stomp", "--json", str(tmp_path / "results.json"), url=broker.url)
    assert done.returncode == 0, done.stderr
    assert [name for name in management.queues() if name.startswith("aspyx-benchmark")] == []


@pytest.mark.broker
def test_a_message_that_was_not_acknowledged_fails_the_run(broker, management):
    order = Order(contender="", messages=1, confirms=1, deadline=0.2)
    with (
        pytest.raises(BenchmarkError, match="left 1 messages"),
        prepared(order, BY_KEY["ours-amqp"], broker, management) as placed,
    ):
        management.op(f"address.{placed.address}", "sendMessage", {}, 3, "eA==", True, broker.user, broker.password)


def test_local_contenders_need_no_broker(benchmarks, tmp_path):
    target = tmp_path / "deep" / "results.json"
    done = benchmarks(*TINY, "--only", "local", "--json", str(target), url=NOBODY)
    assert done.returncode == 0, done.stderr
    found = json.loads(target.read_text())
    assert set(found["contenders"]) == {"calls", "ours-local", "ours-local-objects"}
    for key in found["contenders"]:
        assert_measured(found, key)
    assert "broker" not in found["machine"]


def test_a_profile_names_functions_of_ours(benchmarks):
    done = benchmarks(*TINY, "--only", "local", "--profile", url=NOBODY)
    assert done.returncode == 0, done.stderr
    assert "send_event" in done.stdout
    assert "tottime" in done.stdout
    assert "%  aspyx_event.engine.sending" in done.stdout


def test_without_a_broker_the_benchmark_says_what_it_wants(benchmarks):
    done = benchmarks(*TINY, "--only", "amqp", url=NOBODY)
    assert done.returncode == 1
    assert "benchmark failed: no Artemis broker" in done.stderr


@pytest.mark.parametrize("contender", ["proton", "stomp.py", "ours-amqp", "ours-stomp"])
def test_a_contender_that_cannot_connect_is_a_failure(contender):
    order = Order(contender=contender, messages=5, confirms=5, deadline=5.0, host="127.0.0.1", port=1)
    with pytest.raises(BenchmarkError, match=f"{contender} ended with code 1"):
        work(order)


def test_no_round_begins_that_would_not_end_in_time():
    said: list[str] = []
    local = [BY_KEY["calls"]]
    plan = Plan(contenders=local, rounds=50, order=Order(contender="", messages=5, confirms=5), seconds=0.0)
    outcome = run(plan, None, said.append)
    assert outcome.rounds == 1
    assert len(outcome.results["calls"]["end_to_end"]) == 1
    assert "stopping after 1 of 50 rounds" in said[-1]


def test_orders_are_passed_on_unchanged():
    order = Order(contender="", messages=3, confirms=2)
    with prepared(order, BY_KEY["ours-local"], None, None) as placed:
        assert placed == replace(order, contender="ours-local", messages=3 * BY_KEY["ours-local"].scale)
