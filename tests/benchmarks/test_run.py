"""The benchmark command: it measures every contender, writes what it measured, and fails where a figure would lie."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from benchmarks.brokers import BenchmarkError, Brokers, prepared
from benchmarks.rabbit import Rabbit, RabbitUnavailable
from benchmarks.rounds import Plan, run, together, work
from benchmarks.settings import ARTEMIS, CONTENDERS, GROUPS, KINDS, RABBITMQ, REPEATED, TITLES, Order

from benchmarks import brokers as places

NOBODY = "amqp://nobody:nothing@127.0.0.1:1"
TINY = ("--rounds", "1", "--messages", "20", "--seconds", "30")
BY_KEY = {one.key: one for one in CONTENDERS}
OF_ARTEMIS = {one.key for one in CONTENDERS if one.broker == ARTEMIS}


def of_group(*groups: str) -> set[str]:
    return {one.key for one in CONTENDERS if one.group in groups}


def assert_measured(found: dict, key: str) -> None:
    contender, measured = BY_KEY[key], found["contenders"][key]
    assert set(measured["work"]) == set(contender.kinds)
    for kind, result in measured["work"].items():
        sample = result["samples"][0]
        assert len(result["samples"]) == REPEATED.get(contender.group, 1)
        assert sample["messages"] >= 1
        assert sample["seconds"] > 0
        timed = kind in ("confirm", "paced", "import")
        assert (sample["p50"] is not None) == bool(sample["single_us"]) == timed
        assert result["p99_ms" if timed else "rate"]["middle"] > 0


@pytest.mark.broker
def test_every_contender_of_a_broker_is_measured(benchmarks, broker, tmp_path):
    target = tmp_path / "results.json"
    done = benchmarks(*TINY, "--only", "amqp", "--only", "stomp", "--json", str(target), url=broker.url)
    assert done.returncode == 0, done.stderr
    found = json.loads(target.read_text())
    assert set(found["contenders"]) == OF_ARTEMIS
    for key in OF_ARTEMIS:
        assert_measured(found, key)
        assert BY_KEY[key].label in done.stdout
    for kind in set(KINDS) - {"import"}:
        assert TITLES[kind] in done.stdout
        assert found["contenders"]["ours-amqp"]["work"][kind]["cpu_to_raw"]["middle"] > 0
    assert any("Artemis" in name for name in found["machine"]["brokers"])
    assert "password" not in target.read_text()


@pytest.mark.broker
def test_every_target_is_printed_with_its_verdict_and_no_queue_is_left_behind(benchmarks, broker, management, tmp_path):
    target = tmp_path / "results.json"
    done = benchmarks(*TINY, "--only", "stomp", "--json", str(target), url=broker.url)
    assert done.returncode == 0, done.stderr
    verdicts = {one["work"]: one["verdict"] for one in json.loads(target.read_text())["targets"]}
    for line, verdict in verdicts.items():
        (shown,) = [text for text in done.stdout.splitlines() if text.startswith(line + " ")]
        assert shown.endswith(verdict)
    assert [name for name in management.queues() if name.startswith("aspyx-benchmark")] == []
    # Whoever did not take part is not counted as beaten.
    assert {line for line, verdict in verdicts.items() if verdict != "not measured"} == {
        "STOMP end to end, to stomp.py"
    }


@pytest.mark.broker
def test_a_message_that_was_not_acknowledged_fails_the_run(broker, management):
    order = Order(contender="", messages=1, confirms=1, deadline=0.2)
    found = Brokers(broker, places={ARTEMIS: (broker, management)})
    with (
        pytest.raises(BenchmarkError, match="left 1 messages"),
        prepared(order, BY_KEY["ours-amqp"], found) as placed,
    ):
        management.op(f"address.{placed.address}", "sendMessage", {}, 3, "eA==", True, broker.user, broker.password)


def test_local_contenders_need_no_broker(benchmarks, tmp_path):
    target = tmp_path / "deep" / "results.json"
    done = benchmarks(*TINY, "--only", "objects", "--only", "threads", "--json", str(target), url=NOBODY)
    assert done.returncode == 0, done.stderr
    found = json.loads(target.read_text())
    assert {"calls", "ours-objects", "ours-inline", "ours-thread", "executor"} <= set(found["contenders"])
    assert set(found["contenders"]) | set(found["left_out"]) == of_group("objects", "threads")
    for key in found["contenders"]:
        assert_measured(found, key)
    assert found["machine"]["brokers"] == {}


def test_a_peer_that_is_not_installed_is_left_out_with_a_line_that_says_so(monkeypatch):
    monkeypatch.setattr(places, "_installed", lambda name: name != "blinker")
    chosen = [BY_KEY["blinker"], BY_KEY["calls"]]
    with places.running(chosen, lambda line: None) as found:
        assert found.able(chosen) == [BY_KEY["calls"]]
    assert found.left_out == {"blinker": "blinker not installed (pip install --group bench)"}


def test_without_rabbitmq_its_contenders_are_left_out(monkeypatch):
    monkeypatch.setattr("benchmarks.rabbit._PLACES", ())
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(places, "_installed", lambda name: True)
    chosen = [BY_KEY["kombu"], BY_KEY["calls"]]
    with places.running(chosen, lambda line: None) as found:
        assert found.able(chosen) == [BY_KEY["calls"]]
    assert "apt-get install rabbitmq-server" in found.left_out["kombu"]
    with pytest.raises(RabbitUnavailable):
        Rabbit()
    assert RABBITMQ not in found.places


def test_a_profile_names_functions_of_ours(benchmarks):
    done = benchmarks(*TINY, "--only", "threads", "--profile", url=NOBODY)
    assert done.returncode == 0, done.stderr
    assert "send_event" in done.stdout
    assert "tottime" in done.stdout
    assert "%  aspyx_event." in done.stdout


def test_without_a_broker_the_benchmark_says_what_it_wants(benchmarks):
    done = benchmarks(*TINY, "--only", "amqp", url=NOBODY)
    assert done.returncode == 1
    assert "benchmark failed: no Artemis broker" in done.stderr


@pytest.mark.parametrize("contender", ["proton", "engine", "stomp.py", "ours-amqp"])
def test_a_contender_that_cannot_connect_is_a_failure(contender):
    order = Order(contender=contender, messages=5, confirms=5, deadline=5.0, host="127.0.0.1", port=1)
    with pytest.raises(BenchmarkError, match=f"{contender} ended with code 1"):
        work(order)


def test_of_those_who_work_together_only_one_works_at_a_time():
    orders = [Order(contender=key, messages=40_000, confirms=1) for key in ("calls", "codec", "calls")]
    began = time.perf_counter()
    found = together(orders)
    worked = sum(sample.seconds for samples, _ in found for sample in samples.values())
    assert [list(samples) for samples, _ in found] == [["end_to_end"]] * 3
    assert worked < time.perf_counter() - began


def test_who_fails_ends_the_work_of_all():
    orders = [
        Order(contender="calls", messages=5, confirms=1),
        Order(contender="engine", messages=5, confirms=1, port=1),
    ]
    with pytest.raises(BenchmarkError, match="engine ended with code 1"):
        together(orders)


def test_who_does_not_end_is_ended():
    with pytest.raises(BenchmarkError, match="calls did not end within"):
        work(Order(contender="calls", messages=10**12, confirms=1, deadline=0.1))


def test_no_round_begins_that_would_not_end_in_time():
    said: list[str] = []
    local = [BY_KEY["calls"]]
    plan = Plan(contenders=local, rounds=50, order=Order(contender="", messages=5, confirms=5), seconds=0.0)
    outcome = run(plan, Brokers(), said.append)
    assert outcome.rounds == 1
    assert len(outcome.results["calls"]["end_to_end"]) == 1
    assert "stopping after 1 of 50 rounds" in said[-1]


def test_orders_are_passed_on_unchanged():
    order = Order(contender="", messages=3, confirms=2)
    scale = BY_KEY["ours-local"].scale
    with prepared(order, BY_KEY["ours-local"], Brokers()) as placed:
        assert placed == replace(order, contender="ours-local", messages=3 * scale)  # type: ignore[arg-type]


def test_every_group_is_a_choice(benchmarks):
    done = benchmarks("--help", url=NOBODY)
    assert done.returncode == 0
    for group in GROUPS:
        assert group in done.stdout
