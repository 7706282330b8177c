"""The plot of growth: one panel per case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import page, plots
from . import text
from .cases import CREDIT, MEMORY_BOUND, MESSAGE_SIZE, Case, Points

_COLORS = ("#c2410c", "#1d4ed8", "#15803d")
_COLUMNS = 3


def write(
    cases: Sequence[Case],
    results: Mapping[str, Points],
    target: Path,
    publish: tuple[Path, Path] | None,
    say: Callable[[str], None],
) -> None:
    """Draw what was measured, and put it into the documentation if so wished."""
    if publish is not None:
        page.insert(publish[0], "growth", text.markdown(cases, results))
    if not plots.available():
        say("no plot: matplotlib is not installed (pip install --group bench)")
        return
    path = publish[1] / "performance-growth.png" if publish is not None else target.with_suffix(".png")
    say(f"plot: {draw(cases, results, path).name}")


def draw(cases: Sequence[Case], results: Mapping[str, Points], path: Path) -> Path:
    """Write the panels of all cases into one file."""
    from matplotlib.figure import Figure

    rows = -(-len(cases) // _COLUMNS)
    made = Figure(figsize=(4.3 * _COLUMNS, 3.2 * rows), dpi=110, layout="constrained")
    panels = made.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel, case in zip(panels, cases, strict=False):
        if case.key == "memory":
            _memory(panel, results[case.key])
        else:
            _curves(panel, case, results[case.key])
        panel.set_title(case.title, fontsize=10)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8)
    for panel in panels[len(cases) :]:
        panel.set_visible(False)
    return plots.save(made, path)


def _curves(panel: Any, case: Case, points: Points) -> None:
    places = range(len(case.points))
    for color, (line, figures) in zip(_COLORS, points.items(), strict=False):
        panel.plot(places, [figures[one][case.figure] for one in case.points], "o-", color=color, label=line)
    panel.set_xticks(places, [f"{one:,}" for one in case.points])
    panel.set_xlabel(case.axis)
    panel.set_ylabel(case.unit)
    if case.key in ("bodies", "concurrency", "processes"):
        panel.set_yscale("log")
    else:
        panel.set_ylim(bottom=0)
    if case.key == "concurrency":
        panel.plot(places, [200 * one for one in case.points], ":", color="#64748b", label="200 × concurrency")
    if case.key == "backlog":
        panel.set_ylim(0, max(5.0, 1.4 * max(one[case.figure] for each in points.values() for one in each.values())))
        for color, figures in zip(_COLORS, points.values(), strict=False):
            allowed = figures[case.points[0]][case.figure] + CREDIT * MESSAGE_SIZE / 1e6
            panel.axhline(allowed, ls=":", color=color, label="the first and credit × message size")


def _memory(panel: Any, points: Points) -> None:
    for color, (line, figures) in zip(_COLORS, points.items(), strict=False):
        ((_, found),) = figures.items()
        curve: Any = found["curve"]
        start = curve[len(curve) // 10 - 1][1]
        panel.plot([at for at, _ in curve], [now - start for _, now in curve], color=color, label=line)
    panel.axhline(MEMORY_BOUND, ls=":", color="#64748b", label="bound")
    panel.set_xlabel("events")
    panel.set_ylabel("MB more than after a tenth")
