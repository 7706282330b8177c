"""The unit that travels, headers and body, and the names of the headers on the wire.

Attributes of an event travel as CloudEvents v1.0 attributes in binary mode. The names follow the AMQP protocol
binding for CloudEvents (section 3.1.3.1, prefix ``cloudEvents_``); STOMP has no binding of its own and uses the same
names, so that a message reads the same over both protocols.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .exceptions import DeclarationError, HeaderError
from .printable import printable

CE_PREFIX = "cloudEvents_"
#: The other prefix that the AMQP binding allows; read, never written.
CE_PREFIX_COLON = "cloudEvents:"
CE_SPECVERSION = CE_PREFIX + "specversion"
CE_ID = CE_PREFIX + "id"
CE_SOURCE = CE_PREFIX + "source"
CE_TYPE = CE_PREFIX + "type"
CE_TIME = CE_PREFIX + "time"
#: CloudEvents partitioning extension: the key that keeps events in order.
CE_KEY = CE_PREFIX + "partitionkey"
#: Extension of this framework: version of the payload's shape, a whole number; absent is 1.
CE_VERSION = CE_PREFIX + "schemaversion"
CONTENT_TYPE = "content-type"
SPECVERSION = "1.0"

#: CloudEvents correlation extension: what an event belongs to, and the event that it was an answer to.
CE_CORRELATION = CE_PREFIX + "correlationid"
CE_CAUSATION = CE_PREFIX + "causationid"
#: W3C Trace Context, as instrumented clients of brokers write it: beside the attributes of the event.
TRACE_HEADERS = ("traceparent", "tracestate")
#: CloudEvents expiry time extension: when the event is of no use any more, RFC 3339.
CE_EXPIRY = CE_PREFIX + "expirytime"
#: Prefix of the headers this framework writes about a delivery (dead letters, replay).
FRAMEWORK_PREFIX = "aspyx-"
#: Which attempt a delivery is, on copies made for a retry.
ATTEMPT = FRAMEWORK_PREFIX + "attempt"
#: Which replay of stored events a delivery is part of: it is meant to be handled though it was handled before.
REPLAY_RUN = FRAMEWORK_PREFIX + "replay-run"

_ESCAPE = "header-"
# What STOMP 1.2, Artemis or JMS reads as its own: https://stomp.github.io/stomp-specification-1.2.html#Standard_Headers
# and the Artemis manual, "STOMP". A user header of such a name is escaped on the wire.
_RESERVED = frozenset(
    {
        "accept-version", "ack", "browser", "browser-end", "client-id", "consumer-window-size", "content-encoding",
        "content-length", "correlation-id", "destination", "destination-type", "durable-subscription-name", "expires",
        "heart-beat", "host", "id", "login", "message", "message-id", "native_message_id", "no-local", "passcode",
        "persistent", "priority", "receipt", "receipt-id", "redelivered", "reply-to", "selector", "server", "session",
        "subscription", "subscription-type", "timestamp", "transaction", "type", "version",
    }
)  # fmt: skip
_RESERVED_PREFIXES = ("_amq", "__amq", "amq_", "jms", "x-opt-", _ESCAPE)


# Header names are few and short; those of a hostile sender must not fill the memory.
_MAX_CACHED_NAMES, MAX_CACHED_NAME = 4096, 255


def wire_name(name: str) -> str:
    """Return the name under which the user header *name* travels; `header_name` is the way back."""
    return (_cached_wire_name if len(name) <= MAX_CACHED_NAME else _wire_name)(name)


def _wire_name(name: str) -> str:
    lower = name.lower()
    reserved = lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)
    return _ESCAPE + name if reserved else name


_cached_wire_name = lru_cache(_MAX_CACHED_NAMES)(_wire_name)


def header_name(wire: str) -> str | None:
    """Return the header that travelled as *wire*, or None where the name belongs to a broker or a protocol."""
    escaped = wire.startswith(_ESCAPE)
    name = wire[len(_ESCAPE) :] if escaped else wire
    if name.startswith(CE_PREFIX_COLON):  # also behind an escape: a header has the same name after it is sent again
        return CE_PREFIX + name[len(CE_PREFIX_COLON) :]
    return name if escaped or wire_name(name) == name else None


def whole_number(text: str) -> int | None:
    """Return the number in a received header; None if it is not a number of one to nine ASCII digits.

    Numbers have a limit because reading thousands of digits raises, or takes long.
    """
    return int(text) if len(text) < 10 and text.isascii() and text.isdigit() else None


def check_headers(headers: Mapping[str, str]) -> None:
    """Check headers that a caller of `send_event` gives.

    Raises:
        HeaderError: a name is empty or belongs to the event's own attributes, or a value is not a str.
    """
    for name, value in headers.items():
        if name in _sound_names and type(value) is str:
            continue
        if not isinstance(name, str) or not name:
            raise HeaderError(f"header name {name!r}: a name is a str that is not empty")
        if name.startswith((CE_PREFIX, CE_PREFIX_COLON)) or name.lower() == CONTENT_TYPE:
            raise HeaderError(f"header {name!r} is an attribute of the event itself and is set by the framework")
        if name.lower().startswith(FRAMEWORK_PREFIX):
            raise HeaderError(f"header {name!r}: the prefix {FRAMEWORK_PREFIX!r} is kept for the framework")
        if not isinstance(value, str):
            raise HeaderError(f"header {name!r} is {type(value).__name__}: header values are str, convert it")
        if len(_sound_names) < 4096:
            _sound_names.add(name)


#: Names that were checked before.
_sound_names: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """How an event is to travel; the keywords of `send_event`.

    Attributes:
        key: Events with the same key are handled in sequence; None has no order.
        delay: Seconds until the event may be delivered.
        ttl: Seconds after which it is not delivered any more; None keeps it for ever.
        priority: 0 (lowest) to 9; None is the broker's default, 4.
        require_route: Fail with `NoRouteError` instead of losing the event when no queue is bound to its address.
        wait_handled: The caller blocks; an in-process provider confirms when all listeners are done.
        address: Where to, instead of the event's own address; "" is that.
        durable: Whether the broker stores it; None as the event's class says.
    """

    key: str | None = None
    delay: float = 0.0
    ttl: float | None = None
    priority: int | None = None
    require_route: bool = False
    wait_handled: bool = False
    address: str = ""
    durable: bool | None = None

    def __post_init__(self) -> None:
        if not _seconds(self.delay) or self.delay < 0:
            raise DeclarationError(f"delay={self.delay!r} is not a number of seconds >= 0")
        if self.ttl is not None and (not _seconds(self.ttl) or self.ttl <= 0):
            raise DeclarationError(f"ttl={self.ttl!r} is neither a number of seconds > 0 nor None")
        if self.priority is not None and not (isinstance(self.priority, int) and 0 <= self.priority <= 9):
            raise DeclarationError(f"priority={self.priority!r} is not between 0 (lowest) and 9")
        if self.key is not None and (not isinstance(self.key, str) or not self.key):
            raise DeclarationError(f"key={self.key!r} is not a str, or is empty; convert it, or give None")


def _seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


NO_OPTIONS = SendOptions()


class Envelope:
    """One event under way: what interceptors see and change on both sides.

    Attributes:
        headers: str to str. CloudEvents attributes under their wire names, user headers beside them.
        event: The event object. On the receiving side None until the body was decoded, after all interceptors.
        options: How the event is to travel; the defaults on the receiving side.
        encoded_body: The body, None while a lazy envelope was not read. To be looked at; `body` is to be used.
    """

    __slots__ = ("_encode", "dedup_id", "encoded_body", "event", "headers", "options", "started")

    def __init__(self, body: bytes | None = b"", headers: dict[str, str] | None = None, event: Any = None) -> None:
        self.headers = {} if headers is None else headers
        self.event = event
        self.options = NO_OPTIONS
        #: By what a broker recognises a second copy; "" is the event id.
        self.dedup_id = ""
        self.encoded_body = body
        self._encode: Callable[[Any], bytes] | None = None
        #: What the running interceptor has started with `proceed_*`; owned by `legacy_proceed`, shared by forks.
        self.started: list[Any] | None = None

    @classmethod
    def lazy(cls, event: Any, headers: dict[str, str], encode: Callable[[Any], bytes]) -> Envelope:
        """An envelope that encodes *event* only when somebody reads the body."""
        envelope = cls(None, headers, event)
        envelope._encode = encode
        return envelope

    @property
    def body(self) -> bytes:
        """The encoded event.

        Raises:
            EncodeError: the event cannot be written; only on the first read of a lazy envelope.
        """
        if self.encoded_body is None:
            self.encoded_body = self._encode(self.event) if self._encode is not None else b""
        return self.encoded_body

    @body.setter
    def body(self, body: bytes) -> None:
        self.encoded_body = body

    def fork(self) -> Envelope:
        """Return an envelope with the same content that can be changed independently."""
        copy = Envelope(self.encoded_body, dict(self.headers), self.event)
        copy.options, copy._encode, copy.dedup_id = self.options, self._encode, self.dedup_id
        copy.started = self.started
        return copy

    @property
    def encoded(self) -> bool:
        """True once there are bytes; False while a lazy envelope was not read."""
        return self.encoded_body is not None

    def get_body(self) -> str:
        """Return the body as text, undecodable bytes replaced."""
        return self.body.decode("utf-8", "replace")

    def set(self, key: str, value: str) -> None:
        """Set a header. It is read on the receiving side under the same name, over every provider.

        Raises:
            HeaderError: the key is empty or the value is not a str.
        """
        if not isinstance(key, str) or not key or not isinstance(value, str):
            raise HeaderError(f"header {key!r}={value!r}: name and value are str, and the name is not empty")
        self.headers[key] = value

    def get(self, key: str) -> str:
        """Return a header, or "" where there is none."""
        return self.headers.get(key, "")

    @property
    def id(self) -> str:
        """The event id, the same at every attempt and in every listener; "" for a message without id."""
        return self.headers.get(CE_ID, "")

    def __repr__(self) -> str:
        # Bodies and header values may be confidential, so they are not shown.
        return (
            f"<Envelope {printable(self.get(CE_TYPE) or '?')} id={printable(self.id)} headers={sorted(self.headers)}>"
        )
