"""What a run says about its figures: targets, guards, pages, and the section codec of the bare engine."""

from __future__ import annotations

import json

import pytest
from benchmarks.contenders.engine_sections import decode, encode
from benchmarks.growth.cases import CASES, verdicts
from benchmarks.guards import GUARDS, Findings, Guard
from benchmarks.measure import Sample, Spread
from benchmarks.rounds import Outcome, Plan
from benchmarks.settings import CONTENDERS, END_TO_END, IMPORT, Order
from benchmarks.targets import EXTRA_MILLIS, P99, RATE, TARGETS, Target
from hypothesis import given
from hypothesis import strategies as st
from proton import Message

from benchmarks import guards, page, report

names = {one.key: one for one in CONTENDERS}
faster = Target("twice as fast", "ours", "peer", END_TO_END, RATE, 2, 3, "because")
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)  # type: ignore[arg-type]


def rates(*values: float) -> list[Sample]:
    return [Sample(messages=1_000, seconds=1_000 / rate, cpu_seconds=0.1) for rate in values]


def of(kind: str, ours: list[Sample], peer: list[Sample]) -> dict:
    return {"ours": {kind: ours}, "peer": {kind: peer}}


@pytest.mark.parametrize(
    ("ours", "verdict"), [((1_000, 1_900), "not met"), ((2_100,), "met"), ((3_500,), "met, moonshot too")]
)
def test_a_target_judges_the_median_of_the_rounds(ours, verdict):
    found = faster.measured(of(END_TO_END, rates(*ours), rates(*[1_000] * len(ours))))
    assert faster.verdict(found) == verdict


def test_a_target_without_its_peer_is_neither_met_nor_missed():
    assert faster.measured({"ours": {END_TO_END: rates(5)}}) is None
    assert faster.verdict(None) == "not measured"


def test_a_figure_without_a_goal_is_neither_met_nor_missed():
    beside = Target("beside", "ours", "peer", END_TO_END, RATE, None)
    assert beside.verdict(beside.measured(of(END_TO_END, rates(1), rates(2)))) == "no goal"
    assert beside.aim(beside.goal) == ""


def test_a_target_of_times_is_met_from_below():
    calm = Target("calm", "ours", "peer", "confirm", P99, 1.0)
    quick, slow = Sample(2, 1.0, 0.1, (0.001, 0.002)), Sample(2, 1.0, 0.1, (0.001, 0.004))
    assert calm.verdict(calm.measured(of("confirm", [quick], [slow]))) == "met"
    assert calm.verdict(calm.measured(of("confirm", [slow], [quick]))) == "not met"


def test_a_target_of_a_difference_is_told_in_its_unit():
    extra = Target("import", "ours", "peer", IMPORT, EXTRA_MILLIS, 20)
    found = extra.measured(of(IMPORT, [Sample(1, 1.0, 0.1, (0.050,))], [Sample(1, 1.0, 0.1, (0.035,))]))
    assert found is not None
    assert extra.cells(found)[0] == "15 ms"
    assert extra.aim(extra.goal) == "<= 20 ms"
    assert extra.verdict(found) == "met"


def test_targets_and_guards_name_contenders_that_do_the_work():
    for one in (*TARGETS, *GUARDS):
        assert one.kind in names[one.ours].kinds
        assert one.kind in names[one.peer].kinds
    assert {key for one in GUARDS for key in (one.ours, one.peer)} <= {one.key for one in guards.CHOSEN}


def test_guards_need_nothing_but_the_package_and_artemis():
    assert not [one.key for one in guards.CHOSEN if one.needs or one.broker == "rabbitmq"]


def test_a_guard_takes_the_best_round_because_disturbances_only_make_it_worse():
    guard = Guard("cpu", "ours", "peer", END_TO_END, 1.0)
    ours = [Sample(100, 1.0, 0.9), Sample(100, 1.0, 0.2)]
    peer = [Sample(100, 1.0, 0.4), Sample(100, 1.0, 0.4)]
    assert guard.ratio(Outcome(results=of(END_TO_END, ours, peer))) == pytest.approx(0.5)


@pytest.mark.parametrize(("second", "crossed"), [(0.5, []), (9.0, ["cost"])])
def test_a_guard_fails_only_if_it_is_crossed_twice(monkeypatch, second, crossed):
    ratios = iter((9.0, second))
    said: list[str] = []

    def measure(brokers, say):
        found = Findings()
        found.add("cost", next(ratios), 1.0)
        return found

    monkeypatch.setattr(guards, "_measure", measure)
    assert guards.check(None, said.append).crossed == crossed
    assert "once more" in said[0]


def test_a_page_gets_its_tables_between_its_marks_and_keeps_the_rest(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- targets -->\nold\n<!-- /targets -->\nafter\n")
    page.insert(path, "targets", r"new \1")
    page.insert(path, "targets", "newer")
    assert path.read_text() == "before\n<!-- targets -->\n\nnewer\n\n<!-- /targets -->\nafter\n"
    with pytest.raises(ValueError, match="no marks <!-- growth -->"):
        page.insert(path, "growth", "x")


def test_bounds_of_growth_are_judged_per_curve():
    case = next(one for one in CASES if one.key == "listeners")
    flat = {point: {"cpu": 40.0} for point in case.points}
    steep = {point: {"cpu": 40.0 * (1 + point / 100)} for point in case.points}
    kept, not_kept = verdicts(case, {"Local": flat, "AMQP": steep})
    assert kept.endswith(": kept")
    assert not_kept.endswith(": NOT kept")


def test_memory_may_grow_by_the_window_and_no_more():
    case = next(one for one in CASES if one.key == "backlog")
    within = {point: {"peak": 1.0} for point in case.points}
    beyond = {**within, case.points[-1]: {"peak": 1.2}}
    assert [line.endswith(": kept") for line in verdicts(case, {"AMQP": within, "STOMP": beyond})] == [True, False]


@given(texts, st.dictionaries(texts, texts, max_size=40), st.binary(max_size=70_000))
def test_the_bare_engine_reads_what_it_wrote_and_what_proton_wrote(message_id, properties, body):
    data = encode(message_id, "application/json", properties, body)
    assert decode(data) == (body, properties)
    message = Message(id="1", body=body, inferred=True, durable=True, content_type="text/plain", properties=properties)
    message.annotations = {"x-opt-ingress-time": 5}
    assert decode(message.encode()) == (body, properties)
    read = Message()
    read.decode(data)
    assert (bytes(read.body), read.properties or {}, read.id, read.durable) == (body, properties, message_id, True)


def test_the_spread_of_a_target_is_shown_from_low_to_high():
    assert faster.cells(Spread(2.0, 1.0, 30.0)) == ("2.00x", "1.00x to 30x")


def test_an_earlier_run_is_reported_as_it_was():
    one = next(contender for contender in CONTENDERS if contender.key == "calls")
    plan = Plan([one], 2, Order(contender="", messages=10, confirms=1), 1.0)
    outcome = Outcome(2, 3.0, {"calls": {END_TO_END: rates(1_000, 2_000)}})
    found = report.as_json(plan, outcome, {}, {})
    again, results = report.from_json(json.loads(json.dumps(found)))
    assert report.table(again, results) == report.table(plan, outcome)
