"""Traces and metrics with OpenTelemetry; needs the extra `otel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import MissingDriverError

if TYPE_CHECKING:
    from .observer import OpenTelemetry

__all__ = ["OpenTelemetry"]


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
