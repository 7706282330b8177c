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
# who joins looks again.
VANISHING = 0.1


class SharedLinkPair:
    """One link of a receiver.

    The first link may be at a queue that is no more, so nothing is asked for over it. A little later a second one is
    opened: it is at a queue that lives, the same, which the first link has kept from vanishing, or a new one. Which of
    them cannot be asked without the right `manage`, so the second one is consumed from, and the first stays without
    credit: leaving a deleted queue, Artemis deletes the new one of that name.

    Credit that was given is not taken back to change from one to the other: Artemis 2.44 may have a message in hand for
    the first link then, which it would keep for as long as the link is open.

    Attributes:
        link: Of the driver.
        handle: Of the link.
    """

    def __init__(self, receiver: Receiver, wire: Wire, link: Any, *, first: SharedLinkPair | None = None) -> None:
        self._receiver, self.wire, self.link, self._first = receiver, wire, link, first
        #: It has the receiver's deliveries, or is going to have them as far as is known.
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
            asyncio.get_running_loop().call_later(VANISHING, self._look_again)
            return
        self._current, self._first._current = True, False
        if not self._receiver.take_seat(self, self._first):
            self._current = False
            self.leave()

    def _look_again(self) -> None:
        if self._open and self.wire.alive and self._receiver.waits_for(self):
            SharedLinkPair(self._receiver, self.wire, self._receiver.new_link(self.wire.session), first=self)

    def on_delivery(self, handle: Any) -> None:
        if self._current:
            self._receiver.on_delivery(handle)
        else:  # without credit nothing is due
            pn.pn_delivery_update(handle, pn.PN_RELEASED)
            pn.pn_delivery_settle(handle)
            self.wire.wake()

    def on_flow(self) -> None:
        """The broker's view of the credit; ours is what counts."""

    def on_ended(self, condition: Condition) -> None:
        self._open = False
        if self._current:
            if self._first is not None:
                self._first.leave()
            self._receiver.on_ended(condition)
        elif self._first is not None and self._first._open:
            logger.info("a second link was refused, the first one stays: %s", condition)
            self._receiver.take_seat(self._first, self._first)

    def on_lost(self) -> None:
        self._open = False
        if self._current:
            self._receiver.on_lost()
