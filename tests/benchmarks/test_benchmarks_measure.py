"""The statistics of the benchmarks, and what keeps their comparison fair."""

from __future__ import annotations

import pytest
from benchmarks.contenders.ours import SessionPipeline
from benchmarks.hotspots import part
from benchmarks.measure import Sample, Spread, Stopwatch, paired_ratios, percentile
from benchmarks.message import TENANT, OrderPlaced, Tally, order, raw_body, raw_headers
from benchmarks.rounds import rotated
from benchmarks.settings import CONTENDERS, GROUPS, KINDS
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
    assert (sample.p50, sample.p99) == (0.2, 0.3)


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


def test_every_contender_comes_once_per_round_and_is_first_in_turn():
    rounds = [rotated(CONTENDERS, number) for number in range(len(CONTENDERS))]
    assert all(set(one) == set(CONTENDERS) for one in rounds)
    assert {one[0] for one in rounds} == set(CONTENDERS)


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
