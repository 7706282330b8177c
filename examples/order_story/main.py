"""A day in a small shop: events, listeners, a session that travels along, a failure and where it ends up.

python examples/order_story/main.py                  in one process
PROVIDER=amqp python examples/order_story/main.py    over the Artemis broker at ARTEMIS_URL; or PROVIDER=stomp
"""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

from aspyx.di import Environment
from dead_letters import take_dead_letter
from shop.diary import Diary
from shop.events import OrderPlaced
from shop.ledger import Ledger
from shop.session import session
from wiring.module import StoryModule

from aspyx_event import EventManager

ROUTES = """\
  OrderPlaced --> Billing    books the order in the ledger, sends OrderPaid
              --> Mailer     writes to the customer
              --> Warehouse  packs the article; up to 3 attempts
  OrderPaid   --> Shipping   prepares the label

Every listener has a queue of its own, so each gets every event, and none waits for another.
At the end of each line stands the session in which it happened: it travels in a header."""


async def main() -> None:
    # The shop reports its failed attempts itself; without this line the framework would log them as well.
    logging.getLogger("aspyx.event").setLevel(logging.CRITICAL)
    environment = Environment(StoryModule)
    await environment.start()
    try:
        await tell(environment.get(EventManager), environment.get(Diary))
        await show_dead_letter(environment.get(EventManager))
        booked = environment.get(Ledger).booked
        print(f"\nEnd of the day: {len(booked)} orders in the ledger, {sum(booked.values())} in all.")
        if environment.get(EventManager).provider.name == "local":
            print("The same story over a message broker: make demo PROVIDER=amqp, or PROVIDER=stomp.")
    finally:
        await environment.stop()


async def tell(manager: EventManager, diary: Diary) -> None:
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

    print("\n3. Carol orders a unicorn. The warehouse never succeeds; nobody else is held up by that.")
    with session("carol"):
        await place(manager, diary, OrderPlaced(3, "Carol", "unicorn", Decimal("999.00")))
    await finished(diary, 3)


async def place(manager: EventManager, diary: Diary, order: OrderPlaced) -> None:
    diary.note("main", order.order_id, f"sends OrderPlaced({order.article})")
    # Awaited, it returns when the provider has taken the event; the listeners are another matter.
    await manager.send_event(order)


async def finished(diary: Diary, order_id: int) -> None:
    parts = ("Billing", "Mailer", "Warehouse", "Shipping")
    await asyncio.to_thread(diary.wait, *((part, order_id) for part in parts))


async def show_dead_letter(manager: EventManager) -> None:
    letter = await take_dead_letter(manager.provider, "shop.order-placed", "Warehouse")
    print("\nWhere the unicorn went: queue dead-letters.shop.order-placed.Warehouse")
    print(f"    event    {letter.get_body()}")
    print(f"    session  {letter.get('session')}")
    print(f"    cause    {letter.get('aspyx-cause-type')}: {letter.get('aspyx-cause-message')}")
    print(f"    attempts {letter.get('aspyx-attempts')}, the last one at {letter.get('aspyx-failed-at')}")


if __name__ == "__main__":
    asyncio.run(main())
