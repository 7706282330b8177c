"""The in-process provider: the reference of the contract, and the broker of tests and of programs in one process."""

from .broker import LocalBroker
from .provider import LocalProvider

__all__ = ["LocalBroker", "LocalProvider"]
