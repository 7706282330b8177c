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
    """What became of a stored event."""

    #: Not known to have been sent: it is on its way, or its process died on it, or no confirmation came.
    UNPUBLISHED = "unpublished"
    #: The provider has taken responsibility.
    PUBLISHED = "published"
    #: The provider refused it, and the sender was told. It is not sent again by itself.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as a store keeps it: what was sent, byte for byte, and what is known about it.

    Attributes:
        id: Of the event, the one that its listeners see; ``source|id`` of a CloudEvent that was sent as one, whose id is
            unique within its source only. Unique in a store.
        type: Name of the event.
        time: When it was made, in UTC.
        source: CloudEvents source.
        status: What became of it.
        owner: Who answers for it; "" where nobody is named.
        tags: Words to find it by.
        correlation_id: What it belongs to; "" where it says nothing.
        causation_id: Id of the event that it was an answer to; "" where it says nothing.
        headers: All of them, as they were sent.
        body: As it was sent.
        address: Where it was sent to; "" is the address of its type.
        options: How it was to travel: ``durable``, and ``priority`` and ``delay`` in seconds where it had them.
        position: Its place in the store, rising in the order of storing; 0 before it is stored.
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
            raise DeclarationError(
                f"StoredEvent(id={self.id!r}): an event is stored under its id, a str that is not empty"
            )
        if self.time.tzinfo is None:
            raise DeclarationError(f"StoredEvent(time={self.time!r}): say which time zone, for example timezone.utc")
        object.__setattr__(self, "time", self.time.astimezone(timezone.utc))
        object.__setattr__(self, "tags", frozenset(self.tags))

    @staticmethod
    def of(envelope: Envelope, descriptor: EventDescriptor) -> StoredEvent:
        """Return the record of an event that is about to be sent.

        Raises:
            EncodeError: the event cannot be written.
        """
        headers, wished = envelope.headers, envelope.options
        event_type = headers.get(CE_TYPE) or descriptor.name
        options: dict[str, float] = {"durable": descriptor.durable if wished.durable is None else wished.durable}
        if wished.priority is not None:
            options["priority"] = wished.priority
        if wished.delay:
            options["delay"] = wished.delay
        # Reading the body of an envelope that travels with its object would make it travel with its bytes.
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
            address=wished.address or ("" if descriptor.name == event_type else descriptor.name),
            options=options,
        )

    def json(self) -> str:
        """Return the whole record, without its position, as canonical JSON: sorted keys and tags, no white space.

        The body is ``data`` where it is JSON, else ``data_base64``, as in the JSON format of CloudEvents.
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
        """SHA-256, in hex, over what the event says: type, owner, tags and data.

        Two events that say the same have the same one, whenever and in whatever order of keys they were written.
        """
        said = {"type": self.type, "owner": self.owner, "tags": sorted(self.tags), **self._data()}
        return content_hash(said)

    def _data(self) -> dict[str, Any]:
        try:
            data = json.loads(self.body)
            canonical_json(data)
        except (ValueError, RecursionError):
            return {"data_base64": base64.b64encode(self.body).decode()}
        return {"data": data}


def _time_of(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return found.astimezone(timezone.utc) if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):  # none, or a foreign event's, with more digits than Python reads
        return datetime.now(timezone.utc)
