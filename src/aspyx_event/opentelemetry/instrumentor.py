"""Loaded by ``opentelemetry-instrument``: traces and metrics for all managers of an unmodified program."""

from __future__ import annotations

from collections.abc import Collection
from functools import wraps
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # has no types

from ..manager import EventManager
from .observer import OpenTelemetry


class AspyxEventInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Adds `OpenTelemetry` to every `EventManager` created from now on that does not have it.

    The keywords of `instrument` are those of `OpenTelemetry`.
    """

    _original: Any = None

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        original, telemetry = EventManager.__init__, OpenTelemetry(**kwargs)

        @wraps(original)
        def instrumented(manager: EventManager, *args: Any, **options: Any) -> None:
            observers = list(options.get("observers", ()))
            if not any(isinstance(observer, OpenTelemetry) for observer in observers):
                observers.append(telemetry)
            original(manager, *args, **{**options, "observers": observers})

        AspyxEventInstrumentor._original = original
        _set_constructor(instrumented)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002
        _set_constructor(AspyxEventInstrumentor._original)


def _set_constructor(constructor: Any) -> None:
    manager: Any = EventManager
    manager.__init__ = constructor
