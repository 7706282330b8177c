"""Receiving from one queue, with credit that comes back when deliveries are settled."""

from __future__ import annotations

import asyncio
from typing import Any

import cproton as pn
from proton import Described, symbol

from ...exceptions import EventException
from ..base import Consume, Consumer, Delivery
from ..content_mode import received_envelope
from .errors import Condition, Stage, error_for
from .head_templates import Heads, Received
from .links import LinkOwner, SupervisedLink, logger, unique_name
from .sections import decode
from .volatile import VANISHING, SharedLinkPair
from .wire import Wire

# What Artemis says to who joins a queue whose address is just being deleted with it: trying again helps.
_VANISHED = "AMQ119010"
# Messages handed back that may come again, at most; an id is some 100 bytes.
_REMEMBERED = 10_000


class AMQPDelivery(Delivery):
    """A message that the broker waits to hear of."""

    __slots__ = ("_handle", "_link", "_receiver", "dedup_id")
    received = Delivery.envelope  # type: ignore[misc]  # the slot itself: nothing is called to read it

    def __init__(self, received: Received, redelivered: bool, receiver: Receiver, link: Any, handle: Any) -> None:
        body, headers, _, dedup_id = received
        self.envelope = received_envelope(body, headers)
        self.redelivered = redelivered
        #: Identifies the message; "" for one that was not sent by this framework.
        self.dedup_id = dedup_id
        self._receiver, self._link, self._handle = receiver, link, handle

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
    """Holds at most *window* unsettled deliveries, those of lost connections included.

    Args:
        owner: The client.
        address: What to consume.
        capabilities: Of the source.
        name: First part of the link's name where the name has a meaning (shared subscriptions), else "".
        window: See above.
        consume: Called with each delivery.
        subject: What it is, for errors.
        close_timeout: Seconds that `close` waits for the broker's answer.
        selector: What the broker is to filter by; "" for nothing.
    """

    def __init__(
        self,
        owner: LinkOwner,
        address: str,
        capabilities: tuple[str, ...],
        *,
        name: str,
        window: int,
        consume: Consume,
        subject: str,
        close_timeout: float,
        selector: str = "",
    ) -> None:
        super().__init__(owner, address, capabilities)
        self._name, self._window, self._consume, self._subject = name, window, consume, subject
        self._close_timeout, self._selector = close_timeout, selector
        #: Done when the broker has attached the link for the first time; fails when it refuses.
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Handed over and not settled.
        self._held: set[AMQPDelivery] = set()
        #: Duplicate ids of messages that were handed over and went back to the queue, the latest last.
        self._returned: dict[str, None] = {}
        self._paused = self._closed = self._complained = False
        #: Of a shared volatile queue.
        self._seat: SharedLinkPair | None = None
        #: The wire grants before its next write.
        self._granting = False
        self._parts = bytearray()
        self._heads = Heads()

    def _create(self, session: Any) -> Any:
        # Artemis cuts the name of a shared subscription at the first "|", so several links may share it, and a link
        # name must not come twice on one connection.
        unique = unique_name(self._owner)
        link = session.receiver(f"{self._name}|{unique}" if self._name else unique)
        self._describe(link.source)
        if self._selector:
            # The descriptor that the manual of Artemis names for SQL-like filters ("AMQP", "Filtering").
            value = Described(symbol("apache.org:selector-filter:string"), self._selector)
            link.source.filter.put_dict({symbol("selector"): value})
        self._parts = bytearray()
        return link

    def attach(self, wire: Wire) -> None:
        if not self._name:
            super().attach(wire)
        elif self._link is None and wire.alive:
            self._wire, self._link = wire, self._create(wire.session)
            self._seat = SharedLinkPair(self, wire, self._link)
            self._handle = self._seat.handle

    def new_link(self, session: Any) -> Any:
        """Return one more link to the same queue, not opened yet."""
        return self._create(session)

    def take_seat(self, seat: SharedLinkPair, waiting: SharedLinkPair) -> bool:
        """Consume over the link of *seat*; False if the receiver waits for nothing of *waiting* any more."""
        if self._seat is not waiting:
            return False
        self._seat, self._link, self._handle = seat, seat.link, seat.handle
        self.on_attached()
        return True

    def waits_for(self, seat: SharedLinkPair) -> bool:
        """Tell whether *seat* is the place it is going to take."""
        return self._seat is seat and not self._up

    def on_attached(self) -> None:
        super().on_attached()
        self._complained = False
        if not self.ready.done():
            self.ready.set_result(None)
        self._grant()

    def on_ended(self, condition: Condition) -> None:
        self._unbind()
        error = error_for(Stage.RECEIVER, condition, self._subject)
        if not self.ready.done():
            if self._name and _VANISHED in condition.description and not self._complained:
                self._complained = True
                self._owner.attach_later(self)
                return
            self._owner.forget(self)
            self.ready.set_exception(error)
            return
        # Its queue was deleted, or a right was taken away. It may come back, and a consumer lives until it is closed.
        if not self._complained:
            self._complained = True
            logger.error("%s; trying again", error)
        self._owner.attach_later(self)

    def on_lost(self) -> None:
        self._unbind()

    def _unbind(self) -> None:
        super()._unbind()
        self._seat = None
        self._granting = False
        for delivery in self._held:
            self._remember(delivery)

    @property
    def claim(self) -> str:
        return f"{self._name}:shared-volatile:global " if self._name and not self._up else ""

    def on_flow(self) -> None:
        """The broker's view of the credit; ours is what counts."""

    def on_delivery(self, handle: Any) -> None:
        size = pn.pn_delivery_pending(handle)
        if size <= 1 and pn.pn_delivery_aborted(handle):  # the sender gave it up half way: 1 byte, says proton then
            self._parts = bytearray()
            pn.pn_delivery_settle(handle)
            self._grant_soon()
            return
        if not pn.pn_delivery_readable(handle):
            return
        data = pn.pn_link_recv(self._handle, size)[1] if size else b""
        if pn.pn_delivery_partial(handle):
            self._parts += data
            self._grant()
            if self._wire is not None:
                self._wire.wake()  # what was read has opened the session's window again
            return
        if self._parts:
            data, self._parts = self._parts + data, bytearray()
        pn.pn_link_advance(self._handle)
        if self._paused:
            # Under way when the credit was taken back.
            self._answer(handle, pn.PN_RELEASED)
        elif not data:
            # Artemis was seen to send these under load, before it ended the link; the message comes again.
            logger.error("%s: an empty delivery; handing it back", self._subject)
            self._fail(handle)
        else:
            self._hand_over(bytes(data), handle)

    def _hand_over(self, data: bytes, handle: Any) -> None:
        try:
            received = decode(data, self._heads)
            again = self._is_redelivered(received) if self._returned else received.delivery_count > 0
            delivery = AMQPDelivery(received, again, self, self._link, handle)
        except Exception:  # noqa: BLE001  unanswered, it would be withheld from all for as long as this link lives
            logger.exception("%s: a message could not be read; handing it back", self._subject)
            self._fail(handle)
            return
        self._held.add(delivery)
        if not self._granting:
            self._grant_soon()  # what a step held back is due when the credit is used up
        self._consume(delivery)

    def settle(self, delivery: AMQPDelivery, link: Any, handle: Any, outcome: int) -> None:
        """Answer *delivery*. Of an earlier link only its place in the window is left to give back: *handle* dangles."""
        self._held.discard(delivery)
        if link is not self._link:
            self._grant_soon()
            return
        if outcome != pn.PN_ACCEPTED:
            self._remember(delivery)
        pn.pn_delivery_update(handle, outcome)
        pn.pn_delivery_settle(handle)
        if not self._granting:  # else a write is due, which takes this along
            self._grant_soon()

    def _fail(self, handle: Any) -> None:
        """Hand a message back as failed: after as many times as the broker allows it becomes its dead letter."""
        pn.pn_disposition_set_failed(pn.pn_delivery_local(handle), True)
        self._answer(handle, pn.PN_MODIFIED)

    def _answer(self, handle: Any, outcome: int) -> None:
        pn.pn_delivery_update(handle, outcome)
        pn.pn_delivery_settle(handle)
        self._grant_soon()

    def _remember(self, delivery: AMQPDelivery) -> None:
        if delivery.dedup_id:
            self._returned[delivery.dedup_id] = None
            if len(self._returned) > _REMEMBERED:  # others may have got them
                del self._returned[next(iter(self._returned))]

    def _is_redelivered(self, received: Received) -> bool:
        # Artemis counts a delivery only if its consumer says that it failed, and first-acquirer, the specification's
        # other mark, is false for most first deliveries as well. So what went back from here is remembered here.
        if received.dedup_id in self._returned:
            del self._returned[received.dedup_id]
            return True
        return received.delivery_count > 0

    def _grant_soon(self) -> None:
        """Grant once before the next write, however many deliveries come and go until then."""
        if not self._granting and self._wire is not None:
            self._granting = True
            self._wire.before_write(self._grant)

    def _grant(self) -> None:
        """Bring the credit to what the window leaves, in steps of a quarter of it."""
        self._granting = False
        link, wire = self._handle, self._wire
        if link is None or wire is None or not self._up:
            return
        have = pn.pn_link_credit(link)
        if self._paused:
            # Takes credit back, to 0 for the broker. A delivery that is only half here still counts in `have`; going
            # below would put a negative credit on the wire, which reads as four thousand million.
            missing = pn.pn_link_queued(link) - have
            due = missing != 0
        else:
            missing = self._window - len(self._held) - have
            # In steps, which are skipped only while there is credit to go on with.
            due = missing > 0 and (missing * 4 >= self._window or missing >= have)
        if due:
            pn.pn_link_flow(link, missing)
            wire.wake()

    @property
    def attached(self) -> bool:
        return self._up

    async def pause(self) -> None:
        # Credit is taken back, rather than drained (the broker would first send all that the credit allows) or given
        # up with the link (what is held could not be settled any more, and a volatile queue would vanish).
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
        wire, handle, seat = self._wire, self._handle, self._seat
        self._unbind()
        if wire is not None and wire.alive:
            left = [wire.detach(handle)] if seat is None else seat.leave()
            if left:
                await asyncio.wait(left, timeout=self._close_timeout)
            if self._name:
                await asyncio.sleep(VANISHING)

    def give_up(self, error: EventException) -> None:
        """Fail `ready`, if it is still open."""
        if not self.ready.done():
            self.ready.set_exception(error)
