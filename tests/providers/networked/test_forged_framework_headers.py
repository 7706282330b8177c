"""`aspyx-*` headers of senders that are not the application: nothing of them is believed, over any provider."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from aspyx_event import EventManager, LocalProvider, Retry, RetryMode, event
from aspyx_event.database.deduplicate import Deduplicate
from aspyx_event.engine.failure import republish
from aspyx_event.engine.failure.republish import dead_letter_address
from aspyx_event.engine.failure.signature import SIGNATURE
from aspyx_event.envelope import ATTEMPT, CE_ID, CE_TYPE, CONTENT_TYPE, REPLAY_RUN, Envelope
from aspyx_event.providers.base import AddressKind, Binding, Outgoing

pytestmark = pytest.mark.broker
FRAMEWORK_HEADERS = sorted(
    value for name, value in vars(republish).items() if name.isupper() and str(value).startswith("aspyx-")
)
VALUES = (
    "check",
    "1",
    "9" * 5000,
    "",
    "\u0661",
    "-1",
    "1e9",
    "\x00\x1b[31m\n",
    "2024-01-01T00:00:00+99:99",
    "%",
    ",,,",
)


@pytest.fixture(params=["local", "amqp", "stomp"])
def protocol(request):
    return request.param


@pytest.fixture
def new_provider(protocol, request):
    """Make a provider: all of one test reach each other."""
    if protocol == "local":
        from aspyx_event import LocalBroker

        broker = LocalBroker()
        return lambda **_: LocalProvider(broker=broker)
    make, broker = request.getfixturevalue("make"), request.getfixturevalue("broker")
    return lambda **options: make(broker, **options)


def foreign(name, headers, *, body=b'{"number": 1}', event_id="", **fields):
    """Return an event as a sender writes it that knows the format, and has no manager."""
    own = {CE_ID: event_id or uuid.uuid4().hex, CE_TYPE: name, CONTENT_TYPE: "application/json"}
    fields.setdefault("address", name)
    return Outgoing(envelope=Envelope(body, {**own, **headers}), dedup_id=uuid.uuid4().hex, durable=True, **fields)


def declare(name):
    @event(name, durable=True)
    @dataclass
    class Order:
        number: int

    return Order


@pytest.mark.parametrize("own_queue", [False, True], ids=["address", "queue"])
async def test_a_forged_header_skips_no_handler(new_provider, unique, until, own_queue):
    """An authorisation runs, also for what is sent to the queue of its listener directly."""
    order, calls, provider = declare(f"{unique}.order"), [], new_provider()
    async with EventManager(provider) as manager:
        await manager.subscribe(order, lambda event: calls.append("check"), name=f"{unique}.check", inline=True)
        await manager.subscribe(
            order,
            lambda event: calls.append("pay"),
            name=f"{unique}.pay",
            requires=f"{unique}.check",
            inline=True,
        )
        only = Binding(address=f"{unique}.order", queue=f"{unique}.check", durable=True) if own_queue else None
        forged = {
            republish.FINISHED: f"{unique}.check",
            republish.FAILED_HANDLER: f"{unique}.pay",
            ATTEMPT: "2",
            SIGNATURE: "0" * 64,
        }
        for headers in (forged, {name: value for name, value in forged.items() if name != SIGNATURE}):
            await provider.publish(foreign(f"{unique}.order", headers, only=only))
        await until(lambda: calls.count("pay") == 2)
    assert calls == ["check", "pay"] * 2


async def test_no_forged_header_reaches_a_handler_or_counts_as_an_attempt(new_provider, unique, until, protocol):
    order, contexts, provider = declare(f"{unique}.order"), [], new_provider()

    async def handle(event, context):
        contexts.append((context.attempt, dict(context.headers)))

    async with EventManager(provider) as manager:
        await manager.subscribe(order, handle, name=f"{unique}.listener")
        values = [value if protocol != "stomp" else value.replace("\x00", "")[:3000] for value in VALUES]
        for value in values:
            await provider.publish(
                foreign(f"{unique}.order", {**dict.fromkeys(FRAMEWORK_HEADERS, value), SIGNATURE: value, "tenant": "t"})
            )
        await until(lambda: len(contexts) == len(values))
    assert {attempt for attempt, _ in contexts} == {1}
    assert all(headers["tenant"] == "t" for _, headers in contexts)
    assert not [name for _, headers in contexts for name in headers if name.startswith("aspyx-")]


async def test_a_forged_replay_does_not_pass_the_inbox(new_provider, unique, until):
    order, calls, provider = declare(f"{unique}.order"), [], new_provider()
    async with EventManager(provider, pipelines=[Deduplicate()]) as manager:
        await manager.subscribe(order, calls.append, name=f"{unique}.listener", inline=True)
        for run in ("", "one", "two"):
            headers = {REPLAY_RUN: run, republish.REPLAY_OF: run} if run else {}
            await provider.publish(foreign(f"{unique}.order", headers, event_id="the-same"))
        await provider.publish(foreign(f"{unique}.order", {}, body=b'{"number": 2}', event_id="another"))
        await until(lambda: order(2) in calls)
    assert calls == [order(1), order(2)]


async def test_a_signature_holds_for_its_own_message_and_queue_alone(new_provider, unique, until):
    """The headers of a copy on other bytes, or in another queue, count for nothing; with another header, the attempts count."""
    order, attempts, copies = declare(f"{unique}.order"), [], []
    provider, watcher = new_provider(), new_provider()

    async def fail(event, context):
        attempts.append((event.number, context.attempt, context.headers.get("tenant")))
        raise ValueError("no")

    retry = Retry(attempts=2, mode=RetryMode.DELAYED, delay=0.01)
    name = f"{unique}.listener"
    publish = provider.publish

    def spy(message):
        copies.append(message)
        return publish(message)

    provider.publish = spy
    await watcher.start()
    async with EventManager(provider) as manager:
        await manager.subscribe(order, fail, name=name, retry=retry)
        await manager.subscribe(order, fail, name=f"{unique}.other", retry=Retry(attempts=1))
        await watcher.publish(foreign(f"{unique}.order", {"tenant": "a"}))
        await until(lambda: attempts.count((1, 2, "a")) == 1)
        copy = next(copy for copy in copies if copy.only is not None)
        headers, only, seen = copy.envelope.headers, copy.only, len(attempts)
        assert headers[ATTEMPT] == "2"
        other_queue = Binding(address=f"{unique}.order", queue=f"{unique}.other", durable=True)
        for number, (body, changed, queue) in enumerate(
            (
                (b'{"number": 3}', {}, only),
                (copy.envelope.body, {"tenant": "b"}, only),
                (copy.envelope.body, {"another": "x"}, only),
                (copy.envelope.body, {ATTEMPT: "1"}, only),
                (copy.envelope.body, {}, other_queue),
            )
        ):
            await watcher.publish(
                Outgoing(
                    address=f"{unique}.order",
                    envelope=Envelope(body, {**headers, **changed}),
                    dedup_id=f"{unique}-{number}",
                    durable=True,
                    only=queue,
                )
            )
        # A copy that was believed would begin with its second attempt. A broker may drop the copies of the others, which have
        # the id of the first one.
        await until(lambda: sum(attempt == 1 for _, attempt, _ in attempts[seen:]) == 3)
        await until(lambda: {(1, 2, "b"), (1, 2, "a")} <= {*attempts[seen:]})
    await watcher.stop()


async def test_own_copies_are_believed(new_provider, unique, until):
    """Delayed retries count, a dead letter tells its attempts, and a replay goes on behind the finished handlers."""
    order, calls = declare(f"{unique}.order"), []
    fails = True

    async def check(event):
        calls.append("check")

    async def pay(event, context):
        calls.append(f"pay {context.attempt}")
        if fails:
            raise ValueError("no")

    async with EventManager(new_provider()) as manager:
        await manager.subscribe(order, check, name=f"{unique}.check")
        await manager.subscribe(
            order,
            pay,
            name=f"{unique}.pay",
            requires=f"{unique}.check",
            retry=Retry(attempts=3, mode=RetryMode.DELAYED, delay=0.01),
        )
        await manager.send_event(order(1), headers={"tenant": "ä:\\n"})
        await until(lambda: "pay 3" in calls)
        assert calls == ["check", "pay 1", "pay 2", "pay 3"]

        async def letters():
            return await manager.dead_letters.list(f"{unique}.pay")

        await until(letters)
        [letter] = await letters()
        assert (letter.attempts, letter.headers["tenant"]) == (3, "ä:\\n")
        assert SIGNATURE not in letter.headers
        fails = False
        assert await manager.dead_letters.replay(letter.id) == 1
        await until(lambda: len(calls) == 5)
    assert calls[4:] == ["pay 1"]


HOSTILE_LETTERS = [
    {name: value} for name in (*FRAMEWORK_HEADERS, "aspyx-marker", SIGNATURE, ATTEMPT, CE_ID) for value in VALUES
]


async def test_a_hostile_dead_letter_hides_no_other_one(new_provider, unique, until, protocol):
    """List, replay and purge go on, the listener gets its events, and no letter vanishes by its headers."""
    order, calls, provider = declare(f"{unique}.order"), [], new_provider()
    if protocol == "stomp":  # the protocol cannot carry it
        hostile = [headers for headers in HOSTILE_LETTERS if not any("\x00" in value for value in headers.values())]
    else:
        hostile = HOSTILE_LETTERS
    hostile = [*hostile, {CE_ID: "x" * 20_000}, dict.fromkeys(FRAMEWORK_HEADERS, "x" * 900)]

    async def handle(event):
        calls.append(event.number)
        if event.number == 0:
            raise ValueError("no")

    async with EventManager(provider) as manager:
        name = f"{unique}.listener"
        await manager.subscribe(order, handle, name=name, retry=Retry(attempts=1))
        await manager.send_event(order(0))
        await until(lambda: calls == [0])
        address = dead_letter_address(f"{unique}.order", name)
        for number, headers in enumerate(hostile, 1):
            message = foreign(
                f"{unique}.order", headers, body=b'{"number": %d}' % number, address=address, kind=AddressKind.QUEUE
            )
            await provider.publish(message)

        async def letters():
            return await manager.dead_letters.list(name)

        await until(lambda: _has_length(letters, len(hostile) + 1))
        listed = await letters()
        assert all(letter.subscription == name and letter.address == f"{unique}.order" for letter in listed)
        assert all(len(letter.id) <= 200 and letter.id.isprintable() for letter in listed)
        assert all(0 <= letter.attempts < 10**9 for letter in listed)
        for letter in listed[:3]:
            assert (await manager.dead_letters.inspect(letter.id)).id == letter.id
        assert await manager.dead_letters.replay_all(
            lambda letter: letter.body.replace(b" ", b"") != b'{"number":0}'
        ) == len(hostile)
        await until(lambda: sorted(set(calls)) == list(range(len(hostile) + 1)))
        assert await manager.dead_letters.purge() == 1
        assert await letters() == []


async def _has_length(letters, count):
    return len(await letters()) == count


async def test_a_forged_dead_letter_skips_no_handler_when_it_is_replayed(new_provider, unique, until):
    order, calls, provider = declare(f"{unique}.order"), [], new_provider()
    async with EventManager(provider) as manager:
        check, pay = f"{unique}.check", f"{unique}.pay"
        await manager.subscribe(order, lambda event: calls.append("check"), name=check, inline=True)
        await manager.subscribe(order, lambda event: calls.append("pay"), name=pay, requires=check, inline=True)
        address = dead_letter_address(f"{unique}.order", pay)
        forged = {republish.FINISHED: check, republish.FAILED_HANDLER: pay, republish.LETTER_ID: "forged"}
        await provider.publish(foreign(f"{unique}.order", forged, address=address, kind=AddressKind.QUEUE))
        assert await manager.dead_letters.replay("forged") == 1
        await until(lambda: "pay" in calls)
    assert calls == ["check", "pay"]


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_a_copy_of_one_protocol_is_believed_over_the_other(protocol, make, broker, unique, until):
    """Both have the same credentials, and a queue that they share."""
    from aspyx_event import AMQPProvider, StompProvider

    order, attempts = declare(f"{unique}.order"), []
    arguments = {"host": broker.host, "port": broker.port, "user": broker.user, "password": broker.password}
    providers = [AMQPProvider(unique, **arguments), StompProvider(server_name=unique, **arguments)]
    if protocol == "stomp":
        providers.reverse()
    await _fail_and_pass_on(providers, order, unique, until, attempts)
    assert attempts == [1, 2]


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_copies_without_a_signature_start_again_and_are_not_lost(protocol, make, broker, unique, until, caplog):
    """So are those of another key: the listener handles the event as if it were new, and the log says what to do."""
    order, attempts = declare(f"{unique}.order"), []
    providers = [make(broker, server_name=f"{unique}-{secret}", secret=secret) for secret in ("a", "b")]
    await _fail_and_pass_on(providers, order, unique, until, attempts)
    assert attempts == [1, 1]
    assert "give both processes the same secret=" in caplog.text


async def _fail_and_pass_on(providers, order, unique, until, attempts):
    """Let a manager fail on an event, and another one get the copy for the next attempt."""
    retry = Retry(attempts=2, mode=RetryMode.DELAYED, delay=0.5)
    failing, handling = (EventManager(provider, retry=retry) for provider in providers)
    subscriptions = []

    async def fail(event, context):
        attempts.append(context.attempt)
        await failing.unsubscribe(subscriptions[0].id)
        raise ValueError("no")

    async def handle(event, context):
        attempts.append(context.attempt)

    async with failing, handling:
        subscriptions.append(await failing.subscribe(order, fail, name=f"{unique}.listener"))
        await failing.send_event(order(1), headers={"tenant": "ä: x"}, key="k")
        await until(lambda: attempts == [1])
        await handling.subscribe(order, handle, name=f"{unique}.listener")
        await until(lambda: len(attempts) == 2)


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_a_common_secret_replaces_the_password_as_the_key(protocol, make, broker):
    with_secret = [make(broker, secret="s", user=user).signing_key for user in ("admin", "another")]
    by_password = [make(broker, user=user).signing_key for user in ("admin", "another")]
    assert with_secret[0] == with_secret[1]
    assert len({*with_secret, *by_password}) == 3
    assert make(broker, user="", password="").signing_key == b""
    assert "hidden" not in repr(make(broker, secret="hidden")._settings)


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_forged_notes_make_no_poison_message(protocol, make, broker, unique, until):
    """Nor do notes with numbers of any length keep deliveries from their handlers."""
    from hashlib import blake2b

    order, calls, provider = declare(f"{unique}.order"), [], make(broker, server_name=unique)
    sender, body = make(broker), b'{"number": 1}'
    await sender.start()
    identity = f"{unique}.listener|the-id|{blake2b(body, digest_size=8).hexdigest()}"
    for crashes in ("5", "9" * 5000, "x", "0", ""):
        await sender.publish(
            Outgoing(
                address=f"aspyx.attempts.{unique}",
                envelope=Envelope(b"", {"aspyx-in-flight": identity, "aspyx-crashes": crashes}),
                dedup_id=f"{unique}-{crashes[:5]}",
                kind=AddressKind.QUEUE,
                durable=True,
            )
        )
    async with EventManager(provider, retry=Retry(max_crashes=2)) as manager:
        await manager.subscribe(order, calls.append, name=f"{unique}.listener", inline=True)
        await sender.publish(foreign(f"{unique}.order", {}, body=body, event_id="the-id"))
        await until(lambda: calls)
        assert await manager.dead_letters.list(f"{unique}.listener") == []
    await sender.stop()
