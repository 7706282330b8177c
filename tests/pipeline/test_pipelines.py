"""AX-20 ... AX-33: interceptors on both sides, envelopes and headers, without a container."""

from __future__ import annotations

import json
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import pytest
from support_core import Recorder, eventually, settle

from aspyx_event import (
    AbstractEnvelopePipeline,
    DeclarationError,
    Envelope,
    EnvelopePipeline,
    EventDescriptor,
    EventListenerDescriptor,
    EventManager,
    LocalProvider,
    Retry,
    event,
)
from aspyx_event.exceptions import HeaderError

current_session: ContextVar[str] = ContextVar("current_session", default="")


@contextmanager
def session(name: str):
    token = current_session.set(name)
    try:
        yield
    finally:
        current_session.reset(token)


@event(name="pipelines.order", durable=True)
@dataclass
class Order:
    number: int


class SyncSession(AbstractEnvelopePipeline):
    """As the original documentation writes it: nothing awaited."""

    def send(self, envelope, event_descriptor):
        envelope.set("session", current_session.get())
        self.proceed_send(envelope, event_descriptor)

    def handle(self, envelope, event_listener_descriptor):
        with session(envelope.get("session")):
            self.proceed_handle(envelope, event_listener_descriptor)


class AsyncSession(AbstractEnvelopePipeline):
    async def send(self, envelope, event_descriptor):
        envelope.set("session", current_session.get())
        await self.proceed_send(envelope, event_descriptor)

    async def handle(self, envelope, event_listener_descriptor):
        with session(envelope.get("session")):
            await self.proceed_handle(envelope, event_listener_descriptor)


class Tracing(AbstractEnvelopePipeline):
    def __init__(self, name: str, log: list) -> None:
        super().__init__()
        self.name, self.log = name, log

    async def send(self, envelope, event_descriptor):
        self.log.append((self.name, "send", event_descriptor))
        await self.proceed_send(envelope, event_descriptor)
        self.log.append((self.name, "sent", event_descriptor))

    async def handle(self, envelope, event_listener_descriptor):
        self.log.append((self.name, "handle", event_listener_descriptor))
        await self.proceed_handle(envelope, event_listener_descriptor)
        self.log.append((self.name, "handled", event_listener_descriptor))

    def steps(self) -> list:
        return [(name, step) for name, step, _ in self.log]


class StopSending(AbstractEnvelopePipeline):
    def send(self, envelope, event_descriptor):
        """Does not proceed."""


class StopHandling(AbstractEnvelopePipeline):
    async def handle(self, envelope, event_listener_descriptor):
        """Does not proceed."""


class OnlySends(AbstractEnvelopePipeline):
    def send(self, envelope, event_descriptor):
        envelope.set("only", "sending")
        return self.proceed_send(envelope, event_descriptor)


class ReadsBody(AbstractEnvelopePipeline):
    bodies: list = []  # noqa: RUF012  shared on purpose: one list for both sides

    def send(self, envelope, event_descriptor):
        self.bodies.append(envelope.get_body())
        self.proceed_send(envelope, event_descriptor)

    def handle(self, envelope, event_listener_descriptor):
        self.bodies.append((envelope.get_body(), envelope.event))
        self.proceed_handle(envelope, event_listener_descriptor)


class Appending(AbstractEnvelopePipeline):
    def handle(self, envelope, event_listener_descriptor):
        envelope.set("mark", envelope.get("mark") + "x")
        self.proceed_handle(envelope, event_listener_descriptor)


class Unawaited(AbstractEnvelopePipeline):
    async def send(self, envelope, event_descriptor):
        self.proceed_send(envelope, event_descriptor)

    async def handle(self, envelope, event_listener_descriptor):
        self.proceed_handle(envelope, event_listener_descriptor)


class Raising(AbstractEnvelopePipeline):
    def __init__(self, side: str) -> None:
        super().__init__()
        self.side = side

    def send(self, envelope, event_descriptor):
        if self.side == "send":
            raise ValueError("no sending today")
        self.proceed_send(envelope, event_descriptor)

    def handle(self, envelope, event_listener_descriptor):
        if self.side == "handle":
            raise ValueError("no handling today")
        self.proceed_handle(envelope, event_listener_descriptor)


