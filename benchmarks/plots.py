"""Plots of what the rounds gave, as PNG. matplotlib is imported here and nowhere else: without it there are tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .measure import Spread
from .report import times
from .rounds import Outcome, Plan
from .settings import CONFIRM, END_TO_END, PACED, Contender

OURS, PEER = "#c2410c", "#64748b"
_WIRE, _INSIDE = ("amqp", "stomp", "rabbitmq"), ("local", "objects")


def available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    return True


def draw(plan: Plan, outcome: Outcome, directory: Path) -> list[Path]:
    """Write the plots; return their files."""
    drawn = [
        _wire(plan, outcome, directory / "performance-brokers.png"),
        _latency(plan, outcome, directory / "performance-latency.png"),
        _inside(plan, outcome, directory / "performance-local.png"),
    ]
    return [path for path in drawn if path is not None]


def figure(columns: int, height: float, width: float = 11.0) -> Any:
    """Return a figure with *columns* panels side by side."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=110, layout="constrained")
    return made, made.subplots(1, columns, squeeze=False)[0]


def save(made: Any, path: Path) -> Path:
    """Write a figure, without the time and the version that would make every file another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, metadata={"Software": None})
    return path


def _wire(plan: Plan, outcome: Outcome, path: Path) -> Path | None:
    """End to end over a broker: rate, and CPU per event."""
    rows = _rows(plan, outcome, _WIRE, END_TO_END)
    if not rows:
        return None
    made, (rates, cpu) = figure(2, 0.42 * len(rows) + 1.3)
    samples = [outcome.results[one.key][END_TO_END] for one in rows]
    _bars(rates, rows, [Spread.of([one.rate for one in each]) for each in samples], "{:,.0f}")
    rates.set_title("events per second, end to end")
    _bars(cpu, rows, [Spread.of([one.cpu_micros for one in each]) for each in samples], "{:,.0f}")
    cpu.set_title("CPU of the client per event, µs")
    cpu.set_yticklabels([])
    return save(made, path)


def _latency(plan: Plan, outcome: Outcome, path: Path) -> Path | None:
    """One confirmed send, and from send to handler: median and 99th percentile."""
    if not _rows(plan, outcome, _WIRE, CONFIRM):
        return None
    titles = {CONFIRM: "one confirmed send, ms", PACED: f"send to handler, {plan.order.pace:g} events/s, ms"}
    made, panels = figure(2, 4.4)
    for panel, (kind, title) in zip(panels, titles.items(), strict=True):
        rows = _rows(plan, outcome, _WIRE, kind)
        for at, one in enumerate(rows):
            p50, p99 = times(outcome.results[one.key][kind])
            color = _color(one)
            panel.plot([p50.middle, p99.middle], [at, at], color=color, linewidth=2, alpha=0.4, zorder=1)
            panel.scatter([p50.middle], [at], color=color, s=45, zorder=2, label="p50" if not at else None)
            panel.scatter([p99.middle], [at], color=color, s=45, marker="|", linewidth=3, zorder=2)
            panel.annotate(
                f"{p50.middle:.2f} / {p99.middle:.2f}",
                (p99.middle, at),
                (7, -4),
                textcoords="offset points",
                fontsize=8,
            )
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter("")  # less than a decade would get labels on top of each other
        panel.margins(x=0.22)
        low, high = panel.get_xlim()
        panel.set_xlim(right=high * (high / low) ** 0.2)  # room for the figures beside the last mark
        _names(panel, rows)
        panel.set_title(f"{title}: p50 and p99", fontsize=10)
    return save(made, path)


def _inside(plan: Plan, outcome: Outcome, path: Path) -> Path | None:
    """In one process, where what is promised differs most: a logarithmic scale."""
    titles = {
        "local": "events/s, encoded copies, async listener",
        "objects": "events/s, the object itself, sync listener",
    }
    groups = {group: _rows(plan, outcome, (group,), END_TO_END) for group in _INSIDE}
    if not all(groups.values()):
        return None
    made, panels = figure(2, 3.0)
    for panel, (group, rows) in zip(panels, groups.items(), strict=True):
        rates = [Spread.of([one.rate for one in outcome.results[each.key][END_TO_END]]) for each in rows]
        panel.set_xscale("log")
        _bars(panel, rows, rates, "{:,.0f}")
        panel.set_xlim(min(rate.low for rate in rates) / 10, max(rate.high for rate in rates) * 12)
        panel.set_title(titles[group], fontsize=10)
    return save(made, path)


def _rows(plan: Plan, outcome: Outcome, groups: Sequence[str], kind: str) -> list[Contender]:
    return [one for one in plan.contenders if one.group in groups and outcome.results.get(one.key, {}).get(kind)]


def _bars(panel: Any, rows: Sequence[Contender], spreads: Sequence[Spread], form: str) -> None:
    middle = [one.middle for one in spreads]
    reach = [[one.middle - one.low for one in spreads], [one.high - one.middle for one in spreads]]
    panel.barh(range(len(rows)), middle, color=[_color(one) for one in rows], height=0.62)
    panel.errorbar(middle, range(len(rows)), xerr=reach, fmt="none", ecolor="#0f172a", elinewidth=1, capsize=3)
    for at, one in enumerate(spreads):
        panel.annotate(form.format(one.middle), (one.high, at), (6, -4), textcoords="offset points", fontsize=9)
    panel.set_xlim(right=max(one.high for one in spreads) * 1.2)
    _names(panel, rows)


def _names(panel: Any, rows: Sequence[Contender]) -> None:
    panel.set_yticks(range(len(rows)), [one.label for one in rows])
    panel.invert_yaxis()
    panel.grid(axis="x", alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _color(one: Contender) -> str:
    return OURS if one.key.startswith("ours") else PEER
