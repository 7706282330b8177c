"""What a subscription consumes: event classes, names, patterns, topics, and what these mean to one manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from .events import EventDescriptor, is_event
from .exceptions import DeclarationError, UnregisteredEventTypeError
from .free_form import FreeFormEvent, GenericEvent, SelfDescribed
from .names import check_name, check_pattern, is_pattern, pattern_matches
from .registry import EventRegistry
from .topics import Topic

#: The target of a subscription to every event there is.
ANY: Final = "#"

OneTarget = type | str | Topic
#: An event class, the name of an event, a pattern of names, a topic, or several of these.
Target = OneTarget | tuple[OneTarget, ...] | list[OneTarget]


class Route(NamedTuple):
    """One address that a subscription consumes, and which events may come from it.

    Attributes:
        descriptor: Of the event; for a pattern or a topic one that carries its name.
        address: On the broker; with wildcards for a pattern.
        durable: Its queues keep messages while their listeners are away.
        events: The classes that come; () for whatever class of the manager has the name the message states.
        free_form: The class in which events come whose name no class has; None: as what they were sent.
        topic: The topic, if it is one.
    """

    descriptor: EventDescriptor
    address: str
    durable: bool
    events: tuple[EventDescriptor, ...] = ()
    free_form: type | None = None
    topic: Topic | None = None

    def takes(self, name: str) -> bool:
        """Tell whether events of this name, sent to their own address, come from here."""
        return self.topic is None and pattern_matches(self.address, name)


def check_target(target: object, where: str) -> None:
    """Refuse what cannot be a target.

    Raises:
        DeclarationError: it is none, or there are none.
        InvalidNameError: a name or pattern that no broker takes.
    """
    found = 0
    for one in targets_in(target):
        found += 1
        if isinstance(one, str):
            _check_text(one)
        elif not isinstance(one, (type, Topic)):
            raise DeclarationError(
                f"{where}({one!r}): the target is an event class, the name of an event, a pattern, ANY or a Topic"
            )
    if not found:
        raise DeclarationError(f"{where}(()): give at least one target")


def routes_of(
    target: Target,
    registry: EventRegistry,
    *,
    subtypes: bool,
    free_form: type | None,
    find_topic: Callable[[Topic | str], Topic],
) -> tuple[Route, ...]:
    """Return what *target* means to a manager; the first one names the queue.

    Args:
        target: As it was declared.
        registry: The event classes of the manager; those of the target are registered.
        subtypes: Take the event classes that derive from a class, too: those that are declared by now.
        free_form: See `Route`.
        find_topic: Registers a topic, or refuses it.

    Raises:
        UnregisteredEventTypeError: a class is no event, and has no subclass that is one.
        DeclarationError: a topic is refused.
    """
    found: dict[str, Route] = {}
    for one in targets_in(target):
        for source in _routes(one, registry, subtypes, free_form, find_topic):
            found.setdefault(source.address, source)
    return tuple(found.values())


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
        descriptor = EventDescriptor(Topic, topic.name, durable=topic.keeps)
        yield Route(descriptor, topic.name, topic.keeps, topic.descriptors, topic=topic)
    elif isinstance(target, type):
        classes = [target, *_subclasses(target)] if subtypes else [target]
        declared = [one for one in classes if is_event(one)] if subtypes else classes
        if not declared:
            raise UnregisteredEventTypeError(
                f"{target.__qualname__} is not an event, and no class that derives from it is; decorate one with @event()"
            )
        for one in declared:
            descriptor = registry.add(one)
            yield Route(descriptor, descriptor.name, descriptor.durable, (descriptor,))
    else:
        if not is_pattern(target):
            registry.check_free(target)
        known = registry.find(target)
        descriptor = known or EventDescriptor(free_form or GenericEvent, target)
        yield Route(descriptor, target, descriptor.durable, free_form=free_form)


def targets_in(target: Any) -> Iterator[Any]:
    """Iterate over the single targets of a target."""
    if isinstance(target, (tuple, list)):
        yield from target
    else:
        yield target


def _subclasses(cls: type) -> list[type]:
    found: dict[type, None] = {}
    derived: type
    for derived in type.__subclasses__(cls):
        found[derived] = None
        found.update(dict.fromkeys(_subclasses(derived)))
    return list(found)


def _check_text(text: str) -> None:
    if is_pattern(text):
        check_pattern(text, "event pattern")
    else:
        check_name(text, "event name")


def free_form_of(annotation: object) -> type | None:
    """Return the class in which a handler, by the annotation of its event, takes events whose name no class has; None
    where it does not tell.
    """
    if isinstance(annotation, type) and issubclass(annotation, (FreeFormEvent, SelfDescribed)):
        return annotation
    return None
