"""Traces without a word in the program: the entry point that `opentelemetry-instrument` looks for."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from aspyx_event import EventManager, LocalProvider
from aspyx_event.opentelemetry.instrumentor import AspyxEventInstrumentor
from aspyx_event.testing.conformance.processes import numbered_event

PROGRAM = """
from dataclasses import dataclass
from aspyx_event import EventManager, LocalProvider, event

@event(name="shop.order-placed")
@dataclass
class OrderPlaced:
    order_id: int

manager = EventManager(LocalProvider())
manager.subscribe(OrderPlaced, lambda order: None, name="billing")
manager.send_event(OrderPlaced(1))
"""


def test_an_unchanged_program_is_traced_and_measured(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = Path(sys.executable).parent / "opentelemetry-instrument"
    exporters = ["--traces_exporter", "console", "--metrics_exporter", "console", "--logs_exporter", "none"]
    done = subprocess.run(
        [str(command), *exporters, sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for name in ("create", "send", "receive", "process", "settle"):
        assert f'"name": "{name} shop.order-placed"' in done.stdout, done.stdout + done.stderr
    assert '"name": "messaging.process.duration"' in done.stdout


def test_the_entry_point_leads_to_it():
    (found,) = [
        point for point in metadata.entry_points(group="opentelemetry_instrumentor") if point.name == "aspyx_event"
    ]
    assert found.load() is AspyxEventInstrumentor


@pytest.fixture
def instrumented(told):
    instrumentor = AspyxEventInstrumentor()
    instrumentor.instrument(tracer_provider=told.tracers, meter_provider=told.meters, spans=["send"])
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


async def send(unique, **options):
    async with EventManager(LocalProvider(), **options) as manager:
        await manager.send_event(numbered_event(f"{unique}.order", durable=True)(1))


async def test_a_manager_with_telemetry_of_its_own_is_not_told_twice(told, instrumented, unique):
    await send(unique, observers=[told.telemetry(spans=["create"])])
    assert [span.name for span in told.spans] == [f"create {unique}.order"]


async def test_it_can_be_undone(told, instrumented, unique):
    await send(unique)
    assert [span.name for span in told.spans] == [f"send {unique}.order"]
    instrumented.uninstrument()
    await send(unique)
    assert len(told.spans) == 1
