"""AX-60 ... AX-71, as far as no broker is needed: constructors, names, defaults, laziness, missing drivers."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass

import pytest
from support_core import run_program

import aspyx_event
from aspyx_event import AMQPProvider, DeclarationError, Envelope, LocalProvider, QueueNaming, StompProvider, event
from aspyx_event.engine.subscribing.queues import queue_name
from aspyx_event.exceptions import ConnectError, ConnectionLostError
from aspyx_event.free_form import GenericEvent
from aspyx_event.listeners import event_handler, handler_declarations
from aspyx_event.providers import Binding, Outgoing, Provider
from aspyx_event.registry import EventRegistry
from aspyx_event.targets import routes_of
from aspyx_event.topics import TopicRegistry


def _signature(cls):
    parameters = inspect.signature(cls).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_the_amqp_constructor_keeps_names_order_and_defaults():
    expected = {"server_name": inspect.Parameter.empty, "host": "localhost", "port": 61616, "user": "", "password": ""}
    assert _signature(AMQPProvider) == expected
    assert list(_signature(AMQPProvider)) == list(expected)


def test_both_documented_names_are_one_class():
    assert aspyx_event.AMQProvider is AMQPProvider  # type: ignore[attr-defined]


def test_a_server_name_is_needed():
    with pytest.raises(DeclarationError, match="server_name"):
        AMQPProvider("")
    with pytest.raises(TypeError):
        AMQPProvider()  # type: ignore[call-arg]


def test_a_provider_never_shows_its_password():
    for provider in (AMQPProvider("s", password="s3cret", user="u"), StompProvider(password="s3cret", user="u")):
        assert "s3cret" not in repr(provider)
        assert "s3cret" not in repr(vars(provider))


def test_importing_and_constructing_loads_no_driver_and_opens_nothing(tmp_path):
    done = run_program(
        """
        import sys, socket, threading
        socket.socket.connect = None
        from aspyx_event import AMQPProvider, AMQProvider, EventManager, StompProvider
        EventManager(AMQPProvider("s", "no.such.host")), EventManager(StompProvider("no.such.host"))
        loaded = [name for name in ("proton", "cproton", "stomp") if name in sys.modules]
        assert (loaded, threading.active_count()) == ([], 1), (loaded, threading.enumerate())
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("driver", "make", "cure"),
    [
        ("proton", "AMQPProvider('s')", "pip install 'aspyx-event[amqp]'"),
        ("stomp", "StompProvider()", "pip install 'aspyx-event[stomp]'"),
    ],
)
def test_a_missing_driver_is_named_with_the_command_that_installs_it(driver, make, cure, tmp_path):
    done = run_program(
        f"""
        import asyncio, sys
        sys.modules[{driver!r}] = sys.modules["c{driver}"] = None
        from aspyx_event import *
        import aspyx_event.exceptions

        async def main():
            try:
                await EventManager({make}).start()
            except aspyx_event.exceptions.MissingDriverError as error:
                print(error)

        asyncio.run(main())
        """,
        tmp_path,
    )
    assert cure in done.stdout, done.stderr


@event(name="addresses.hello")
@dataclass
class Hello:
    text: str


def _queue(**keywords):
    naming = keywords.pop("naming", QueueNaming.LISTENER)

    @event_handler(Hello, **keywords)
    def handler(event):
        """Never called."""

    [declaration] = handler_declarations(handler)
    routes = routes_of(
        Hello,
        EventRegistry(),
        subtypes=False,
        free_form=GenericEvent,
        find_topic=TopicRegistry().register,  # type: ignore[arg-type]
    )
    descriptor = declaration.describe(handler, routes)
    return queue_name(descriptor, routes[0], LocalProvider(server_name="srv-1", queue_naming=naming))


def test_a_queue_is_named_after_the_listener_and_with_per_process_after_the_server_too():
    assert _queue(name="Audit") == "Audit"
    assert _queue(name="Audit", per_process=True, resumable=True) == "Audit-srv-1"
    assert _queue(name="Audit", group="auditors") == "auditors"


def test_a_volatile_queue_per_process_needs_no_name():
    assert _queue(name="Audit", per_process=True) is None


def test_queue_names_may_be_qualified_by_the_event_for_brokers_with_one_name_space():
    assert _queue(name="Audit", naming=QueueNaming.QUALIFIED) == "addresses.hello.Audit"


def test_reconnecting_is_configured_and_on_by_default():
    for provider in (AMQPProvider("s"), StompProvider()):
        first, largest = provider._settings.backoff
        assert 0 < first <= largest
        assert provider._settings.max_retries is None


@pytest.mark.parametrize("make", [functools.partial(AMQPProvider, "s"), StompProvider])
def test_a_keyword_that_is_not_known_is_a_type_error_that_names_it(make):
    with pytest.raises(TypeError, match=r"Provider got an unexpected keyword argument 'hartbeat'"):
        make(hartbeat=1.0)
    with pytest.raises(TypeError, match="'protocol'"):
        make(protocol="STOMP")


@pytest.mark.parametrize("make", [LocalProvider, functools.partial(AMQPProvider, "s"), StompProvider])
async def test_subscribing_to_a_provider_that_is_not_started_is_a_connect_error(make):
    with pytest.raises(ConnectError, match=r"subscribe to 'addresses.hello': .* is not started"):
        await make().subscribe(Binding(address="addresses.hello", queue="q"), lambda delivery: None)


@pytest.mark.parametrize("make", [LocalProvider, functools.partial(AMQPProvider, "s"), StompProvider])
async def test_publishing_to_a_provider_that_is_not_started_fails_the_future(make):
    message = Outgoing(address="addresses.hello", envelope=Envelope(b"{}", {}), dedup_id="1")
    with pytest.raises(ConnectionLostError, match=r"publish to 'addresses.hello': .* is not started"):
        await make().publish(message)


def test_the_stomp_constructor_keeps_names_order_and_defaults():
    expected = {"host": "localhost", "port": 61616, "user": "", "password": ""}
    assert _signature(StompProvider) == expected
    assert list(_signature(StompProvider)) == list(expected)


def test_what_listeners_rely_on_is_offered_over_both_protocols():
    for feature in (
        "durable",
        "competing",
        "per_process",
        "ordered_keys",
        "delay",
        "ttl",
        "priority",
        "headers",
        "remote",
    ):
        assert getattr(AMQPProvider.capabilities, feature), feature
        assert getattr(StompProvider.capabilities, feature), feature
    assert issubclass(AMQPProvider, Provider)
    assert issubclass(StompProvider, Provider)
