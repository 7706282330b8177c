"""Options of a connection, checked when they are given: one that is not understood is an error, never a guess."""

from __future__ import annotations

import ssl as ssl_module
from typing import Any

from ..exceptions import DeclarationError

#: The least that each number may be; `max_retries` may be None.
_LOWEST = {
    "port": 1,
    "heartbeat": 0,
    "connect_timeout": 0.001,
    "start_timeout": 0,
    "confirm_timeout": 0.001,
    "max_unconfirmed": 1,
    "max_unconfirmed_bytes": 1,
    "max_retries": 1,
}


def check_options(settings: Any) -> None:
    """Raise for values of `ConnectionSettings` that are not understood.

    Raises:
        DeclarationError: names the option and what it may be.
    """
    if settings.ssl is not None and not isinstance(settings.ssl, (bool, ssl_module.SSLContext)):
        raise DeclarationError(
            f"ssl={settings.ssl!r} is not understood: None for plain TCP, True to trust the system's authorities, or an "
            "ssl.SSLContext"
        )
    for name, lowest in _LOWEST.items():
        value = getattr(settings, name)
        if value is None and name == "max_retries":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= lowest:
            raise DeclarationError(f"{name}={value!r} is not understood: a number, at least {lowest}")
    if not _is_backoff(settings.backoff):
        raise DeclarationError(
            f"backoff={settings.backoff!r} is not understood: the first and the largest wait, in seconds"
        )


def _is_backoff(waits: Any) -> bool:
    try:
        first, largest = waits
        return 0 < float(first) <= float(largest)
    except (TypeError, ValueError):
        return False
