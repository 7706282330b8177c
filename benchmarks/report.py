"""Results as text for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from .measure import Sample, Spread, paired_ratios
from .rounds import Outcome, Plan
from .settings import CONFIRM, KINDS, TITLES, Contender

_LABEL = 28
_RATE_HEADER = f"{'':<{_LABEL}}{'messages/s':>11}{'range':>20}{'x raw':>8}{'range':>14}{'CPU us/msg':>12}{'/ raw':>7}"
_TIME_HEADER = f"{'':<{_LABEL}}{'p50 ms':>11}{'range':>20}{'/ raw':>8}{'p99 ms':>14}{'CPU us/msg':>12}{'/ raw':>7}"


def table(plan: Plan, outcome: Outcome) -> str:
    """Return one table per kind of work."""
    lines: list[str] = []
    for kind in KINDS:
        rows = [one for one in plan.contenders if outcome.results[one.key].get(kind)]
        if rows:
            header = _TIME_HEADER if kind == CONFIRM else _RATE_HEADER
            lines += ["", TITLES[kind], header, *_rows(rows, kind, outcome)]
    lines += ["", _legend(plan)]
    return "\n".join(lines)


def settings(plan: Plan, machine: dict[str, Any]) -> str:
    """Return what everybody should know before reading a figure."""
    order, packages = plan.order, machine["packages"]
    hardware = f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['architecture']}"
    lines = [
        f"machine    {hardware}, {machine['system']}, load {machine['load']}",
        f"versions   {machine['python']}, " + ", ".join(f"{name} {number}" for name, number in packages.items()),
        *([f"broker     {machine['broker']}, {machine['broker_settings']}"] if "broker" in machine else []),
        "message    5 CloudEvents attributes, content type, duplicate id, 2 user headers, 200 bytes of JSON; durable",
        f"settings   {order.messages} messages per round ("
        + ", ".join(f"{one.key} {one.scale}x" for one in plan.contenders if one.scale > 1)
        + f"), {order.confirms} single sends, {order.in_flight} sends in flight, prefetch {order.prefetch}",
        f"rounds     {plan.rounds} and a warm-up, interleaved, each contender in a process of its own every time",
    ]
    return "\n".join(line.replace(" (), ", ", ") for line in lines)


def as_json(plan: Plan, outcome: Outcome, machine: dict[str, Any]) -> dict[str, Any]:
    """Return everything that was measured, and the ratios to the raw client of the same protocol."""
    order = plan.order
    return {
        "machine": machine,
        "settings": {
            "rounds": outcome.rounds,
            "messages": order.messages,
            "confirms": order.confirms,
            "in_flight": order.in_flight,
            "prefetch": order.prefetch,
        },
        "seconds": round(outcome.seconds, 1),
        "contenders": {
            one.key: {
                "label": one.label,
                "group": one.group,
                "raw": one.raw,
                "messages": order.messages * one.scale,
                "work": {kind: _work(one, kind, plan, outcome) for kind in outcome.results[one.key]},
            }
            for one in plan.contenders
        },
    }


def _work(one: Contender, kind: str, plan: Plan, outcome: Outcome) -> dict[str, Any]:
    samples = outcome.results[one.key][kind]
    raw = _raw_samples(plan.contenders, one, kind, outcome)
    return {
        "samples": [asdict(sample) for sample in samples],
        "rate": asdict(Spread.of([sample.rate for sample in samples])),
        "cpu_micros": asdict(Spread.of([sample.cpu_micros for sample in samples])),
        **({} if raw is None else _ratios(samples, raw, kind)),
    }


def _ratios(samples: Sequence[Sample], raw: Sequence[Sample], kind: str) -> dict[str, Any]:
    if kind == CONFIRM:
        main = paired_ratios(_times(samples, "p50"), _times(raw, "p50"))
    else:
        main = paired_ratios([sample.rate for sample in samples], [sample.rate for sample in raw])
    cpu = paired_ratios([sample.cpu_micros for sample in samples], [sample.cpu_micros for sample in raw])
    return {("p50" if kind == CONFIRM else "rate") + "_to_raw": asdict(main), "cpu_to_raw": asdict(cpu)}


def _rows(rows: Sequence[Contender], kind: str, outcome: Outcome) -> Iterator[str]:
    group = rows[0].group
    for one in rows:
        if one.group != group:
            group = one.group
            yield ""
        samples = outcome.results[one.key][kind]
        against = _raw_samples(rows, one, kind, outcome)
        yield _time_row(one, samples, against) if kind == CONFIRM else _rate_row(one, samples, against)


def _rate_row(one: Contender, samples: Sequence[Sample], raw: Sequence[Sample] | None) -> str:
    rates = [sample.rate for sample in samples]
    spread = Spread.of(rates)
    ratio = low_to_high = ""
    if raw is not None:
        against = paired_ratios(rates, [sample.rate for sample in raw])
        ratio, low_to_high = _figure(against.median), f"{_figure(against.low)}-{_figure(against.high)}"
    return (
        f"{one.label:<{_LABEL}}{spread.median:>11,.0f}{_range(spread, 0):>20}{ratio:>8}{low_to_high:>14}"
        f"{_cpu(samples, raw)}"
    )


def _time_row(one: Contender, samples: Sequence[Sample], raw: Sequence[Sample] | None) -> str:
    middle, worst = Spread.of(_times(samples, "p50")), Spread.of(_times(samples, "p99"))
    ratio = "" if raw is None else _figure(paired_ratios(_times(samples, "p50"), _times(raw, "p50")).median)
    return (
        f"{one.label:<{_LABEL}}{middle.median:>11.3f}{_range(middle, 3):>20}{ratio:>8}{worst.median:>14.3f}"
        f"{_cpu(samples, raw)}"
    )


def _cpu(samples: Sequence[Sample], raw: Sequence[Sample] | None) -> str:
    micros = [sample.cpu_micros for sample in samples]
    text = f"{Spread.of(micros).median:>12.1f}"
    if raw is None:
        return text
    return f"{text}{_figure(paired_ratios(micros, [sample.cpu_micros for sample in raw]).median):>7}"


def _raw_samples(rows: Sequence[Contender], one: Contender, kind: str, outcome: Outcome) -> list[Sample] | None:
    """Return what the raw client of the same group did in the same rounds; None if there is none, or it is itself."""
    raw = next((other for other in rows if other.raw and other.group == one.group), None)
    return None if raw is None or raw is one else outcome.results[raw.key].get(kind)


def _times(samples: Sequence[Sample], which: str) -> list[float]:
    return [getattr(sample, which) * 1000 for sample in samples]


def _range(spread: Spread, digits: int) -> str:
    return f"{spread.low:,.{digits}f}-{spread.high:,.{digits}f}"


def _figure(ratio: float) -> str:
    """Two significant digits or two decimals: 0.03, 1.70, 12."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def _legend(plan: Plan) -> str:
    spread = "Medians over the rounds, ranges from the lowest to the highest; ratios are taken round by round."
    return (
        (spread if plan.rounds > 1 else "One round: nothing is known about the spread.")
        + "\n'x raw' and '/ raw' compare with the first row of the block. CPU is the client process, all threads.\n"
        "Machine, load and broker make the absolute figures: compare inside one run only."
    )
