"""The harness itself: it tells the broker's losses from the framework's, and the truth of what processes say."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_faults_health import Cut, Truth
from support_faults_journal import add_unknown_record
from support_faults_ledger import ACCEPTED, BEGUN, HEALTH, READY, SENT, Ledger
from support_faults_plan import Listening
from support_faults_process import in_thread
from support_faults_rig import BrokerLossError


def data_of(broker) -> Path:
    """Return the directory of a running broker's data."""
    command = Path(f"/proc/{broker.pid}/cmdline").read_bytes().decode().split("\0")
    return Path(next(part for part in command if part.startswith("-Ddata.dir=")).partition("=")[2])


@pytest.mark.parametrize("protocol", ["amqp"], indirect=True)
async def test_a_broker_that_cannot_read_its_own_data_is_started_without_them_and_counted(rig):
    data = data_of(rig.broker)
    await rig.consume()
    await in_thread(rig.broker.stop)
    add_unknown_record(data)
    with pytest.raises(BrokerLossError, match="IndexOutOfBoundsException"):
        await rig.start_broker()
    assert rig.figures.broker_losses == 1
    assert list((rig.folder / "broker-data").glob("journal/*.amq"))
    await rig.produce(rate=100)
    await rig.flow(20, "the new broker works")


class Story:
    """Writes a ledger with given times."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[str, list[str]] = {}

    def write(self, process: str, at: float, kind: str, event: int = 0, *, ready: bool = False) -> None:
        seq = int(ready) if kind == HEALTH else event
        line = f"{kind} e.{event} k {seq} one 1 0 1 {at} {'id/whole' if kind == BEGUN else '-'}\n"
        self._lines.setdefault(process, []).append(line)

    def truth(self, *cuts: Cut) -> Truth:
        for process, lines in self._lines.items():
            (self._folder / f"{process}.log").write_text("".join(lines), encoding="ascii")
        members = {"producer": [], "consumer": ["one"]}
        return Truth(Ledger(self._folder).read(), {"one": Listening()}, members, list(cuts))


@pytest.fixture
def story(tmp_path) -> Story:
    story = Story(tmp_path)
    story.write("consumer", 0, READY)
    return story


def flow(story: Story, times) -> None:
    for at in times:
        story.write("producer", at, SENT, at)
        story.write("producer", at + 0.1, ACCEPTED, at)
        story.write("consumer", at + 0.2, BEGUN, at)


def test_who_is_ready_and_deaf_for_a_while_is_wrong_for_so_long(story):
    for at in range(40):
        story.write("consumer", at, HEALTH, ready=True)
    flow(story, range(10))
    for at in range(10, 30):
        story.write("producer", at, SENT, at)
        story.write("producer", at + 0.1, ACCEPTED, at)
    for at in range(10, 30):
        story.write("consumer", 30, BEGUN, at)
    (lie,) = [lie for lie in story.truth().lies() if lie.seconds > 2]
    assert (lie.process, lie.said) == ("consumer", "ready")
    assert lie.seconds == pytest.approx(30 - 10.1)


def test_who_works_and_is_not_ready_is_wrong_for_so_long(story):
    for at in range(40):
        story.write("consumer", at, HEALTH, ready=not 10 < at < 25)
    flow(story, range(40))
    (lie,) = [lie for lie in story.truth().lies() if lie.seconds > 2]
    assert (lie.process, lie.said) == ("consumer", "not ready")
    assert lie.seconds == pytest.approx(24.2 - 11.2)


def test_who_is_ready_while_there_is_no_broker_is_wrong_until_it_says_so(story):
    for at in range(40):
        story.write("consumer", at, HEALTH, ready=not 14 <= at < 33)
        story.write("producer", at, HEALTH, ready=not 13 <= at < 31)
    flow(story, [*range(10), *range(31, 40)])
    truth = story.truth(Cut(10, 30))
    assert sorted((lie.process, round(lie.seconds)) for lie in truth.lies() if lie.seconds > 2) == [
        ("consumer", 4),
        ("producer", 3),
    ]
    assert sorted(truth.returns()) == [1, 3]


def test_who_has_nothing_to_do_may_be_ready(story):
    for at in range(60):
        story.write("consumer", at, HEALTH, ready=True)
        story.write("producer", at, HEALTH, ready=True)
    flow(story, [*range(10), *range(50, 60)])
    assert max(lie.seconds for lie in story.truth().lies()) < 0.5


def test_who_is_cut_off_twice_in_a_row_is_not_wrong_in_between(story):
    for at in range(60):
        story.write("producer", at, HEALTH, ready=not 11 <= at < 33)
    flow(story, [*range(10), 20, 21, *range(32, 60)])
    truth = story.truth(Cut(10, 20), Cut(22, 32))
    assert max(lie.seconds for lie in truth.lies()) < 2
    assert list(truth.returns()) == [1]
