"""A chat room: a topic with messages and arrivals. Each guest receives the events of all others, but not its own.

python examples/chat_room/main.py                  in one process
PROVIDER=amqp python examples/chat_room/main.py    over the Artemis broker at ARTEMIS_URL; or PROVIDER=stomp

Each guest has a manager, as it would in a program of its own.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from aspyx_event import AMQPProvider, EventManager, LocalBroker, LocalProvider, StompProvider, Topic, event
from aspyx_event.providers import Provider


@event(name="chat.said")
@dataclass
class Said:
    who: str
    text: str


@event(name="chat.entered")
@dataclass
class Entered:
    who: str


ROOM = Topic("chat.room.kitchen", (Said, Entered), "What happens in the kitchen", tags=frozenset({"chat"}))


class Guest:
    """A guest in the room.

    Args:
        who: Name of the guest.
        manager: Manager of this guest.
    """

    def __init__(self, who: str, manager: EventManager) -> None:
        self.who, self._manager = who, manager
        self.received: list[str] = []
        self._changed = asyncio.Event()

    async def enter(self) -> None:
        # Each process receives every event; its queue is deleted when the guest leaves.
        await self._manager.subscribe(
            ROOM, self._on_event, name="guest", per_process=True, when=lambda event: event.who != self.who
        )
        await self._manager.send_event(Entered(self.who), topic=ROOM)

    async def say(self, text: str) -> None:
        await self._manager.send_event(Said(self.who, text), topic=ROOM)

    async def _on_event(self, event: Said | Entered) -> None:
        self.received.append(f"{event.who}: {event.text}" if isinstance(event, Said) else f"{event.who} enters")
        self._changed.set()

    async def until(self, line: str) -> None:
        """Wait until this guest has received *line*."""
        while line not in self.received:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)


async def chat() -> None:
    house = LocalBroker()  # connects the managers if there is no real broker
    async with AsyncExitStack() as stack:
        ada, bob, eve = [
            Guest(who, await stack.enter_async_context(EventManager(choose_provider(who, house))))
            for who in ("ada", "bob", "eve")
        ]
        await ada.enter()
        await bob.enter()
        await ada.say("Hello, Bob!")
        await bob.until("ada: Hello, Bob!")
        await eve.enter()
        await bob.say("Hello, both!")
        await ada.until("bob: Hello, both!")
        await eve.until("bob: Hello, both!")
        for guest in (ada, bob, eve):
            print(f"{guest.who} received: {', '.join(guest.received)}")


def choose_provider(who: str, house: LocalBroker) -> Provider:
    """Return the provider that PROVIDER names; ARTEMIS_URL has the address of the broker."""
    kind = os.environ.get("PROVIDER", "local")
    if kind == "local":
        return LocalProvider(broker=house, server_name=who)
    url = urlsplit(os.environ.get("ARTEMIS_URL", "amqp://admin:admin@localhost:61616"))
    where: dict[str, Any] = {
        "host": url.hostname or "localhost",
        "port": url.port or 61616,
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
    }
    if kind == "amqp":
        return AMQPProvider(who, **where)
    if kind == "stomp":
        return StompProvider(**where, server_name=who)
    raise SystemExit(f"PROVIDER={kind}: local, amqp or stomp")


if __name__ == "__main__":
    asyncio.run(chat())
