"""AX-14, AX-23, AX-40 ... AX-49 in a container: injection, isolation of environments, start and stop."""

from __future__ import annotations

import asyncio
import threading

import apps_brittle.brittle_module as brittle
import apps_crowd.crowd_module as crowd
import apps_harbour.listeners as harbour_listeners
import apps_meadow.meadow_module as meadow
import pytest
from apps_annex.annex_module import AnnexModule
from apps_events import ShipArrived
from apps_harbour.harbour_module import HarbourModule
from apps_harbour.services import Ledger
from apps_needy.needy_module import NeedyModule
from aspyx.di import Environment
from support_core import eventually, settle, soon

from aspyx_event import EventManager, QueueNaming, StateError
from aspyx_event.exceptions import ListenerError, QueueClashError

HARBOUR = {"harbour.clerk", "harbour.watch", "Crane.unload"}


@pytest.fixture(autouse=True)
def fresh():
    harbour_listeners.built.clear()
    meadow.seen.clear()
    brittle.seen.clear()
    brittle.moods["broken"] = True
    crowd.naming["policy"] = QueueNaming.LISTENER


def _written(environment: Environment) -> set[str]:
    return {who for who, _ in environment.get(Ledger).lines}


def _names(manager: EventManager) -> set[str]:
    return {one.name for one in manager.list_subscriptions()}


async def test_listeners_are_injected_with_beans_configuration_and_their_environment():
    environment = Environment(HarbourModule)
    await environment.start()
    clerk = environment.get(harbour_listeners.Clerk)
    assert clerk.ledger is environment.get(Ledger)
    assert clerk.environment is environment
    assert clerk.berths == 7
    await environment.stop()


async def test_a_listener_is_built_at_start_and_once():
    environment = Environment(HarbourModule)
    assert harbour_listeners.built == []
    await environment.start()
    manager = environment.get(EventManager)
    await manager.send_event(ShipArrived("a"))
    await manager.send_event(ShipArrived("b"))
    await eventually(lambda: len([who for who, _ in environment.get(Ledger).lines if who == "clerk"]) == 2)
    assert harbour_listeners.built == [environment.get(harbour_listeners.Clerk)]
    await environment.stop()


def test_a_listener_whose_dependency_nobody_provides_fails_with_its_name():
    with pytest.raises(ListenerError, match=r"needy_module\.NeedyListener cannot be built: .*Missing.*@injectable\(\)"):
        Environment(NeedyModule)


async def test_a_listener_whose_constructor_fails_stops_the_start_with_its_name_and_cause():
    environment = Environment(brittle.BrittleModule)
    with pytest.raises(ListenerError, match=r"brittle_module\.BrittleListener cannot be built: .*the ink is dry"):
        await environment.start()
    manager = environment.get(EventManager)
    assert not manager.running
    brittle.moods["broken"] = False
    await manager.start()
    await manager.send_event(ShipArrived("mended"))
    await eventually(lambda: brittle.seen)
    await environment.stop()


def test_the_first_send_of_a_plain_script_says_which_listener_cannot_be_built():
    environment = Environment(brittle.BrittleModule)
    manager = environment.get(EventManager)
    with pytest.raises(ListenerError, match="BrittleListener"):
        manager.send_event(ShipArrived("a"))
    brittle.moods["broken"] = False
    manager.send_event(ShipArrived("b"))
    assert brittle.seen == [ShipArrived("b")]
    environment.destroy()


async def test_interceptors_are_beans_ordered_by_order_and_the_last_declared_outermost():
    environment = Environment(HarbourModule)
    await environment.start()
    await environment.get(EventManager).send_event(ShipArrived("a"), headers={"session": "s-1"})
    await eventually(lambda: _written(environment) == {"session", "clerk", "watch", "crane"})
    lines = environment.get(Ledger).lines
    assert ("clerk", (ShipArrived("a"), "s-1", "s21i")) in lines
    assert ("watch", (ShipArrived("a"), "s-1")) in lines
    assert {what for who, what in lines if who == "session"} == HARBOUR
    await environment.stop()


def test_the_environment_gives_the_one_manager_of_its_module():
    environment = Environment(HarbourModule)
    manager = environment.get(EventManager)
    assert isinstance(manager, EventManager)
    assert environment.get(EventManager) is manager
    assert not manager.running


