"""What operators see: health, log records that name their event, and, with the extra `otel`, metrics and traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import MissingDriverError
from ..http.health_app import HealthApp
from ..log_filter import EventLogFilter

if TYPE_CHECKING:
    from .observer import OpenTelemetry

__all__ = ["EventLogFilter", "HealthApp", "OpenTelemetry"]


def __getattr__(name: str) -> Any:
    if name != "OpenTelemetry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from .observer import OpenTelemetry
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "opentelemetry":
            raise MissingDriverError(
                "OpenTelemetry needs opentelemetry-api, which is not installed: pip install 'aspyx-event[otel]'"
            ) from error
        raise
    return OpenTelemetry
