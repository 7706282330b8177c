"""`Sender`: sends to an address, with confirmations and time limits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import cproton as pn
from proton import Delivery

from ...exceptions import ConfirmTimeoutError, EventException
from .errors import Condition, Stage, error_for, read_condition
from .links import LinkOwner, SupervisedLink, logger, unique_name

#: A message without an outcome: its bytes, its future, its deadline, and whether it was written to a connection that is
#: lost. If the future is cancelled, it is not written, or not again.
_Pending = tuple[bytes, "asyncio.Future[None]", float, bool]
_UNCERTAIN, _NOT_SENT = "the broker may or may not have it", "it was not sent"


class Sender(SupervisedLink):
    """Sends messages in order; sends those again, byte for byte, that a lost connection left unconfirmed.

    Every message needs a duplicate id, or a broker that stored it before the loss stores it a second time.

    Args:
        owner: The client.
        address: The node to send to.
        capability: "topic" or "queue"; "" leaves the kind of the address open.
        confirm_timeout: Seconds from `send` to the broker's answer, reconnects included.
    """

    def __init__(self, owner: LinkOwner, address: str, capability: str, confirm_timeout: float) -> None:
        super().__init__(owner, address, (capability,) if capability else ())
        self._confirm_timeout = confirm_timeout
        self._loop = asyncio.get_running_loop()
        # Both in the order of `send`, which is the order of their deadlines.
        self._queue: deque[_Pending] = deque()
        # By the handle of the delivery; None for an expired message, whose outcome may still come.
        self._in_flight: dict[Any, _Pending | None] = {}
        self._tag = self._known_tag = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        return not self._queue and not self._in_flight

    def was_used(self) -> bool:
        """Return whether it has sent something since the last call."""
        known, self._known_tag = self._known_tag, self._tag
        return known != self._tag

    def close(self) -> None:
        """Detach an idle sender; does not wait for the broker's answer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wire is not None and self._wire.alive:
            self._wire.detach(self._handle)
        self._unbind()

    def send(self, data: bytes) -> asyncio.Future[None]:
        """Queue a message; see `Provider.publish` for the future."""
        loop = self._loop
        future: asyncio.Future[None] = asyncio.Future(loop=loop)
        deadline = loop.time() + self._confirm_timeout
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._expire)
        link, wire = self._handle, self._wire
        if link is None or wire is None:
            self._queue.append((data, future, deadline, False))
            self._owner.attach_now(self)
        elif self._queue or pn.pn_link_credit(link) <= 0:
            self._queue.append((data, future, deadline, False))
        else:
            self._transmit(link, (data, future, deadline, False))
            if not wire.flush_due:
                wire.wake()
        return future

    def fail(self, error: EventException) -> None:
        """Fail all unconfirmed messages."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reason = str(error) if repr(self.address) in str(error) else f"publish to {self.address!r}: {error}"
        for pending in self._in_flight.values():
            if pending is not None:
                self._finish(pending, type(error)(f"{reason}; {_UNCERTAIN}"))
        for pending in self._queue:
            self._finish(pending, type(error)(f"{reason}; {_UNCERTAIN if pending[3] else _NOT_SENT}"))
        self._queue.clear()
        self._in_flight.clear()

    def new_link(self, session: Any) -> Any:
        name = unique_name(self._owner)
        link = session.sender(name)
        link.source.address = name
        self._describe(link.target)
        return link

    def on_flow(self) -> None:
        link, queue = self._handle, self._queue
        if link is None or not queue:
            return
        while queue and pn.pn_link_credit(link) > 0:
            pending = queue.popleft()
            if pending[1].cancelled():
                self._finish(pending)
            else:
                self._transmit(link, pending)
        if self._wire is not None:
            self._wire.wake()

    def _transmit(self, link: Any, pending: _Pending) -> None:
        self._tag += 1
        delivery = pn.pn_delivery(link, b"%d" % self._tag)
        pn.pn_link_send(link, pending[0])
        pn.pn_link_advance(link)
        self._in_flight[delivery] = pending

    def on_delivery(self, handle: Any) -> None:
        state, error = pn.pn_delivery_remote_state(handle), None
        if state != pn.PN_ACCEPTED:
            if not pn.pn_delivery_updated(handle) or not (state or pn.pn_delivery_settled(handle)):
                return
            error = self._refusal(Delivery(handle))
        pending = self._in_flight.pop(
            handle, None
        )  # before settle, after which the handle may be reused for another delivery
        pn.pn_delivery_settle(handle)
        if pending is not None:
            self._finish(pending, error)

    def _refusal(self, delivery: Delivery) -> EventException:
        condition = delivery.remote.condition
        outcome = str(delivery.remote_state or "settled without an outcome")
        reason = read_condition(condition) if condition else Condition("", f"the broker's answer is {outcome}")
        return error_for(Stage.OUTCOME, reason, repr(self.address))

    def _finish(self, pending: _Pending, error: EventException | None = None) -> None:
        data, future = pending[:2]
        self._owner.settled(len(data))
        if future.done():  # cancelled by the caller
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _requeue(self) -> None:
        unconfirmed = [(*pending[:3], True) for pending in self._in_flight.values() if pending is not None]
        self._in_flight.clear()
        self._queue.extendleft(reversed(unconfirmed))

    def on_ended(self, condition: Condition) -> None:
        was_up = self._up
        self._unbind()
        self._requeue()
        if was_up:  # for example because its address was deleted, which the new link may create again
            logger.warning("the broker ended the link that sends to %r: %s", self.address, condition)
            self._owner.attach_later(self)
            return
        self._owner.forget(self)  # a later publish tries again
        self.fail(error_for(Stage.SENDER, condition, repr(self.address)))

    def on_lost(self) -> None:
        self._unbind()
        self._requeue()

    def _expire(self) -> None:
        """Fail messages whose deadline is over, and schedule the next call: a single timer serves all deadlines."""
        now = self._loop.time()
        error = f"no confirmation for a message to {self.address!r} within {self._confirm_timeout:g} s"
        while self._queue and self._queue[0][2] <= now:
            expired = self._queue.popleft()
            self._finish(expired, ConfirmTimeoutError(f"{error}: {_UNCERTAIN if expired[3] else _NOT_SENT}"))
        next_deadline = self._queue[0][2] if self._queue else None
        for handle, pending in self._in_flight.items():  # handles stay until the outcome or the end of the connection
            if pending is None:
                continue
            if pending[2] > now:
                next_deadline = pending[2]
                break
            self._in_flight[handle] = None
            self._finish(pending, ConfirmTimeoutError(f"{error}: {_UNCERTAIN}"))
        # At most 20 times a second, however close together the deadlines are.
        self._timer = (
            None if next_deadline is None else self._loop.call_at(max(next_deadline, now + 0.05), self._expire)
        )
