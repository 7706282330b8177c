"""The statistics of the benchmarks, and what keeps their comparison fair."""

from __future__ import annotations

import json

import pytest
from benchmarks.contenders.ours import SessionPipeline
from benchmarks.hotspots import part
from benchmarks.measure import Sample, Spread, Stopwatch, joined, paired_ratios, percentile, pooled, pooled_ratio
from benchmarks.message import TENANT, OrderPlaced, Tally, order, raw_body, raw_headers
from benchmarks.rounds import groups
from benchmarks.settings import CONTENDERS, GROUPS, KINDS, REPEATED
from benchmarks.turns import SENDS, UNCOUNTED, portions
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import EventManager, LocalProvider, event

values = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


class Recorder(LocalProvider):
    """Keeps what is published."""

    def __init__(self):
        super().__init__()
        self.published = []

    def publish(self, message):
        self.published.append(message)
        return super().publish(message)


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_of_one_to_a_hundred_is_its_own_rank(percent, expected):
    assert percentile(list(range(100, 0, -1)), percent) == expected


@given(values, st.floats(0.1, 100))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(numbers, percent):
    found = percentile(numbers, percent)
    assert found in numbers
    assert sum(number <= found for number in numbers) >= len(numbers) * percent / 100 - 1e-9


@pytest.mark.parametrize(("numbers", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_or_beyond_all_is_refused(numbers, percent):
    with pytest.raises(ValueError, match="percentile"):
        percentile(numbers, percent)


def test_a_spread_is_the_median_between_the_extremes():
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert Spread.of([4.0, 1.0]) == Spread(2.5, 1.0, 4.0)


def test_ratios_are_taken_round_by_round_so_that_a_slow_round_cancels_out():
    assert paired_ratios([20.0, 2.0, 200.0], [10.0, 1.0, 100.0]) == Spread(2.0, 2.0, 2.0)


def test_ratios_of_different_numbers_of_rounds_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        paired_ratios([1.0, 2.0], [1.0])


def test_a_sample_gives_messages_per_second_and_microseconds_per_message():
    sample = Sample(messages=2_000, seconds=0.5, cpu_seconds=0.1)
    assert sample.rate == 4_000
    assert sample.cpu_micros == pytest.approx(50)


def test_a_stopwatch_counts_the_time_and_the_cpu_that_passed():
    watch = Stopwatch()
    sum(range(200_000))
    sample = watch.stop(7, [0.1, 0.3, 0.2])
    assert sample.messages == 7
    assert sample.seconds > 0
    assert sample.cpu_seconds > 0
    assert (sample.percentile(50), sample.percentile(99)) == (0.2, 0.3)


def test_a_sample_is_the_same_after_its_way_through_json():
    sample = Sample(3, 0.5, 0.1, (0.000531, 0.0125, 0.000498))
    assert Sample.from_json(json.loads(json.dumps(sample.as_json()))) == sample
    plain = Sample(3, 0.5, 0.1)
    assert Sample.from_json(plain.as_json()) == plain


def test_results_that_kept_no_single_times_are_refused():
    with pytest.raises(ValueError, match="before the time of every single send was kept"):
        Sample.from_json({"messages": 1, "seconds": 1.0, "cpu_seconds": 1.0, "p50": 0.1, "p99": 0.2})


def test_a_high_percentile_is_that_of_all_rounds_together():
    calm = Sample(100, 1.0, 0.1, (0.001,) * 100)
    disturbed = Sample(100, 1.0, 0.1, (0.001,) * 97 + (0.009,) * 3)
    assert pooled([calm, disturbed], 99) == Spread(0.009, 0.001, 0.009)
    assert pooled([calm, calm, disturbed], 99) == Spread(0.001, 0.001, 0.009)


def test_one_disturbed_round_does_not_decide_about_a_ratio_of_percentiles():
    calm = Sample(100, 1.0, 0.1, (0.001,) * 100)
    disturbed = Sample(100, 1.0, 0.1, (0.001,) * 98 + (0.009,) * 2)
    found = pooled_ratio([calm, disturbed, calm], [calm, calm, calm], 99)
    assert (found.middle, found.low, found.high) == (pytest.approx(1), pytest.approx(1), pytest.approx(9))


def test_sends_at_the_beginning_of_a_turn_are_not_counted():
    single = tuple(float(number) for number in range(1, UNCOUNTED + 3))
    sample = joined([Sample(7, 1.0, 0.1, single), Sample(7, 2.0, 0.3, single)])
    assert sample.single == (*single[-2:], *single[-2:])
    assert (sample.messages, sample.seconds, sample.cpu_seconds) == (14, 3.0, pytest.approx(0.4))


def test_a_turn_too_short_for_that_counts_all_of_them():
    assert joined([Sample(1, 1.0, 0.1, (0.001,))]).single == (0.001,)


@given(st.integers(0, 5_000))
def test_portions_are_every_number_once_and_none_is_longer_than_a_turn(count):
    parts = list(portions(count))
    assert [number for part in parts for number in part] == list(range(count))
    assert all(0 < len(part) <= SENDS for part in parts)


def test_a_tally_is_complete_with_the_last_event():
    tally = Tally(3, 2)
    numbers = [0, 1, 2, 0, 1]
    assert [tally.add(order(number).order_id) for number in numbers] == [False, False, False, False, True]


def test_a_tally_notices_a_duplicate_in_the_place_of_a_lost_event():
    tally = Tally(3)
    for number in (0, 1, 1):
        tally.add(order(number).order_id)
    with pytest.raises(ValueError, match="not those sent"):
        tally.verify()


def test_a_tally_notices_that_an_event_is_missing():
    tally = Tally(2)
    tally.add(order(0).order_id)
    with pytest.raises(ValueError, match="1 are missing"):
        tally.verify()
    tally.add(order(1).order_id)
    tally.verify()


def test_every_contender_comes_in_every_round_and_is_the_first_of_its_group_in_turn():
    rounds = [groups(CONTENDERS, number, REPEATED) for number in range(len(CONTENDERS))]
    for one in rounds:
        assert {contender for group in one for contender in group} == set(CONTENDERS)
    assert {group[0] for one in rounds for group in one} == set(CONTENDERS)


def test_a_group_works_together_and_comes_as_often_as_it_is_to_be_repeated():
    found = groups(CONTENDERS, 1, {"threads": 3})
    for group in found:
        assert len({one.group for one in group}) == 1
    names = [group[0].group for group in found]
    assert {name: names.count(name) for name in GROUPS} == {name: 3 if name == "threads" else 1 for name in GROUPS}


def test_every_group_has_one_contender_to_compare_with():
    for group in GROUPS:
        assert sum(one.raw for one in CONTENDERS if one.group == group) == 1
    assert all(set(one.kinds) <= set(KINDS) for one in CONTENDERS)


@pytest.mark.parametrize(
    ("file", "name", "expected"),
    [
        ("/a/src/aspyx_event/providers/amqp/wire.py", "f", "aspyx_event.providers.amqp.wire"),
        ("/a/aspyx_event/src/aspyx_event/manager.py", "f", "aspyx_event.manager"),
        ("/a/lib/python3.11/asyncio/events.py", "f", "asyncio"),
        ("/a/lib/python3.11/site-packages/stomp/utils.py", "f", "stomp.py"),
        ("~", "{method 'poll' of 'select.epoll' objects}", "waiting"),
        ("~", "{method 'send' of '_socket.socket' objects}", "sockets"),
        ("/a/lib/python3.11/uuid.py", "uuid4", "Python's builtins and library"),
    ],
)
def test_a_profile_charges_each_function_to_its_part_of_the_program(file, name, expected):
    assert part(file, name) == expected


async def test_raw_clients_send_the_very_message_that_ours_sends():
    event(name="benchmark.order-placed", durable=True)(OrderPlaced)
    recorder = Recorder()
    async with EventManager(recorder, pipelines=[SessionPipeline()]) as manager:
        await manager.send_event(order(5), headers=TENANT)
    (message,) = recorder.published
    raw, ours = raw_headers("benchmark.order-placed"), dict(message.envelope.headers)
    assert message.durable
    assert message.envelope.body == raw_body(5)
    assert len(raw_body(5)) == 200
    assert ours.pop("content-type") == "application/json"
    assert raw.pop("_AMQ_DUPL_ID") == raw["cloudEvents_id"]
    assert message.dedup_id == ours["cloudEvents_id"]
    # What differs from event to event is of the same shape.
    for name in ("cloudEvents_id", "cloudEvents_time", "cloudEvents_correlationid"):
        assert abs(len(raw.pop(name)) - len(ours.pop(name))) <= 7, name
    assert len(raw.pop("cloudEvents_source")) - len(ours.pop("cloudEvents_source")) in range(-8, 9)
    assert raw == ours
