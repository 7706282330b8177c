"""Events that many programs have: changes of state, operations on data, measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .events import event

#: A moment or a measured value, as its sender writes it.
Scalar = str | int | float


@event(name="aspyx-event.state-transition", description="Something went from one state to another")
@dataclass
class StateTransition:
    """Something went from one state to another.

    Attributes:
        from_status: Before.
        to_status: After.
        trigger: What set it off.
        meta: Whatever else is of interest.
    """

    from_status: Scalar
    to_status: Scalar
    trigger: Scalar
    meta: dict[str, Any] = field(default_factory=dict)


@event(name="aspyx-event.data-operation", description="Data was created, read, changed or deleted")
@dataclass
class DataOperation:
    """Data was created, read, changed or deleted.

    Attributes:
        datum: The data.
        operation: What was done with it.
        timestamp: When.
        meta: Whatever else is of interest.
    """

    datum: dict[str, Any]
    operation: str
    timestamp: Scalar
    meta: dict[str, Any] = field(default_factory=dict)


@event(name="aspyx-event.metric", description="Something was measured")
@dataclass
class Metric:
    """Something was measured.

    Attributes:
        metric: What.
        value: Its value.
        timestamp: When.
        meta: Whatever else is of interest.
    """

    metric: str
    value: Scalar
    timestamp: Scalar
    meta: dict[str, Any] = field(default_factory=dict)
