"""Conditions of a subscription: predicates on the event, conditions on its headers, and ``@want``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from .exceptions import DeclarationError
from .names import pattern_matches

T = TypeVar("T")
Predicate = Callable[[Any], Any]
_WANTS = "__aspyx_event_wants__"


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A condition on a header, evaluated before the body is decoded. Made by `header`."""

    name: str
    expected: str | tuple[str, ...] | Callable[[str], Any] | None = None

    def holds(self, headers: Mapping[str, str]) -> bool:
        value = headers.get(self.name)
        if value is None:
            return False
        if self.expected is None:
            return True
        if isinstance(self.expected, str):
            return value == self.expected
        return value in self.expected if isinstance(self.expected, tuple) else bool(self.expected(value))


def header(name: str, expected: str | Iterable[str] | Callable[[str], Any] | None = None) -> HeaderCondition:
    """Return a condition on a header for `when=` or ``@want``. It is evaluated before the body is decoded.

    Args:
        name: Name of the header. A message without it does not match.
        expected: The value, a collection of alternative values, or a predicate on the value; None accepts any value.

    Raises:
        DeclarationError: *name* is not a str or is empty, or *expected* is none of these.
    """
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"header({name!r}): the name of a header is a str that is not empty")
    if expected is None or isinstance(expected, str) or callable(expected):
        return HeaderCondition(name, expected)
    values = tuple(expected) if isinstance(expected, Iterable) else ()
    if not values or not all(isinstance(value, str) for value in values):
        raise DeclarationError(f"header({name!r}, {expected!r}): expected is a str, several of them, or a predicate")
    return HeaderCondition(name, values)


@dataclass(frozen=True, slots=True)
class Want:
    """An alternative: a name must match (if there are any), a class must match (if any), and all conditions must hold."""

    names: tuple[str, ...] = ()
    types: tuple[type, ...] = ()
    headers: tuple[HeaderCondition, ...] = ()
    predicates: tuple[Predicate, ...] = ()

    def may_fit(self, name: str, headers: Mapping[str, str]) -> bool:
        """Return False if the names or the header conditions, known before the body is decoded, exclude the event."""
        if self.names and not any(pattern_matches(pattern, name) for pattern in self.names):
            return False
        return all(condition.holds(headers) for condition in self.headers)

    def fits(self, event: Any) -> bool:
        """Return whether the decoded event has one of the classes and satisfies the predicates."""
        if self.types and not isinstance(event, self.types):
            return False
        return all(predicate(event) for predicate in self.predicates)


def want(*conditions: str | type | Predicate | HeaderCondition) -> Callable[[T], T]:
    """Restrict a listener class or a handler to matching events.

    Several ``@want`` on the same class or function are alternatives, evaluated from the top. Within a ``@want``, all
    conditions must hold: the event has one of the names (or patterns), is of one of the classes, and every predicate and
    header condition is true. Names are evaluated first, so a predicate never sees an event of another name.

    Raises:
        DeclarationError: there is no condition, or a condition is none of these.
    """
    alternative = _want(conditions, "@want")

    def decorate(target: T) -> T:
        # The decorator on top is applied last. A new tuple: nothing is shared with a base class or another function.
        setattr(target, _WANTS, (alternative, *vars(target).get(_WANTS, ())))
        return target

    return decorate


def wants_of(target: Any) -> tuple[Want, ...]:
    """Return the alternatives that ``@want`` declares for a function, a method, or a class or its method `on`.

    Raises:
        DeclarationError: both the class and its method `on` have ``@want``.
    """
    plain = target.__func__ if inspect.ismethod(target) else target
    while isinstance(plain, partial):
        plain = plain.func
    own: tuple[Want, ...] = getattr(plain, "__dict__", {}).get(_WANTS, ())
    if not isinstance(plain, type):
        return own
    on_method: tuple[Want, ...] = getattr(getattr(plain, "on", None), "__dict__", {}).get(_WANTS, ())
    if own and on_method:
        raise DeclarationError(
            f"listener {plain.__qualname__}: @want is on the class and on its method `on`; write all alternatives on the class"
        )
    return own or on_method


def want_from_conditions(when: object) -> Want:
    """Return the value of the keyword `when` as an alternative.

    Raises:
        DeclarationError: an element is neither a predicate nor a header condition.
    """
    elements = when if isinstance(when, (tuple, list)) else (when,)
    alternative = _want(tuple(elements), "when")
    if alternative.names or alternative.types:
        raise DeclarationError(f"when={when!r}: predicates and header conditions; names and classes are for @want")
    return alternative


class Filter:
    """All conditions of a subscription.

    Args:
        when: Must hold.
        wants: Alternatives, at least one must match; () is no condition.
    """

    def __init__(self, when: Want, wants: tuple[Want, ...]) -> None:
        self._when, self._wants = when, wants

    @staticmethod
    def of(when: Want | None, wants: tuple[Want, ...]) -> Filter | None:
        """Return the filter; None without any condition."""
        return Filter(when or Want(), wants) if when is not None or wants else None

    def before_decoding(self, name: str, headers: Mapping[str, str]) -> tuple[Want, ...] | None:
        """Return the alternatives that may still match, for `after_decoding`; None if the event is not wanted."""
        if not self._when.may_fit(name, headers):
            return None
        remaining = tuple(want for want in self._wants if want.may_fit(name, headers))
        return remaining if remaining or not self._wants else None

    def after_decoding(self, event: Any, alternatives: tuple[Want, ...]) -> bool:
        """Return whether the event is wanted. Errors of predicates are raised."""
        return self._when.fits(event) and (not alternatives or any(want.fits(event) for want in alternatives))


def _want(conditions: tuple[Any, ...], where: str) -> Want:
    if not conditions:
        raise DeclarationError(f"{where}(): give at least one condition")
    names, types, headers, predicates = [], [], [], []
    for condition in conditions:
        if isinstance(condition, str) and condition:
            names.append(condition)
        elif isinstance(condition, type):
            types.append(condition)
        elif isinstance(condition, HeaderCondition):
            headers.append(condition)
        elif callable(condition) and not inspect.iscoroutinefunction(condition):
            predicates.append(condition)
        else:
            kind = (
                "an async function, predicates are sync" if inspect.iscoroutinefunction(condition) else "none of these"
            )
            raise DeclarationError(
                f"{where}: {condition!r} is {kind}; give event names, event classes, predicates on the event, or header(...)"
            )
    return Want(tuple(names), tuple(types), tuple(headers), tuple(predicates))
