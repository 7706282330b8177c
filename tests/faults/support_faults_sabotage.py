"""Bugs put in on purpose, in a process of the tests: to see that the fault tests notice them, and a failing driver.

Each names private parts of the package, because that is where such bugs live. A part that is gone makes the sabotage fail
at its start, and one that is not used any more makes its proof fail.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any


def replace_method(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Put what *make* returns for the original in the place of a method."""
    setattr(owner, name, make(getattr(owner, name)))


def decode_raises() -> None:
    """Every 60th message cannot be read, the first time."""
    from aspyx_event.providers.amqp import receiver
    from aspyx_event.providers.stomp import consumers

    numbers = itertools.count(1)

    def failing(original):
        def call(*arguments):
            if next(numbers) % 60 == 0:
                raise RuntimeError("injected: the receiving code failed")
            return original(*arguments)

        return call

    receiver.decode = failing(receiver.decode)
    consumers.read_headers = failing(consumers.read_headers)


def settle_first() -> None:
    """Deliveries are acknowledged before their handler runs."""
    from aspyx_event.engine.receiving.dispatch import Dispatcher

    def early(original):
        async def dispatch(self, delivery):
            delivery.ack()
            await original(self, delivery)

        return dispatch

    replace_method(Dispatcher, "dispatch", early)


def no_resend() -> None:
    """What was unconfirmed when the connection was lost is not sent again."""
    from aspyx_event.providers.amqp.sender import Sender
    from aspyx_event.providers.stomp.client import StompClient

    def forget(original):
        def requeue(self):
            self._in_flight.clear()

        return requeue

    def start_afresh(original):
        def on_connected(self, wire):
            unconfirmed, self._unconfirmed = self._unconfirmed, {}
            original(self, wire)
            self._unconfirmed = unconfirmed

        return on_connected

    replace_method(Sender, "_requeue", forget)
    replace_method(StompClient, "_on_connected", start_afresh)


def no_second_subscription() -> None:
    """After a reconnect no credit is given (AMQP), no queue joined again (STOMP)."""
    from aspyx_event.providers.amqp.receiver import Receiver
    from aspyx_event.providers.stomp.consumers import StompConsumer

    attached = set()

    def once(original):
        def on_attached(self):
            if self in attached:
                self._paused = True
            attached.add(self)
            original(self)

        return on_attached

    def once_async(original):
        async def attach(self):
            if self not in attached:
                attached.add(self)
                await original(self)

        return attach

    replace_method(Receiver, "on_attached", once)
    replace_method(StompConsumer, "attach", once_async)


def nack() -> None:
    """What is released is refused with the protocol's own word: NACK (STOMP), rejected (AMQP)."""
    import cproton

    from aspyx_event.providers.amqp.receiver import AMQPDelivery
    from aspyx_event.providers.stomp.consumers import StompDelivery
    from aspyx_event.providers.stomp.frames import encode

    def rejecting(original):
        def release(self):
            self._settle(cproton.PN_REJECTED)

        return release

    def refusing(original):
        def release(self):
            if self._open:
                self._attachment.wire.put(encode("NACK", {"id": self._frame.headers["ack"]}))
                original(self)

        return release

    replace_method(AMQPDelivery, "release", rejecting)
    replace_method(StompDelivery, "release", refusing)


def no_duplicate_id() -> None:
    """Every message has an id of its own each time it is sent: the broker cannot tell what it has."""
    from aspyx_event.providers.amqp import head_templates, sections
    from aspyx_event.providers.stomp import client

    head_templates.DEDUP_PROPERTY = "some-other-property"
    sections._DEDUP_KEY = sections._string(head_templates.DEDUP_PROPERTY)

    def without(original):
        def frame(message, receipt):
            return original(message, receipt).replace(b"\n_AMQ_DUPL_ID:", b"\nsome-other-property:", 1)

        return frame

    client.send_frame = without(client.send_frame)


def dead_letters_unconfirmed() -> None:
    """A dead letter is thrown away and its event acknowledged."""
    from aspyx_event.engine.receiving.failed import Decision, FailureHandler

    def careless(original):
        async def give_up(self, handler, progress, error, attempts):
            return Decision.ACK

        return give_up

    replace_method(FailureHandler, "give_up", careless)


def always_ready() -> None:
    """The process says that it is ready, whatever happens."""
    import dataclasses

    from aspyx_event.engine.operations import health

    def rosy(original):
        async def check(*arguments, **options):
            found = await original(*arguments, **options)
            return dataclasses.replace(found, ready=True)

        return check

    health.check_health = rosy(health.check_health)


def letters_without_headers() -> None:
    """A dead letter keeps what the framework wrote and loses what the sender gave."""
    from aspyx_event.engine.receiving import failed

    def stripped(original):
        def dead_letter(body, headers, *arguments, **options):
            own = {name: value for name, value in headers.items() if name.startswith(("cloudEvents_", "content-"))}
            return original(body, own, *arguments, **options)

        return dead_letter

    failed.dead_letter = stripped(failed.dead_letter)


SABOTAGES: dict[str, Callable[[], None]] = {
    "decode-raises": decode_raises,
    "settle-first": settle_first,
    "no-resend": no_resend,
    "no-second-subscription": no_second_subscription,
    "nack": nack,
    "no-duplicate-id": no_duplicate_id,
    "dead-letters-unconfirmed": dead_letters_unconfirmed,
    "always-ready": always_ready,
    "letters-without-headers": letters_without_headers,
}


def apply(name: str) -> None:
    """Put a bug in; "" is none."""
    if name:
        SABOTAGES[name]()