async def _pass(*pipelines, handler=None, headers=None) -> Recorder:
    seen = handler or Recorder()
    async with EventManager(LocalProvider(), pipelines=pipelines) as manager:
        await manager.subscribe(Order, seen, name="listener")
        await manager.send_event(Order(1), headers=headers)
        await eventually(lambda: seen.handled)
    return seen


def test_the_interface_has_two_abstract_methods():
    assert EnvelopePipeline.__abstractmethods__ == {"send", "handle"}
    with pytest.raises(TypeError):
        EnvelopePipeline()  # type: ignore[abstract]


@pytest.mark.parametrize("pipeline", [SyncSession, AsyncSession])
@pytest.mark.parametrize("mode", ["sync on", "async on", "inline on"])
async def test_a_session_captured_on_the_sending_side_is_current_in_the_listener(pipeline, mode):
    seen = []

    def on(event: Order) -> None:
        seen.append(current_session.get())

    async def async_on(event: Order) -> None:
        seen.append(current_session.get())

    async with EventManager(LocalProvider(), pipelines=[pipeline()]) as manager:
        await manager.subscribe(Order, async_on if mode == "async on" else on, inline=mode == "inline on", name="a")
        with session("s-42"):
            await manager.send_event(Order(1))
        await eventually(lambda: seen)
        with session("s-43"):
            await manager.send_event(Order(1))
        await manager.send_event(Order(1))
        await eventually(lambda: len(seen) == 3)
    assert seen == ["s-42", "s-43", ""]


@pytest.mark.parametrize("pipeline", [SyncSession, AsyncSession])
def test_a_session_is_captured_without_a_running_loop_too(pipeline):
    seen = []
    manager = EventManager(LocalProvider(), pipelines=[pipeline()])
    manager.subscribe(Order, lambda event: seen.append(current_session.get()), name="a")
    with session("plain"):
        manager.send_event(Order(1))
    assert seen == ["plain"]
    assert manager.unsubscribe(manager.list_subscriptions()[0])


async def test_every_interceptor_sees_each_side_once_in_order_outermost_first():
    log = []
    outer, inner = Tracing("outer", log), Tracing("inner", log)
    await _pass(outer, inner)
    await eventually(lambda: len(log) == 8)
    sending = [step for step in outer.steps() if step[1] in ("send", "sent")]
    handling = [step for step in outer.steps() if step[1] in ("handle", "handled")]
    assert sending == [("outer", "send"), ("inner", "send"), ("inner", "sent"), ("outer", "sent")]
    assert handling == [("outer", "handle"), ("inner", "handle"), ("inner", "handled"), ("outer", "handled")]


async def test_handle_runs_once_per_message_and_listener_with_that_listeners_descriptor():
    log, one, two = [], Recorder(), Recorder()
    async with EventManager(LocalProvider(), pipelines=[Tracing("t", log)]) as manager:
        await manager.subscribe(Order, one, name="one")
        await manager.subscribe(Order, two, name="two", group="g")
        for number in range(3):
            await manager.send_event(Order(number))
        await eventually(lambda: len(one.handled) == len(two.handled) == 3)
        await settle()
    handled = [descriptor for _, step, descriptor in log if step == "handle"]
    assert sorted(descriptor.name for descriptor in handled) == ["one"] * 3 + ["two"] * 3
    assert {(one.name, one.group, one.per_process, one.event.name) for one in handled} == {
        ("one", "", False, "pipelines.order"),
        ("two", "g", False, "pipelines.order"),
    }
    sent = [descriptor for _, step, descriptor in log if step == "send"]
    assert sent == [EventDescriptor.of(Order)] * 3
    assert (sent[0].type, sent[0].name, sent[0].durable, sent[0].broadcast) == (Order, "pipelines.order", True, False)
    assert all(isinstance(descriptor, EventListenerDescriptor) for descriptor in handled)


async def test_both_sides_of_the_base_proceed_unless_overridden():
    seen = await _pass(AbstractEnvelopePipeline(), OnlySends())
    assert seen.contexts[0].headers["only"] == "sending"


@pytest.mark.parametrize("pipeline", [Unawaited, SyncSession, AsyncSession])
async def test_proceeding_may_be_awaited_or_not(pipeline):
    failing = Recorder(failures=[ValueError("once")])
    async with EventManager(LocalProvider(), pipelines=[pipeline(), pipeline()]) as manager:
        subscription = await manager.subscribe(Order, failing, name="listener")
        await manager.send_event(Order(1))
        await manager.send_event(Order(2))
        await eventually(lambda: failing.handled)
        # The failure reached the dispatcher although nobody awaited it.
        assert (subscription.stats.failures, subscription.stats.count) == (1, 1)


