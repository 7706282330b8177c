"""Targets of subscriptions (event classes, names, patterns, topics), and the routes that a manager resolves them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from .events import EventDescriptor, is_event
from .exceptions import DeclarationError, UnregisteredEventTypeError
from .free_form import GenericEvent
from .names import check_name, check_pattern, is_pattern, pattern_matches
from .registry import EventRegistry
from .topics import Topic

#: The target of a subscription to every event.
ANY: Final = "#"

SingleTarget = type | str | Topic
#: An event class, the name of an event, a pattern of names, a topic, or several of these.
Target = SingleTarget | tuple[SingleTarget, ...] | list[SingleTarget]


class Route(NamedTuple):
    """An address that a subscription consumes, and the events that may arrive there.

    Attributes:
        descriptor: The descriptor of the event; for a pattern or a topic, a descriptor with its name.
        address: The address on the broker; with wildcards for a pattern.
        durable: Its queues keep messages while their listeners are away.
        events: The classes that may arrive; () for the class that the manager has registered under the message's event
            name.
        free_form: The class for events whose name no class has; None: the class that they were sent as.
        topic: The topic; None for other targets.
    """

    descriptor: EventDescriptor
    address: str
    durable: bool
    events: tuple[EventDescriptor, ...] = ()
    free_form: type | None = None
    topic: Topic | None = None

    def takes(self, name: str) -> bool:
        """Return whether events of this name, sent to their own address, arrive by this route."""
        return self.topic is None and pattern_matches(self.address, name)


def check_target(target: object, where: str) -> None:
    """Refuse an invalid target.

    Raises:
        DeclarationError: it is not a target, or is empty.
        InvalidNameError: brokers do not accept a name or pattern.
    """
    targets = list(targets_in(target))
    if not targets:
        raise DeclarationError(f"{where}(()): give at least one target")
    for single in targets:
        if isinstance(single, str):
            _check_text(single)
        elif not isinstance(single, (type, Topic)):
            raise DeclarationError(
                f"{where}({single!r}): the target is an event class, the name of an event, a pattern, ANY or a Topic"
            )


def routes_of(
    target: Target,
    registry: EventRegistry,
    *,
    subtypes: bool,
    free_form: type | None,
    find_topic: Callable[[Topic | str], Topic],
) -> tuple[Route, ...]:
    """Return the routes of *target* in a manager; the first route names the queue.

    Args:
        target: The declared target.
        registry: The event classes of the manager; those of the target are registered.
        subtypes: Also consume the event classes that derive from a class, as far as they are declared by now.
        free_form: See `Route`.
        find_topic: Registers a topic, or refuses it.

    Raises:
        UnregisteredEventTypeError: a class is not an event and has no subclass that is an event.
        DeclarationError: a topic is refused.
    """
    routes: dict[str, Route] = {}
    for single in targets_in(target):
        for route in _routes(single, registry, subtypes, free_form, find_topic):
            routes.setdefault(route.address, route)
    return tuple(routes.values())


def _routes(
    target: Any,
    registry: EventRegistry,
    subtypes: bool,
    free_form: type | None,
    find_topic: Callable[[Topic | str], Topic],
) -> Iterator[Route]:
    if isinstance(target, Topic):
        topic = find_topic(target)
        for event in topic.events:
            registry.add(event)
        descriptor = EventDescriptor(Topic, topic.name, durable=bool(topic.durable))
        yield Route(descriptor, topic.name, descriptor.durable, topic.descriptors, topic=topic)
    elif isinstance(target, type):
        classes = [target, *_subclasses(target)] if subtypes else [target]
        declared = [cls for cls in classes if is_event(cls)] if subtypes else classes
        if not declared:
            raise UnregisteredEventTypeError(
                f"{target.__qualname__} is not an event, and no class that derives from it is; add @event() to a class"
            )
        for cls in declared:
            descriptor = registry.add(cls)
            yield Route(descriptor, descriptor.name, descriptor.durable, (descriptor,))
    else:
        if not is_pattern(target):
            registry.check_free(target)
        known = registry.find(target)
        descriptor = known or EventDescriptor(free_form or GenericEvent, target)
        yield Route(descriptor, target, descriptor.durable, free_form=free_form)


def classes_in(target: Any) -> tuple[type, ...]:
    """Return the classes among the single targets of a target, and those of its topics."""
    classes: dict[type, None] = {}
    for single in targets_in(target):
        classes.update(dict.fromkeys(single.events if isinstance(single, Topic) else (single,)))
    return tuple(cls for cls in classes if isinstance(cls, type))


def has_names(target: Any) -> bool:
    """True if a single target of a target is a name or a pattern: the class of its events is not known beforehand."""
    return any(isinstance(single, str) for single in targets_in(target))


def targets_in(target: Any) -> Iterator[Any]:
    """Iterate over the single targets of a target."""
    if isinstance(target, (tuple, list)):
        yield from target
    else:
        yield target


def _subclasses(cls: type) -> list[type]:
    subclasses: dict[type, None] = {}
    derived: type
    for derived in type.__subclasses__(cls):
        subclasses[derived] = None
        subclasses.update(dict.fromkeys(_subclasses(derived)))
    return list(subclasses)


def _check_text(text: str) -> None:
    if is_pattern(text):
        check_pattern(text, "event pattern")
    else:
        check_name(text, "event name")
