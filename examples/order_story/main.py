"""A day in a small shop: events, listeners, a session in a header, a failure and its repair.

python examples/order_story/main.py                  in one process
PROVIDER=amqp python examples/order_story/main.py    over the Artemis broker at ARTEMIS_URL; or PROVIDER=stomp
"""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

from aspyx.di import Environment
from shop.diary import Diary
from shop.events import OrderPlaced
from shop.ledger import Ledger
from shop.listeners import Warehouse
from shop.session import session
from wiring.module import StoryModule

from aspyx_event import EventManager
from aspyx_event.engine.operations import DeadLetter

ROUTES = """\
  OrderPlaced --> Billing    books the order in the ledger, sends OrderPaid
              --> Mailer     writes to the customer
              --> Warehouse  packs the article; up to 3 attempts
  OrderPaid   --> Shipping   prepares the label

Each listener has its own queue: each receives every event, and none waits for another.
Each line ends with its session, which is carried in a header."""


async def main() -> None:
    # The shop reports failed attempts itself; without this line, the framework would log them too.
    logging.getLogger("aspyx.event").setLevel(logging.CRITICAL)
    environment = Environment(StoryModule)
    await environment.start()
    try:
        await tell_story(environment.get(EventManager), environment.get(Diary))
        await replay(environment.get(EventManager), environment.get(Diary), environment.get(Warehouse))
        booked = environment.get(Ledger).booked
        print(f"\nEnd of the day: {len(booked)} orders in the ledger, {sum(booked.values())} in total.")
        if environment.get(EventManager).provider.name == "local":
            print("The same story over a message broker: make demo PROVIDER=amqp, or PROVIDER=stomp.")
    finally:
        await environment.stop()


async def tell_story(manager: EventManager, diary: Diary) -> None:
    local = manager.provider.name == "local"
    print(f"A small shop. Its events travel {'inside this process' if local else f'over {manager.provider!r}'}.\n")
    print(ROUTES)

    print("\n1. Alice orders coffee. Everything works.")
    with session("alice"):
        await place(manager, diary, OrderPlaced(1, "Alice", "coffee", Decimal("10.00")))
    await finished(diary, 1)

    print("\n2. Bob orders a teapot. The warehouse fails once, and the second attempt works.")
    with session("bob"):
        await place(manager, diary, OrderPlaced(2, "Bob", "teapot", Decimal("40.00")))
    await finished(diary, 2)

    print("\n3. Carol orders a unicorn. The warehouse never succeeds; the other listeners are not affected.")
    with session("carol"):
        await place(manager, diary, OrderPlaced(3, "Carol", "unicorn", Decimal("999.00")))
    await finished(diary, 3)


async def place(manager: EventManager, diary: Diary, order: OrderPlaced) -> None:
    diary.note("main", order.order_id, f"sends OrderPlaced({order.article})")
    # Returns when the provider has accepted the event; listeners may still be running.
    await manager.send_event(order)


async def finished(diary: Diary, order_id: int) -> None:
    parts = ("Billing", "Mailer", "Warehouse", "Shipping")
    await asyncio.to_thread(diary.wait, *((part, order_id) for part in parts))


async def replay(manager: EventManager, diary: Diary, warehouse: Warehouse) -> None:
    print("\nWhere the unicorn went: queue dead-letters.shop.order-placed.Warehouse")
    letter = await newest_dead_letter(manager)
    print(f"    event    {letter.body.decode()}")
    print(f"    session  {letter.headers['session']}")
    print(f"    cause    {letter.cause.type}: {letter.cause.message}")
    print(f"    attempts {letter.attempts}")

    print("\n4. A unicorn arrives. The dead letter is replayed, only to the warehouse.")
    warehouse.shelf.add("unicorn")
    diary.forget("Warehouse", 3)
    await manager.dead_letters.replay(letter.id)
    await asyncio.to_thread(diary.wait, ("Warehouse", 3))


async def newest_dead_letter(manager: EventManager) -> DeadLetter:
    """Return the newest dead letter; wait, because it may still be on its way to the queue."""
    for _ in range(500):
        letters = await manager.dead_letters.list("Warehouse")
        if letters:
            return letters[-1]
        await asyncio.sleep(0.02)
    raise TimeoutError("there is no dead letter")


if __name__ == "__main__":
    asyncio.run(main())
