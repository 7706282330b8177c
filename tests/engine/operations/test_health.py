"""Health: what the manager finds, and what the probes over HTTP answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from support_core import eventually

from aspyx_event import EventManager, LocalProvider, event
from aspyx_event.http import HealthApp


@event("health.beat")
@dataclass
class Beat:
    number: int


class Sick(LocalProvider):
    """A provider whose broker can go away, stop answering, or be given up."""

    def __init__(self):
        super().__init__()
        self.there, self.lost, self.mute = True, False, False

    @property
    def connected(self):
        return self.there

    @property
    def reconnect_exhausted(self):
        return self.lost

    def publish(self, message):
        if self.mute:
            return asyncio.get_running_loop().create_future()
        return super().publish(message)


async def request(app, path, method="GET"):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        raise AssertionError("a probe has no body")

    await app({"type": "http", "method": method, "path": path}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"] or "null")


async def test_a_manager_at_work_is_live_and_ready_and_says_how_it_is():
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Beat, lambda _: None, name="beats")
        health = await manager.health()
    assert (health.live, health.ready, health.reasons, health.provider) == (True, True, [], "local")
    assert health.round_trip is not None
    [beats] = health.subscriptions
    assert (beats.name, beats.event, beats.attached, beats.waiting) == ("beats", "health.beat", True, 0)


async def test_a_manager_that_is_not_started_is_not_ready_and_is_not_started_by_asking():
    manager = EventManager(LocalProvider())
    health = await manager.health()
    assert (health.live, health.ready, health.reasons) == (True, False, ["the event manager is not started"])
    assert not manager.running


async def test_without_a_connection_it_is_live_but_not_ready():
    provider = Sick()
    async with EventManager(provider) as manager:
        provider.there = False
        health = await manager.health()
        assert (health.live, health.ready) == (True, False)
        assert "connection" in health.reasons[0]
        provider.there = True
        assert (await manager.health()).ready


async def test_a_broker_that_does_not_confirm_makes_it_not_ready():
    provider = Sick()
    async with EventManager(provider) as manager:
        provider.mute = True
        health = await manager.health(timeout=0.05)
        provider.mute = False
    assert (health.live, health.ready, health.round_trip) == (True, False, None)
    assert "does not confirm" in health.reasons[0]


async def test_a_provider_that_gave_up_is_not_live():
    provider = Sick()
    async with EventManager(provider) as manager:
        provider.lost = True
        health = await manager.health()
        provider.lost = False
    assert (health.live, health.ready) == (False, False)


async def test_waiting_deliveries_are_counted_and_a_standstill_can_be_fatal():
    go_on = asyncio.Event()

    async def slow(_):
        await go_on.wait()

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Beat, slow, name="slow")
        for number in range(3):
            await manager.send_event(Beat(number))
        [slow_one] = (await manager.health()).subscriptions
        assert (slow_one.running, slow_one.waiting) == (1, 2)
        assert (await manager.health()).live
        health = await manager.health(stalled_after=0.0)
        assert not health.live
        assert "'slow'" in health.reasons[0]
        go_on.set()
        await eventually(lambda: manager.list_subscriptions()[0].stats.count == 3)


async def test_the_probes_answer_with_status_and_findings():
    provider = Sick()
    async with EventManager(provider) as manager:
        app = HealthApp(manager.health)
        assert (await request(app, "/livez"))[0] == 200
        status, content = await request(app, "/health/readyz/")
        assert (status, content["ready"], content["provider"]) == (200, True, "local")
        provider.there = False
        assert (await request(app, "/livez"))[0] == 200
        status, content = await request(app, "/readyz")
        assert (status, content["ready"]) == (503, False)
        assert (await request(app, "/metrics"))[0] == 404
        assert (await request(app, "/livez", "POST"))[0] == 405
        assert (await request(app, "/livez", "HEAD"))[1] is None
