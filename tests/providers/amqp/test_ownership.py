"""Handles of the C library that were freed or used again must never be touched: each case in a process of its own.

A mistake here is a crash of the process, or somebody else's delivery settled; both show as an exit code or a count.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.broker

PRELUDE = """
import asyncio, gc, uuid
from aspyx_event.envelope import Envelope
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.base import Binding, Outgoing

A = "own-" + uuid.uuid4().hex[:8]

def message(n, address=A):
    return Outgoing(address=address, envelope=Envelope(b"%d" % n), dedup_id=uuid.uuid4().hex, durable=True)

async def until(condition):
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise SystemExit("waited in vain")

async def start(**options):
    provider = AMQPProvider("s", BROKER["host"], BROKER["port"], BROKER["user"], BROKER["password"], **options)
    await provider.start()
    return provider

async def consumer(provider, consume, prefetch=100, address=A):
    return await provider.subscribe(Binding(address=address, queue=address + ".q", durable=True, prefetch=prefetch), consume)

def cut(provider):
    "End the connection as a network failure would."
    provider._client._supervisor.wire._io.abort()

def churn():
    "Make and drop objects, so that freed memory is used again."
    gc.collect()
    return [bytearray(200) for _ in range(2000)]

async def main():
BODY

asyncio.run(main())
print("done")
"""


def case(body: str) -> str:
    return PRELUDE.replace("BODY", "\n".join("    " + line for line in body.strip().splitlines()))


CASES = {
    "settling after the connection was lost": """
provider, got = await start(), []
await consumer(provider, got.append)
await asyncio.gather(*(provider.publish(message(n)) for n in range(50)))
await until(lambda: len(got) == 50)
cut(provider)
await until(lambda: not provider.connected)
churn()
for delivery in got[:25]: delivery.ack()
await until(lambda: provider.connected)
await until(lambda: len(got) == 100)
for delivery in got[:50]: delivery.release()
for delivery in got[50:]: delivery.ack()
await provider.stop()
print(len(got))
""",
    "settling twice, with other deliveries in the same memory": """
provider, got, total = await start(), [], 400
def consume(delivery):
    got.append(delivery)
    delivery.ack()
    for old in got[-10:]: old.ack(); old.release()
await consumer(provider, consume)
await asyncio.gather(*(provider.publish(message(n)) for n in range(total)))
await until(lambda: len(got) == total)
print(sorted(int(d.envelope.body) for d in got) == list(range(total)))
await provider.stop()
""",
    "settling after close and after stop": """
provider, got = await start(), []
one = await consumer(provider, got.append)
await asyncio.gather(*(provider.publish(message(n)) for n in range(50)))
await until(lambda: len(got) == 50)
await one.close()
churn()
for delivery in got[:10]: delivery.ack()
two = await consumer(provider, got.append)
await until(lambda: len(got) == 100)
for delivery in got[10:20]: delivery.release()
await provider.stop()
churn()
for delivery in got: delivery.ack()
await one.close(); await two.close(); await two.pause(); await two.resume()
print(len(got))
""",
    "using everything after stop, and after a new start": """
provider, got = await start(), []
one = await consumer(provider, got.append)
await provider.publish(message(1))
await until(lambda: got)
await provider.stop()
try: await provider.publish(message(2))
except Exception as error: print(type(error).__name__)
try: await consumer(provider, got.append)
except Exception as error: print(type(error).__name__)
await provider.start()
churn()
got[0].ack(); got[0].release()
await one.resume(); await one.pause(); await one.close()
await consumer(provider, got.append)
await until(lambda: len(got) == 2)
got[1].ack()
await provider.stop()
""",
    "losing the connection with messages under way in both directions": """
provider, count, held = await start(backoff=(0.01, 0.05)), [], []
def consume(delivery):
    count.append(1)
    held.append(delivery)
    if len(held) > 30: held.pop(0).ack()
for queue in range(3):
    await consumer(provider, consume, 50, f"{A}.{queue}")
futures = []
for round_ in range(30):
    futures += [provider.publish(message(n, f"{A}.{n % 3}")) for n in range(100)]
    await asyncio.sleep(0.01)
    if provider.connected: cut(provider)
    churn()
    await until(lambda: provider.connected)
await asyncio.gather(*futures)
await until(lambda: len(count) >= 3000)
await provider.stop()
print(len(futures))
""",
    "losing the connection inside a callback": """
provider, got = await start(backoff=(0.01, 0.05)), []
def consume(delivery):
    got.append(delivery)
    if len(got) % 40 == 1: cut(provider)
    delivery.ack()
    provider.publish(message(0, A + ".other"))
await consumer(provider, consume)
futures = [provider.publish(message(n)) for n in range(200)]
await asyncio.gather(*futures)
await until(lambda: len({bytes(d.envelope.body) for d in got}) == 200)
await provider.stop()
""",
    "dropping everything without stopping": """
provider, got = await start(), []
await consumer(provider, got.append)
await asyncio.gather(*(provider.publish(message(n)) for n in range(50)))
await until(lambda: len(got) == 50)
del provider
churn()
for delivery in got[:10]: delivery.ack()
""",
    "a link the broker refuses while others work": """
provider, got = await start(), []
await consumer(provider, got.append)
for n in range(20):
    try: await provider.subscribe(Binding(address=A + ".b", queue=A + ".q", durable=True), got.append)
    except Exception as error: name = type(error).__name__
    churn()
    await provider.publish(message(n))
await until(lambda: len(got) == 20)
for delivery in got: delivery.ack()
await provider.stop()
print(name)
""",
    "an address deleted under its links": """
provider, got = await start(backoff=(0.01, 0.05)), []
from aspyx_event.testing import Management
from types import SimpleNamespace
management = Management(SimpleNamespace(where=f"{BROKER['host']}:{BROKER['port']}", user=BROKER["user"], password=BROKER["password"]))
for round_ in range(5):
    one = await consumer(provider, got.append)
    await asyncio.gather(*(provider.publish(message(n)) for n in range(20)))
    await until(lambda: len(got) >= 20)
    await asyncio.to_thread(management.op, "broker", "deleteAddress", A, True)
    churn()
    for delivery in got: delivery.ack()
    got.clear()
    await one.close()
await provider.stop()
""",
}

PRINTED = {
    "settling after the connection was lost": "100",
    "settling twice, with other deliveries in the same memory": "True",
    "settling after close and after stop": "100",
    "using everything after stop, and after a new start": "ConnectionLostError\nConnectError",
    "losing the connection with messages under way in both directions": "3000",
    "a link the broker refuses while others work": "QueueClashError",
}


@pytest.mark.parametrize("name", CASES)
def test_the_process_survives(name, python_script):
    printed = PRINTED.get(name)
    assert python_script(case(CASES[name])) == (f"{printed}\n" if printed else "") + "done\n"
