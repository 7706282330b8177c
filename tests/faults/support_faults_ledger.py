"""The ledger outside the system: who sent, confirmed and handled what, in files that survive every crash."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

#: Kinds of lines. A line is written before the event is sent, after its receipt, around the handler's work.
SENT, ACCEPTED, REFUSED, BEGUN, HANDLED, RAISED, READY = "S", "A", "R", "B", "H", "X", "Y"
#: What a process said of its own readiness; the sequence number is 1 for ready.
HEALTH = "Q"


class Pen:
    """The writing end of one process. One write call per line with O_APPEND: a SIGKILL loses no line and tears none."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._pid = os.getpid()

    def write(self, kind, event_id="-", key="-", seq=0, listener="-", attempt=0, redelivered=False, note="-") -> None:
        # The monotonic clock is one for all processes of a machine.
        line = f"{kind} {event_id} {key} {seq} {listener} {attempt} {redelivered:d} {self._pid} {time.monotonic():.6f} {note}\n"
        os.write(self._file, line.encode())


@dataclass
class Handling:
    """What one listener did, in all its processes."""

    begun: Counter[str] = field(default_factory=Counter)
    handled: Counter[str] = field(default_factory=Counter)
    raised: Counter[str] = field(default_factory=Counter)
    #: Of each key: when each sequence number was first begun.
    firsts: defaultdict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    #: When each event was handled for the first time.
    finished: dict[str, float] = field(default_factory=dict)
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: When each attempt began, by process.
    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    #: What each event was seen to carry: one entry, if nothing changed on its way. See `support_faults_trace`.
    marks: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def redelivered(self) -> int:
        """Attempts at an event that had the same number as an earlier one."""
        return sum(self.attempts.values()) - len(self.attempts)

    def inversions(self) -> list[str]:
        """Where an event of a key was begun for the first time before an earlier one of that key."""
        found = []
        for key, firsts in self.firsts.items():
            highest = -1
            for seq, _ in sorted(firsts.items(), key=lambda item: item[1]):
                if seq < highest:
                    found.append(f"key {key}: {seq} after {highest}")
                highest = max(highest, seq)
        return found


class Ledger:
    """The reading end: all files of a folder, read on from where it stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offsets: dict[Path, int] = {}
        self.sent: dict[str, tuple[str, int]] = {}
        self.accepted: dict[str, float] = {}
        self.refused: dict[str, str] = {}
        self.listeners: defaultdict[str, Handling] = defaultdict(Handling)
        self.ready: set[str] = set()
        #: By process: when, and whether it said that it was ready.
        self.health: defaultdict[str, list[tuple[float, bool]]] = defaultdict(list)
        #: By process, times: what a producer sent and got confirmed.
        self.sent_at: defaultdict[str, list[float]] = defaultdict(list)
        self.accepted_at: defaultdict[str, list[float]] = defaultdict(list)

    def read(self) -> Ledger:
        """Take in what was written since the last time."""
        for path in sorted(self.folder.glob("*.log")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                data = file.read()
            complete = data[: data.rfind(b"\n") + 1]
            self._offsets[path] = self._offsets.get(path, 0) + len(complete)
            for line in complete.decode().splitlines():
                self._take(path.stem, line.split(" "))
        return self

    def _take(self, process: str, columns: list[str]) -> None:
        kind, event_id, key, seq, listener, attempt, _, _, at, note = columns
        if kind == SENT:
            self.sent[event_id] = (key, int(seq))
            self.sent_at[process].append(float(at))
        elif kind == ACCEPTED:
            self.accepted[event_id] = float(at)
            self.accepted_at[process].append(float(at))
        elif kind == REFUSED:
            self.refused[event_id] = note
        elif kind == READY:
            self.ready.add(process)
        elif kind == HEALTH:
            self.health[process].append((float(at), seq == "1"))
        else:
            one = self.listeners[listener]
            if kind == BEGUN:
                one.times[process].append(float(at))
                one.marks[event_id].add(note)
            self._take_handling(one, kind, event_id, key, int(seq), int(attempt), float(at))

    def _take_handling(self, one: Handling, kind, event_id, key, seq, attempt, at) -> None:
        if kind == BEGUN:
            one.begun[event_id] += 1
            one.attempts[event_id, attempt] += 1
            one.firsts[key].setdefault(seq, at)
            # Two processes' files are not read in the order of time.
            one.firsts[key][seq] = min(one.firsts[key][seq], at)
        elif kind == HANDLED:
            one.handled[event_id] += 1
            one.finished[event_id] = min(at, one.finished.get(event_id, at))
        else:
            one.raised[event_id] += 1

    def handled_count(self) -> int:
        """Handlings of the listener that has the fewest; 0 before there is one."""
        return min((sum(one.handled.values()) for one in self.listeners.values()), default=0)

    def missing(self, listeners) -> dict[str, set[str]]:
        """Accepted events that a listener did not handle."""
        return {name: self.accepted.keys() - self.listeners[name].handled.keys() for name in listeners}
