"""Events that many programs need: changes of state, operations on data, measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .events import event

#: A time or a measured value, in the format of the sender.
Scalar = str | int | float


@event(name="aspyx-event.state-transition", description="A change of state")
@dataclass
class StateTransition:
    """A change of state.

    Attributes:
        from_status: The state before.
        to_status: The state after.
        trigger: The cause of the change.
        meta: Further information.
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
        operation: The operation.
        timestamp: The time of the operation.
        meta: Further information.
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
        metric: Name of the metric.
        value: The measured value.
        timestamp: The time of the measurement.
        meta: Further information.
    """

    metric: str
    value: Scalar
    timestamp: Scalar
    meta: dict[str, Any] = field(default_factory=dict)
