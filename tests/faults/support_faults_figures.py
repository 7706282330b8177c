"""What a run of the fault tests measured: one row per fault and provider, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median


@dataclass
class Figures:
    """One test's figures.

    Attributes:
        fault: "F1 broker killed".
        faults: How often it happened.
        recoveries: Seconds from the end of each fault to the moment confirmations and handlings flow again.
        stuck: Messages that the broker kept for a connection it had closed, until it was restarted.
        slow_closes: Times that the broker took ten seconds to close a connection, and kept what belonged to it so long.
        dropped: Accepted events that a broker was told to drop.
        samples: How often processes said whether they were ready.
        wrong: Longest time in seconds that one of them was wrong.
        returns: Seconds from the end of each outage until each process said that it was ready.
        grown: Bytes by which a consumer's memory grew.
        broker_losses: Times that the broker could not be started any more with the data it had.
        lost: Accepted events that were neither handled nor kept as dead letters, over all listeners.
    """

    fault: str
    provider: str
    seed: int
    faults: int = 0
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    handled: int = 0
    dead_letters: int = 0
    lost: int = 0
    redelivered: int = 0
    dropped: int = 0
    stuck: int = 0
    slow_closes: int = 0
    samples: int = 0
    wrong: float = 0.0
    grown: int = 0
    broker_losses: int = 0
    seconds: float = 0.0
    returns: list[float] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    passed: bool = False

    def row(self) -> str:
        recovery = f"{median(self.recoveries):8.2f} {max(self.recoveries):8.2f}" if self.recoveries else f"{'':17}"
        ready = f"{max(self.returns):6.2f}" if self.returns else f"{'':6}"
        return (
            f"{self.fault:38} {self.provider:6} {self.faults:6} {self.accepted:9,} {self.refused:7} {self.handled:9,} "
            f"{self.dead_letters:7,} {self.lost:5} {self.stuck:5} {self.redelivered:7,} {recovery} {ready} "
            f"{self.wrong:6.2f} {self.seconds:7.1f} "
            f"{self._verdict()}"
        ).rstrip()

    def _verdict(self) -> str:
        if self.broker_losses:
            return "the broker lost its data: repeated"
        return "" if self.passed else "FAILED"


def table(rows: list[Figures]) -> list[str]:
    """Return the lines of a table with a total."""
    head = (
        f"{'fault':38} {'via':6} {'faults':>6} {'accepted':>9} {'refused':>7} {'handled':>9} {'dead':>7} {'lost':>5} "
        f"{'stuck':>5} {'redeliv':>7} {'rec p50':>8} {'rec max':>8} "
        f"{'ready':>6} {'wrong':>6} {'s':>7}"
    )
    total = Figures("all", "", 0, passed=all(row.passed or row.broker_losses for row in rows))
    for row in rows:
        for name in (
            "faults",
            "accepted",
            "refused",
            "handled",
            "dead_letters",
            "lost",
            "stuck",
            "redelivered",
            "samples",
            "slow_closes",
            "broker_losses",
            "seconds",
        ):
            setattr(total, name, getattr(total, name) + getattr(row, name))
        total.recoveries += row.recoveries
        total.returns += row.returns
        total.wrong = max(total.wrong, row.wrong)
    ordered = sorted(rows, key=lambda row: (int(row.fault.split()[0][1:]), row.fault, row.provider))
    losses, total.broker_losses = total.broker_losses, 0
    lines = [head, "-" * len(head), *(row.row() for row in ordered), "-" * len(head), total.row()]
    lines.append(
        f"{total.samples:,} samples of readiness; times that the broker took ten seconds to close a STOMP connection: "
        f"{total.slow_closes}, that it could not read its own data: {losses}"
    )
    return lines


def write_json(rows: list[Figures], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
