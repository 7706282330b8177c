"""What an import of the package loads, and what it leaves to those who use it."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = "import json, sys\n{}\nprint(json.dumps(sorted(sys.modules)))"
# aspyx reads its configuration with yaml, and other versions of either may load more than these do.
DEPENDENCIES = "import aspyx.di\nfrom pydantic import BaseModel, TypeAdapter"

DECLARATIONS = """
from dataclasses import dataclass
from aspyx_event import (
    ANY, AbstractEnvelopePipeline, EventContext, EventException, EventListener, EventModule, GenericEvent, Retry, Topic,
    correlated, envelope_pipeline, event, event_handler, event_listener, header, sends, upcaster, want,
)

@event(name="shop.order-placed", durable=True)
@dataclass
class OrderPlaced:
    order_id: int

@event_listener(OrderPlaced, name="billing", retry=Retry(attempts=5), concurrency=4, order_by="order_id")
class Billing(EventListener[OrderPlaced]):
    async def on(self, event: OrderPlaced, context: EventContext) -> None: ...

@event_handler("shop.*", when=header("tenant", "a"))
def audit(event: GenericEvent) -> None: ...

@envelope_pipeline(order=10)
class SessionPipeline(AbstractEnvelopePipeline): ...
"""

FIRST = """
import importlib, sys
for first in {modules}:
    for name in [name for name in sys.modules if name.startswith("aspyx_event")]:
        del sys.modules[name]
    importlib.import_module(first, "aspyx_event")
"""

# What makes an application run, and nothing that declares one needs.
ENGINE = ["asyncio", "concurrent.futures", "ssl", "aspyx_event.manager"]
ENGINE_PACKAGES = ["aspyx_event.engine.", "aspyx_event.providers.", "aspyx_event.database."]

# What a program pays for when it uses it: drivers and extras, and parts that most programs do without.
LOADED_WHEN_USED = {
    "asyncpg",
    "concurrent.futures.thread",
    "httpx",
    "importlib.metadata",
    "jsonschema",
    "opentelemetry",
    "proton",
    "pydantic.json_schema",
    "pydantic.networks",
    "rich",
    "sqlalchemy",
    "starlette",
    "stomp",
    "typer",
    "aspyx_event.asyncapi",
    "aspyx_event.cloudevents",
    "aspyx_event.contracts.check",
    "aspyx_event.engine.operations.dead_letters",
    "aspyx_event.engine.operations.health",
    "aspyx_event.database.deduplicate",
    "aspyx_event.opentelemetry",
    "aspyx_event.providers.amqp",
    "aspyx_event.providers.local",
    "aspyx_event.providers.stomp",
    "aspyx_event.standard_events",
    "aspyx_event.database.memory",
    "aspyx_event.database.sql_database",
    "aspyx_event.testing",
}


def modules_after(code):
    done = subprocess.run([sys.executable, "-c", LOADED.format(code)], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def before():
    return modules_after(DEPENDENCIES)


@pytest.fixture(scope="module")
def package():
    return importlib.import_module("aspyx_event")


def test_importing_the_package_loads_none_of_its_modules():
    found = modules_after("import aspyx_event")
    assert {name for name in found if name.startswith("aspyx_event")} == {"aspyx_event"}
    assert not found & {"pydantic", "aspyx", "asyncio", "dataclasses", "inspect"}


def test_declarations_load_neither_asyncio_nor_the_engine(before, tmp_path):
    # Decorators ask where a class stands, so it stands in a file.
    declared = tmp_path / "declared_events.py"
    declared.write_text(DECLARATIONS)
    found = modules_after(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport declared_events") - before
    assert "aspyx_event.listeners" in found
    assert not found & {*ENGINE, *LOADED_WHEN_USED}
    assert not [name for name in found if name.startswith(tuple(ENGINE_PACKAGES))]


def test_the_manager_loads_only_what_every_program_needs(before):
    found = modules_after("from aspyx_event import EventManager, event, event_listener") - before
    assert "aspyx_event.engine.receiving.dispatch" in found
    assert not found & LOADED_WHEN_USED


def stubbed(package):
    """Where each name of the stub is: name -> module."""
    stub = Path(package.__file__).with_suffix(".pyi")
    return {
        alias.asname: f".{node.module}"
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_root_has_at_most_fifty_names(package):
    assert set(package.__all__) == set(stubbed(package))
    assert len(package.__all__) <= 50, "what else comes into the root needs a reason"


def test_a_name_of_the_root_is_the_one_of_its_module_and_looked_up_once(package):
    for name, module in stubbed(package).items():
        there = getattr(importlib.import_module(module, "aspyx_event"), name)
        assert getattr(package, name) is there
        assert vars(package)[name] is there


def test_dir_knows_every_name_before_it_is_loaded():
    modules_after("import aspyx_event; assert set(aspyx_event.__all__) <= set(dir(aspyx_event))")


def test_a_star_import_has_every_name():
    modules_after("from aspyx_event import *; import aspyx_event; assert set(aspyx_event.__all__) <= set(globals())")


def test_any_module_with_a_public_name_may_be_the_first_that_is_loaded(package):
    modules = sorted(set(stubbed(package).values()))
    modules_after(FIRST.format(modules=modules))
