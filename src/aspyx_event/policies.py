"""Policies of declarations: acknowledgement, queue names, limits, retries. Frozen values without I/O and clock."""

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


#: Seconds that a wait may take, a century: event loops and brokers cannot count much further.
_LONGEST_WAIT = 100 * 366 * 24 * 3600


class AckPolicy(Enum):
    """When a delivery is acknowledged."""

    #: After the handler has returned: at least once. The default.
    AFTER = "after"
    #: Before the handler runs: at most once. A failure or a crash loses the event.
    BEFORE = "before"
    #: By the handler, with `EventContext.ack`. An event that it never acknowledges is redelivered when the listener detaches.
    MANUAL = "manual"


class QueueNaming(Enum):
    """How a provider names the queue of a listener."""

    #: ``<listener>[-<server>]``; each name is limited to a single event.
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
    """Size limits of events. A larger event is refused when sent, and becomes a dead letter at once when received.

    Attributes:
        body: Bytes of the body.
        headers: Number of headers.
        header_bytes: Characters of all header names and values together. STOMP brokers close the connection without an
            error beyond about 250,000.
    """

    body: int = 16 * 1024 * 1024
    headers: int = 200
    header_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        if min(self.body, self.headers, self.header_bytes) < 1:
            raise DeclarationError("Limits: body, headers and header_bytes are numbers > 0")

    def exceeded(self, envelope: Envelope) -> str:
        """Return the reason if the envelope exceeds a limit, else "". An event passed as an object has no size."""
        headers, body = envelope.headers, envelope.encoded_body
        if body is not None and len(body) > self.body:
            return f"its body has {len(body):,} bytes, {self.body:,} are the limit (Limits.body)"
        if len(headers) > self.headers:
            return f"it has {len(headers)} headers, {self.headers} are the limit (Limits.headers)"
        # Runs twice for every event. Joining takes half the time of adding up the lengths.
        size = len("".join([*headers, *headers.values()]))
        if size > self.header_bytes:
            return f"its headers have {size:,} characters, {self.header_bytes:,} are the limit (Limits.header_bytes)"
        return ""


class RetryMode(Enum):
    """What happens to the events behind an event that waits for its next attempt."""

    #: They wait too: the queue, or the lane of the event's key, is blocked until the event is handled or a dead letter.
    IN_ORDER = "in-order"
    #: They are handled: the event goes back to its queue as a copy that is due later.
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class Retry:
    """How many attempts a delivery gets, and how long to wait before each further attempt.

    Attributes:
        attempts: Number of attempts, including the first. 1 means no retry.
        delay: Seconds before the second attempt.
        backoff: FIXED repeats `delay`, EXPONENTIAL doubles it each time; a sequence lists the seconds, and
            the last element is repeated. Also accepts "fixed" and "exponential".
        max_delay: Upper limit of the waits in seconds, including jitter. It does not cut a longer `delay` or an element
            of a sequence, which are explicit.
        jitter: Random share of a wait: 0.2 means 80 to 120 per cent.
        on: Only these errors are retried.
        never: These errors are not retried; takes precedence over `on`.
        timeout: Seconds that an attempt may take; None does not limit it. An async handler is cancelled, a sync handler
            is abandoned in its thread; the attempt fails with `HandlerTimeoutError`.
        mode: Whether the events behind wait or are handled. Also accepts "in-order" and "delayed".
        max_crashes: Crashes of the process with the event in flight, after which it becomes a dead letter. Counted for
            durable queues of providers with a server name, from the second crash on.
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
        waits = is_seconds(self.delay) and (self.max_delay == math.inf or is_seconds(self.max_delay))
        if not waits or not is_seconds(self.jitter) or self.jitter > 1:
            raise DeclarationError("Retry: delay and max_delay are seconds >= 0, jitter is a share from 0 to 1")
        if not isinstance(self.max_crashes, int) or self.max_crashes < 1:
            raise DeclarationError(f"Retry(max_crashes={self.max_crashes!r}): at least one, a whole number")
        if self.timeout is not None and not (is_seconds(self.timeout) and self.timeout > 0):
            raise DeclarationError(f"Retry(timeout={self.timeout!r}): seconds > 0, or None for no limit")
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
        if not all(map(is_seconds, waits)):
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
        # Jitter spreads the retries of many consumers; it is not security-relevant.
        return min(delay * random.uniform(1 - self.jitter, 1 + self.jitter), longest)  # noqa: S311


def is_seconds(value: object) -> bool:
    """True for a number of seconds that can be waited: neither negative nor infinite nor NaN."""
    return isinstance(value, (int, float)) and 0 <= value <= _LONGEST_WAIT


W = TypeVar("W", bound=Enum)


def _word(words: type[W], value: W | str, name: str) -> W:
    try:
        return words(value)
    except ValueError:
        known = ", ".join(repr(word.value) for word in words)
        raise DeclarationError(f"Retry({name}={value!r}) is not one of {known}") from None
