"""The account at the end of a test: what was promised, what happened, and whether they agree."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from support_faults_figures import Figures
from support_faults_health import WRONG, Cut, Lie, Truth
from support_faults_ledger import Ledger
from support_faults_plan import Listening
from support_faults_trace import mark

#: Seconds from the end of a fault to events that flow: five on a quiet machine, and ours may have other things to do.
RECOVERY = 15.0
#: Seconds that are the broker's, where it says that it was slow to close a connection.
SLOW_CLOSE = 10.0
#: Why our handlers fail.
CAUSES = ("InjectedError", "MemoryError", "HandlerTimeoutError", "PoisonMessageError", "EventException")


@dataclass
class DeadLetter:
    """What lies in a dead-letter queue."""

    listener: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        """The ledger's name for the event; "" for a body that is none of our events."""
        try:
            found = json.loads(self.body)["id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return ""
        return found if isinstance(found, str) and "." in found else ""


class Account:
    """One test's ledger, dead letters and figures.

    Attributes:
        event: Name of the event; an address that no other test uses.
        listening: Every listener that was there, by name.
    """

    def __init__(self, event: str, folder: Path, figures: Figures) -> None:
        self.event, self.folder, self.figures = event, folder, figures
        self.ledger = Ledger(folder)
        self.listening: dict[str, Listening] = {}
        #: Names of the listeners of each process; a producer has none.
        self.members: dict[str, list[str]] = {}
        self.dead_letters: list[DeadLetter] = []
        self._began_at = 0.0
        #: Beginning and end of each fault.
        self._past: list[tuple[float, float]] = []
        self._cuts: list[Cut] = []
        self._began = time.monotonic()

    def fault(self, times: int = 1) -> None:
        """Count a fault."""
        self.figures.faults += times
        self._began_at = time.monotonic()

    def cut(self, *processes: str) -> None:
        """Count a fault that, until it is over, keeps these processes, or all, from reaching a broker."""
        self.fault()
        self._cuts.append(Cut(time.monotonic(), None, frozenset(processes)))

    def over(self) -> None:
        """Remember that a fault is over: what follows is recovery."""
        now = time.monotonic()
        self._past.append((self._began_at, now))
        for cut in self._cuts:
            cut.end = cut.end or now

    def queue(self, listener: str) -> str:
        return f"{self.event}.{listener}"

    def count(self) -> Figures:
        figures, ledger = self.figures, self.ledger
        figures.sent, figures.accepted, figures.refused = len(ledger.sent), len(ledger.accepted), len(ledger.refused)
        figures.handled = sum(len(ledger.listeners[name].handled) for name in self.listening)
        figures.dead_letters = len(self.dead_letters)
        figures.redelivered = sum(ledger.listeners[name].redelivered for name in self.listening)
        figures.lost = sum(len(lost) for lost in self.lost().values())
        figures.recoveries = [seconds for times in self._past if (seconds := self._recovery(*times)) is not None]
        figures.wrong = max((lie.seconds for lie in self.lies()), default=0.0)
        figures.samples = sum(map(len, ledger.health.values()))
        figures.returns = list(self._truth().returns())
        figures.seconds = time.monotonic() - self._began
        return figures

    def _truth(self) -> Truth:
        return Truth(self.ledger, self.listening, self.members, self._cuts)

    def lies(self) -> list[Lie]:
        """Every time that a process was wrong about its readiness, however short (I9)."""
        return list(self._truth().lies())

    def dead(self, listener: str) -> set[str]:
        """Ids of the listener's dead letters."""
        return {letter.event_id for letter in self.dead_letters if letter.listener == listener and letter.event_id}

    def lost(self) -> dict[str, set[str]]:
        """Accepted events, by listener, that were neither handled nor kept (I1)."""
        missing = self.ledger.missing(self.listening)
        return {name: lost for name, ids in missing.items() if (lost := ids - self.dead(name))}

    def _recovery(self, began: float, over: float) -> float | None:
        """Seconds until an event is confirmed, and every listener works on one that came over a new connection."""
        confirmed = min((at for at in self.ledger.accepted.values() if at > over), default=None)
        if confirmed is None:
            return None
        recovery = confirmed - over
        for name in self.listening:
            fresh = self._fresh(name, began, over)
            if fresh is None:
                return None
            recovery = max(recovery, fresh - over)
        return recovery

    def _fresh(self, name: str, began: float, over: float) -> float | None:
        """When a listener had something that it cannot have had when the fault began; None if it never had."""
        one = self.ledger.listeners[name]
        found = []
        for event_id, at in self.ledger.accepted.items():
            if at > began and one.finished.get(event_id, 0.0) > over:
                found.append(one.finished[event_id])
        # No more than this was in the processes, however much waits on the broker before what is new.
        held = self.listening[name].prefetch * len(one.times)
        found += sorted(at for times in one.times.values() for at in times if at > over)[held : held + 1]
        return min(found, default=None)

    # invariants

    def check(self, *, redeliveries: int, ordered: bool = True, refusals: bool = False, readiness: bool = True) -> None:
        """Check I1, I2, I3, I5, I6, I7, I9 and I12 after `settle`.

        Args:
            redeliveries: The bound of I3.
            ordered: The order per key is promised here (I5).
            refusals: Sends may have failed with a typed error.
            readiness: What the processes said of theirs counts; not where they can send elsewhere, only not here.
        """
        ledger, figures = self.ledger, self.figures
        lost = {name: sorted(ids)[:10] for name, ids in self.lost().items()}
        assert not lost, f"I1: {figures.lost} lost, such as {lost}; ledger: {self.folder}"
        for name in self.listening:
            one = ledger.listeners[name]
            invented = (one.begun.keys() | self.dead(name)) - ledger.sent.keys()
            assert not invented, f"I2: never sent: {sorted(invented)[:10]}"
            both = one.handled.keys() & self.dead(name)
            assert not both, f"I2: handled and dead: {sorted(both)[:10]}"
            # What the broker kept back until its restart comes late, and so does what belonged to a connection that it was slow to close.
            strict = ordered and not figures.stuck and not figures.slow_closes and not self.listening[name].delayed
            assert not strict or not one.inversions(), f"I5: {one.inversions()[:10]}"
            changed = {event_id: marks for event_id, marks in one.marks.items() if not self._whole(marks)}
            assert not changed, f"I12: changed on the way: {list(changed.items())[:5]}"
        self._check_dead_letters()
        assert figures.redelivered <= redeliveries, f"I3: {figures.redelivered} > {redeliveries}"
        assert refusals or not ledger.refused, f"refused: {dict(list(ledger.refused.items())[:5])}"
        extra = SLOW_CLOSE if figures.slow_closes else 0.0
        slow = [seconds for seconds in figures.recoveries if seconds > RECOVERY + extra]
        assert not slow, f"I6: {slow} s until events flowed again"
        unanswered = ledger.sent.keys() - ledger.accepted.keys() - ledger.refused.keys()
        assert not unanswered, f"neither confirmed nor refused: {sorted(unanswered)[:10]}"
        lies = [lie for lie in self.lies() if lie.seconds > WRONG + extra] if readiness else []
        assert not lies, f"I9: {lies[:5]}"
        late = [seconds for seconds in figures.returns if seconds > RECOVERY]
        assert not late, f"I9: {late} s until a process said that it was ready"

    @staticmethod
    def _whole(marks: set[str]) -> bool:
        return len(marks) == 1 and next(iter(marks)).endswith("/whole")

    def _check_dead_letters(self) -> None:
        """I7: each once, with what an operator needs."""
        seen = set()
        for letter in filter(lambda letter: letter.event_id, self.dead_letters):
            once = (letter.listener, letter.event_id)
            assert once not in seen, f"I7: twice in the dead letters: {once}"
            seen.add(once)
            headers = letter.headers
            assert headers["aspyx-original-address"] == self.event
            assert headers["aspyx-original-queue"] == self.queue(letter.listener)
            cause, listening = headers["aspyx-cause-type"].rpartition(".")[2], self.listening[letter.listener]
            assert cause in CAUSES, f"I7: {cause}"
            attempts = listening.max_crashes if cause == "PoisonMessageError" else listening.attempts
            assert headers["aspyx-attempts"] == str(attempts)
            marks = self.ledger.listeners[letter.listener].marks[letter.event_id]
            assert marks == {mark(letter.event_id, headers)}, f"I12: {marks} has become {headers}"
