"""What the annotations of a handler say about its event."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from .exceptions import DeclarationError, ListenerError
from .free_form import FreeFormEvent, SelfDescribed

_UNIONS = (Union, types.UnionType)


@dataclass(frozen=True, slots=True)
class EventAnnotation:
    """The annotation of the parameter that takes the event.

    Attributes:
        parameter: Name of the parameter; "" if there is none.
        classes: The classes that it names; () if it has no annotation, or one that says nothing about classes.
        unresolved: Why the annotation cannot be resolved; "" if it is resolved.
    """

    parameter: str = ""
    classes: tuple[type, ...] = ()
    unresolved: str = ""

    def free_form(self, label: str) -> type | None:
        """Return the class in which the handler takes events whose name has no class; None takes the class that was sent.

        Raises:
            DeclarationError: the annotation cannot be resolved, so that the handler could get another class than it expects.
        """
        if self.unresolved:
            raise DeclarationError(
                f"{label}: the annotation of its parameter {self.parameter!r} cannot be resolved: {self.unresolved}. Import "
                "the class at run time, not under `if TYPE_CHECKING:`, or remove the annotation"
            )
        candidates = [cls for cls in self.classes if issubclass(cls, (FreeFormEvent, SelfDescribed))]
        return candidates[0] if len(candidates) == 1 else None

    def check(self, events: Iterable[type], label: str) -> None:
        """Check that the parameter accepts the events of these classes.

        Raises:
            ListenerError: it is annotated with other classes.
        """
        for event in events:
            if self.classes and not any(_accepts(cls, event) for cls in self.classes):
                raise ListenerError(
                    f"{label}: its parameter {self.parameter!r} is {_names(self.classes)}, but it gets the event "
                    f"{event.__qualname__}; correct the annotation, or the event of the declaration"
                )


def event_annotation(function: Callable[..., Any]) -> EventAnnotation:
    """Return the annotation of a handler's event. For a listener class, that of its method `on`.

    The other annotations are not resolved: they may name classes that are imported for type checkers only.
    """
    function = getattr(function, "on", function) if isinstance(function, type) else function
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return EventAnnotation()  # a builtin without a signature
    if inspect.isfunction(function) and parameters and parameters[0].name == "self":
        del parameters[0]  # a method that is not bound yet
    if not parameters or parameters[0].annotation is inspect.Parameter.empty:
        return EventAnnotation()
    name = parameters[0].name
    try:
        return EventAnnotation(name, _classes(_resolved(parameters[0].annotation, function)))
    except Exception as error:  # noqa: BLE001  an annotation may be any expression
        return EventAnnotation(name, unresolved=f"{type(error).__name__}: {error}")


def check_listener_class(cls: type, events: Iterable[type]) -> None:
    """Check that ``EventListener[E]``, where *cls* derives from it, is a listener of these events.

    Raises:
        ListenerError: E is another class.
    """
    argument = _type_argument(cls)
    classes = () if argument is None else _classes(argument)
    for event in events:
        if classes and not any(_accepts(expected, event) for expected in classes):
            raise ListenerError(
                f"listener {cls.__qualname__} is an EventListener[{_names(classes)}], but @event_listener declares the event "
                f"{event.__qualname__}; make both the same"
            )


def _type_argument(cls: type) -> Any:
    for base in getattr(cls, "__orig_bases__", ()):
        origin = get_origin(base)
        if getattr(origin, "__name__", "") == "EventListener" and len(get_args(base)) == 1:
            return get_args(base)[0]
    return None


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not (inspect.isfunction(inner) or inspect.ismethod(inner)):
        inner = getattr(type(inner), "__call__", inner)  # noqa: B004  the method is inspected, not called
    inner = getattr(inner, "__func__", inner)
    names = dict(getattr(inner, "__globals__", {}))
    cells = getattr(inner, "__closure__", None) or ()
    names.update(zip(getattr(getattr(inner, "__code__", None), "co_freevars", ()), map(_content, cells), strict=False))
    holder = types.SimpleNamespace(__annotations__={"event": annotation})
    return get_type_hints(holder, globalns=names)["event"]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # assigned later
        return None


def _classes(annotation: Any) -> tuple[type, ...]:
    """Return the classes that an annotation names; () where it says nothing about classes: `Any`, a type variable."""
    members = get_args(annotation) if get_origin(annotation) in _UNIONS else (annotation,)
    classes = tuple(member for member in members if member is not type(None))
    return classes if all(_is_plain_class(cls) for cls in classes) else ()


def _is_plain_class(cls: Any) -> bool:
    return (
        isinstance(cls, type) and cls is not Any and get_origin(cls) is None and not getattr(cls, "_is_protocol", False)
    )


def _accepts(expected: type, event: type) -> bool:
    # A class that was declared anew, in a notebook or by a reload, is the same class.
    return issubclass(event, expected) or any(_path(base) == _path(expected) for base in event.__mro__)


def _path(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _names(classes: tuple[type, ...]) -> str:
    return " | ".join(cls.__qualname__ for cls in classes)
