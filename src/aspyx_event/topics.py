"""Topics: separate channels for the events of some classes, and the registry of a manager's topics."""

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
    """A channel beside the events' own addresses: events sent to it reach only its listeners.

    Attributes:
        name: Address on the broker, therefore equal in all programs that share the topic.
        events: The event classes that it carries.
        description, owner, tags: For people and documents, and for searches in the registry.
        durable: Messages are durable, and queues keep them while their listeners are away. None becomes True if any of
            the classes is durable, else False.
        id: Unique id of this object.
        created: The time when this object was created, in UTC.

    Raises:
        InvalidNameError: the name cannot be an address.
        DeclarationError: there is no event class, or an element is not an event class.
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
        classes = self.events if isinstance(self.events, (tuple, list, set, frozenset)) else (self.events,)
        events = tuple(dict.fromkeys(classes))
        if not events:
            raise DeclarationError(f"topic {self.name!r} carries no event class; name at least one")
        tags: object = self.tags
        if isinstance(tags, str):
            raise DeclarationError(f"topic {self.name!r}: tags={self.tags!r} is a single str; give a set of them")
        for event in events:
            EventDescriptor.of(event)
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "tags", frozenset(self.tags))
        if self.durable is None:
            object.__setattr__(self, "durable", any(descriptor.durable for descriptor in self.descriptors))

    @property
    def descriptors(self) -> tuple[EventDescriptor, ...]:
        """The descriptors of the event classes, in their order."""
        return tuple(EventDescriptor.of(event) for event in self.events)

    def json(self) -> str:
        """Return the topic as canonical JSON."""
        return canonical_json({**self._as_dict(), "id": self.id, "created": self.created.isoformat()})

    @property
    def content_hash(self) -> str:
        """SHA-256, in hex, over name, events, description, owner and tags: equal topics have equal hashes."""
        return content_hash(self._as_dict())

    def _as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "events": sorted(descriptor.name for descriptor in self.descriptors),
            "description": self.description,
            "owner": self.owner,
            "tags": sorted(self.tags),
        }

    def check_carries(self, event_class: type) -> None:
        """Refuse an event class that the topic does not carry.

        Raises:
            EventNotInTopicError: the topic does not carry it.
        """
        if event_class not in self.events:
            carried = ", ".join(descriptor.name for descriptor in self.descriptors)
            raise EventNotInTopicError(
                f"topic {self.name!r} carries {carried}, not {event_class.__qualname__}; nothing was sent"
            )


class TopicRegistry:
    """The topics of a manager, in the order of their registration. Names are unique.

    Attributes:
        registers: Using an unregistered `Topic` object, for example as a target, registers it.
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
        """Create a topic and register it.

        Raises:
            DeclarationError: see `Topic`; or the name is taken.
        """
        if isinstance(events, type):
            events = (events,)
        return self.register(Topic(name, tuple(events), description, owner, tags, durable))  # type: ignore[arg-type]

    def register(self, topic: Topic) -> Topic:
        """Register a topic. Idempotent.

        Raises:
            DeclarationError: it is not a topic, or another topic has its name.
        """
        if not isinstance(topic, Topic):
            raise DeclarationError(f"{topic!r} is not a Topic")
        known = self._by_name.setdefault(topic.name, topic)
        if known is not topic:
            raise DeclarationError(f"another topic is called {topic.name!r}; remove it first, or use its name")
        return topic

    def remove(self, topic: Topic | str) -> None:
        """Remove a topic from the registry. Subscriptions to it stay.

        Raises:
            UnregisteredTopicError: it is not registered.
        """
        del self._by_name[self.get(topic).name]

    def get(self, topic: Topic | str) -> Topic:
        """Return a registered topic. *topic* is the topic itself or its name.

        Raises:
            UnregisteredTopicError: it is not registered.
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
        """Return the topic with this name; None if there is none."""
        return self._by_name.get(name)

    def with_id(self, topic_id: str) -> Topic | None:
        """Return the topic with this id; None if there is none."""
        return next((topic for topic in self if topic.id == topic_id), None)

    def of(self, owner: str) -> list[Topic]:
        """Return the topics of an owner.

        Raises:
            DeclarationError: *owner* is not a str.
        """
        if not isinstance(owner, str):
            raise DeclarationError(f"topics.of({owner!r}): give the owner's name, a str")
        return [topic for topic in self if topic.owner == owner]

    def with_tags(self, tags: Iterable[str]) -> list[Topic]:
        """Return the topics that have all of *tags*; an empty list without tags.

        Raises:
            DeclarationError: *tags* is a single str.
        """
        if isinstance(tags, str):
            raise DeclarationError(f"with_tags({tags!r}): give a collection of tags, not a single str")
        required = frozenset(tags)
        return [topic for topic in self if required and required <= topic.tags]

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, topic: object) -> bool:
        if isinstance(topic, Topic):
            return self._by_name.get(topic.name) is topic
        return topic in self._by_name

    def __iter__(self) -> Iterator[Topic]:
        return iter(list(self._by_name.values()))
