"""Results as Markdown for the documentation: written between the marks of a page, the rest of which stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .measure import Spread, paired_ratios
from .report import figure, raw_samples, taking_part, times
from .rounds import Outcome, Plan
from .settings import IMPORT, KINDS, TIMED, TITLES, Contender
from .stages import STAGES
from .targets import TARGETS


def targets(outcome: Outcome) -> str:
    """Return the figures to reach, what was measured, and the verdicts."""
    lines = ["| work | measured (range) | CPU | goal | moonshot | |", "| --- | --- | --- | --- | --- | --- |"]
    for one in TARGETS:
        found = one.measured(outcome.results)
        shown, spread = one.cells(found)
        measured = f"**{shown}** ({spread})" if spread else "–"
        aims = f"{_typeset(one.aim(one.goal))} | {_typeset(one.aim(one.moonshot))}"
        cpu = _typeset(one.cpu(outcome.results))
        lines.append(f"| {one.work} | {_typeset(measured)} | {cpu} | {aims} | {one.verdict(found)} |")
    missed = [one for one in TARGETS if one.verdict(one.measured(outcome.results)) == "not met"]
    return "\n".join([*lines, "", *(f"- {one.work}: {one.reason or 'not understood yet'}." for one in missed)]).strip()


def tables(plan: Plan, outcome: Outcome, left_out: dict[str, str]) -> str:
    """Return one table per kind of work."""
    lines: list[str] = []
    for kind in KINDS:
        rows = taking_part(plan, outcome, kind)
        if rows:
            lines += [f"### {TITLES[kind][0].upper()}{TITLES[kind][1:]}", "", *_rows(rows, kind, outcome), ""]
    lines += [f"Left out: {key}, {reason}." for key, reason in left_out.items()]
    return "\n".join(lines).strip()


def stages(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Return the shares of the stages, one column per contender."""
    lines = [f"| | {' | '.join(shares)} |", f"| --- |{' --- |' * len(shares)}"]
    for stage in STAGES:
        cells = [
            f"{one[stage]:.0%}".replace("%", " %") if one.get(stage, 0) >= 0.005 else "–" for one in shares.values()
        ]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {stage} | {' | '.join(cells)} |")
    return "\n".join(lines)


def insert(path: Path, name: str, text: str) -> None:
    """Put *text* between the marks ``<!-- name -->`` and ``<!-- /name -->`` of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    page = path.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    changed, count = marks.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)
    if not count:
        raise ValueError(f"{path.name} has no marks <!-- {name} --> ... <!-- /{name} -->")
    path.write_text(changed, encoding="utf-8")


def _rows(rows: Sequence[Contender], kind: str, outcome: Outcome) -> Iterator[str]:
    cpu = kind != IMPORT  # imports are made in processes of their own, whose CPU is not counted
    yield f"| | {'p50 ms (range) | p99 ms (range)' if kind in TIMED else 'per second (range) | to the first'} |" + (
        " CPU µs |" if cpu else ""
    )
    yield "| --- | --- | --- |" + (" --- |" if cpu else "")
    for one in rows:
        samples = outcome.results[one.key][kind]
        raw = raw_samples(rows, one, kind, outcome)
        if kind in TIMED:
            cells = " | ".join(f"{one.middle:.2f} ({one.low:.2f}–{one.high:.2f})" for one in times(samples))
        else:
            rates = [sample.rate for sample in samples]
            spread = Spread.of(rates)
            ratio = "1" if raw is None else figure(paired_ratios(rates, [sample.rate for sample in raw]).middle)
            cells = f"{spread.middle:,.0f} ({spread.low:,.0f}–{spread.high:,.0f}) | {ratio} ×"
        micros = Spread.of([sample.cpu_micros for sample in samples]).middle
        yield f"| {one.label} | {cells} |" + (f" {micros:,.1f} |" if cpu else "")


def _typeset(text: str) -> str:
    """Return a cell with signs instead of their ASCII forms."""
    text = re.sub(r"(?<=\d)x\b", " ×", text)
    return text.replace(">=", "≥").replace("<=", "≤").replace(" us", " µs").replace(" to ", " – ")
