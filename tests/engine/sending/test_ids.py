"""Ids and times of events: what any reader of UUIDs and RFC 3339 makes of them, and that no two ids are the same."""

from __future__ import annotations

import os
import threading
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event.engine.sending.ids import new_id, timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def test_an_id_is_a_random_uuid_in_its_usual_form():
    for _ in range(1_000):
        text = new_id()
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)


def test_every_digit_of_an_id_varies_but_the_version():
    columns = zip(*(new_id() for _ in range(2_000)), strict=True)
    found = ["".join(sorted(set(column))) for column in columns]
    expected = ["0123456789abcdef"] * 36
    for dash in (8, 13, 18, 23):
        expected[dash] = "-"
    expected[14], expected[19] = "4", "89ab"
    assert found == expected


def test_no_id_comes_twice_in_several_threads():
    made: list[list[str]] = []

    def make() -> None:
        made.append([new_id() for _ in range(5_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    ids = [one for part in made for one in part]
    assert len(ids) == len(set(ids)) == 20_000


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_forked_process_makes_ids_of_its_own():
    new_id()  # some are made in advance
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, new_id().encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        theirs = answer.read()
    os.waitpid(child, 0)
    ours = {new_id() for _ in range(1_000)}
    assert len(theirs) == 36
    assert theirs not in ours


@given(st.integers(0, 4_102_444_800_000_000_000))
def test_a_time_reads_as_the_moment_it_was_made_of(at_ns: int):
    text = timestamp(at_ns)
    assert datetime.fromisoformat(text.replace("Z", "+00:00")) == _EPOCH + timedelta(microseconds=at_ns // 1000)
    assert (len(text), text[-1]) == (27, "Z")
