"""Publishing with an observer, which is notified before it and when the provider has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from ...events import EventDescriptor
from ...futures import outcome
from ...observer import Observer, OnEnd
from ...providers.base import Outgoing, Provider


def observed_publish(
    observer: Observer, provider: Provider, message: Outgoing, event: EventDescriptor
) -> asyncio.Future[None]:
    """Publish *message*, and notify *observer* before and when the provider has answered."""
    finish = observer.sending(message, event)
    return watched(lambda: provider.publish(message), finish)


def watched(publish: Callable[[], asyncio.Future[None]], finish: OnEnd | None) -> asyncio.Future[None]:
    """Publish, and call *finish* with the outcome: an error, or None for a confirmation."""
    try:
        sent = publish()
    except BaseException as error:
        if finish is not None:
            finish(error)
        raise
    if finish is not None:
        sent.add_done_callback(partial(_on_done, finish))
    return sent


def _on_done(finish: OnEnd, sent: asyncio.Future[Any]) -> None:
    finish(outcome(sent))
