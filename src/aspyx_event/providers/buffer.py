"""`SendBuffer`: limits the messages that a networked provider holds until the broker confirms them."""

from __future__ import annotations

from ..exceptions import BufferFullError, LimitExceededError
from .settings import ConnectionSettings


class SendBuffer:
    """Counts the messages that wait for their confirmation, and their bytes.

    Args:
        settings: With the limits, and the broker's name for errors.

    Attributes:
        count: Messages.
        size: Their bytes.
    """

    __slots__ = ("_settings", "count", "size")

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self.count = self.size = 0

    def try_add(self, address: str, size: int) -> BufferFullError | LimitExceededError | None:
        """Count a message of *size* bytes; return the error if it is too large, or there is no room for it.

        A message always has room in an empty buffer; otherwise a message beyond the limit could never be sent.
        """
        settings = self._settings
        if size > settings.max_message_size:
            return LimitExceededError(
                f"publish to {address!r}: the message has {size:,} bytes, {settings.max_message_size:,} are the limit "
                f"of the provider for the {settings.where} (max_message_size)"
            )
        if self.count < settings.max_unconfirmed and (
            self.size + size <= settings.max_unconfirmed_bytes or not self.count
        ):
            self.count += 1
            self.size += size
            return None
        return BufferFullError(
            f"publish to {address!r}: {self.count} messages of {self.size:,} bytes wait for the confirmation of the "
            f"{settings.where}; send slower (await the receipts), or raise max_unconfirmed= "
            f"({settings.max_unconfirmed}) or max_unconfirmed_bytes= ({settings.max_unconfirmed_bytes:,})"
        )

    def add(self, size: int) -> None:
        """Count a message, whether there is room or not."""
        self.count += 1
        self.size += size

    def remove(self, size: int) -> None:
        self.count -= 1
        self.size -= size
