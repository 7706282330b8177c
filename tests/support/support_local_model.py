"""The model of a local queue, and what the test does to a manager's dead letters."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aspyx_event import EventManager, event


@event("model.order", durable=True)
@dataclass
class Order:
    number: int


@dataclass
class Copy:
    """What the model knows of one event in one queue."""

    number: int
    sequence: int
    key: str | None
    priority: int = 4
    expires: float | None = None
    #: What the next attempt is called, and what it is called if the process ends before it.
    attempt: int = 1
    base: int = 1
    #: Whose it is: the process that handles it, or waits to do so again. None: it waits in the queue.
    holder: int | None = None
    running: bool = False
    #: Nobody had it in hand so far.
    fresh: bool = True
    #: The step in which it came; within a step there is no order.
    step: int = 0


@dataclass
class Queue:
    copies: dict[int, Copy] = field(default_factory=dict)
    letters: dict[int, Copy] = field(default_factory=dict)


@dataclass
class Call:
    """A handler that runs, and waits to be told how it ends."""

    process: int
    listener: str
    number: int
    outcome: asyncio.Future[None]


async def settle() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


async def listed(manager: EventManager, name: str) -> dict[int, str]:
    letters = await manager.dead_letters.list(name)
    return {int(letter.body.split(b":")[1].rstrip(b"}")): letter.id for letter in letters}


async def replay(manager: EventManager, letter: str) -> None:
    assert await manager.dead_letters.replay(letter) == 1


async def purge(manager: EventManager, letter: str) -> None:
    assert await manager.dead_letters.purge(lambda one: one.id == letter) == 1


async def resume(manager: EventManager, name: str) -> None:
    [subscription] = [one for one in manager.list_subscriptions() if one.name == name]
    await subscription.resume()