class ProceedsThenRaises(AbstractEnvelopePipeline):
    def handle(self, envelope, event_listener_descriptor):
        self.proceed_handle(envelope, event_listener_descriptor)
        raise ValueError("after proceeding")


class AsyncProceedsThenRaises(AbstractEnvelopePipeline):
    async def handle(self, envelope, event_listener_descriptor):
        self.proceed_handle(envelope, event_listener_descriptor)
        raise ValueError("after proceeding")


@pytest.mark.parametrize("pipeline", [ProceedsThenRaises, AsyncProceedsThenRaises])
async def test_what_was_started_runs_before_the_error_of_its_interceptor_fails_the_attempt(pipeline, caplog):
    """The listener is called, and the attempt fails with the interceptor's error."""
    seen = Recorder()
    async with EventManager(LocalProvider(), pipelines=[Unawaited(), pipeline(), SyncSession()]) as manager:
        subscription = await manager.subscribe(Order, seen, name="listener")
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.dead_letters == 1)
    assert seen.handled == [Order(1)]
    assert "after proceeding" in caplog.text


class ReturnsCoroutine(AbstractEnvelopePipeline):
    """A sync method in front of an async one, as decorators write it, that does not await either."""

    def send(self, envelope, event_descriptor):
        return self.later(self.proceed_send, envelope, event_descriptor)

    def handle(self, envelope, event_listener_descriptor):
        return self.later(self.proceed_handle, envelope, event_listener_descriptor)

    async def later(self, proceed, envelope, descriptor):
        proceed(envelope, descriptor)


async def test_a_coroutine_that_a_sync_interceptor_returns_may_leave_proceeding_unawaited():
    seen = await _pass(ReturnsCoroutine(), Unawaited(), ReturnsCoroutine())
    assert seen.handled == [Order(1)]


class ProceedsTwice(AbstractEnvelopePipeline):
    """Sends every event twice: the first send is awaited if *waits*, or neither is."""

    def __init__(self, waits: bool) -> None:
        super().__init__()
        self.waits = waits

    async def send(self, envelope, event_descriptor):
        first = self.proceed_send(envelope, event_descriptor)
        self.proceed_send(envelope, event_descriptor)
        if self.waits:
            await first


@pytest.mark.parametrize("waits", [True, False])
async def test_each_proceeding_that_is_not_awaited_runs_once(waits):
    log = []
    async with EventManager(LocalProvider(), pipelines=[ProceedsTwice(waits), Tracing("inner", log)]) as manager:
        await manager.send_event(Order(1))
    assert [step for _, step, _ in log] == ["send", "sent", "send", "sent"]


class SendsFork(AbstractEnvelopePipeline):
    """Proceeds with copies of the envelope, and does not await."""

    def send(self, envelope, event_descriptor):
        self.proceed_send(envelope.fork(), event_descriptor)

    def handle(self, envelope, event_listener_descriptor):
        self.proceed_handle(envelope.fork(), event_listener_descriptor)


class AsyncSendsFork(SendsFork):
    async def send(self, envelope, event_descriptor):
        super().send(envelope, event_descriptor)

    async def handle(self, envelope, event_listener_descriptor):
        super().handle(envelope, event_listener_descriptor)


@pytest.mark.parametrize("outer", [SendsFork, AsyncSendsFork])
@pytest.mark.parametrize("inner", [SyncSession, AsyncSendsFork, SendsFork])
async def test_proceeding_with_a_fork_need_not_be_awaited(outer, inner):
    seen = await _pass(outer(), inner())
    assert seen.handled == [Order(1)]


async def test_an_interceptor_that_does_not_proceed_stops_the_event_on_the_sending_side():
    log, seen = [], Recorder()
    async with EventManager(LocalProvider(), pipelines=[StopSending(), Tracing("inner", log)]) as manager:
        await manager.subscribe(Order, seen, name="listener")
        await manager.send_event(Order(1))
        await settle()
        assert (log, seen.events, manager.provider.broker.depth("listener")) == ([], [], 0)  # type: ignore[attr-defined]


