"""Compares an Artemis broker's own redelivery limits with the framework's, and logs a warning for each conflict.

Retries, the delays between them and dead letters are the framework's. The broker's limits are only for messages that
never reach a handler, so they have to be looser. Manual of Artemis, "Message redelivery and undelivered messages" and
"Address settings".
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from ..deadlines import within
from ..exceptions import EventException
from ..futures import TaskSet
from ..safe_logger import SafeLogger
from .base import AddressKind, Binding

logger = SafeLogger(logging.getLogger("aspyx.event.broker_limits"))

# The value that Artemis uses for an address without the setting (AddressSettings.DEFAULT_MAX_DELIVERY_ATTEMPTS).
_DEFAULT_ATTEMPTS = 10


def conflicts(binding: Binding, settings: dict[str, Any]) -> Iterator[str]:
    """Describe each setting of a broker that conflicts with a subscription.

    Args:
        binding: With the number of process crashes that the framework counts.
        settings: Of its address, as `getAddressSettingsAsJSON` returns them: settings with their default are missing.
    """
    address, listener = f"address {binding.address!r}", binding.label or binding.queue
    attempts = int(settings.get("maxDeliveryAttempts", _DEFAULT_ATTEMPTS))
    dead_letter_address = settings.get("deadLetterAddress") or ""
    if 0 <= attempts <= binding.max_crashes:
        action = f"moves it to {dead_letter_address!r}" if dead_letter_address else "drops it"
        yield (
            f"{address}: after {attempts} deliveries of a message (max-delivery-attempts) the broker {action}, before "
            f"listener {listener!r} makes a dead letter of an event that crashed processes {binding.max_crashes} times "
            f"(Retry(max_crashes={binding.max_crashes})); set max-delivery-attempts to -1 for the address, or to more "
            f"than {binding.max_crashes}"
        )
    elif attempts >= 0 and not dead_letter_address:
        yield (
            f"{address}: after {attempts} deliveries of a message (max-delivery-attempts) the broker drops it, because "
            f"the address has no dead-letter-address; listener {listener!r} does not use that count and has dead "
            "letters of its own: set a dead-letter-address, or max-delivery-attempts to -1"
        )
    delay = int(settings.get("redeliveryDelay", 0))
    if delay > 0:
        yield (
            f"{address}: the broker holds each returned message back for {delay} ms (redelivery-delay) and delivers later "
            f"events first; listener {listener!r} needs 0 ms: its delays between attempts are those of Retry(delay=) "
            "and keep the order; set redelivery-delay to 0 for the address"
        )
    if settings.get("addressFullMessagePolicy") == "DROP":
        yield (
            f"{address}: messages sent while the address is full are confirmed and dropped (address-full-policy DROP); "
            f"listener {listener!r} of a durable event needs every confirmed message; set PAGE, BLOCK or FAIL"
        )


class BrokerLimits:
    """Reads the settings of each consumed address once, and logs a warning for each conflict. Never fails.

    Args:
        read: Returns the settings of an address as JSON; raises an `EventException` if they cannot be read.
        timeout: Seconds for an answer.
    """

    def __init__(self, read: Callable[[str], Awaitable[str]], timeout: float) -> None:
        self._read, self._timeout = read, timeout
        self._checked: set[str] = set()
        self._checks = TaskSet()
        self._lock = asyncio.Lock()
        self._unreadable = False

    def check(self, binding: Binding) -> None:
        """Check the address of a subscription in the background."""
        if binding.durable and binding.max_crashes and binding.kind is AddressKind.TOPIC and not self._unreadable:
            if binding.address in self._checked:
                return
            self._checked.add(binding.address)
            self._checks.spawn(self._check(binding), name=f"limits of {binding.address}")

    async def close(self) -> None:
        """Cancel the checks that are still running."""
        self._checks.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)

    async def _check(self, binding: Binding) -> None:
        async with self._lock:  # a single request at a time: a start with many listeners must not flood the management
            if self._unreadable:
                return
            try:
                settings = json.loads(await within(self._read(binding.address), self._timeout))
                warnings = list(conflicts(binding, settings))
            except (EventException, asyncio.TimeoutError, ValueError, TypeError, AttributeError) as error:
                self._unreadable = True
                logger.info(
                    "the broker's own limits (max-delivery-attempts, redelivery-delay, address-full-policy) are not "
                    "checked: %s; the right 'manage' on activemq.management allows reading them",
                    str(error) or type(error).__name__,
                )
                return
        for warning in warnings:
            logger.warning("%s", warning)
