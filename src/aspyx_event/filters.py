"""Which events a subscription wants: predicates on the event, conditions on its headers, and ``@want``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .exceptions import DeclarationError
from .names import pattern_matches

T = TypeVar("T")
Predicate = Callable[[Any], Any]
_WANTS = "__aspyx_event_wants__"


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A condition on a header, looked at before the body is decoded. Made by `header`."""

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
    """Return a condition for `when=` or ``@want`` that looks at a header, before the body is decoded.

    Args:
        name: Of the header. A message without it does not fit.
        expected: The value, several values of which one must be there, or a predicate on the value; None: any.

    Raises:
        DeclarationError: *name* is no str or empty, or *expected* is none of these.
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
    """One alternative: a name must fit (if there are any), a class must fit (if any), and all conditions must hold."""

    names: tuple[str, ...] = ()
    types: tuple[type, ...] = ()
    headers: tuple[HeaderCondition, ...] = ()
    predicates: tuple[Predicate, ...] = ()

    def may_fit(self, name: str, headers: Mapping[str, str]) -> bool:
        """Tell what can be told before the body is decoded."""
        if self.names and not any(pattern_matches(one, name) for one in self.names):
            return False
        return all(condition.holds(headers) for condition in self.headers)

    def fits(self, event: Any) -> bool:
        """Tell the rest."""
        if self.types and not isinstance(event, self.types):
            return False
        return all(predicate(event) for predicate in self.predicates)


def want(*conditions: str | type | Predicate | HeaderCondition) -> Callable[[T], T]:
    """Let a listener class or a handler react only to events that fit.

    Several ``@want`` on one are alternatives, the top one is looked at first. Within one, all must hold: the event
    has one of the names (or patterns), is of one of the classes, and every predicate and header condition is true.
    Names are looked at first, so a predicate never sees an event of another name.

    Raises:
        DeclarationError: no condition, or one that is none of these.
    """
    made = _want(conditions, "@want")

    def decorate(target: T) -> T:
        # The decorator on top is applied last. A new tuple: nothing is shared with a base class or another function.
        setattr(target, _WANTS, (made, *vars(target).get(_WANTS, ())))
        return target

    return decorate


def wants_of(target: Any) -> tuple[Want, ...]:
    """Return what ``@want`` left on a function, a method or a class."""
    plain = target.__func__ if inspect.ismethod(target) else target
    return getattr(plain, "__dict__", {}).get(_WANTS, ())  # type: ignore[no-any-return]


def conditions(given: object) -> Want:
    """Return what the keyword `when` was given, as one alternative.

    Raises:
        DeclarationError: an element is neither a predicate nor a header condition.
    """
    many = given if isinstance(given, (tuple, list)) else (given,)
    made = _want(tuple(many), "when")
    if made.names or made.types:
        raise DeclarationError(f"when={given!r}: predicates and header conditions; names and classes are for @want")
    return made


class Filter:
    """All that decides whether a subscription wants an event.

    Args:
        when: Must hold.
        wants: One of them must fit; () is no condition.
    """

    def __init__(self, when: Want, wants: tuple[Want, ...]) -> None:
        self._when, self._wants = when, wants

    @staticmethod
    def of(when: Want | None, wants: tuple[Want, ...]) -> Filter | None:
        """Return the filter, None where there is no condition."""
        return Filter(when or Want(), wants) if when is not None or wants else None

    def before_decoding(self, name: str, headers: Mapping[str, str]) -> tuple[Want, ...] | None:
        """Return the alternatives that are left, for `after_decoding`; None where the event is not wanted."""
        if not self._when.may_fit(name, headers):
            return None
        left = tuple(one for one in self._wants if one.may_fit(name, headers))
        return left if left or not self._wants else None

    def after_decoding(self, event: Any, left: tuple[Want, ...]) -> bool:
        """Tell whether the event is wanted. Raises what a predicate raises."""
        return self._when.fits(event) and (not left or any(one.fits(event) for one in left))


def _want(given: tuple[Any, ...], where: str) -> Want:
    if not given:
        raise DeclarationError(f"{where}(): give at least one condition")
    names, types, headers, predicates = [], [], [], []
    for one in given:
        if isinstance(one, str) and one:
            names.append(one)
        elif isinstance(one, type):
            types.append(one)
        elif isinstance(one, HeaderCondition):
            headers.append(one)
        elif callable(one) and not inspect.iscoroutinefunction(one):
            predicates.append(one)
        else:
            kind = "an async function, predicates are sync" if inspect.iscoroutinefunction(one) else "none of these"
            raise DeclarationError(
                f"{where}: {one!r} is {kind}; give event names, event classes, predicates on the event, or header(...)"
            )
    return Want(tuple(names), tuple(types), tuple(headers), tuple(predicates))
