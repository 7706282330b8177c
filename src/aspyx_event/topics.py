"""Topics: channels of their own for the events of some classes, and the topics that a manager knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from uuid import uuid4

from .canonical import canonical_json, content_hash
from .events import EventDescriptor
from .exceptions import DeclarationError, EventNotInTopicError, UnregisteredTopicError
from .names import check_name


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    """A channel beside the events' own addresses: what is sent on it reaches its listeners and nobody else.

    Attributes:
        name: Address on the broker, so the same in all programs that share the topic.
        events: The event classes that it carries.
        description, owner, tags: For people and documents, and to find it by.
        durable: Queues keep messages while their listeners are away; None: if one of the classes is durable.
        id: Of this object, unique.
        created: When this object was made, in UTC.

    Raises:
        InvalidNameError: the name cannot be an address.
        DeclarationError: no event class, or something that is none.
    """

    name: str
    events: tuple[type, ...]
    description: str = ""
    owner: str = ""
    tags: frozenset[str] = frozenset()
    durable: bool | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def __post_init__(self) -> None:
        check_name(self.name, "topic name")
        given = self.events if isinstance(self.events, (tuple, list, set, frozenset)) else (self.events,)
        events = tuple(dict.fromkeys(given))
        if not events:
            raise DeclarationError(f"topic {self.name!r} carries no event class; name at least one")
        tags: object = self.tags
        if isinstance(tags, str):
            raise DeclarationError(f"topic {self.name!r}: tags={self.tags!r} is one str; give a set of them")
        for event in events:
            EventDescriptor.of(event)
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "tags", frozenset(self.tags))

    @property
    def descriptors(self) -> tuple[EventDescriptor, ...]:
        """Of the event classes, in the order they were given."""
        return tuple(EventDescriptor.of(event) for event in self.events)

    @property
    def keeps(self) -> bool:
        """Whether messages and queues are durable."""
        return any(one.durable for one in self.descriptors) if self.durable is None else self.durable

    def json(self) -> str:
        """Return what it says as canonical JSON."""
        return canonical_json({**self._said(), "id": self.id, "created": self.created.isoformat()})

    @property
    def content_hash(self) -> str:
        """SHA-256, in hex, over name, events, description, owner and tags: equal topics have the same one."""
        return content_hash(self._said())

    def _said(self) -> dict[str, object]:
        return {
            "name": self.name,
            "events": sorted(one.name for one in self.descriptors),
            "description": self.description,
            "owner": self.owner,
            "tags": sorted(self.tags),
        }

    def check_carries(self, event_class: type) -> None:
        """Refuse an event class that is not of this topic.

        Raises:
            EventNotInTopicError: it is not.
        """
        if event_class not in self.events:
            carried = ", ".join(one.name for one in self.descriptors)
            raise EventNotInTopicError(
                f"topic {self.name!r} carries {carried}, not {event_class.__qualname__}; nothing was sent"
            )


class TopicRegistry:
    """The topics of a manager, in the order they came. Names are unique in it.

    Attributes:
        registers: A topic that is given as itself where one is used is registered by that.
    """

    def __init__(self) -> None:
        self.registers = True
        self._by_name: dict[str, Topic] = {}

    def new(
        self,
        name: str,
        events: Iterable[type],
        description: str = "",
        owner: str = "",
        tags: Iterable[str] = (),
        *,
        durable: bool | None = None,
    ) -> Topic:
        """Make a topic and register it.

        Raises:
            DeclarationError: see `Topic`; or the name is taken.
        """
        if isinstance(events, type):
            events = (events,)
        return self.register(Topic(name, tuple(events), description, owner, tags, durable))  # type: ignore[arg-type]

    def register(self, topic: Topic) -> Topic:
        """Take a topic in; the same one again is no error.

        Raises:
            DeclarationError: it is no topic, or another topic has its name.
        """
        if not isinstance(topic, Topic):
            raise DeclarationError(f"{topic!r} is no Topic")
        known = self._by_name.setdefault(topic.name, topic)
        if known is not topic:
            raise DeclarationError(f"there is another topic called {topic.name!r}; remove it first, or use its name")
        return topic

    def remove(self, topic: Topic | str) -> None:
        """Forget a topic. Subscriptions to it stay.

        Raises:
            UnregisteredTopicError: it is not here.
        """
        del self._by_name[self.get(topic).name]

    def get(self, topic: Topic | str) -> Topic:
        """Return a registered topic, given itself or its name.

        Raises:
            UnregisteredTopicError: it is not here.
        """
        name = topic.name if isinstance(topic, Topic) else topic
        known = self._by_name.get(name)
        if known is None or (isinstance(topic, Topic) and known is not topic):
            names = ", ".join(self._by_name) or "none"
            raise UnregisteredTopicError(
                f"topic {name!r} is not registered with this manager; known: {names}. Register it: manager.topics.new(...)"
            )
        return known

    def resolve(self, topic: Topic | str) -> Topic:
        """Return a registered topic. A `Topic` that is not registered yet is registered first, if `registers` allows it.

        Raises:
            UnregisteredTopicError: it is not registered.
            DeclarationError: another topic has its name.
        """
        return self.register(topic) if isinstance(topic, Topic) and self.registers else self.get(topic)

    def with_name(self, name: str) -> Topic | None:
        """Return the topic of exactly this name."""
        return self._by_name.get(name)

    def with_id(self, topic_id: str) -> Topic | None:
        """Return the topic of this id."""
        return next((one for one in self if one.id == topic_id), None)

    def of(self, owner: str) -> list[Topic]:
        """Return the topics of an owner."""
        return [one for one in self if one.owner == owner]

    def with_tags(self, tags: Iterable[str]) -> list[Topic]:
        """Return the topics that carry all of *tags*; none for no tags.

        Raises:
            DeclarationError: *tags* is one str.
        """
        if isinstance(tags, str):
            raise DeclarationError(f"with_tags({tags!r}): give a collection of tags, not one str")
        wanted = frozenset(tags)
        return [one for one in self if wanted and wanted <= one.tags]

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, topic: object) -> bool:
        if isinstance(topic, Topic):
            return self._by_name.get(topic.name) is topic
        return topic in self._by_name

    def __iter__(self) -> Iterator[Topic]:
        return iter(list(self._by_name.values()))
