"""What an Artemis broker itself does to messages that fail, held against what is done here: two owners would fight.

Retries, the waits between them and dead letters are this side's. The broker's own limits are only to catch what never
gets here, so they have to be wider. Manual of Artemis, "Message redelivery and undelivered messages" and "Address
settings".
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from ..exceptions import EventException
from .base import AddressKind, Binding

logger = logging.getLogger("aspyx.event.broker_limits")

# What Artemis takes where an address has no setting (AddressSettings.DEFAULT_MAX_DELIVERY_ATTEMPTS).
_DEFAULT_ATTEMPTS = 10


def fights(binding: Binding, settings: dict[str, Any]) -> Iterator[str]:
    """Say what of a broker's settings is in the way of a subscription.

    Args:
        binding: With the deaths of a process that this side counts.
        settings: Of its address, as `getAddressSettingsAsJSON` gives them; what has its default is left out there.
    """
    address, listener = f"address {binding.address!r}", binding.label or binding.queue
    attempts = int(settings.get("maxDeliveryAttempts", _DEFAULT_ATTEMPTS))
    dead = settings.get("deadLetterAddress") or ""
    if 0 <= attempts <= binding.crashes:
        fate = f"puts it into {dead!r}" if dead else "drops it"
        yield (
            f"{address}: after {attempts} deliveries of a message (max-delivery-attempts) the broker {fate}, before "
            f"listener {listener!r} makes a dead letter of an event in whose handling processes died {binding.crashes} "
            f"times (Retry(max_crashes={binding.crashes})); set max-delivery-attempts to -1 for the address, or to more "
            f"than {binding.crashes}"
        )
    elif attempts >= 0 and not dead:
        yield (
            f"{address}: after {attempts} deliveries of a message (max-delivery-attempts) the broker drops it, because "
            f"the address has no dead-letter-address; listener {listener!r} gives no event up by that count, its dead "
            "letters are its own: set a dead-letter-address, or max-delivery-attempts to -1"
        )
    delay = int(settings.get("redeliveryDelay", 0))
    if delay > 0:
        yield (
            f"{address}: the broker keeps what is handed back to it for {delay} ms (redelivery-delay) and lets later "
            f"events pass, where listener {listener!r} wants 0 ms: its waits between attempts are those of Retry(delay=) "
            "and keep the order; set redelivery-delay to 0 for the address"
        )
    if settings.get("addressFullMessagePolicy") == "DROP":
        yield (
            f"{address}: what is sent while the address is full is confirmed and dropped (address-full-policy DROP), "
            f"where listener {listener!r} of a durable event counts on all that was confirmed; set PAGE, BLOCK or FAIL"
        )


class BrokerLimits:
    """Looks at the settings of each address that is listened to, once, and warns of what fights. Never fails.

    Args:
        ask: Gives the settings of an address as JSON; raises an `EventException` where they cannot be had.
        timeout: Seconds for an answer.
    """

    def __init__(self, ask: Callable[[str], Awaitable[str]], timeout: float) -> None:
        self._ask, self._timeout = ask, timeout
        self._seen: set[str] = set()
        self._looking: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._blind = False

    def look(self, binding: Binding) -> None:
        """Look at the address of a subscription, beside whatever goes on."""
        if binding.durable and binding.crashes and binding.kind is AddressKind.TOPIC and not self._blind:
            if binding.address in self._seen:
                return
            self._seen.add(binding.address)
            task = asyncio.get_running_loop().create_task(self._look(binding), name=f"limits of {binding.address}")
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def close(self) -> None:
        """Look no longer."""
        tasks = list(self._looking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, binding: Binding) -> None:
        async with self._lock:  # one question at a time: a start with many listeners must not flood the management
            if self._blind:
                return
            try:
                settings = json.loads(await asyncio.wait_for(self._ask(binding.address), self._timeout))
                found = list(fights(binding, settings))
            except (EventException, asyncio.TimeoutError, ValueError, TypeError, AttributeError) as error:
                self._blind = True
                logger.info(
                    "the broker's own limits (max-delivery-attempts, redelivery-delay, address-full-policy) are not "
                    "checked: %s; the right 'manage' on activemq.management lets them be read",
                    str(error) or type(error).__name__,
                )
                return
        for line in found:
            logger.warning("%s", line)
