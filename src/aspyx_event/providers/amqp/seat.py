"""A consumer's place at a volatile queue, which may be deleted just while it is taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import cproton as pn

from .errors import Condition
from .links import logger

if TYPE_CHECKING:
    from .receiver import Receiver
    from .wire import Wire

# Seconds. Artemis answers the last consumer of a shared volatile queue first and deletes the queue some milliseconds
# later, also from under a consumer that has joined meanwhile, which is never told. So leaving takes a little longer, and
# who joined and got nothing looks again.
VANISHING = 0.1


class Seat:
    """One link of a receiver; the receiver's own, or its successor.

    A link that got nothing for a moment may be at a queue that is no more. A second one is at a queue that lives: the
    same, which the first link has kept from vanishing, or a new one. Which of them cannot be asked without the right
    `manage`, so the second link takes over, and the first stays, without credit: leaving a deleted queue, Artemis
    deletes the new one of that name.

    Attributes:
        link: Of the driver.
        handle: Of the link.
    """

    def __init__(self, receiver: Receiver, wire: Wire, link: Any, *, first: Seat | None = None) -> None:
        self._receiver, self.wire, self.link, self._first = receiver, wire, link, first
        #: It has the receiver's deliveries.
        self._current = first is None
        self._open = True
        self.handle = wire.attach(link, self)

    @property
    def claim(self) -> str:
        return self._receiver.claim if self._current else ""

    def leave(self) -> list[asyncio.Future[Condition]]:
        """Close this link and the one it followed; return what is done when the broker has answered."""
        left = self._first.leave() if self._first is not None else []
        if self._open and self.wire.alive:
            self._open = False
            left.append(self.wire.detach(self.handle))
        return left

    def on_attached(self) -> None:
        if self._first is None:
            self._receiver.on_attached()
            asyncio.get_running_loop().call_later(VANISHING, self._look_again)
        elif self._receiver.take_over(self._first, self):
            self._current, self._first._current = True, False
            self._first._hand_back()
        else:
            self._open = False
            self.wire.detach(self.handle)

    def _look_again(self) -> None:
        if self._open and self.wire.alive and self._receiver.hold(self):
            # Processed before the second attach: what comes over this link comes before its answer, or when it is drained.
            pn.pn_link_flow(self.handle, pn.pn_link_queued(self.handle) - pn.pn_link_credit(self.handle))
            Seat(self._receiver, self.wire, self._receiver.new_link(self.wire.session), first=self)

    def on_delivery(self, handle: Any) -> None:
        if self._current:
            self._receiver.on_delivery(handle)
            return
        size = pn.pn_delivery_pending(handle)
        if size:
            pn.pn_link_recv(self.handle, size)
        if not pn.pn_delivery_partial(handle):
            pn.pn_link_advance(self.handle)
            pn.pn_delivery_update(handle, pn.PN_RELEASED)
            pn.pn_delivery_settle(handle)
        self.wire.wake()

    def _hand_back(self) -> None:
        """Get what Artemis had given to this link when its credit was taken back, and keeps for it: back to the queue."""
        if self._open and self.wire.alive and not self._current:
            pn.pn_link_drain(self.handle, 1)
            self.wire.wake()

    def on_flow(self) -> None:
        """The broker's view of the credit; ours is what counts."""

    def on_ended(self, condition: Condition) -> None:
        self._open = False
        if self._current:
            if self._first is not None:
                self._first.leave()
            self._receiver.on_ended(condition)
        elif self._first is not None:
            logger.info("a second link was refused, the first one stays: %s", condition)
            self._receiver.go_on(self._first)

    def on_lost(self) -> None:
        self._open = False
        if self._current:
            self._receiver.on_lost()
