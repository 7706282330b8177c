"""Which queue of the broker a binding means, and making sure that it is that one."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...exceptions import NoRouteError, PermissionDeniedError, QueueClashError
from ..artemis import queue_name, selector
from ..base import AddressKind, Binding
from .management import ManagementError

if TYPE_CHECKING:
    from .management import Management

logger = logging.getLogger("aspyx.event.stomp")

# Seconds that an address that has a queue is taken to keep one.
_BELIEVED = 1.0


def is_own(binding: Binding) -> bool:
    """Tell whether the queue belongs to its consumer alone and vanishes with it."""
    return binding.kind is AddressKind.TOPIC and binding.queue is None


def is_shared_volatile(binding: Binding) -> bool:
    """Tell whether the queue is shared by its name and vanishes with its last consumer."""
    return binding.kind is AddressKind.TOPIC and binding.queue is not None and not binding.durable


def subscribe_headers(binding: Binding) -> dict[str, str]:
    """Return destination and type for SUBSCRIBE.

    An address and its queue are one name as `address::queue` (manual of Artemis, "Fully Qualified Queue Names").
    """
    queue = queue_name(binding)
    plain = queue is None or (binding.kind is AddressKind.QUEUE and queue == binding.address)
    headers = {
        "destination": binding.address if plain else f"{binding.address}::{queue}",
        "subscription-type": "ANYCAST" if binding.kind is AddressKind.QUEUE else "MULTICAST",
    }
    if binding.selector and plain:  # Artemis ignores it beside the name of a queue
        headers["selector"] = selector(binding)
    return headers


def clash(binding: Binding, owner: str) -> QueueClashError:
    """The error for a queue that serves another address already."""
    return QueueClashError(
        f"{binding.label or 'subscription'}: queue {queue_name(binding)!r} serves the address {owner!r} already and "
        f"cannot serve {binding.address!r}, because queue names are unique per broker; give the listener another "
        f"name=, or the provider queue_naming=QueueNaming.QUALIFIED"
    )


class QueueKeeper:
    """Checks queues, and creates the kind of queue that SUBSCRIBE cannot create, through management."""

    def __init__(self, management: Management) -> None:
        self._management = management
        self._warned = False
        #: Queues that stay because somebody without the manage right was first.
        self._kept: set[str] = set()
        #: Addresses known to have a queue, and until when that is believed.
        self._routed: dict[str, float] = {}

    async def prepare(self, binding: Binding) -> bool:
        """Call before SUBSCRIBE.

        Returns:
            Whether the queue is known to serve this address. False where the broker does not let us ask: then a
            shared volatile queue is created by SUBSCRIBE, and stays when its consumers are gone.

        Raises:
            QueueClashError: the queue serves another address.
            ConnectionLostError: the broker could not be asked; the caller tries again.
        """
        name = queue_name(binding)
        if name is None:
            return True
        try:
            found = await self._management.queue(name)
            if found is not None and found["address"] != binding.address:
                raise clash(binding, found["address"])
            if found is not None and found.get("autoCreated") == "true":
                self._kept.add(name)
            if found is None and is_shared_volatile(binding):
                # transient: gone at once with its last consumer. durable only because Artemis answers the UNSUBSCRIBE
                # of one of several consumers of a non-durable queue with an ERROR; auto-delete removes it where a
                # crash of the broker was its end. Non-persistent messages in it stay non-persistent.
                await self._management.create_queue(
                    name=name, address=binding.address, routing_type="MULTICAST", durable=True, transient=True,
                    auto_delete=True, auto_delete_delay=0, auto_delete_message_count=-1, auto_create_address=True,
                )  # fmt: skip
        except ManagementError as error:
            self._warn(binding, error)
            return False
        return True

    async def is_stray(self, binding: Binding) -> bool:
        """Call after SUBSCRIBE to a shared volatile queue that `prepare` has seen.

        Returns:
            Whether the queue had vanished again in between, so that SUBSCRIBE made one that would stay for ever.
            The caller leaves it and calls `remove`.
        """
        name = queue_name(binding)
        if name is None or name in self._kept or not is_shared_volatile(binding):
            return False
        try:
            found = await self._management.queue(name)
        except ManagementError:
            return False
        return found is not None and found.get("autoCreated") == "true"

    async def remove(self, binding: Binding) -> None:
        """Remove the queue of a binding, unless somebody else has joined it."""
        name = queue_name(binding) or binding.address
        try:
            await self._management.destroy_queue(name)
        except ManagementError as error:
            self._kept.add(name)
            logger.warning("queue %r stays on the broker: %s", name, error)

    async def require_route(self, address: str) -> None:
        """Raise unless a message to *address* gets into a queue; a yes is believed for a second.

        Raises:
            NoRouteError: no queue is bound to the address, or it is `address::queue` and there is no such queue.
            PermissionDeniedError: the broker does not let us ask.
            ConnectionLostError: the broker could not be asked; the caller tries again.
        """
        now = asyncio.get_running_loop().time()
        if self._routed.get(address, now) > now:
            return
        plain, _, queue = address.partition("::")
        try:
            if queue:
                found = await self._management.queue(queue)
                routed = found is not None and found["address"] == plain
            else:
                routed = await self._management.has_queues(address)
        except ManagementError as error:
            raise PermissionDeniedError(
                f"publish to {address!r}: require_route=True needs the manage right on activemq.management ({error})"
            ) from error
        if not routed:
            self._routed.pop(address, None)
            raise NoRouteError(f"publish to {address!r}: no listener's queue is bound to it, the broker would drop it")
        self._routed[address] = now + _BELIEVED

    def _warn(self, binding: Binding, error: ManagementError) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s: queues cannot be checked (%s); grant the manage right on activemq.management. Without it a clash of "
                "queue names shows only when a foreign event arrives, and the queues of non-durable events that share "
                "a group stay on the broker",
                binding.label or binding.address,
                error,
            )