async def test_two_environments_of_one_process_do_not_see_each_other():
    harbour, field = Environment(HarbourModule), Environment(meadow.MeadowModule)
    await harbour.start()
    await field.start()
    assert _names(harbour.get(EventManager)) == HARBOUR
    assert _names(field.get(EventManager)) == {"Shepherd"}
    await harbour.get(EventManager).send_event(ShipArrived("ship"))
    await eventually(lambda: _written(harbour) == {"session", "clerk", "watch", "crane"})
    assert meadow.seen == []
    await field.get(EventManager).send_event(ShipArrived("sheep"))
    await eventually(lambda: len(meadow.seen) == 2)
    await settle()
    assert meadow.seen == [("fence", ""), ShipArrived("sheep")]
    assert all("sheep" not in repr(line) for line in harbour.get(Ledger).lines)
    await field.stop()
    await harbour.stop()


async def test_two_environments_of_one_module_have_listeners_of_their_own():
    one, two = Environment(HarbourModule), Environment(HarbourModule)
    await one.start()
    await two.start()
    await one.get(EventManager).send_event(ShipArrived("only one"))
    await eventually(lambda: "crane" in _written(one))
    assert _written(two) == set()
    assert one.get(harbour_listeners.Clerk) is not two.get(harbour_listeners.Clerk)
    await one.stop()
    await two.stop()


async def test_a_child_environment_has_its_own_listeners_and_its_parents_beans():
    parent = Environment(HarbourModule)
    child = Environment(AnnexModule, parent=parent)
    await parent.start()
    await child.start()
    assert _names(parent.get(EventManager)) == HARBOUR
    assert _names(child.get(EventManager)) == {"Guest"}
    await child.get(EventManager).send_event(ShipArrived("guest"))
    await eventually(lambda: _written(parent) == {"guest"})
    await child.stop()
    assert parent.get(EventManager).running
    await parent.stop()


async def test_the_exception_manager_of_the_module_gets_what_a_listener_raises():
    environment = Environment(HarbourModule)
    await environment.start()
    manager = environment.get(EventManager)

    async def fail(event: ShipArrived) -> None:
        raise KeyError(event.name)

    await manager.subscribe(ShipArrived, fail)
    await manager.send_event(ShipArrived("lost"))
    module = environment.get(HarbourModule)
    assert (await eventually(lambda: module.caught))[0].args == ("lost",)
    await environment.stop()


async def test_a_stopped_environment_leaves_no_thread_and_no_running_manager():
    before = set(threading.enumerate())
    environment = Environment(HarbourModule)
    await environment.start()
    await environment.get(EventManager).send_event(ShipArrived("a"))
    await eventually(lambda: "watch" in _written(environment))
    await environment.stop()
    manager = environment.get(EventManager)
    await eventually(lambda: set(threading.enumerate()) <= before)
    assert not manager.running
    with pytest.raises(StateError, match=r"stopped; call `await manager\.start\(\)`"):
        manager.send_event(ShipArrived("b"))


def test_a_plain_script_starts_sends_and_destroys_from_three_loops():
    before = set(threading.enumerate())
    environment = Environment(HarbourModule)
    manager = environment.get(EventManager)
    manager.send_event(ShipArrived("plain"))
    assert _written(environment) == {"session", "clerk", "watch", "crane"}
    asyncio.run(environment.start())
    manager.send_event(ShipArrived("again"))
    environment.destroy()
    assert not manager.running
    assert soon(lambda: set(threading.enumerate()) <= before)


async def test_one_queue_for_two_events_is_refused_at_start_naming_both_sides_and_the_cures():
    environment = Environment(crowd.CrowdModule)
    with pytest.raises(QueueClashError) as caught:
        await environment.start()
    for word in ("apps.ship-arrived", "apps.train-arrived", "'crowd.greeter'", "name=", "QueueNaming.QUALIFIED"):
        assert word in str(caught.value)
    assert environment.get(EventManager).list_subscriptions() == []
    await environment.stop()


async def test_qualified_queues_never_clash_and_a_stacked_listener_is_no_clash_anyway():
    crowd.naming["policy"] = QueueNaming.QUALIFIED
    environment = Environment(crowd.CrowdModule)
    await environment.start()
    assert {(one.name, one.queue) for one in environment.get(EventManager).list_subscriptions()} == {
        ("crowd.stacked", "apps.train-arrived.crowd.stacked"),
        ("crowd.stacked", "apps.ship-arrived.crowd.stacked"),
        ("crowd.greeter", "apps.train-arrived.crowd.greeter"),
        ("crowd.greeter", "apps.ship-arrived.crowd.greeter"),
    }
    await environment.stop()
