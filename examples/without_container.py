"""Without a container: a manager in an async program, handlers as plain functions."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from aspyx_event import EventContext, EventManager, LocalProvider, Retry, event, event_handler


@event(name="sensors.temperature")
class Temperature(BaseModel):
    sensor: str
    celsius: float


@event_handler(Temperature, retry=Retry(attempts=3))
async def alarm(reading: Temperature, context: EventContext) -> None:
    if reading.celsius > 90:
        print(f"alarm: {reading.sensor} has {reading.celsius} degrees (from {context.headers['site']})")


async def main() -> None:
    done = asyncio.Event()

    async def record(reading: Temperature) -> None:
        print(f"record: {reading.sensor} {reading.celsius}")
        if reading.sensor == "oven":
            done.set()

    # Decorated functions are passed to the manager. Other functions can subscribe at any time while it runs.
    async with EventManager(LocalProvider(), listeners=[alarm]) as manager:
        subscription = await manager.subscribe(Temperature, record)
        await manager.send_event(Temperature(sensor="fridge", celsius=4.5), headers={"site": "kitchen"})
        await manager.send_event(Temperature(sensor="oven", celsius=220), headers={"site": "kitchen"})
        await asyncio.wait_for(done.wait(), timeout=10)
        await subscription.cancel()
    # Leaving the block waits for running handlers.
    print(f"recorded {subscription.stats.count} readings")


if __name__ == "__main__":
    asyncio.run(main())