async def test_an_interceptor_that_does_not_proceed_acknowledges_on_the_receiving_side():
    seen = Recorder()
    async with EventManager(LocalProvider(), pipelines=[StopHandling()]) as manager:
        subscription = await manager.subscribe(Order, seen, name="listener")
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.count == 1)
        assert (seen.events, manager.provider.broker.depth("listener")) == ([], 0)  # type: ignore[attr-defined]


async def test_interceptors_read_the_body_as_json_text_on_both_sides():
    ReadsBody.bodies.clear()
    await _pass(ReadsBody())
    sent, (received, decoded) = ReadsBody.bodies
    assert json.loads(sent) == json.loads(received) == {"number": 1}
    assert decoded is None


async def test_headers_travel_and_unknown_ones_read_as_empty():
    seen = await _pass(OnlySends(), headers={"tenant": "a", "priority": "7", "type": "x", "JMSXGroupID": "ü"})
    headers = seen.contexts[0].headers
    assert {name: headers[name] for name in ("only", "tenant", "priority", "type", "JMSXGroupID")} == {
        "only": "sending",
        "tenant": "a",
        "priority": "7",
        "type": "x",
        "JMSXGroupID": "ü",
    }
    assert seen.contexts[0].envelope.get("unknown") == ""


@pytest.mark.parametrize("pipelines", [[], [OnlySends()]], ids=["without interceptors", "with one"])
async def test_headers_given_with_an_event_reach_every_listener(pipelines):
    one, two, given = Recorder(), Recorder(), {"tenant": "a", "leer": "", "Grüße": "ü\n"}
    async with EventManager(LocalProvider(), pipelines=pipelines) as manager:
        await manager.subscribe(Order, one, name="one")
        await manager.subscribe(Order, two, name="two")
        await manager.send_event(Order(1), headers=given)
        await eventually(lambda: one.handled and two.handled)
    for seen in (one, two):
        assert {name: seen.contexts[0].headers[name] for name in given} == given
    assert given == {"tenant": "a", "leer": "", "Grüße": "ü\n"}


@pytest.mark.parametrize(("key", "value"), [("", "x"), ("n", 1), ("n", None), (3, "x")])
def test_a_header_is_text(key, value):
    with pytest.raises(HeaderError, match="are str"):
        Envelope().set(key, value)


async def test_an_interceptor_that_raises_on_the_sending_side_fails_the_send():
    seen = Recorder()
    async with EventManager(LocalProvider(), pipelines=[Raising("send")]) as manager:
        await manager.subscribe(Order, seen, name="listener")
        with pytest.raises(ValueError, match="no sending today"):
            await manager.send_event(Order(1))
        await settle()
    assert seen.events == []


async def test_an_interceptor_that_raises_on_the_receiving_side_fails_the_attempt(caplog):
    seen = Recorder()
    async with EventManager(LocalProvider(), pipelines=[Raising("handle")]) as manager:
        subscription = await manager.subscribe(Order, seen, name="listener")
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.dead_letters == 1)
    assert seen.events == []
    assert "no handling today" in caplog.text


async def test_an_interceptor_belongs_to_one_manager_at_a_time():
    pipeline = OnlySends()
    async with EventManager(LocalProvider(), pipelines=[pipeline]):
        second = EventManager(LocalProvider(), pipelines=[pipeline])
        with pytest.raises(DeclarationError, match="OnlySends is used twice; every manager needs an instance"):
            await second.start()
    async with second:
        assert second.running


async def test_a_refused_chain_takes_no_interceptor_hostage():
    free, taken = OnlySends(), OnlySends()
    async with EventManager(LocalProvider(), pipelines=[taken]):
        with pytest.raises(DeclarationError):
            await EventManager(LocalProvider(), pipelines=[free, taken]).start()
        await _pass(free)


async def test_what_an_interceptor_changes_does_not_reach_the_next_attempt():
    seen = Recorder(failures=[ValueError("once")])
    async with EventManager(LocalProvider(), pipelines=[Appending()], retry=Retry(attempts=2, delay=0)) as manager:
        await manager.subscribe(Order, seen, name="listener")
        await manager.send_event(Order(1))
        await eventually(lambda: seen.handled)
    assert [context.headers["mark"] for context in seen.contexts] == ["x", "x"]


def test_a_pipeline_must_be_one():
    manager = EventManager(LocalProvider(), pipelines=["no pipeline"])  # type: ignore[list-item]
    with pytest.raises(DeclarationError, match="derive its class from AbstractEnvelopePipeline"):
        manager.send_event(Order(1))
