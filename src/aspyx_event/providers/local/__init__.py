"""The in-process provider: the reference implementation of `Provider`, for tests and single-process applications."""

from .broker import LocalBroker
from .provider import LocalProvider

__all__ = ["LocalBroker", "LocalProvider"]
