"""F5 and F20: what a network does to connections, and confirmations that never arrive."""

from __future__ import annotations

import asyncio

import pytest
from support_faults_plan import Listening

PREFETCH = 100


async def torn(proxy, direction):
    """Let the next piece pass in part, and wait until that has happened."""
    proxy.tear = direction
    end = asyncio.get_running_loop().time() + 30
    while proxy.tear:
        assert asyncio.get_running_loop().time() < end, f"nothing to tear passed {direction}"
        await asyncio.sleep(0.02)


@pytest.mark.fault("F5 connection reset or torn")
async def test_nothing_confirmed_is_lost_when_connections_break(rig, size):
    proxies = [await rig.proxy(), await rig.proxy()]
    await rig.consume(Listening(name="one"), Listening(name="two", concurrency=8, work_more=0.005), proxy=proxies[0])
    await rig.produce(rate=400, proxy=proxies[1])
    for _ in range(size(1, 10)):
        for kind in ("reset", "up", "down"):
            for proxy in proxies:
                await rig.flow(50 + rig.random.randrange(50), f"before {kind}")
                rig.fault()
                if kind == "reset":
                    proxy.reset()
                else:
                    await torn(proxy, kind)
                rig.over()
    await rig.flow(200)
    figures = await rig.settle()
    rig.check(redeliveries=2 * PREFETCH * figures.faults)


@pytest.mark.fault("F5 connection silent")
async def test_nothing_confirmed_is_lost_when_connections_fall_silent(rig, size):
    proxies = {"consumer": await rig.proxy(), "producer": await rig.proxy()}
    listening = [Listening(name="one"), Listening(name="two", concurrency=8, work_more=0.005)]
    await rig.consume(*listening, proxy=proxies["consumer"])
    await rig.produce(rate=400, proxy=proxies["producer"])
    for _ in range(size(1, 3)):
        for name, proxy in proxies.items():
            # Dead, and neither side is told; afterwards a hole of some seconds for old and new connections.
            await rig.flow(100)
            rig.cut(name)
            proxy.kill_quietly()
            connections = proxy.connections
            await rig.until(lambda p=proxy, c=connections: p.connections > c, "the silence is noticed")
            rig.over()
            await rig.flow(100)
            rig.cut(name)
            await proxy.blackhole(size(3, 10))
            rig.over()
    await rig.flow(500)
    figures = await rig.settle()
    # The broker takes what the dead connection held only when it notices as well, and hands out what comes after it
    # to the new one in between: no order across a silence.
    rig.check(redeliveries=2 * PREFETCH * figures.faults, ordered=False)


@pytest.mark.fault("F5 slow network")
async def test_nothing_is_lost_or_sent_twice_over_a_slow_network(rig, size):
    proxies = [await rig.proxy(), await rig.proxy()]
    # Each of the first deliveries after a start, as many as the prefetch, waits for a round trip: see `InFlightJournal`.
    await rig.consume(Listening(name="one", prefetch=20), proxy=proxies[0])
    await rig.produce(proxy=proxies[1], padding=200, rate=50)
    await rig.flow(10)
    before = [proxy.connections for proxy in proxies]
    for _ in range(size(1, 4)):
        for shape in ({"latency": 0.2, "jitter": 0.15}, {"bandwidth": 64_000}):
            for proxy in proxies:
                proxy.shape(**shape)
            rig.fault()
            await rig.flow(size(100, 300), str(shape))
    for proxy in proxies:
        proxy.shape()
    rig.over()
    await rig.flow(200)
    assert [proxy.connections for proxy in proxies] == before
    await rig.settle()
    rig.check(redeliveries=0)


@pytest.mark.fault("F20 confirmation lost, connection too")
async def test_an_event_whose_confirmation_went_with_the_connection_is_kept_once(rig, size):
    proxy = await rig.proxy()
    await rig.consume(Listening(name="one"))
    await rig.produce(rate=400, proxy=proxy)
    for number in range(size(5, 50)):
        await rig.flow(50 + rig.random.randrange(50))
        rig.fault()
        proxy.lose += 1
        await rig.until(lambda number=number: proxy.lost > number, "a confirmation is lost")
        rig.over()
    await rig.flow(200)
    await rig.settle()
    rig.check(redeliveries=0)


@pytest.mark.fault("F20 receipt lost")
@pytest.mark.parametrize("protocol", ["stomp"], indirect=True)
async def test_an_event_whose_receipt_is_lost_on_a_living_connection_is_kept_once(rig, size):
    proxy = await rig.proxy()
    proxy.lose_with_connection = False
    await rig.consume(Listening(name="one"))
    # A receipt is missed after a third of this time.
    await rig.produce(rate=200, proxy=proxy, connection={"confirm_timeout": 6.0})
    for number in range(size(2, 10)):
        await rig.flow(50)
        rig.fault()
        connections = proxy.connections
        proxy.lose += 1
        await rig.until(lambda number=number: proxy.lost > number, "a receipt is lost")
        await rig.until(lambda connections=connections: proxy.connections > connections, "it is missed")
        rig.over()
    await rig.flow(200)
    await rig.settle()
    rig.check(redeliveries=0)
