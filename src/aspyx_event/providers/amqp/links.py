"""What every link has in common: it outlives connections, and every attach is a new link of a new name."""

from __future__ import annotations

import itertools
import logging
from abc import ABC, abstractmethod
from typing import Any, Protocol

from proton import Data, symbol

from .errors import Condition
from .wire import Wire

logger = logging.getLogger("aspyx.event.amqp")


class LinkOwner(Protocol):
    """What links ask of the client that keeps them."""

    container_id: str

    def forget(self, link: SupervisedLink) -> None:
        """Never attach *link* again."""

    def attach_now(self, link: SupervisedLink) -> None:
        """Attach *link*, which was idle, if the connection is up and no `attach_later` is under way."""

    def attach_later(self, link: SupervisedLink) -> None:
        """Attach *link* again after a pause, if the connection is up then."""

    def settled(self, size: int) -> None:
        """One message less is unconfirmed; *size* is its bytes."""


class SupervisedLink(ABC):
    """A sender or receiver as its user sees it; the client attaches it to every new connection.

    Attributes:
        address: The node on the broker; `address::queue` names a queue of it.
        capabilities: Of the terminus: what kind of node is meant.
    """

    def __init__(self, owner: LinkOwner, address: str, capabilities: tuple[str, ...]) -> None:
        self.address, self.capabilities = address, capabilities
        self._owner = owner
        self._wire: Wire | None = None
        #: The wrapper: keeps the C object alive, and is the identity of this attach.
        self._link: Any = None
        self._handle: Any = None
        self._up = False

    def attach(self, wire: Wire) -> None:
        """Ask the broker for the link; no effect while there is one, or once the connection has ended."""
        if self._link is None and wire.alive:
            self._link = self._create(wire.session)
            self._wire = wire
            self._handle = wire.attach(self._link, self)

    @abstractmethod
    def _create(self, session: Any) -> Any:
        """Return a new link of the driver's, with its terminus set."""

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
        """See `wire.Endpoint`."""

    @abstractmethod
    def on_lost(self) -> None:
        """See `wire.Endpoint`."""

    @abstractmethod
    def on_delivery(self, handle: Any) -> None:
        """See `wire.Endpoint`."""

    @abstractmethod
    def on_flow(self) -> None:
        """See `wire.Endpoint`."""

    @property
    def claim(self) -> str:
        return ""


_numbers = itertools.count(1)


def unique_name(owner: LinkOwner) -> str:
    """Return a link name: two links of one name on one connection are one link, and the second never attaches."""
    return f"{owner.container_id}-{next(_numbers)}"
