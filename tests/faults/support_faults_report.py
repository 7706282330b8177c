"""The figures of a run as the text that `docs/guarantees.md` has them in."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from support_faults_figures import Figures

_MIB = 1024 * 1024
#: Beginnings of the rows whose faults are no kills or cuts: they would count each message or cycle.
_UNCOUNTED = ("F9 handlers raise", "F9 time limit", "F10", "F12", "F13", "F18")


def markdown(rows: list[Figures], command: str) -> str:
    """Return headline figures and one line per fault; *command* is what made them."""
    rows = [row for row in rows if not row.broker_losses]
    lines = [
        f"`{command}` on {_machine()}, Python {platform.python_version()}, Artemis 2.44.0 with `journal-datasync` on.",
        "",
        "| figure | goal | measured | command |",
        "| --- | --- | --- | --- |",
        *(f"| {' | '.join(line)} |" for line in _headlines(rows)),
        "",
        "| fault | via | times | confirmed | lost | redelivered | withheld | flow restored, s (median, max) | ready again, s | readiness wrong, s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_line(row) for row in sorted(rows, key=lambda row: (int(row.fault.split()[0][1:]), row.fault, row.provider))),
    ]
    return "\n".join(lines) + "\n"


def _headlines(rows: list[Figures]) -> Iterable[tuple[str, ...]]:
    faults = [row for row in rows if not row.fault.startswith(_UNCOUNTED) or row.fault.endswith("killed")]
    cuts, brokers = _of(rows, "F1 ", "F2", "F3", "F4", "F5", "F6", "F20"), _of(rows, "F1 ", "F2 ")
    ended, poison, cycles = _of(rows, "F7 consumer"), _of(rows, "F10 poison messages"), _of(rows, "F18")
    recoveries = [seconds for row in brokers for seconds in row.recoveries]
    returns = [seconds for row in brokers for seconds in row.returns]
    accepted, times = sum(row.accepted for row in rows), sum(row.faults for row in faults)
    again, breaks = sum(row.redelivered for row in cuts), sum(row.faults for row in cuts)
    lost = sum(row.lost for row in rows)
    # A blocked event loop blocks the answer; a full address is no reason not to be ready for others.
    truthful = [row for row in rows if not row.fault.startswith(("F9 handler blocks", "F12"))]
    yield (
        "confirmed events lost",
        "0 of 200,000, 60 faults",
        f"{lost} of {accepted:,}, {times:,} faults",
        "`make faults`",
    )
    yield (
        "redelivered",
        "at most the prefetch (100, 20) of each listener, each time",
        f"{again:,} in {breaks} kills and cuts, {again / max(1, breaks):.1f} each time",
        "`make faults ARGS=\"-k 'broker or network or killed'\"`",
    )
    if recoveries:
        yield (
            "time until events flow after the broker is up again",
            "5 s",
            f"{median(recoveries):.2f} s (median), {max(recoveries):.2f} s (longest of {len(recoveries)})",
            "`make faults ARGS=\"-k 'broker_is_killed or broker_restarts'\"`",
        )
    if returns:
        yield (
            "time until ready after the broker is up again",
            "5 s",
            f"{median(returns):.2f} s (median), {max(returns):.2f} s (longest)",
            "the same",
        )
    yield (
        "redelivered after SIGTERM",
        "0",
        f"{sum(row.redelivered for row in ended)} in {sum(row.faults for row in ended)} stops",
        '`make faults ARGS="-k finishes_what_it_began"`',
    )
    if poison:
        yield (
            "poison messages in the dead letters, memory",
            "2,000 of 2,000, 20 MB",
            "; ".join(
                f"{row.dead_letters:,} of {row.faults:,} and {row.grown / _MIB:.1f} MB ({row.provider.upper()})"
                for row in poison
            ),
            '`make faults ARGS="-k test_poison"`',
        )
    yield (
        "files, threads and tasks left behind by connections and subscriptions",
        "0 after 1,000 and 1,000",
        f"0 after {sum(row.faults for row in cycles):,}",
        '`make faults ARGS="-k leave_nothing_behind"`',
    )
    yield (
        "longest time for which a process reported a wrong readiness",
        "10 s",
        f"{max((row.wrong for row in truthful), default=0.0):.1f} s in {sum(row.samples for row in rows):,} samples",
        "`make faults`",
    )


def _line(row: Figures) -> str:
    flow = f"{median(row.recoveries):.2f}, {max(row.recoveries):.2f}" if row.recoveries else ""
    ready = f"{max(row.returns):.1f}" if row.returns else ""
    lost = f"{row.lost} ({row.dropped:,} dropped as documented)" if row.dropped else str(row.lost)
    return (
        f"| {row.fault.partition(' ')[2]}{'' if row.passed else ', **failed**'} | {row.provider.upper()} | {row.faults:,} | {row.accepted:,} | {lost} | "
        f"{row.redelivered:,} | {row.stuck} | {flow} | {ready} | {row.wrong:.1f} |"
    )


def _of(rows: list[Figures], *beginnings: str) -> list[Figures]:
    return [row for row in rows if row.fault.startswith(beginnings)]


def _machine() -> str:
    processors, memory = os.cpu_count(), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return f"{processors} processors ({names[0] if names else platform.machine()}), {memory:.0f} GB"


def _lines(path: str) -> list[str]:
    found = Path(path)
    return found.read_text(encoding="utf-8").splitlines() if found.exists() else []
