"""`SupervisedLink`: the common base of senders and receivers, which outlive connections."""

from __future__ import annotations

import itertools
import logging
from abc import ABC, abstractmethod
from typing import Any, Protocol

from proton import Data, symbol

from ...safe_logger import SafeLogger
from .errors import Condition
from .wire import Wire

logger = SafeLogger(logging.getLogger("aspyx.event.amqp"))


class LinkOwner(Protocol):
    """The methods of the client that its links call."""

    container_id: str

    def forget(self, link: SupervisedLink) -> None:
        """Never attach *link* again."""

    def attach_now(self, link: SupervisedLink) -> None:
        """Attach *link*, which was idle, if the connection is up and no `attach_later` is pending."""

    def attach_later(self, link: SupervisedLink) -> None:
        """Attach *link* again after a pause, if the connection is up then."""

    def settled(self, size: int) -> None:
        """Count an unconfirmed message less, of *size* bytes."""


class SupervisedLink(ABC):
    """A sender or receiver; the client attaches it to every new connection, each time as a new link with a new name.

    Attributes:
        address: The node on the broker; `address::queue` names one of its queues.
        capabilities: Of the terminus: the kind of node.
    """

    def __init__(self, owner: LinkOwner, address: str, capabilities: tuple[str, ...]) -> None:
        self.address, self.capabilities = address, capabilities
        self._owner = owner
        self._wire: Wire | None = None
        #: The driver's wrapper: keeps the C object alive, and identifies this attach.
        self._link: Any = None
        self._handle: Any = None
        self._up = False

    def attach(self, wire: Wire) -> None:
        """Send an attach to the broker; no effect while a link exists, or after the connection has ended."""
        if self._link is None and wire.alive:
            self._link = self.new_link(wire.session)
            self._wire = wire
            self._handle = wire.attach(self._link, self)

    @abstractmethod
    def new_link(self, session: Any) -> Any:
        """Return a new link of the driver, not open yet, with its terminus set."""

    def _describe(self, terminus: Any) -> None:
        terminus.address = self.address
        if not self.capabilities:
            return
        data = terminus.capabilities
        data.put_array(False, Data.SYMBOL)
        data.enter()
        for capability in self.capabilities:
            data.put_symbol(symbol(capability))
        data.exit()

    def _unbind(self) -> None:
        self._wire = self._link = self._handle = None
        self._up = False

    def on_attached(self) -> None:
        self._up = True

    @abstractmethod
    def on_ended(self, condition: Condition) -> None:
        """See `wire.LinkEvents`."""

    @abstractmethod
    def on_lost(self) -> None:
        """See `wire.LinkEvents`."""

    @abstractmethod
    def on_delivery(self, handle: Any) -> None:
        """See `wire.LinkEvents`."""

    @abstractmethod
    def on_flow(self) -> None:
        """See `wire.LinkEvents`."""

    @property
    def error_marker(self) -> str:
        return ""


_numbers = itertools.count(1)


def unique_name(owner: LinkOwner) -> str:
    """Return a new link name: two links of a connection with the same name are the same link, and the second never attaches."""
    return f"{owner.container_id}-{next(_numbers)}"
