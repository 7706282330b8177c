"""The test rig: providers, managers, processes and unique names of a test, and waits with a deadline."""

from __future__ import annotations

import asyncio
import itertools
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, make_dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ...context import EventContext
from ...deadlines import within
from ...engine.failure.republish import dead_letter_address
from ...envelope import Envelope, SendOptions
from ...events import event
from ...manager import EventManager
from ...providers.base import AddressKind, Binding, Capabilities, Consumer, Delivery, Outgoing, Provider
from .processes import LoopProcess, Plan, Process, Recipe, RemoteProcess

T = TypeVar("T")


class Suite(Protocol):
    """The part of `ConformanceBase` that a rig uses."""

    provider_type: ClassVar[type[Provider]]
    wait_timeout: float

    def make_provider(self, server_name: str) -> Provider: ...

    def recipe(self, server_name: str) -> Recipe | None: ...


class Log(Generic[T]):
    """An ordered list that any thread may add to, and that a single task at a time can wait for.

    Args:
        timeout: Seconds for a wait.
    """

    def __init__(self, timeout: float) -> None:
        self.items: list[T] = []
        self._timeout, self._loop = timeout, asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def add(self, item: T) -> None:
        self.items.append(item)
        self._loop.call_soon_threadsafe(self._changed.set)

    async def until(self, count: int) -> list[T]:
        """Return the items once there are *count*; fail on a timeout, or if there are more."""
        items = await self.when(lambda items: len(items) >= count, f"{count} items")
        assert len(items) == count, f"{len(items)} items instead of {count}: {items}"
        return items

    async def when(self, condition: Callable[[list[T]], bool], what: str) -> list[T]:
        """Return a copy of the items once they meet *condition*; fail on a timeout."""
        end = self._loop.time() + self._timeout
        while not condition(self.items):
            self._changed.clear()
            try:
                await within(self._changed.wait(), max(0.0, end - self._loop.time()))
            except asyncio.TimeoutError:
                raise AssertionError(f"no {what} within {self._timeout:g} s; items: {self.items}") from None
        return list(self.items)


def make_outgoing(address: str, body: bytes, headers: dict[str, str] | None = None, **keywords: Any) -> Outgoing:
    """Return a message; *keywords* are fields of `Outgoing`, and of its `SendOptions`."""
    names = {field.name for field in fields(Outgoing)}
    own = {name: value for name, value in keywords.items() if name in names}
    options = SendOptions(**{name: value for name, value in keywords.items() if name not in names})
    return Outgoing(address=address, envelope=Envelope(body, dict(headers or {})), options=options, **own)


class Inbox(Log[Delivery]):
    """Collects deliveries; a `Consume` callback.

    Args:
        ack: Acknowledge immediately; False leaves settling to the test.
        total: Log that also receives the deliveries; several inboxes may share it.
    """

    def __init__(self, timeout: float, *, ack: bool = True, total: Log[Any] | None = None) -> None:
        super().__init__(timeout)
        self.ack, self._total = ack, total

    def __call__(self, delivery: Delivery) -> None:
        if self.ack:
            delivery.ack()
        self.add(delivery)
        if self._total is not None:
            self._total.add(delivery)

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.envelope.body for delivery in self.items]

    async def until_body(self, body: bytes) -> list[bytes]:
        """Return the bodies once *body* is among them: a marker sent after messages that must not arrive."""
        await self.when(lambda items: any(item.envelope.body == body for item in items), f"message {body!r}")
        return self.bodies

    def settle_all(self) -> None:
        """Acknowledge all deliveries, including those still to come."""
        self.ack = True
        for delivery in list(self.items):
            delivery.ack()


@dataclass(frozen=True)
class Call:
    """One call of a handler."""

    event: Any
    context: EventContext

    @property
    def number(self) -> int:
        return int(self.event.number)


class Calls(Log[Call]):
    """Collects calls; an async handler with a context."""

    async def __call__(self, event: Any, context: EventContext) -> None:
        self.add(Call(event, context))

    @property
    def numbers(self) -> list[int]:
        return [call.number for call in self.items]

    async def until_number(self, number: int) -> list[int]:
        """Return the numbers once *number* is among them."""
        await self.when(lambda items: any(item.number == number for item in items), f"event {number}")
        return self.numbers


