"""Names of subscriptions and queues: nothing is shared that nobody wanted to share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest
from support_core import Recorder, eventually

from aspyx_event import (
    DeclarationError,
    EventConfiguration,
    EventManager,
    LocalProvider,
    QueueNaming,
    event,
)
from aspyx_event.database import MemoryInboxStore
from aspyx_event.database.deduplicate import Deduplicate


@event(name="names.placed")
@dataclass
class Placed:
    number: int = 1


@event(name="names.paid")
@dataclass
class Paid:
    number: int = 1


@event(name="names.kept", durable=True)
@dataclass
class Kept:
    number: int = 1


@event(name="names.kept-too", durable=True)
@dataclass
class KeptToo:
    number: int = 1


class Callback:
    def __call__(self, event):
        del event


def handle(event):
    del event


@pytest.fixture
async def applications():
    """Start the managers of two applications at one broker: ``await applications()``. *interceptors* makes those of each."""
    shared, started = LocalProvider(), []

    async def start(interceptors=list):
        for name in ("orders", "billing"):
            provider = LocalProvider(broker=shared.broker, queue_naming=QueueNaming.APPLICATION)
            manager = EventManager(provider, application=name, pipelines=interceptors())
            await manager.start()
            started.append(manager)
        return started

    yield start
    for manager in started:
        await manager.stop()


def _has_dead_letter(manager):
    return manager.stats.dead_letters == 1


async def test_lambdas_for_two_events_have_two_queues():
    async with EventManager(LocalProvider()) as manager:
        first = await manager.subscribe(Placed, lambda event: None)
        second = await manager.subscribe(Paid, lambda event: None)
        third = await manager.subscribe(Paid, handle)
        fourth = await manager.subscribe(Placed, handle)
        assert len({first.queue, second.queue, third.queue, fourth.queue}) == 4


@pytest.mark.parametrize("callback", [Callback(), partial(handle), lambda event: None])
def test_a_queue_that_stays_needs_a_name_that_somebody_chose(callback):
    """The name of a class, `partial` or `lambda`, would be that of any other application's queue too."""
    manager = EventManager(LocalProvider())
    with pytest.raises(DeclarationError, match=r"names\.kept.*durable.*no name of its own.*name="):
        manager.subscribe(Kept, callback)
    manager.subscribe(Kept, callback, name="chosen")
    manager.stop()


def test_a_number_is_not_a_name_for_a_queue_that_stays():
    """It would depend on the order of subscribing, which the next version of the program may change."""
    manager = EventManager(LocalProvider())
    manager.subscribe(Kept, handle)
    with pytest.raises(DeclarationError, match=r"names\.kept-too.*'handle' is the name of another.*name="):
        manager.subscribe(KeptToo, handle)
    manager.stop()


async def test_two_applications_with_one_listener_name_get_every_event_each(applications):
    """Also where their listeners have one name; with QUALIFIED they would take events from each other."""
    managers, received = await applications(), []
    for manager in managers:
        received.append(Recorder())
        subscription = await manager.subscribe(Kept, received[-1], name="audit")
        assert subscription.queue == f"{manager.configuration.application}.names.kept.audit"
    for number in range(3):
        await managers[0].send_event(Kept(number))
    await eventually(lambda: all(len(recorder.handled) == 3 for recorder in received))


async def test_dead_letters_of_two_applications_do_not_mix(applications):
    managers = await applications()

    def fail(event):
        raise ValueError(event.number)

    for manager in managers:
        await manager.subscribe(Kept, fail, name="audit")
    await managers[0].send_event(Kept(7))
    for manager in managers:
        await eventually(partial(_has_dead_letter, manager))
        (letter,) = await manager.dead_letters.list("audit")
        assert letter.subscription == f"{manager.configuration.application}.audit"
        assert await manager.dead_letters.purge() == 1


def test_queues_named_after_an_application_need_its_name():
    manager = EventManager(LocalProvider(queue_naming=QueueNaming.APPLICATION))
    with pytest.raises(DeclarationError, match=r"'handle'.*QueueNaming\.APPLICATION.*application='orders'"):
        manager.subscribe(Placed, handle)
    manager.stop()


async def test_the_configuration_names_the_application_too(tmp_path):
    path = tmp_path / "event.yaml"
    path.write_text("event:\n  application: orders\n")
    configuration = EventConfiguration.from_yaml(path)
    assert EventConfiguration.from_mapping(configuration.as_dict()) == configuration
    provider = LocalProvider(queue_naming=QueueNaming.APPLICATION)
    async with EventManager(provider, configuration=configuration) as manager:
        subscription = await manager.subscribe(Placed, handle)
        assert subscription.queue == "orders.names.placed.handle"
    with pytest.raises(DeclarationError, match="application name"):
        EventConfiguration(application="a*b")


async def test_two_applications_may_share_an_inbox(applications):
    """One application's entry must not make the other one skip the event."""
    inbox, recorders = MemoryInboxStore(), []
    managers = await applications(lambda: [Deduplicate(inbox)])
    for manager in managers:
        recorders.append(Recorder())
        await manager.subscribe(Kept, recorders[-1], name="audit")
    await managers[0].send_event(Kept(1))
    await eventually(lambda: all(recorder.handled for recorder in recorders))


async def test_events_returned_by_listeners_of_one_name_have_ids_of_their_own(applications):
    """A broker that drops duplicates would keep one of the two."""
    managers, ids = await applications(), []
    for manager in managers:
        await manager.subscribe(Placed, lambda event: Paid(event.number), name="bill")
    await managers[0].subscribe(Paid, lambda event, context: ids.append(context.event_id), name="ids", inline=True)
    await managers[0].send_event(Placed(1))
    await eventually(lambda: len(ids) == 2)
    assert len(set(ids)) == 2
