"""`VolatileReceiver`: receives from a shared queue that vanishes with its last consumer."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import cproton as pn

from ..base import Consume
from ..settings import DEFAULT_MAX_MESSAGE_SIZE
from .errors import Condition
from .links import LinkOwner, logger, unique_name
from .receiver import Receiver
from .wire import Wire

# Seconds. Artemis answers the detach of the last consumer first and deletes the shared volatile queue some milliseconds
# later, even if another consumer has attached in between, which is not notified.
QUEUE_DELETE_DELAY = 0.1
# Artemis' errors for an attach to a queue that is being deleted, for which a retry helps: its address goes with it, or
# the queue goes between the broker's look for it and the creation of the consumer.
_is_being_deleted = re.compile("AMQ119010|AMQ229017").search


class VolatileReceiver(Receiver):
    """A receiver that shares a volatile queue with others; its queue may be deleted while it attaches.

    Args:
        owner: See `Receiver`, as for all others but *name*.
        name: First part of the link's name, from which Artemis makes the name of the queue.
    """

    def __init__(
        self,
        owner: LinkOwner,
        address: str,
        *,
        name: str,
        window: int,
        consume: Consume,
        subject: str,
        close_timeout: float,
        selector: str = "",
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
    ) -> None:
        super().__init__(
            owner,
            address,
            ("topic", "shared", "global"),
            window=window,
            consume=consume,
            subject=subject,
            close_timeout=close_timeout,
            selector=selector,
            max_message_size=max_message_size,
        )
        self._name = name
        #: The link that has the deliveries, or is expected to have them; None while not attached.
        self._shared: SharedLink | None = None

    def _link_name(self) -> str:
        # Artemis cuts the name of a shared subscription at the first "|", so several links may share it.
        return f"{self._name}|{unique_name(self._owner)}"

    def attach(self, wire: Wire) -> None:
        if self._link is None and wire.alive:
            self._wire, self._shared = wire, SharedLink(self, wire)
            self._link, self._handle = self._shared.link, self._shared.handle

    def switch_to(self, link: SharedLink, expected: SharedLink) -> bool:
        """Consume over *link*; False if the receiver is not waiting for *expected* any more."""
        if self._shared is not expected:
            return False
        self._shared, self._link, self._handle = link, link.link, link.handle
        self.on_attached()
        return True

    def waits_for(self, link: SharedLink) -> bool:
        """Return whether the receiver expects to consume over *link*."""
        return self._shared is link and not self._up

    def on_ended(self, condition: Condition) -> None:
        if self.ready.done() or self._reported or not _is_being_deleted(condition.description):
            super().on_ended(condition)
            return
        self._unbind()
        self._reported = True
        self._owner.attach_later(self)

    def _unbind(self) -> None:
        super()._unbind()
        self._shared = None

    @property
    def error_marker(self) -> str:
        return "" if self._up else f"{self._name}:shared-volatile:global "

    def _detach(self) -> list[asyncio.Future[Condition]]:
        return self._shared.detach() if self._shared is not None else []

    async def close(self) -> None:
        was_attached = not self._closed and self._wire is not None and self._wire.alive
        await super().close()
        if was_attached:
            await asyncio.sleep(QUEUE_DELETE_DELAY)


class SharedLink:
    """Either of the two links of a `VolatileReceiver`.

    Works around Artemis deleting a shared volatile queue while a consumer attaches. Attach a first link without credit,
    wait `QUEUE_DELETE_DELAY`, attach a second link to the queue that exists then, and consume from it. That is either the
    queue of the first link, which has kept it from vanishing, or a new queue; without the permission `manage` the client
    cannot find out. The first link stays attached without credit: detaching it from a deleted queue would delete the new
    queue of the same name.

    Credit must not be taken back from the first link to move to the second: Artemis 2.44 may just be delivering
    a message over the first link, and would hold it for as long as that link is attached.

    Args:
        receiver: Whose link it is.
        wire: The connection.
        first: The link attached before; None for the first link.

    Attributes:
        link: Of the driver.
        handle: Of the link.
    """

    def __init__(self, receiver: VolatileReceiver, wire: Wire, first: SharedLink | None = None) -> None:
        self._receiver, self._wire, self._first = receiver, wire, first
        #: The receiver consumes over this link, or expects to.
        self._current = first is None
        self._open = True
        self.link = receiver.new_link(wire.session)
        self.handle = wire.attach(self.link, self)

    @property
    def error_marker(self) -> str:
        return self._receiver.error_marker if self._current else ""

    def detach(self) -> list[asyncio.Future[Condition]]:
        """Detach this link and the first link; return futures that are done when the broker has answered."""
        detached = self._first.detach() if self._first is not None else []
        if self._open and self._wire.alive:
            self._open = False
            detached.append(self._wire.detach(self.handle))
        return detached

    def on_attached(self) -> None:
        if self._first is None:
            asyncio.get_running_loop().call_later(QUEUE_DELETE_DELAY, self._attach_second)
            return
        self._current, self._first._current = True, False
        if not self._receiver.switch_to(self, self._first):
            self._current = False
            self.detach()

    def _attach_second(self) -> None:
        if self._open and self._wire.alive and self._receiver.waits_for(self):
            SharedLink(self._receiver, self._wire, first=self)

    def on_delivery(self, handle: Any) -> None:
        if self._current:
            self._receiver.on_delivery(handle)
        else:  # unexpected, because this link has no credit
            pn.pn_delivery_update(handle, pn.PN_RELEASED)
            pn.pn_delivery_settle(handle)
            self._wire.wake()

    def on_flow(self) -> None:
        """Ignored: the receiver computes the credit itself."""

    def on_ended(self, condition: Condition) -> None:
        self._open = False
        if self._current:
            if self._first is not None:
                self._first.detach()
            self._receiver.on_ended(condition)
        elif self._first is not None and self._first._open:
            logger.info("a second link was refused, the first link stays: %s", condition)
            self._receiver.switch_to(self._first, self._first)

    def on_lost(self) -> None:
        self._open = False
        if self._current:
            self._receiver.on_lost()
