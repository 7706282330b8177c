"""Retry policies and ordering keys of the application that raise, or return nonsense."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from support_core import Gate, Recorder, eventually

from aspyx_event import EventManager, LocalProvider, Retry, event
from aspyx_event.exceptions import DeclarationError


@event("policies.order", durable=True)
@dataclass
class Order:
    number: int


class Abort(BaseException):
    """Not an `Exception`."""


class Policy(Retry):
    """A retry policy of the application."""

    answer: Callable[[], Any]

    def next_delay(self, attempt: int, error: BaseException) -> float | None:
        return type(self).answer()


def refuse(*_: Any) -> Any:
    raise Abort("enough")


class Deciding(type):
    """Decides which errors are retried, and cannot."""

    __subclasscheck__ = refuse


class Undecidable(Exception, metaclass=Deciding):
    """Cannot be compared with other classes."""


ANSWERS: dict[str, Callable[[], Any]] = {
    "nan": lambda: math.nan,
    "infinite": lambda: math.inf,
    "negative": lambda: -1,
    "huge": lambda: 1e300,
    "huge-int": lambda: 10**400,
    "text": lambda: "5",
    "object": object,
    "raises": lambda: 1 / 0,
    "aborts": refuse,
    "exits": lambda: sys.exit("the policy exits"),
    "cancels": lambda: refuse_with(asyncio.CancelledError),
    "closes": lambda: refuse_with(GeneratorExit),
}


def refuse_with(error: type[BaseException]) -> Any:
    raise error


@pytest.mark.parametrize("mode", ["in-order", "delayed"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_retry_policy_that_returns_nonsense_gives_the_event_up(name: str, mode: str) -> None:
    """One attempt and one dead letter; the next event is handled."""
    policy = type("Nonsense", (Policy,), {"answer": staticmethod(ANSWERS[name]), "__slots__": ()})
    await check_one_dead_letter(policy(attempts=5, mode=mode))


async def test_an_error_class_that_cannot_be_compared_gives_the_event_up() -> None:
    await check_one_dead_letter(Retry(attempts=5, never=(Undecidable,)))


async def check_one_dead_letter(retry: Retry) -> None:
    seen = Recorder(failures=[ValueError("failed")])
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, seen, name="failing", retry=retry)
        await manager.send_event(Order(1))
        await manager.send_event(Order(2))
        await eventually(lambda: seen.handled == [Order(2)])
        assert seen.events == [Order(1), Order(2)]
        assert subscription.stats.dead_letters == 1
        assert (await manager.health()).ready


@pytest.mark.parametrize(
    "options",
    [
        {"delay": math.nan},
        {"delay": math.inf},
        {"delay": "5"},
        {"max_delay": math.nan},
        {"jitter": math.nan},
        {"jitter": "0.2"},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"timeout": "5"},
        {"max_crashes": "3"},
        {"max_crashes": math.nan},
        {"backoff": [0.1, math.nan]},
        {"backoff": [math.inf]},
        {"backoff": ["1"]},
        {"backoff": [-1]},
        {"delay": 1e300},
    ],
)
def test_a_policy_with_impossible_waits_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="Retry"):
        Retry(**options)


class Key:
    """An ordering key whose methods raise, or answer otherwise later."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        raise Abort("not comparable")


class Changing(Key):
    """Its hash changes after the handler has run."""

    hashes = 0

    def __hash__(self) -> int:
        type(self).hashes += 1
        return type(self).hashes

    def __eq__(self, other: object) -> bool:
        return self is other


class Unhashable(Key):
    __hash__ = refuse  # type: ignore[assignment]


@pytest.mark.parametrize("key", [Key, Changing, Unhashable])
async def test_an_ordering_key_that_raises_disturbs_no_event(key: type[Key]) -> None:
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(
            Order, gate, name="ordered", concurrency=3, order_by=lambda order: key(order.number)
        )
        for number in range(6):
            await manager.send_event(Order(number))
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 6)
        assert subscription.stats.failures == 0
        assert (await manager.health()).ready


async def test_events_whose_keys_cannot_be_compared_are_handled_in_order() -> None:
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, gate, name="ordered", concurrency=3, order_by=lambda order: Key(order.number))
        for number in range(6):
            await manager.send_event(Order(number))
        await eventually(lambda: len(gate.entered) == 1)
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 6)
        assert gate.most == 1
        assert gate.left == [Order(number) for number in range(6)]
