"""`BackgroundStart`: starts an engine again and again until broker and database are there."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from time import monotonic

from ...error_text import error_text
from ...exceptions import (
    AuthenticationError,
    ConfirmTimeoutError,
    ConnectError,
    ConnectionLostError,
    StoreUnavailableError,
)
from ...safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Errors after which the next attempt may succeed.
_TEMPORARY = (ConnectError, ConnectionLostError, ConfirmTimeoutError, StoreUnavailableError)
#: First and longest pause between two attempts, in seconds. An attempt itself lasts for the provider's `start_timeout`.
_PAUSES = (0.1, 2.0)
#: Seconds between two warnings.
_REMINDER_INTERVAL = 60.0


class BackgroundStart:
    """Repeats the start of an engine while it fails for a reason that may pass.

    Args:
        start: Starts the engine, and undoes everything if it fails.
    """

    def __init__(self, start: Callable[[], Awaitable[None]]) -> None:
        self._start = start
        #: Why the engine is not started; None before the first attempt has failed, and once it is started.
        self.error: Exception | None = None
        #: True once the start has failed for a reason that does not pass.
        self.failed = False

    async def run(self) -> None:
        """Return when the engine is started.

        Raises:
            EventException: an error that repeating does not cure, such as a wrong password or a missing permission.
        """
        self.error, self.failed = None, False
        pause, warned = _PAUSES[0], -_REMINDER_INTERVAL
        while True:
            try:
                await self._start()
            except Exception as error:
                self.error = error
                if not isinstance(error, _TEMPORARY) or isinstance(error, AuthenticationError):
                    self.failed = True
                    raise
                if monotonic() - warned >= _REMINDER_INTERVAL:
                    warned = monotonic()
                    logger.warning("not started: %s; trying again in the background", error_text(error))
            else:
                self.error = None
                return
            # Jitter: the processes of a service must not all come at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, _PAUSES[1])
