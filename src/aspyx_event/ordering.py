"""The order between handlers of one event: what must run before what, and the sequence that follows from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Any, Protocol

from .exceptions import DeclarationError, RequirementError


@dataclass(frozen=True, slots=True)
class Requirement:
    """A handler that another handler requires.

    Attributes:
        handler: The name of a listener or handler, a listener class, or a handler function.
        optional: Run even if the handler is missing or does not accept the event.
    """

    handler: str | type | Callable[..., Any]
    optional: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.handler, str):
            if not self.handler:
                raise DeclarationError("requires='': name a handler")
        elif not callable(self.handler):
            raise DeclarationError(f"requires={self.handler!r}: the name of a handler, its class or its function")

    def names(self, handler: Named) -> bool:
        """Return whether *handler* is the required handler."""
        if isinstance(self.handler, str):
            return self.handler == handler.name
        return _plain(self.handler) is _plain(handler.type)

    def __str__(self) -> str:
        return (
            self.handler if isinstance(self.handler, str) else getattr(self.handler, "__qualname__", repr(self.handler))
        )


RequirementLike = str | type | Callable[..., Any] | Requirement


class Named(Protocol):
    """What can be ordered: an `EventListenerDescriptor`."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> Any: ...

    @property
    def requires(self) -> tuple[Requirement, ...]: ...

    @property
    def required_by(self) -> tuple[Requirement, ...]: ...


def requirements(given: object, keyword: str) -> tuple[Requirement, ...]:
    """Return what a keyword `requires` or `required_by` was given, as requirements.

    Raises:
        DeclarationError: it is empty, or holds what names no handler.
    """
    if given is None:
        return ()
    handlers: Iterable[Any] = given if isinstance(given, (tuple, list, set, frozenset)) else (given,)
    required = tuple(handler if isinstance(handler, Requirement) else Requirement(handler) for handler in handlers)
    if not required:
        raise DeclarationError(f"{keyword}=(): name at least one handler, or leave the keyword out")
    return required


def runs_before(first: Named, second: Named) -> bool:
    """Tell whether `requires` or `required_by` of the two put *first* before *second*."""
    return any(required.names(first) for required in second.requires) or any(
        required.names(second) for required in first.required_by
    )


def predecessors(handlers: Sequence[Named]) -> list[set[int]]:
    """Return for each handler the indices of those that run before it.

    What `requires` or `required_by` name need not be there.
    """
    before: list[set[int]] = [set() for _ in handlers]
    for index, handler in enumerate(handlers):
        for required in handler.requires:
            before[index].update(other for other, candidate in enumerate(handlers) if required.names(candidate))
        for required in handler.required_by:
            for other, candidate in enumerate(handlers):
                if required.names(candidate):
                    before[other].add(index)
    return before


def sequence(handlers: Sequence[Named], before: Sequence[set[int]]) -> list[int]:
    """Return the indices in an order that puts every handler behind what it requires; ties as they came.

    Raises:
        RequirementError: some require each other in a ring; the message names it.
    """
    graph = TopologicalSorter(dict(enumerate(before)))
    try:
        graph.prepare()
    except CycleError as error:
        # In `args` each handler is required by the next one.
        ring = " -> ".join(handlers[index].name for index in reversed(error.args[1]))
        raise RequirementError(f"handlers require each other in a ring: {ring}; take one requirement out") from None
    ready, order = list[int](), list[int]()
    while graph.is_active():
        for index in graph.get_ready():
            heappush(ready, index)
        order.append(heappop(ready))
        graph.done(order[-1])
    return order


def with_predecessors(indices: Iterable[int], before: Sequence[set[int]]) -> set[int]:
    """Return *indices* and those of all handlers that run before them, directly or through others."""
    reached, waiting = set[int](), list(indices)
    while waiting:
        index = waiting.pop()
        if index not in reached:
            reached.add(index)
            waiting += before[index]
    return reached


def unmet_requirements(handler: Named, handlers: Iterable[Named]) -> list[Requirement]:
    """Return what *handler* requires and no one of *handlers* meets; without the optional requirements."""
    candidates = list(handlers)
    return [
        required
        for required in handler.requires
        if not required.optional and not any(required.names(candidate) for candidate in candidates)
    ]


def bound_together(before: Sequence[set[int]]) -> list[list[int]]:
    """Return the groups that the bonds make of the handlers; a handler without a bond is a group of its own."""
    group = list(range(len(before)))
    for index, required in enumerate(before):
        for other in required:
            old, new = group[index], group[other]
            group = [new if number == old else number for number in group]
    members: dict[int, list[int]] = {}
    for index, number in enumerate(group):
        members.setdefault(number, []).append(index)
    return list(members.values())


def _plain(handler: Any) -> Any:
    return handler.__func__ if inspect.ismethod(handler) else handler
