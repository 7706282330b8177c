"""`StoredEvent` and `EventStatus`: an event as an event store keeps it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from ..canonical import canonical_json, content_hash
from ..envelope import CE_CAUSATION, CE_CORRELATION, CE_SOURCE, CE_TIME, CE_TYPE, Envelope
from ..events import EventDescriptor
from ..exceptions import DeclarationError


class EventStatus(str, Enum):
    """Whether a stored event was published."""

    #: Not known to have been sent: it is in flight, its process crashed, or no confirmation came.
    UNPUBLISHED = "unpublished"
    #: The provider has taken responsibility.
    PUBLISHED = "published"
    #: The provider refused it and the sender got the error. It is not sent again automatically.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event in a store: its bytes and headers as they were sent, and its attributes.

    Attributes:
        id: Id of the event, as its listeners see it; ``source|id`` of a CloudEvent that was sent as such, because its id
            is unique only within its source. Unique in a store.
        type: Name of the event.
        time: When it was created, in UTC.
        source: CloudEvents source.
        status: Whether it was published.
        owner: Owner of the event; "" if none is declared.
        tags: Tags to find it by.
        correlation_id: "" if there is none.
        causation_id: Id of the event that caused it; "" if there is none.
        headers: All headers, as sent.
        body: The body, as sent.
        address: Address to which it was sent; "" is the address of its type.
        options: Send options: ``durable``, and ``priority`` and ``delay`` (seconds) if they were given.
        position: Its position in the store, increasing in the order of storing; 0 before it is stored.
    """

    id: str
    type: str
    time: datetime
    source: str = ""
    status: EventStatus = EventStatus.UNPUBLISHED
    owner: str = ""
    tags: frozenset[str] = frozenset()
    correlation_id: str = ""
    causation_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    address: str = ""
    options: Mapping[str, float] = field(default_factory=dict, repr=False)
    position: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise DeclarationError(f"StoredEvent(id={self.id!r}): the id must be a non-empty str")
        if self.time.tzinfo is None:
            raise DeclarationError(f"StoredEvent(time={self.time!r}): needs a time zone, for example timezone.utc")
        object.__setattr__(self, "time", self.time.astimezone(timezone.utc))
        object.__setattr__(self, "tags", frozenset(self.tags))

    @staticmethod
    def of(envelope: Envelope, descriptor: EventDescriptor) -> StoredEvent:
        """Return the `StoredEvent` for an event that is about to be sent.

        Raises:
            EncodeError: the event cannot be encoded.
        """
        headers, send_options = envelope.headers, envelope.options
        event_type = headers.get(CE_TYPE) or descriptor.name
        options: dict[str, float] = {
            "durable": descriptor.durable if send_options.durable is None else send_options.durable
        }
        if send_options.priority is not None:
            options["priority"] = send_options.priority
        if send_options.delay:
            options["delay"] = send_options.delay
        # Reading the body of an envelope that carries an event object would replace the object by bytes.
        body = envelope.body if envelope.encoded else envelope.fork().body
        return StoredEvent(
            id=envelope.dedup_id or envelope.id,
            type=event_type,
            time=_time_of(headers.get(CE_TIME, "")),
            source=headers.get(CE_SOURCE, ""),
            owner=descriptor.owner,
            tags=descriptor.tags,
            correlation_id=headers.get(CE_CORRELATION, ""),
            causation_id=headers.get(CE_CAUSATION, ""),
            headers=dict(headers),
            body=body,
            address=send_options.address or ("" if descriptor.name == event_type else descriptor.name),
            options=options,
        )

    def json(self) -> str:
        """Return everything but the position as canonical JSON: sorted keys and tags, no white space.

        The body is ``data`` if it is JSON, else ``data_base64``, as in the JSON format of CloudEvents.
        """
        return canonical_json(
            {
                "id": self.id,
                "type": self.type,
                "time": self.time.isoformat().replace("+00:00", "Z"),
                "source": self.source,
                "status": self.status.value,
                "owner": self.owner,
                "tags": sorted(self.tags),
                "correlation_id": self.correlation_id,
                "causation_id": self.causation_id,
                "headers": dict(self.headers),
                **self._data(),
            }
        )

    @property
    def content_hash(self) -> str:
        """SHA-256, in hex, of type, owner, tags and data.

        Equal for two events with the same content, regardless of their times and of the order of keys.
        """
        content = {"type": self.type, "owner": self.owner, "tags": sorted(self.tags), **self._data()}
        return content_hash(content)

    def _data(self) -> dict[str, Any]:
        try:
            data = json.loads(self.body)
            canonical_json(data)
        except (ValueError, RecursionError):
            return {"data_base64": base64.b64encode(self.body).decode()}
        return {"data": data}


def _time_of(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return time.astimezone(timezone.utc) if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):  # missing, or from another sender with more digits than Python reads
        return datetime.now(timezone.utc)
