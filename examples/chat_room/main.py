"""A chat room: a topic that carries what is said and who comes. Everybody in it hears all the others, and not themselves.

python examples/chat_room/main.py                  in one process
PROVIDER=amqp python examples/chat_room/main.py    over the Artemis broker at ARTEMIS_URL; or PROVIDER=stomp

Each guest has a manager, as they would in programs of their own.
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
    """One in the room.

    Args:
        who: The name.
        manager: Of this guest alone.
    """

    def __init__(self, who: str, manager: EventManager) -> None:
        self.who, self._manager = who, manager
        self.heard: list[str] = []
        self._changed = asyncio.Event()

    async def enter(self) -> None:
        # Every process hears everything; the queue goes with the guest.
        await self._manager.subscribe(
            ROOM, self._hear, name="guest", per_process=True, when=lambda event: event.who != self.who
        )
        await self._manager.send_event(Entered(self.who), topic=ROOM)

    async def say(self, text: str) -> None:
        await self._manager.send_event(Said(self.who, text), topic=ROOM)

    async def _hear(self, event: Said | Entered) -> None:
        self.heard.append(f"{event.who}: {event.text}" if isinstance(event, Said) else f"{event.who} enters")
        self._changed.set()

    async def until(self, line: str) -> None:
        """Wait until this guest has heard something."""
        while line not in self.heard:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)


async def chat() -> None:
    house = LocalBroker()  # what connects the managers where there is no broker
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
            print(f"{guest.who} heard: {', '.join(guest.heard)}")


def choose_provider(who: str, house: LocalBroker) -> Provider:
    """Return the provider that PROVIDER names; where the broker is, stands in ARTEMIS_URL."""
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