class Rig:
    """Creates the objects of a test, and closes them at its end.

    Attributes:
        name: Unique prefix of the addresses and queues of the test.
        timeout: Seconds for a wait.
    """

    def __init__(self, suite: Suite) -> None:
        self.suite, self.timeout = suite, suite.wait_timeout
        self.name = f"c{os.getpid() % 10_000}-{uuid.uuid4().hex[:8]}"
        self._managers: list[EventManager] = []
        self._providers: list[Provider] = []
        self._processes: list[Process] = []
        self._numbers = itertools.count(1)

    @property
    def capabilities(self) -> Capabilities:
        return self.suite.provider_type.capabilities

    def address(self, label: str = "event") -> str:
        return f"{self.name}.{label}"

    async def provider(self, server_name: str = "a") -> Provider:
        """Return a started provider. It is stopped at the end of the test."""
        provider = self.suite.make_provider(server_name)
        self._providers.append(provider)
        await provider.start()
        return provider

    async def manager(self, server_name: str = "a", *, start: bool = True, **options: Any) -> EventManager:
        """Return a manager with its own provider. It is stopped at the end of the test."""
        manager = EventManager(self.suite.make_provider(server_name), **options)
        self._managers.append(manager)
        if start:
            await manager.start()
        return manager

    async def process(self, plan: Plan, reports: Log[dict[str, Any]], server_name: str) -> Process:
        """Return a running process with the listener of *plan*.

        For a provider that is not remote, it is a further manager on the same loop.
        """
        if self.capabilities.remote:
            recipe = self.suite.recipe(server_name)
            assert recipe is not None, "tests of a remote provider need real processes: implement recipe()"
            process: Process = RemoteProcess(recipe, plan, reports.add, server_name)
        else:
            process = LoopProcess(self.suite.make_provider(server_name), plan, reports.add, server_name)
        self._processes.append(process)
        await process.start(self.timeout)
        return process

    def inbox(self, *, ack: bool = True, total: Log[Any] | None = None) -> Inbox:
        return Inbox(self.timeout, ack=ack, total=total)

    def calls(self) -> Calls:
        return Calls(self.timeout)

    def log(self) -> Log[Any]:
        return Log(self.timeout)

    def event(self, label: str = "event", *, durable: bool | None = None, **options: Any) -> type:
        """Return an event class with a unique name and the fields `number` and `text`.

        Args:
            durable: None makes it durable if the provider supports that.
        """
        cls = make_dataclass("Numbered", [("number", int), ("text", str, "")])
        durable = self.capabilities.durable if durable is None else durable
        return event(name=self.address(label), durable=durable, **options)(cls)

    def binding(self, address: str = "", queue: str | None = "queue", **fields: Any) -> Binding:
        """Return a binding for *address*, with a queue name of this test. Durable if the provider supports that.

        Args:
            queue: None binds an unnamed queue of one consumer; so do providers without shared queues.
        """
        if not self.capabilities.competing:
            queue = None
        if queue is not None:
            queue = f"{self.name}.{queue}"
            fields.setdefault("durable", self.capabilities.durable)
        return Binding(address=address or self.address(), queue=queue, **fields)

    def shared_bindings(self, **fields: Any) -> list[Binding]:
        """Return a binding for each kind of queue that consumers can share, each with its own address."""
        kinds = [True, False] if self.capabilities.durable else [False]
        return [
            self.binding(self.address(f"durable-{kind}"), f"durable-{kind}", durable=kind, **fields) for kind in kinds
        ]

    def plain_queue(self, address: str, **fields: Any) -> Binding:
        return Binding(address=address, queue=address, kind=AddressKind.QUEUE, durable=True, **fields)

    def outgoing(
        self, address: str = "", body: bytes = b"{}", headers: dict[str, str] | None = None, **fields: Any
    ) -> Outgoing:
        fields.setdefault("durable", self.capabilities.durable)
        fields.setdefault("dedup_id", f"{self.name}-{next(self._numbers)}")
        return make_outgoing(address or self.address(), body, headers, **fields)

    async def publish(self, provider: Provider, bodies: Iterable[bytes], address: str = "", **fields: Any) -> None:
        """Publish *bodies* in order, and wait for the confirmations."""
        futures = [provider.publish(self.outgoing(address, body, **fields)) for body in bodies]
        await within(asyncio.gather(*futures), self.timeout)

    async def dead_letters(self, event_class: type, listener: str, provider: Provider | None = None) -> Inbox:
        """Return an inbox that consumes the dead letters of a listener."""
        manager = EventManager(self.suite.make_provider("names"))
        address = dead_letter_address(manager.events.add(event_class).name, listener)
        inbox = self.inbox()
        await (provider or await self.provider("dead-letters")).subscribe(self.plain_queue(address), inbox)
        return inbox

    async def round_trips(self, provider: Provider, count: int = 5) -> None:
        """Send and receive messages; messages that were on their way to this provider have arrived afterwards."""
        inbox, label = self.inbox(), f"echo-{next(self._numbers)}"
        address = self.address(label)
        binding = self.binding(address, None if self.capabilities.per_process else label)
        consumer: Consumer = await provider.subscribe(binding, inbox)
        for number in range(1, count + 1):
            await self.publish(provider, [b"echo"], address)
            await inbox.until(number)
        await consumer.close()

    async def close(self) -> None:
        for process in self._processes:
            await process.kill()
        await asyncio.gather(*(manager.stop() for manager in self._managers))
        await asyncio.gather(*(provider.stop() for provider in self._providers))
