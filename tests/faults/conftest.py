"""Fixtures of the fault tests: a broker to maltreat and a rig per test.

What a failed test wrote stays in a folder below `.cache/faults`, whose path is printed. `support_faults_summary` has the
variables that choose the set and the seed, and the table at the end of a run.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from support_faults_figures import Figures
from support_faults_rig import BrokerLossError, Rig, restore
from support_faults_summary import FIGURES, LONG, SEED
from support_full_addresses import FULL_ADDRESSES
from support_left_out import deselect

from aspyx_event.testing import ArtemisBroker, BrokerConfig, Management

_FOLDER = pytest.StashKey[Path]()
_PASSED = pytest.StashKey[bool]()
_BROKER_LOST = pytest.StashKey[bool]()
#: How often a test is begun, should the broker lose its data each time.
_ATTEMPTS = 3


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    here = Path(__file__).parent
    mine = [item for item in items if here in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.broker)
        item.add_marker(pytest.mark.faults)
        if LONG:
            item.add_marker(pytest.mark.faults_long)
            item.add_marker(pytest.mark.timeout(900))
    yield  # -k and -m select
    if not LONG:
        proofs = [item for item in items if item in mine and item.get_closest_marker("faults_long")]
        deselect(config, items, proofs, "tests of the long set of fault tests: make faults")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None):
    """Repeat a test in which the broker lost its own data: that is counted, and says nothing of the framework."""
    if Path(__file__).parent not in item.path.parents:
        return None
    hooks = item.ihook
    hooks.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(_ATTEMPTS):
        if attempt:
            item._initrequest()  # type: ignore[attr-defined]
        item.stash[_BROKER_LOST] = False
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not item.stash[_BROKER_LOST]:
            break
    for report in reports:
        hooks.pytest_runtest_logreport(report=report)
    hooks.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(BrokerLossError):
        item.stash[_BROKER_LOST] = True
    folder = item.stash.get(_FOLDER, None)
    if report.failed and folder is not None:
        report.sections.append(("ledger", f"seed {SEED} (FAULTS_SEED={SEED} repeats it), files in {folder}"))
    if report.when == "call" and folder is not None:
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture(scope="session")
def size() -> Callable[[int, int], int]:
    """`size(short, long)` gives the count of the set that runs."""
    return lambda short, long: long if LONG else short


@pytest.fixture(scope="session")
def fault_broker(tell) -> Iterator[ArtemisBroker]:
    """The broker that all fault tests maltreat; each of them leaves it running."""
    config = BrokerConfig(
        users={"app": ("secret", "amq")},
        # A client that vanished without a word gets its messages taken away after this many milliseconds.
        acceptors={"quick": {"amqpIdleTimeout": "4000"}},
        address_settings=FULL_ADDRESSES,
    )
    with ArtemisBroker.own(config, progress=tell) as broker:
        yield broker


@pytest.fixture(scope="session")
def fault_management(fault_broker: ArtemisBroker) -> Iterator[Management]:
    with Management(fault_broker) as calls:
        yield calls


@pytest.fixture
async def rig(
    request: pytest.FixtureRequest, protocol: str, fault_broker: ArtemisBroker, fault_management: Management
) -> AsyncIterator[Rig]:
    """A rig whose figures go to the table under the test's `fault` mark."""
    mark = request.node.get_closest_marker("fault")
    name = f"{time.strftime('%H%M%S')}-{request.node.name.replace('[', '-').rstrip(']')[:80]}"
    folder = request.config.rootpath / ".cache" / "faults" / name
    folder.mkdir(parents=True)
    request.node.stash[_FOLDER] = folder
    figures = Figures(mark.args[0] if mark else request.node.name, protocol, SEED)
    event = f"{mark.kwargs.get('prefix', '') if mark else ''}faults-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    own = Rig(fault_broker, fault_management, event, folder, figures)
    if mark:
        request.node.stash.setdefault(FIGURES, []).append(figures)
    yield own
    await own.close()
    figures.passed = request.node.stash.get(_PASSED, False)
    if figures.passed:
        shutil.rmtree(folder)
    else:
        own.keep_broker_log()
    restore(fault_broker)
    own.remove_queues()
