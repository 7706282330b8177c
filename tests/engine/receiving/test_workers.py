"""The workers of a subscription: ordering keys, pauses."""

from __future__ import annotations

from dataclasses import dataclass

from support_core import Gate, eventually

from aspyx_event import EventManager, LocalProvider, event


@event("workers.order", durable=True, key="customer")
@dataclass
class Order:
    customer: str
    number: int


async def test_a_key_whose_delivery_waited_at_a_pause_is_handled_after_it():
    """Releasing the waiting deliveries frees their ordering keys, otherwise all later ones would wait for ever."""
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, gate, name="keyed", concurrency=2)
        for customer in ("a", "b", "c", "c"):
            await manager.send_event(Order(customer, 1))
        await eventually(lambda: subscription.load[:2] == (2, 2))
        await subscription.pause()
        assert subscription.load[:2] == (0, 2)
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 2)
        await subscription.resume()
        await manager.send_event(Order("c", 2))
        await eventually(lambda: len(gate.left) == 5, timeout=10)
    assert [order.number for order in gate.left if order.customer == "c"] == [1, 1, 2]
