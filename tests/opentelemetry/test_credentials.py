"""A password is told to the broker and to nobody else: not in logs, errors, representations, health, spans or metrics."""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback

import pytest
from support_core import Recorder, eventually
from support_observability import everything_logged

from aspyx_event import AMQPProvider, DeclarationError, EventException, EventManager, StompProvider
from aspyx_event.exceptions import AuthenticationError, ConnectError
from aspyx_event.testing.conformance.processes import numbered_event

SECRET = "s3cr3t-zwiebelkuchen"
PROVIDERS = {"amqp": AMQPProvider, "stomp": StompProvider}
#: The password as it may look on its way through code that tells too much.
SHAPES = [
    SECRET,
    base64.b64encode(SECRET.encode()).decode(),
    base64.b64encode(b"\0admin\0" + SECRET.encode()).decode(),
    SECRET.encode().hex(),
]


class Everything(logging.Handler):
    """All that could be written of all records, at all levels."""

    def __init__(self):
        super().__init__(logging.NOTSET)
        self.lines = []
        self.formatter = logging.Formatter()

    def emit(self, record):
        self.lines.append(f"{self.format(record)} {record.__dict__!r}")


@pytest.fixture
def log():
    with everything_logged(Everything()) as handler:
        yield handler


def check(*texts):
    """No shape of the password in anything."""
    whole = "\n".join(map(str, texts))
    assert whole
    for shape in SHAPES:
        assert shape not in whole


def chain(error):
    """Everything an exception and those behind it would print, their attributes included."""
    found = ["".join(traceback.format_exception(type(error), error, error.__traceback__)), repr(error)]
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found += [repr(error.args), repr(vars(error)), repr(getattr(error, "__notes__", ""))]
        error = error.__cause__ or error.__context__
    return "\n".join(found)


def make(kind, host="127.0.0.1", port=1, **options):
    first = {"server_name": "server-1"}
    return PROVIDERS[kind](
        **{**first, "host": host, "port": port, "user": "admin", "password": SECRET, "start_timeout": 0.3, **options}
    )


def shown(provider):
    return [repr(provider), str(provider), repr(provider._settings), repr(provider.servers)]


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_nothing_tells_it_where_nobody_listens(told, log, kind):
    provider = make(kind)
    manager = EventManager(provider, observers=[told.telemetry()])
    with pytest.raises(ConnectError) as caught:
        await manager.start()
    health = await manager.health()
    await manager.stop()
    check(*shown(provider), chain(caught.value), health, health.as_dict(), *log.lines)


@pytest.mark.broker
@pytest.mark.parametrize("kind", PROVIDERS)
async def test_nothing_tells_it_when_the_broker_refuses_it(told, log, broker, kind):
    provider = make(kind, broker.host, broker.port)
    manager = EventManager(provider, observers=[told.telemetry()])
    with pytest.raises(AuthenticationError) as caught:
        await manager.start()
    health = await manager.health()
    await manager.stop()
    check(*shown(provider), chain(caught.value), health.as_dict(), *log.lines)


@pytest.mark.broker
async def test_nothing_tells_it_while_all_is_well_and_when_the_broker_dies(told, log, own_broker, unique):
    broker = await asyncio.to_thread(own_broker, users={"clerk": (SECRET, "amq")})
    telemetry, texts = told.telemetry(), []
    options = {"user": "clerk", "start_timeout": 30.0, "confirm_timeout": 1.0}
    providers = [make(kind, broker.host, broker.port, **options) for kind in PROVIDERS]
    managers = [EventManager(provider, observers=[telemetry]) for provider in providers]
    for kind, manager in zip(PROVIDERS, managers, strict=True):
        order = numbered_event(f"{unique}.{kind}", durable=True)
        seen = Recorder([LookupError("no")])
        await manager.subscribe(order, seen, name=f"{unique}.{kind}.billing")
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        await eventually(lambda seen=seen: seen.handled)  # type: ignore[misc]
        health = await manager.health()
        assert health.ready
        (letter,) = await manager.dead_letters.list()
        texts += [health.as_dict(), repr(letter), letter.headers, letter.cause, letter.cause.traceback]
    texts.append(told.reader.get_metrics_data().to_json())
    await asyncio.to_thread(broker.kill)
    for manager in managers:
        await eventually(lambda manager=manager: not manager.provider.connected)  # type: ignore[misc]
        protocol = manager.provider.name
        assert (protocol, 0) in [
            (attributes["network.protocol.name"], value) for attributes, value in told.points("aspyx_event.connected")
        ]
        with pytest.raises(EventException) as caught:
            await manager.send_event(order(3))
        texts += [chain(caught.value), (await manager.health()).as_dict(), *shown(manager.provider)]
        await manager.stop()
    assert len(told.spans) > 10
    check(*texts, *(span.to_json() for span in told.spans), *log.lines)


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize(
    "options",
    [
        {"host": f"amqp://admin:{SECRET}@localhost"},
        {"host": f"admin:{SECRET}@localhost"},
        {"host": f"tcp://admin:{SECRET}@localhost:61616"},
        {"failover": [f"amqp://admin:{SECRET}@localhost:5672"]},
        {"failover": [f"admin:{SECRET}@localhost:5672"]},
        {"failover": [f"admin:{SECRET}@localhost"]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_url_in_the_place_of_a_host_is_refused_without_its_password(log, kind, options):
    with pytest.raises(DeclarationError, match="localhost") as caught:
        make(kind, **{"host": "localhost", **options})
    check(str(caught.value), repr(caught.value), *log.lines)
