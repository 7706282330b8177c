"""How the cost grows: each kind of job does its work in a process of its own, and what it found can be reported."""

from __future__ import annotations

import pytest
from benchmarks.brokers import BenchmarkError
from benchmarks.growth import run, text
from benchmarks.growth.cases import CASES
from benchmarks.growth.jobs import Job, work

LOCAL = [case for case in CASES if "Local" in case.lines]
BY_KEY = {case.key: case for case in CASES}


@pytest.mark.parametrize("case", LOCAL, ids=lambda case: case.key)
def test_every_case_gives_the_figure_it_is_plotted_by(case):
    figures = work(Job(case.key, "Local", case.points[-1] if case.key == "keys" else 2, 40))
    assert case.figure in figures


def test_a_job_that_fails_is_named():
    with pytest.raises(BenchmarkError, match="types AMQP 2 ended with 1"):
        work(Job("types", "AMQP", 2, 40, host="127.0.0.1", port=1))


def test_an_unknown_case_is_refused_with_the_names_of_those_there_are(tmp_path):
    with pytest.raises(BenchmarkError, match="no case of growth is called rows: listeners, fanout"):
        run.main(["rows"], 1.0, tmp_path / "x.json", None, print)


def test_points_are_shown_with_what_they_say_about_their_bound():
    case = BY_KEY["listeners"]
    results = {case.key: {"Local": {point: {"cpu": 40.0} for point in case.points}}}
    for shown in (text.table([case], results), text.markdown([case], results)):
        assert "1,000" in shown
        assert "40.0" in shown
        assert "Local: 1.00 times from 1 to 1,000; at most 1.3 times: kept" in shown


def test_the_scale_makes_every_point_smaller():
    case = BY_KEY["bodies"]
    assert [case.count(point, 0.5) for point in case.points] == [4_000, 1_500, 30]
