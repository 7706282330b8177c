"""Events over STOMP 1.2. Needs stomp.py (`pip install 'aspyx-event[stomp]'`), imported when a provider starts."""

from __future__ import annotations

from .provider import StompProvider

__all__ = ["StompProvider"]
