"""Decisions that a declaration may carry: frozen values without I/O and without a clock."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from .exceptions import DeclarationError

if TYPE_CHECKING:
    from .envelope import Envelope


class AckPolicy(Enum):
    """When a delivery is acknowledged."""

    #: After the handler is done: at least once. The default.
    AFTER = "after"
    #: Before the handler runs: at most once. A failure or a crash loses the event.
    BEFORE = "before"
    #: By the handler, through `EventContext.ack`. What it never acknowledges comes again when the listener detaches.
    MANUAL = "manual"


class QueueNaming(Enum):
    """How a provider names the queue of a listener."""

    #: ``<listener>[-<server>]``; a name may serve one event only.
    LISTENER = "listener"
    #: ``<event>.<listener>[-<server>]``; never clashes with another event's queue.
    QUALIFIED = "qualified"
    #: ``<application>.<event>.<listener>[-<server>]``; never shared with another application. For brokers that several
    #: applications use. Needs ``EventManager(application=...)``.
    APPLICATION = "application"


class Backoff(Enum):
    """How the wait between two attempts grows."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too large to be an event: refused on sending, a dead letter at once on receiving.

    Attributes:
        body: Bytes of a body.
        headers: Number of headers.
        header_bytes: Characters of all header names and values together. STOMP brokers cut the connection for more
            than about 250,000, without a word.
    """

    body: int = 16 * 1024 * 1024
    headers: int = 200
    header_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        if min(self.body, self.headers, self.header_bytes) < 1:
            raise DeclarationError("Limits: body, headers and header_bytes are numbers > 0")

    def exceeded(self, envelope: Envelope) -> str:
        """Return what exceeds a limit, "" where nothing does. An object that travels as it is has no size."""
        headers, body = envelope.headers, envelope.encoded_body
        if body is not None and len(body) > self.body:
            return f"its body has {len(body):,} bytes, {self.body:,} are the limit (Limits.body)"
        if len(headers) > self.headers:
            return f"it has {len(headers)} headers, {self.headers} are the limit (Limits.headers)"
        # Twice for every event, so the quickest way to add them up: half the time of adding up lengths.
        size = len("".join([*headers, *headers.values()]))
        if size > self.header_bytes:
            return f"its headers have {size:,} characters, {self.header_bytes:,} are the limit (Limits.header_bytes)"
        return ""


class RetryMode(Enum):
    """What happens to the events behind one that waits for its next attempt."""

    #: They wait too: the queue, or the lane of the event's key, is held until it is done or dead. Keeps the order.
    IN_ORDER = "in-order"
    #: They pass: the event goes back to its queue as a copy that is due later.
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failed delivery is tried, and how long to wait before each further attempt.

    Attributes:
        attempts: All attempts, the first included. 1 means no retry.
        delay: Seconds before the second attempt.
        backoff: FIXED repeats `delay`, EXPONENTIAL doubles it each time; a sequence lists the seconds
            themselves, its last one is repeated. The words "fixed" and "exponential" will do.
        max_delay: Seconds beyond which waits do not grow, jitter included. A longer `delay`, or one of a sequence, is
            what was asked for, and is not cut.
        jitter: Share of a wait that is random: 0.2 means 80 to 120 per cent.
        on: Only these errors are tried again.
        never: These errors are not tried again; wins over `on`.
        timeout: Seconds that one attempt may take; None does not limit it. An async handler is cancelled, a sync one
            is left behind in its thread; the attempt has failed with `HandlerTimeoutError`.
        mode: Hold the events behind, or let them pass. The words "in-order" and "delayed" will do.
        max_crashes: Deaths of the process with the event in hand, after which it becomes a dead letter. Counted for
            durable queues of providers with a server name, from the second death on.
        dead_letter: False drops an event whose attempts are exhausted (logged) instead of keeping it as a
            dead letter.
    """

    attempts: int = 1
    delay: float = 0.1
    backoff: Backoff | str | Sequence[float] = Backoff.EXPONENTIAL
    max_delay: float = 60.0
    jitter: float = 0.2
    on: tuple[type[BaseException], ...] = (Exception,)
    never: tuple[type[BaseException], ...] = ()
    timeout: float | None = None
    mode: RetryMode | str = RetryMode.IN_ORDER
    max_crashes: int = 3
    dead_letter: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise DeclarationError(f"Retry(attempts={self.attempts!r}): at least one attempt is needed, a whole number")
        if self.delay < 0 or self.max_delay < 0 or not 0 <= self.jitter <= 1:
            raise DeclarationError("Retry: delay and max_delay are seconds >= 0, jitter is a share from 0 to 1")
        if self.max_crashes < 1:
            raise DeclarationError(f"Retry(max_crashes={self.max_crashes}): at least one")
        if self.timeout is not None and self.timeout <= 0:
            raise DeclarationError(f"Retry(timeout={self.timeout}): seconds > 0, or None for no limit")
        object.__setattr__(self, "mode", _word(RetryMode, self.mode, "mode"))
        if isinstance(self.backoff, (str, Backoff)):
            object.__setattr__(self, "backoff", _word(Backoff, self.backoff, "backoff"))
        else:
            self._check_waits(self.backoff)
        for errors in (self.on, self.never):
            for error in errors if isinstance(errors, tuple) else (errors,):
                if not isinstance(error, type) or not issubclass(error, BaseException):
                    raise DeclarationError(f"Retry(on={self.on!r}, never={self.never!r}): both are tuples of errors")

    @staticmethod
    def _check_waits(waits: object) -> None:
        if not isinstance(waits, Sequence):
            raise DeclarationError(f"Retry(backoff={waits!r}): Backoff.FIXED, Backoff.EXPONENTIAL or a list of seconds")
        if not waits:
            raise DeclarationError("Retry(backoff=[]): list at least one wait in seconds")
        if min(waits) < 0:
            raise DeclarationError(f"Retry(backoff={waits!r}): waits are seconds >= 0")

    def next_delay(self, attempt: int, error: BaseException) -> float | None:
        """Return the seconds to wait before attempt ``attempt + 1``; None to give up."""
        kind = type(error)  # not isinstance, which asks the error for its class
        if attempt >= self.attempts or issubclass(kind, self.never) or not issubclass(kind, self.on):
            return None
        if isinstance(self.backoff, Backoff):
            growth = 1 if self.backoff is Backoff.FIXED else 2 ** min(attempt - 1, 62)
            delay, longest = self.delay * growth, self.max_delay
            if self.delay > longest:
                delay, longest = self.delay, math.inf
        else:
            waits = tuple(float(seconds) for seconds in self.backoff)
            delay, longest = waits[min(attempt, len(waits)) - 1], math.inf
        # Spreads the retries of many consumers; not a matter of security.
        return min(delay * random.uniform(1 - self.jitter, 1 + self.jitter), longest)  # noqa: S311


W = TypeVar("W", bound=Enum)


def _word(words: type[W], value: W | str, name: str) -> W:
    try:
        return words(value)
    except ValueError:
        known = ", ".join(repr(word.value) for word in words)
        raise DeclarationError(f"Retry({name}={value!r}) is not one of {known}") from None
