"""The figures of growth as text and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .cases import Case, Points, verdicts


def table(cases: Sequence[Case], results: Mapping[str, Points]) -> str:
    """Return one block per case."""
    lines: list[str] = []
    for case in cases:
        lines += ["", f"{case.title}: {case.unit}", f"{case.axis:<20}" + "".join(f"{one:>12,}" for one in case.points)]
        for line, points in results[case.key].items():
            lines.append(f"{line:<20}" + "".join(f"{_figure(points[one][case.figure]):>12}" for one in case.points))
        lines += [f"  {said}" for said in verdicts(case, results[case.key])]
    return "\n".join(lines).lstrip("\n")


def markdown(cases: Sequence[Case], results: Mapping[str, Points]) -> str:
    """Return one table per case, with what it says about its bound."""
    lines: list[str] = []
    for case in cases:
        lines += [f"**{case.title[0].upper()}{case.title[1:]}**, {case.unit}", ""]
        lines += [f"| {case.axis} | " + " | ".join(f"{one:,}" for one in case.points) + " |"]
        lines += ["| --- |" + " --- |" * len(case.points)]
        for line, points in results[case.key].items():
            lines.append(f"| {line} | " + " | ".join(_figure(points[one][case.figure]) for one in case.points) + " |")
        lines += ["", *(f"- {said}" for said in verdicts(case, results[case.key])), ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n").strip()


def _figure(value: float) -> str:
    """Return three significant digits or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
