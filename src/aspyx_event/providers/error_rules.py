"""`ErrorRule`: a row of the tables that map the error texts of brokers to the errors of this package."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..exceptions import EventException


class ErrorRule:
    """Recognizes an error of the broker by its text.

    Args:
        pattern: A regular expression, searched in the text; case does not matter.
        error: The class of the error that it means.
        remedy: How to solve the problem, the end of the error's message.
    """

    __slots__ = ("_error", "_pattern", "_remedy")

    def __init__(self, pattern: str, error: type[EventException], remedy: str) -> None:
        self._pattern, self._error, self._remedy = re.compile(pattern, re.IGNORECASE | re.DOTALL), error, remedy

    def error_for(self, operation: str, reason: str) -> EventException | None:
        """Return the error, or None if the rule does not match.

        Args:
            operation: What failed, the beginning of the error's message.
            reason: The broker's text.
        """
        if self._pattern.search(reason) is None:
            return None
        return self._error(f"{operation}: {reason}; {self._remedy}")


def first_error(rules: Iterable[ErrorRule], operation: str, reason: str) -> EventException | None:
    """Return the error of the first rule that matches; None if none does. See `ErrorRule.error_for`."""
    return next(filter(None, (rule.error_for(operation, reason) for rule in rules)), None)
