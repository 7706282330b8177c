"""Results as text for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from .measure import Sample, Spread, paired_ratios, percentile, pooled
from .rounds import Outcome, Plan
from .settings import CONTENDERS, IMPORT, KINDS, TIMED, TITLES, Contender, Order
from .targets import TARGETS, Target
from .turns import SENDS, UNCOUNTED

_LABEL = 30
_RATE_HEADER = (
    f"{'':<{_LABEL}}{'messages/s':>11}{'range':>20}{'x first':>9}{'range':>14}{'CPU us/msg':>12}{'/ first':>9}"
)
_TIME_HEADER = f"{'':<{_LABEL}}{'p50 ms':>11}{'range':>20}{'/ first':>9}{'p99 ms':>11}{'range':>20}{'CPU us/msg':>12}{'/ first':>9}"


def table(plan: Plan, outcome: Outcome) -> str:
    """Return one table per kind of work."""
    lines: list[str] = []
    for kind in KINDS:
        rows = taking_part(plan, outcome, kind)
        if rows:
            header = _TIME_HEADER if kind in TIMED else _RATE_HEADER
            lines += ["", TITLES[kind], header, *_rows(rows, kind, outcome)]
    lines += ["", _legend(plan)]
    return "\n".join(lines)


def targets(outcome: Outcome) -> str:
    """Return the figures to reach, what was measured, and the verdicts."""
    lines = [f"{'target':<48}{'measured':>10}{'range':>18}{'CPU':>9}{'goal':>10}{'moonshot':>10}  verdict"]
    for one in TARGETS:
        found = one.measured(outcome.results)
        shown, spread = one.cells(found)
        verdict = one.verdict(found)
        aims = f"{one.aim(one.goal):>10}{one.aim(one.moonshot):>10}"
        lines.append(f"{one.work:<48}{shown:>10}{spread:>18}{one.cpu(outcome.results):>9}{aims}  {verdict}")
        if verdict == "not met" and one.reason:
            lines.append(f"{'':<4}why: {one.reason}")
    return "\n".join(lines)


def settings(plan: Plan, machine: dict[str, Any], left_out: dict[str, str]) -> str:
    """Return what everybody should know before reading a figure."""
    order, packages = plan.order, machine["packages"]
    hardware = f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['architecture']}"
    taking = {one.group for one in plan.contenders}
    repeated = [f"{name} {many}x" for name, many in plan.repeated.items() if name in taking]
    again = f"; in a round {', '.join(repeated)}" if repeated else ""
    scales = ", ".join(f"{one.key} {one.scale:g}x" for one in plan.contenders if one.scale != 1)
    lines = [
        f"machine    {hardware}, {machine['system']}, load {machine['load']}",
        f"versions   {machine['python']}, " + ", ".join(f"{name} {number}" for name, number in packages.items()),
        *(f"broker     {name}, {machine['brokers'][name]}" for name in machine["brokers"]),
        "message    6 CloudEvents attributes, content type, duplicate id, 2 user headers, 200 bytes of JSON; durable",
        f"settings   {order.messages} messages per round ({scales or 'all'})",
        f"           {order.confirms} single sends, {order.paced} at {order.pace:g}/s; the first {UNCOUNTED} of {SENDS} not counted",
        f"           {order.in_flight} sends in flight, prefetch {order.prefetch}",
        f"rounds     {plan.rounds} and a warm-up, interleaved, each contender in a process of its own every time{again}",
        *(f"left out   {key}: {reason}" for key, reason in left_out.items()),
    ]
    return "\n".join(lines)


def as_json(plan: Plan, outcome: Outcome, machine: dict[str, Any], left_out: dict[str, str]) -> dict[str, Any]:
    """Return everything that was measured, the ratios to the first of each group, and the verdicts."""
    order = plan.order
    return {
        "machine": machine,
        "settings": {
            "rounds": outcome.rounds,
            "messages": order.messages,
            "confirms": order.confirms,
            "paced": order.paced,
            "pace": order.pace,
            "in_flight": order.in_flight,
            "prefetch": order.prefetch,
        },
        "seconds": round(outcome.seconds, 1),
        "left_out": left_out,
        "targets": [_target(one, outcome) for one in TARGETS],
        "contenders": {
            one.key: {
                "label": one.label,
                "group": one.group,
                "raw": one.raw,
                "messages": round(order.messages * one.scale),
                "work": {kind: _work(one, kind, plan, outcome) for kind in outcome.results[one.key]},
            }
            for one in plan.contenders
            if one.key in outcome.results
        },
    }


def from_json(found: dict[str, Any]) -> tuple[Plan, Outcome]:
    """Return plan and outcome of what `as_json` made."""
    kept = dict(found["settings"])
    rounds = kept.pop("rounds")
    results = {
        key: {kind: [Sample.from_json(sample) for sample in work["samples"]] for kind, work in one["work"].items()}
        for key, one in found["contenders"].items()
    }
    contenders = [one for one in CONTENDERS if one.key in results]
    return Plan(contenders, rounds, Order(contender="", **kept), 0.0), Outcome(rounds, found["seconds"], results)


def _target(one: Target, outcome: Outcome) -> dict[str, Any]:
    found = one.measured(outcome.results)
    return {
        "work": one.work,
        "ours": one.ours,
        "peer": one.peer,
        "figure": one.figure,
        "goal": one.goal,
        "moonshot": one.moonshot,
        "measured": None if found is None else asdict(found),
        "verdict": one.verdict(found),
        "reason": one.reason if one.verdict(found) == "not met" else "",
    }


def _work(one: Contender, kind: str, plan: Plan, outcome: Outcome) -> dict[str, Any]:
    samples = outcome.results[one.key][kind]
    raw = raw_samples(plan.contenders, one, kind, outcome)
    if kind in TIMED:
        figures = dict(zip(("p50_ms", "p99_ms"), map(asdict, times(samples)), strict=True))
    else:
        figures = {"rate": asdict(Spread.of([sample.rate for sample in samples]))}
    return {
        "samples": [sample.as_json() for sample in samples],
        **figures,
        "cpu_micros": asdict(Spread.of([sample.cpu_micros for sample in samples])),
        **({} if raw is None else _ratios(samples, raw, kind)),
    }


def _ratios(samples: Sequence[Sample], raw: Sequence[Sample], kind: str) -> dict[str, Any]:
    timed = kind in TIMED
    if timed:
        main = _p50_to(samples, raw)
    else:
        main = paired_ratios([sample.rate for sample in samples], [sample.rate for sample in raw])
    cpu = paired_ratios([sample.cpu_micros for sample in samples], [sample.cpu_micros for sample in raw])
    return {("p50" if timed else "rate") + "_to_raw": asdict(main), "cpu_to_raw": asdict(cpu)}


def taking_part(plan: Plan, outcome: Outcome, kind: str) -> list[Contender]:
    """Return those that did a kind of work."""
    return [one for one in plan.contenders if outcome.results.get(one.key, {}).get(kind)]


def _rows(rows: Sequence[Contender], kind: str, outcome: Outcome) -> Iterator[str]:
    group = rows[0].group
    for one in rows:
        if one.group != group:
            group = one.group
            yield ""
        samples = outcome.results[one.key][kind]
        against = raw_samples(rows, one, kind, outcome)
        row = _time_row(one, samples, against) if kind in TIMED else _rate_row(one, samples, against)
        # Imports are made in processes of their own, whose CPU is not counted.
        yield row if kind == IMPORT else row + _cpu(samples, against)


def _rate_row(one: Contender, samples: Sequence[Sample], raw: Sequence[Sample] | None) -> str:
    rates = [sample.rate for sample in samples]
    spread = Spread.of(rates)
    ratio = low_to_high = ""
    if raw is not None:
        against = paired_ratios(rates, [sample.rate for sample in raw])
        ratio, low_to_high = figure(against.middle), f"{figure(against.low)}-{figure(against.high)}"
    return f"{one.label:<{_LABEL}}{spread.middle:>11,.0f}{_range(spread, 0):>20}{ratio:>9}{low_to_high:>14}"


def _time_row(one: Contender, samples: Sequence[Sample], raw: Sequence[Sample] | None) -> str:
    half, most = times(samples)
    ratio = "" if raw is None else figure(_p50_to(samples, raw).middle)
    return (
        f"{one.label:<{_LABEL}}{half.middle:>11.3f}{_range(half, 3):>20}{ratio:>9}"
        f"{most.middle:>11.3f}{_range(most, 3):>20}"
    )


def _cpu(samples: Sequence[Sample], raw: Sequence[Sample] | None) -> str:
    micros = [sample.cpu_micros for sample in samples]
    text = f"{Spread.of(micros).middle:>12.1f}"
    if raw is None:
        return text
    return f"{text}{figure(paired_ratios(micros, [sample.cpu_micros for sample in raw]).middle):>9}"


def raw_samples(rows: Sequence[Contender], one: Contender, kind: str, outcome: Outcome) -> list[Sample] | None:
    """Return what the first of the same group did in the same rounds; None if there is none, or it is itself."""
    raw = next((other for other in rows if other.raw and other.group == one.group), None)
    return None if raw is None or raw is one else outcome.results.get(raw.key, {}).get(kind)


def times(samples: Sequence[Sample]) -> tuple[Spread, Spread]:
    """Return p50 over the rounds, and p99 of the sends of all rounds together, in milliseconds."""
    half, most = Spread.of([percentile(sample.single, 50) for sample in samples]), pooled(samples, 99)
    return half.times(1000), most.times(1000)


def _p50_to(samples: Sequence[Sample], raw: Sequence[Sample]) -> Spread:
    return paired_ratios(*([percentile(sample.single, 50) for sample in each] for each in (samples, raw)))


def _range(spread: Spread, digits: int) -> str:
    return f"{spread.low:,.{digits}f}-{spread.high:,.{digits}f}"


def figure(ratio: float) -> str:
    """Two significant digits or two decimals: 0.03, 1.70, 12."""
    if ratio >= 20:
        return f"{ratio:.0f}"
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def _legend(plan: Plan) -> str:
    spread = (
        "Medians over the rounds, ranges from the lowest to the highest; ratios are taken round by round.\n"
        "p99 is that of the sends of all rounds together, with the range of each round's."
    )
    return (
        (spread if plan.rounds > 1 else "One round: nothing is known about the spread.")
        + "\n'x first' and '/ first' compare with the first row of the block. CPU is the client process, all threads.\n"
        "Machine, load and broker make the absolute figures: compare inside one run only."
    )
