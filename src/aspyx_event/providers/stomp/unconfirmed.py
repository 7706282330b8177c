"""Messages and commands that wait for the broker's RECEIPT."""

from __future__ import annotations

import asyncio

from ...exceptions import EventException


class UnconfirmedMessage:
    """A message without a RECEIPT.

    Attributes:
        sent: It was written to a connection, so the broker may have it.
    """

    __slots__ = ("address", "data", "deadline", "future", "sent")

    def __init__(self, address: str, data: bytes, future: asyncio.Future[None], deadline: float) -> None:
        self.address, self.data, self.future, self.deadline = address, data, future, deadline
        self.sent = False

    def error(self, kind: type[EventException], reason: str) -> EventException:
        """Return the error for the message: *reason*, and what is known about its way."""
        state = "the broker may or may not have stored it" if self.sent else "it was not sent"
        return kind(f"publish to {self.address!r}: {reason}; {state}")


class PendingCommand:
    """A command without a RECEIPT."""

    __slots__ = ("command", "future", "operation", "receipt")

    def __init__(self, command: str, operation: str, receipt: str, future: asyncio.Future[None]) -> None:
        self.command, self.operation, self.receipt, self.future = command, operation, receipt, future
