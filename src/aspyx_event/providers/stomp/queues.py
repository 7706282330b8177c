"""Maps a binding to its queue on the broker, and checks or creates that queue through management."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...exceptions import NoRouteError, PermissionDeniedError, QueueClashError
from ...safe_logger import SafeLogger
from ..artemis import artemis_queue_name, selector
from ..base import AddressKind, Binding
from .management import ManagementError

if TYPE_CHECKING:
    from .management import ManagementClient

logger = SafeLogger(logging.getLogger("aspyx.event.stomp"))

# Seconds for which an address that has a queue is not checked again.
_ROUTE_TTL = 1.0
# Addresses are few and recur; bounded, because a program may send to addresses that others make up.
_MAX_ROUTES = 1024


def is_exclusive(binding: Binding) -> bool:
    """Return whether the queue belongs to its consumer alone and vanishes with it."""
    return binding.kind is AddressKind.TOPIC and binding.queue is None


def is_shared_volatile(binding: Binding) -> bool:
    """Return whether the queue is shared by its name and vanishes with its last consumer."""
    return binding.kind is AddressKind.TOPIC and binding.queue is not None and not binding.durable


def subscribe_headers(binding: Binding) -> dict[str, str]:
    """Return destination and type for SUBSCRIBE.

    An address and its queue are written as `address::queue` (manual of Artemis, "Fully Qualified Queue Names").
    """
    queue = artemis_queue_name(binding)
    plain = queue is None or (binding.kind is AddressKind.QUEUE and queue == binding.address)
    headers = {
        "destination": binding.address if plain else f"{binding.address}::{queue}",
        "subscription-type": "ANYCAST" if binding.kind is AddressKind.QUEUE else "MULTICAST",
    }
    if binding.selector and plain:  # Artemis ignores a selector when the destination names a queue
        headers["selector"] = selector(binding)
    return headers


def queue_clash_error(binding: Binding, address: str) -> QueueClashError:
    """Return the error for a queue that already serves another address, *address*."""
    return QueueClashError(
        f"{binding.label or 'subscription'}: queue {artemis_queue_name(binding)!r} already serves the address {address!r} and "
        f"cannot serve {binding.address!r}, because queue names are unique per broker; give the listener another "
        f"name=, or the provider queue_naming=QueueNaming.QUALIFIED"
    )


class QueueAdmin:
    """Checks queues through management, and creates the kind of queue that SUBSCRIBE cannot create."""

    def __init__(self, management: ManagementClient) -> None:
        self._management = management
        self._warned = False
        #: Queues that outlive their consumers, because a client without the manage right created them.
        self._permanent: set[str] = set()
        #: Addresses known to have a queue, and the loop time until which they are not checked again.
        self._routed_until: dict[str, float] = {}

    async def prepare(self, binding: Binding) -> bool:
        """Check the queue of a binding; called before SUBSCRIBE.

        Returns:
            Whether the queue is known to serve this address. False without the manage right: then SUBSCRIBE creates
            a shared volatile queue, which stays on the broker when its consumers are gone.

        Raises:
            QueueClashError: the queue serves another address.
            ConnectionLostError: the broker could not be reached; the caller tries again.
        """
        name = artemis_queue_name(binding)
        if name is None:
            return True
        try:
            queue = await self._management.queue(name)
            if queue is not None and queue["address"] != binding.address:
                raise queue_clash_error(binding, queue["address"])
            if queue is not None and queue.get("autoCreated") == "true":
                self._permanent.add(name)
            if queue is None and is_shared_volatile(binding):
                # transient: removed at once with its last consumer. durable only because Artemis answers the
                # UNSUBSCRIBE of one of several consumers of a non-durable queue with an ERROR; auto-delete removes the
                # queue after a crash of the broker. Non-persistent messages in it stay non-persistent.
                await self._management.create_queue(
                    name=name, address=binding.address, routing_type="MULTICAST", durable=True, transient=True,
                    auto_delete=True, auto_delete_delay=0, auto_delete_message_count=-1, auto_create_address=True,
                )  # fmt: skip
        except ManagementError as error:
            self._warn(binding, error)
            return False
        return True

    async def exists(self, name: str) -> bool:
        """Return whether a queue exists.

        Raises:
            ManagementError: the user lacks the manage right.
            ConnectionLostError: the broker could not be reached.
        """
        return await self._management.queue(name) is not None

    async def was_recreated(self, binding: Binding) -> bool:
        """Check a shared volatile queue that `prepare` has checked; called after SUBSCRIBE.

        Returns:
            Whether the queue vanished in between, so that SUBSCRIBE created a queue that would stay for ever.
            The caller unsubscribes and calls `remove`.
        """
        name = artemis_queue_name(binding)
        if name is None or name in self._permanent or not is_shared_volatile(binding):
            return False
        try:
            queue = await self._management.queue(name)
        except ManagementError:
            return False
        return queue is not None and queue.get("autoCreated") == "true"

    async def remove(self, binding: Binding) -> None:
        """Remove the queue of a binding, unless another consumer is attached to it."""
        name = artemis_queue_name(binding) or binding.address
        try:
            await self._management.destroy_queue(name)
        except ManagementError as error:
            self._permanent.add(name)
            logger.warning("queue %r stays on the broker: %s", name, error)

    async def require_route(self, address: str) -> None:
        """Raise unless a message to *address* reaches a queue; a positive answer is cached for a second.

        Raises:
            NoRouteError: no queue is bound to the address, or it is `address::queue` and there is no such queue.
            PermissionDeniedError: the user lacks the manage right.
            ConnectionLostError: the broker could not be reached; the caller tries again.
        """
        now = asyncio.get_running_loop().time()
        if self._routed_until.get(address, now) > now:
            return
        plain, _, name = address.partition("::")
        try:
            if name:
                queue = await self._management.queue(name)
                routed = queue is not None and queue["address"] == plain
            else:
                routed = await self._management.has_queues(address)
        except ManagementError as error:
            raise PermissionDeniedError(
                f"publish to {address!r}: require_route=True needs the manage right on activemq.management ({error})"
            ) from error
        if not routed:
            self._routed_until.pop(address, None)
            raise NoRouteError(f"publish to {address!r}: no listener's queue is bound to it, the broker would drop it")
        if len(self._routed_until) >= _MAX_ROUTES:
            self._routed_until.clear()
        self._routed_until[address] = now + _ROUTE_TTL

    def _warn(self, binding: Binding, error: ManagementError) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s: queues cannot be checked (%s); grant the manage right on activemq.management. Without it a clash "
                "of queue names is detected only when a foreign event arrives, and the queues of non-durable events "
                "that share a group stay on the broker",
                binding.label or binding.address,
                error,
            )
