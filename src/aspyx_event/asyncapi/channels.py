"""The channels of an application: addresses of event classes, topics, patterns, and names that no class has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from ..events import EventDescriptor, is_event
from ..listener_descriptors import EventListenerDescriptor
from ..names import is_pattern
from ..targets import Route
from ..topics import Topic


class ChannelKind(Enum):
    """What an address stands for."""

    EVENT = "event"
    TOPIC = "topic"
    #: All addresses that match.
    PATTERN = "pattern"
    #: Events without a class.
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One address.

    Attributes:
        address: On the broker; a pattern has wildcards.
        kind: What it stands for.
        events: The classes of the events that travel there, as far as they are known.
        title: Short name.
        description, owner, tags: What the declaration says.
        durable: Messages and queues stay.
        broadcast: Every process gets every event.
    """

    address: str
    kind: ChannelKind
    events: tuple[EventDescriptor, ...]
    title: str
    description: str = ""
    owner: str = ""
    tags: frozenset[str] = frozenset()
    durable: bool = False
    broadcast: bool = False


def channels_of(
    events: Iterable[EventDescriptor], listeners: Iterable[EventListenerDescriptor], topics: Iterable[Topic]
) -> dict[str, Channel]:
    """Return all channels by address, sorted.

    Args:
        events: Of all classes that are known.
        listeners: Their routes are channels too.
        topics: Also those that nobody listens to.
    """
    known = {one.name: one for one in events}
    found = {one.name: _of_event(one) for one in known.values()}
    found.update({one.name: _of_topic(one) for one in topics})
    for listener in listeners:
        for source in listener.routes:
            if source.address not in found:
                found[source.address] = _of_source(source, known.values())
    return dict(sorted(found.items()))


def events_of(source: Route, known: Iterable[EventDescriptor]) -> Iterator[EventDescriptor]:
    """Yield the event classes among *known* that come from a source."""
    if source.topic is not None:
        yield from source.topic.descriptors
        return
    yield from (one for one in known if source.takes(one.name))


def _of_event(event: EventDescriptor) -> Channel:
    return Channel(
        address=event.name,
        kind=ChannelKind.EVENT,
        events=(event,),
        title=event.type.__name__,
        description=event.description,
        owner=event.owner,
        tags=event.tags,
        durable=event.durable,
        broadcast=event.broadcast,
    )


def _of_topic(topic: Topic) -> Channel:
    return Channel(
        address=topic.name,
        kind=ChannelKind.TOPIC,
        events=topic.descriptors,
        title=topic.name,
        description=topic.description,
        owner=topic.owner,
        tags=topic.tags,
        durable=topic.keeps,
    )


def _of_source(source: Route, known: Iterable[EventDescriptor]) -> Channel:
    if source.topic is not None:
        return _of_topic(source.topic)
    if is_event(source.descriptor.type):
        return _of_event(source.descriptor)
    kind = ChannelKind.PATTERN if is_pattern(source.address) else ChannelKind.NAME
    matching = tuple(sorted(events_of(source, known), key=lambda one: one.name))
    return Channel(address=source.address, kind=kind, events=matching, title=source.address, durable=source.durable)
