"""`Receiver`: consumes a queue; deliveries that are settled restore its credit."""

from __future__ import annotations

import asyncio
from typing import Any

import cproton as pn
from proton import Described, symbol

from ...exceptions import EventException
from ..base import Consume, Consumer, Delivery
from ..content_mode import received_envelope
from ..settings import DEFAULT_MAX_MESSAGE_SIZE
from .errors import Condition, Stage, error_for
from .head_templates import Received, TemplateCache
from .links import LinkOwner, SupervisedLink, logger, unique_name
from .sections import decode

# Maximum number of remembered messages that were returned and may be redelivered; an id takes some 100 bytes.
_MAX_REMEMBERED = 10_000


class AMQPDelivery(Delivery):
    """A message whose outcome the broker waits for."""

    __slots__ = ("_handle", "_link", "_receiver", "dedup_id")
    received = Delivery.envelope  # type: ignore[misc]  # the slot itself, so that reading it calls no function

    def __init__(self, received: Received, redelivered: bool, receiver: Receiver, link: Any, handle: Any) -> None:
        body, headers, _, dedup_id = received
        self.envelope = received_envelope(body, headers)
        self.redelivered = redelivered
        #: Identifies the message; "" for a message that was not sent by this framework.
        self.dedup_id = dedup_id
        self._receiver, self._link, self._handle = receiver, link, handle

    @property
    def stale(self) -> bool:
        return self._link is not self._receiver.current_link and self._handle is not None

    def handle_of(self, link: Any) -> Any:
        """Return the handle of the unsettled delivery; None if it came over another link than *link*."""
        return self._handle if self._link is link else None

    def ack(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._receiver.settle(self, self._link, handle, pn.PN_ACCEPTED)

    def release(self) -> None:
        self._settle(pn.PN_RELEASED)

    def _settle(self, outcome: int) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._receiver.settle(self, self._link, handle, outcome)


class Receiver(SupervisedLink, Consumer):
    """Consumes a queue; holds at most *window* unsettled deliveries, those of lost connections included.

    Args:
        owner: The client.
        address: The node to consume from.
        capabilities: Of the source.
        window: See above.
        consume: Called with each delivery.
        subject: Describes the subscription in errors.
        close_timeout: Seconds that `close` waits for the broker's answer.
        selector: The filter that the broker applies; "" for none.
        max_message_size: Bytes; a larger message is rejected, and is never in memory.
    """

    def __init__(
        self,
        owner: LinkOwner,
        address: str,
        capabilities: tuple[str, ...],
        *,
        window: int,
        consume: Consume,
        subject: str,
        close_timeout: float,
        selector: str = "",
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
    ) -> None:
        super().__init__(owner, address, capabilities)
        self._max_message_size = max_message_size
        self._window, self._consume, self._subject = window, consume, subject
        self._close_timeout, self._selector = close_timeout, selector
        #: Done when the broker has attached the link for the first time; fails when it refuses.
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Handed over and not settled.
        self._unsettled: dict[AMQPDelivery, None] = {}  # in the order of their arrival
        #: Duplicate ids of messages that were handed over and went back to the queue, the latest last.
        self._returned: dict[str, None] = {}
        #: `_reported` is set while the link is down and its error was logged or is expected.
        self._paused = self._closed = self._reported = False
        #: `_grant` is called before the wire's next write.
        self._grant_due = False
        #: The parts of a message that has not arrived completely.
        self._parts = bytearray()
        #: Bytes of an oversized message that have arrived and were dropped; 0 while there is none.
        self._dropped = 0
        self._templates = TemplateCache()

    @property
    def current_link(self) -> Any:
        """The link that deliveries come over now; None while there is none."""
        return self._link

    def new_link(self, session: Any) -> Any:
        link = session.receiver(self._link_name())
        self._describe(link.source)
        if self._selector:
            # The descriptor that the manual of Artemis names for SQL-like filters ("AMQP", "Filtering").
            value = Described(symbol("apache.org:selector-filter:string"), self._selector)
            link.source.filter.put_dict({symbol("selector"): value})
        link.max_message_size = self._max_message_size
        self._parts, self._dropped = bytearray(), 0
        return link

    def _link_name(self) -> str:
        return unique_name(self._owner)

    def on_attached(self) -> None:
        super().on_attached()
        self._reported = False
        if not self.ready.done():
            self.ready.set_result(None)
        elif self.on_reattach is not None:
            self.on_reattach()
        self._grant()

    def on_ended(self, condition: Condition) -> None:
        self._unbind()
        error = error_for(Stage.RECEIVER, condition, self._subject)
        if not self.ready.done():
            self._owner.forget(self)
            self.ready.set_exception(error)
            return
        # Its queue was deleted, or a permission was revoked. Both may come back, and a consumer lives until it is closed.
        if not self._reported:
            self._reported = True
            logger.error("%s; trying again", error)
        self._owner.attach_later(self)

    def on_lost(self) -> None:
        self._unbind()

    def _unbind(self) -> None:
        super()._unbind()
        self._grant_due = False
        for delivery in self._unsettled:
            self._remember(delivery)

    def on_flow(self) -> None:
        """Ignored: the receiver computes the credit itself."""

    def on_delivery(self, handle: Any) -> None:
        size = pn.pn_delivery_pending(handle)
        if size <= 1 and pn.pn_delivery_aborted(handle):  # the sender aborted it half way: proton then reports 1 byte
            self._parts, self._dropped = bytearray(), 0
            pn.pn_delivery_settle(handle)
            self._grant_soon()
            return
        if not pn.pn_delivery_readable(handle):
            return
        data = pn.pn_link_recv(self._handle, size)[1] if size else b""
        if self._dropped or len(self._parts) + len(data) > self._max_message_size:
            self._dropped += len(self._parts) + len(data)
            self._parts, data = bytearray(), b""
        if pn.pn_delivery_partial(handle):
            self._parts += data
            self._grant()
            if self._wire is not None:
                self._wire.wake()  # reading has opened the session's window again
            return
        if self._parts:
            data, self._parts = self._parts + data, bytearray()
        pn.pn_link_advance(self._handle)
        if self._dropped:
            self._reject(handle)
        elif self._paused:
            # It was on its way when the credit was taken back.
            self._answer(handle, pn.PN_RELEASED)
        elif not data:
            # Artemis was observed to send these under load, before it ended the link; the message is delivered again.
            logger.error("%s: an empty delivery; returning it", self._subject)
            self._fail(handle)
        else:
            self._hand_over(bytes(data), handle)

    def _reject(self, handle: Any) -> None:
        """Reject an oversized message, which nobody has: the broker moves it to the dead-letter-address of its address."""
        size, self._dropped = self._dropped, 0
        logger.error(
            "%s: a message of %d bytes is rejected, so the broker moves it to its dead-letter-address; %d are the limit "
            "(max_message_size)",
            self._subject,
            size,
            self._max_message_size,
        )
        self._answer(handle, pn.PN_REJECTED)

    def _hand_over(self, data: bytes, handle: Any) -> None:
        try:
            received = decode(
                data, self._templates
            )  # never raises, whatever the data: what follows is for faults of ours
            redelivered = self._is_redelivered(received) if self._returned else received.delivery_count > 0
            delivery = AMQPDelivery(received, redelivered, self, self._link, handle)
        except Exception:  # noqa: BLE001  an unanswered message is withheld from everybody while this link is attached
            logger.exception("%s: a message could not be read; returning it", self._subject)
            self._fail(handle)
            return
        self._unsettled[delivery] = None
        if not self._grant_due:
            self._grant_soon()  # a grant that was skipped as too small is due when the credit is used up
        self._consume(delivery)

    def settle(self, delivery: AMQPDelivery, link: Any, handle: Any, outcome: int) -> None:
        """Settle *delivery*. If it came over an earlier link, only its place in the window is freed: *handle* dangles."""
        self._unsettled.pop(delivery, None)
        if link is not self._link:
            self._grant_soon()
            return
        if outcome != pn.PN_ACCEPTED:
            self._remember(delivery)
        pn.pn_delivery_update(handle, outcome)
        pn.pn_delivery_settle(handle)
        if not self._grant_due:  # otherwise a write is due, which sends this as well
            self._grant_soon()

    def _fail(self, handle: Any) -> None:
        """Return a message as failed: after the broker's maximum of deliveries it becomes a dead letter of the broker."""
        pn.pn_disposition_set_failed(pn.pn_delivery_local(handle), True)
        self._answer(handle, pn.PN_MODIFIED)

    def _answer(self, handle: Any, outcome: int) -> None:
        pn.pn_delivery_update(handle, outcome)
        pn.pn_delivery_settle(handle)
        self._grant_soon()

    def _remember(self, delivery: AMQPDelivery) -> None:
        if delivery.dedup_id:
            self._returned[delivery.dedup_id] = None
            if len(self._returned) > _MAX_REMEMBERED:  # other consumers may have got them
                del self._returned[next(iter(self._returned))]

    def _is_redelivered(self, received: Received) -> bool:
        # Artemis counts a delivery only if its consumer reports a failure, and first-acquirer, the specification's other
        # mark, is false for most first deliveries as well. So the receiver remembers the messages that it returned.
        if received.dedup_id in self._returned:
            del self._returned[received.dedup_id]
            return True
        return received.delivery_count > 0

    def _grant_soon(self) -> None:
        """Grant once before the next write, however many deliveries come and go until then."""
        if not self._grant_due and self._wire is not None:
            self._grant_due = True
            self._wire.before_write(self._grant)

    def _grant(self) -> None:
        """Raise the credit to the free part of the window, in steps of a quarter of it."""
        self._grant_due = False
        link, wire = self._handle, self._wire
        if link is None or wire is None or not self._up:
            return
        credit = pn.pn_link_credit(link)
        if self._paused:
            # Takes credit back, to 0 for the broker. A delivery that has arrived only in part still counts in `credit`;
            # going below would put a negative credit on the wire, which reads as four thousand million.
            missing = pn.pn_link_queued(link) - credit
            due = missing != 0
        else:
            missing = self._window - len(self._unsettled) - credit
            # Smaller steps are skipped only while there is credit left.
            due = missing > 0 and (missing * 4 >= self._window or missing >= credit)
        if due:
            pn.pn_link_flow(link, missing)
            wire.wake()

    @property
    def attached(self) -> bool:
        return self._up

    async def pause(self) -> None:
        # Credit is taken back. Draining would make the broker first send everything that the credit allows; after a
        # detach the unsettled deliveries could not be settled any more, and a volatile queue would vanish.
        self._paused = True
        self._grant()

    async def resume(self) -> None:
        self._paused = False
        self._grant()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._owner.forget(self)
        detached = []
        if self._wire is not None and self._wire.alive:
            self._release_unsettled()
            detached = self._detach()
        self._unbind()
        if detached:
            await asyncio.wait(detached, timeout=self._close_timeout)

    def _release_unsettled(self) -> None:
        """Release everything that came over this link: the driver would settle it without an outcome at the detach,
        for which other brokers than Artemis end the session. The deliveries stay in the hands of their owners, stale.
        """
        for delivery in self._unsettled:
            handle = delivery.handle_of(self._link)
            if handle is not None:
                pn.pn_delivery_update(handle, pn.PN_RELEASED)
                pn.pn_delivery_settle(handle)

    def _detach(self) -> list[asyncio.Future[Condition]]:
        """Detach from an open connection; return futures that are done when the broker has answered."""
        return [self._wire.detach(self._handle)] if self._wire is not None else []

    def fail(self, error: EventException) -> None:
        """Fail `ready` if it is not done."""
        if not self.ready.done():
            self.ready.set_exception(error)
