"""`Publisher`: the last link of the sending chain, envelope -> provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ...envelope import CE_ID, NO_OPTIONS, Envelope, SendOptions
from ...events import EventDescriptor
from ...exceptions import LimitExceededError, UnsupportedError
from ...observer import Observer
from ...policies import Limits
from ...providers.base import Outgoing, Provider
from .observed import observed_publish


class Publisher:
    """Last link of the sending chain: passes the envelope to the provider. Runs on the manager's loop.

    Args:
        provider: The transport.
        limits: Maximum sizes.
        observer: Notified of each message and its confirmation; None for no observer.
        count: Called for each published event; None counts nothing.
    """

    def __init__(
        self,
        provider: Provider,
        limits: Limits,
        observer: Observer | None = None,
        count: Callable[[Envelope, EventDescriptor], None] | None = None,
    ) -> None:
        self._provider, self._limits, self._observer, self._count = provider, limits, observer, count

    def check(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        """Check the size of an envelope.

        Raises:
            LimitExceededError: it is too large.
        """
        exceeded = self._limits.exceeded(envelope)
        if exceeded:
            raise LimitExceededError(f"event {descriptor.name!r} (id {envelope.id}): too large: {exceeded}")

    def send(self, envelope: Envelope, descriptor: EventDescriptor, /) -> asyncio.Future[None]:
        """Publish an envelope; the future is done when the provider has confirmed it.

        Raises:
            LimitExceededError: it is too large.
        """
        self.check(envelope, descriptor)  # after the interceptors, which may have made it larger
        options = envelope.options
        message = Outgoing(
            address=options.address or descriptor.name,
            envelope=envelope,
            dedup_id=envelope.dedup_id or envelope.headers.get(CE_ID, ""),
            durable=descriptor.durable if options.durable is None else options.durable,
            options=options,
        )
        if self._observer is not None:
            published = observed_publish(self._observer, self._provider, message, descriptor)
        else:
            published = self._provider.publish(message)
        if self._count is not None:
            self._count(envelope, descriptor)
        return published


def check_send_options(options: SendOptions, provider: Provider) -> None:
    """Check that the provider supports the options of a send.

    Raises:
        UnsupportedError: an option is not supported; the message names it and the provider.
    """
    if options is NO_OPTIONS:
        return
    capabilities = provider.capabilities
    options_in_use = (
        ("delay", options.delay > 0, capabilities.delay),
        ("ttl", options.ttl is not None, capabilities.ttl),
        ("priority", options.priority is not None, capabilities.priority),
        ("key", options.key is not None, capabilities.ordered_keys),
        ("require_route", options.require_route, capabilities.require_route),
    )
    for name, used, supported in options_in_use:
        if used and not supported:
            raise UnsupportedError(f"send_event({name}=...): the {provider.name} provider does not offer it")
