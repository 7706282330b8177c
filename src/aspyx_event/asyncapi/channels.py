"""The channels of an application: addresses of event classes, topics, patterns, and event names without a class."""

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
    """Kind of an address."""

    EVENT = "event"
    TOPIC = "topic"
    #: All matching addresses.
    PATTERN = "pattern"
    #: Events without a class.
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One address.

    Attributes:
        address: Address on the broker; a pattern has wildcards.
        kind: Kind of the address.
        events: Known classes of the events sent there.
        title: Short name.
        description, owner, tags: Taken from the declaration.
        durable: Messages and queues survive a restart of the broker.
        broadcast: Every process receives every event.
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
        events: All known events.
        listeners: Their routes are channels too.
        topics: All known topics, including those without a listener.
    """
    known = {event.name: event for event in events}
    channels = {event.name: _event_channel(event) for event in known.values()}
    channels.update({topic.name: _topic_channel(topic) for topic in topics})
    for listener in listeners:
        for route in listener.routes:
            if route.address not in channels:
                channels[route.address] = _route_channel(route, known.values())
    return dict(sorted(channels.items()))


def events_of(route: Route, known: Iterable[EventDescriptor]) -> Iterator[EventDescriptor]:
    """Yield the events that arrive on *route*: those of its topic, or those among *known* that it takes."""
    if route.topic is not None:
        yield from route.topic.descriptors
        return
    yield from (event for event in known if route.takes(event.name))


def _event_channel(event: EventDescriptor) -> Channel:
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


def _topic_channel(topic: Topic) -> Channel:
    return Channel(
        address=topic.name,
        kind=ChannelKind.TOPIC,
        events=topic.descriptors,
        title=topic.name,
        description=topic.description,
        owner=topic.owner,
        tags=topic.tags,
        durable=bool(topic.durable),
    )


def _route_channel(route: Route, known: Iterable[EventDescriptor]) -> Channel:
    if route.topic is not None:
        return _topic_channel(route.topic)
    if is_event(route.descriptor.type):
        return _event_channel(route.descriptor)
    kind = ChannelKind.PATTERN if is_pattern(route.address) else ChannelKind.NAME
    matching = tuple(sorted(events_of(route, known), key=lambda event: event.name))
    return Channel(address=route.address, kind=kind, events=matching, title=route.address, durable=route.durable)
