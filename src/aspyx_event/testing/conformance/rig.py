"""The ground under one test: its providers, managers, names and processes, and waits that have a deadline."""

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
    """What a rig needs of the suite it works for; see `ConformanceBase`."""

    provider_type: ClassVar[type[Provider]]
    patience: float

    def make_provider(self, server_name: str) -> Provider: ...

    def recipe(self, server_name: str) -> Recipe | None: ...


class Log(Generic[T]):
    """What happened, in order. Anything may add to it, from any thread; one task at a time waits.

    Args:
        patience: Seconds that a wait may take.
    """

    def __init__(self, patience: float) -> None:
        self.items: list[T] = []
        self._patience, self._loop = patience, asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def add(self, item: T) -> None:
        self.items.append(item)
        self._loop.call_soon_threadsafe(self._changed.set)

    async def until(self, count: int) -> list[T]:
        """Return the items as soon as there are *count*; fail if that takes too long, or if there are more."""
        items = await self.when(lambda items: len(items) >= count, f"{count} items")
        assert len(items) == count, f"{len(items)} came, {count} were due: {items}"
        return items

    async def when(self, condition: Callable[[list[T]], bool], what: str) -> list[T]:
        """Return a copy of the items as soon as they meet *condition*; fail if that takes too long."""
        end = self._loop.time() + self._patience
        while not condition(self.items):
            self._changed.clear()
            try:
                await within(self._changed.wait(), max(0.0, end - self._loop.time()))
            except asyncio.TimeoutError:
                raise AssertionError(f"not within {self._patience:g} s: {what}; there are {self.items}") from None
        return list(self.items)


def make_outgoing(address: str, body: bytes, headers: dict[str, str] | None = None, **keywords: Any) -> Outgoing:
    """Return a message; *keywords* are fields of `Outgoing`, and of its `SendOptions`."""
    names = {field.name for field in fields(Outgoing)}
    own = {name: value for name, value in keywords.items() if name in names}
    options = SendOptions(**{name: value for name, value in keywords.items() if name not in names})
    return Outgoing(address=address, envelope=Envelope(body, dict(headers or {})), options=options, **own)


class Inbox(Log[Delivery]):
    """Takes deliveries, as `Consume`.

    Args:
        ack: Acknowledge at once; False keeps them, for the test to settle.
        total: Gets them too; several inboxes may share one.
    """

    def __init__(self, patience: float, *, ack: bool = True, total: Log[Any] | None = None) -> None:
        super().__init__(patience)
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
        """Return the bodies as soon as *body* is among them: the marker behind what must not come."""
        await self.when(lambda items: any(one.envelope.body == body for one in items), f"the message {body!r}")
        return self.bodies

    def settle_all(self) -> None:
        """Acknowledge what is held, and what comes from now on."""
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
    """Takes calls, as an async handler with a context."""

    async def __call__(self, event: Any, context: EventContext) -> None:
        self.add(Call(event, context))

    @property
    def numbers(self) -> list[int]:
        return [call.number for call in self.items]

    async def until_number(self, number: int) -> list[int]:
        """Return the numbers as soon as *number* is among them."""
        await self.when(lambda items: any(one.number == number for one in items), f"event {number}")
        return self.numbers


class Rig:
    """Makes what a test needs and takes it away again.

    Attributes:
        name: Part of the name of every address and queue of the test; no other test has it.
    """

    def __init__(self, suite: Suite) -> None:
        self.suite, self.patience = suite, suite.patience
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

    async def provider(self, server_name: str = "one") -> Provider:
        """Return a started provider; it is stopped at the end of the test."""
        provider = self.suite.make_provider(server_name)
        self._providers.append(provider)
        await provider.start()
        return provider

    async def manager(self, server_name: str = "one", *, start: bool = True, **options: Any) -> EventManager:
        """Return a manager on a provider of its own; it is stopped at the end of the test."""
        manager = EventManager(self.suite.make_provider(server_name), **options)
        self._managers.append(manager)
        if start:
            await manager.start()
        return manager

    async def process(self, plan: Plan, reports: Log[dict[str, Any]], server_name: str) -> Process:
        """Return a running process that listens as *plan* says: a real one for a remote provider.

        A provider that is not remote reaches nobody outside: there it is one more manager on the same loop.
        """
        if self.capabilities.remote:
            recipe = self.suite.recipe(server_name)
            assert recipe is not None, "a remote provider is tested across processes: implement recipe()"
            process: Process = RemoteProcess(recipe, plan, reports.add, server_name)
        else:
            process = LoopProcess(self.suite.make_provider(server_name), plan, reports.add, server_name)
        self._processes.append(process)
        await process.start(self.patience)
        return process

    def inbox(self, *, ack: bool = True, total: Log[Any] | None = None) -> Inbox:
        return Inbox(self.patience, ack=ack, total=total)

    def calls(self) -> Calls:
        return Calls(self.patience)

    def log(self) -> Log[Any]:
        return Log(self.patience)

    def event(self, label: str = "event", *, durable: bool | None = None, **options: Any) -> type:
        """Return an event class of a name of its own with the fields `number` and `text`.

        Args:
            durable: None takes what the provider can do.
        """
        cls = make_dataclass("Numbered", [("number", int), ("text", str, "")])
        durable = self.capabilities.durable if durable is None else durable
        return event(name=self.address(label), durable=durable, **options)(cls)

    def binding(self, address: str = "", queue: str | None = "queue", **fields: Any) -> Binding:
        """Return a binding for *address*; its queue has a name of this test. Durable where the provider can.

        Args:
            queue: None for one that belongs to its consumer alone, which it also does where queues cannot be shared.
        """
        if not self.capabilities.competing:
            queue = None
        if queue is not None:
            queue = f"{self.name}.{queue}"
            fields.setdefault("durable", self.capabilities.durable)
        return Binding(address=address or self.address(), queue=queue, **fields)

    def shared_bindings(self, **fields: Any) -> list[Binding]:
        """Return a binding for each kind of queue that consumers can share, on addresses of their own."""
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
        """Publish *bodies* in order and wait for their confirmations."""
        futures = [provider.publish(self.outgoing(address, body, **fields)) for body in bodies]
        await within(asyncio.gather(*futures), self.patience)

    async def dead_letters(self, event_class: type, listener: str, provider: Provider | None = None) -> Inbox:
        """Return an inbox at the dead letters of a listener."""
        manager = EventManager(self.suite.make_provider("names"))
        address = dead_letter_address(manager.events.add(event_class).name, listener)
        inbox = self.inbox()
        await (provider or await self.provider("dead-letters")).subscribe(self.plain_queue(address), inbox)
        return inbox

    async def round_trips(self, provider: Provider, count: int = 5) -> None:
        """Send messages to and fro: what was on its way to this provider before has come meanwhile."""
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
