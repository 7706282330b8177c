"""A supervised STOMP connection: the ledger of unconfirmed messages, and the commands that wait for a receipt.

Imports stomp.py.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable

from ...exceptions import ConfirmTimeoutError, ConnectionLostError, EventException
from ..artemis import target
from ..base import Outgoing
from ..buffer import SendBuffer
from ..connection import ConnectionSettings, Supervisor
from .errors import broker_error, may_be_of_a_subscribe, publish_error, reason_of
from .frames import Frame, encode
from .headers import wanted
from .sends import send_frame
from .wire import StompWire, open_wire

logger = logging.getLogger("aspyx.event.stomp")

# Seconds between two looks at the deadlines of the ledger.
_TICK = 0.25
_LONGEST_RECEIPT = 10.0
# Seconds for UNSUBSCRIBE and DISCONNECT at stop.
_GOODBYE = 5.0


class _Unconfirmed:
    __slots__ = ("address", "data", "deadline", "future")

    def __init__(self, address: str, data: bytes, future: asyncio.Future[None], deadline: float) -> None:
        self.address, self.data, self.future, self.deadline = address, data, future, deadline


class _Control:
    __slots__ = ("command", "future", "receipt", "what")

    def __init__(self, command: str, what: str, receipt: str, future: asyncio.Future[None]) -> None:
        self.command, self.what, self.receipt, self.future = command, what, receipt, future


class StompClient:
    """One connection that is opened again whenever it ends, until `stop`.

    Args:
        settings: Where and how patiently.
        vhost: The `host` header of CONNECT; None sends the host's name.
        up: Called with each new connection, after the unconfirmed messages were sent again.
        down: Called when a connection has ended.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        vhost: str | None,
        up: Callable[[StompWire], None],
        down: Callable[[], None],
    ) -> None:
        self.settings = settings
        self._vhost = vhost
        self._on_up, self._on_down = up, down
        self._supervisor: Supervisor[StompWire] = Supervisor(settings, self._connect, self._up, self._down)
        self._numbers = itertools.count(1)
        #: By receipt id, oldest first.
        self._ledger: dict[str, _Unconfirmed] = {}
        self._buffer = SendBuffer(settings)
        #: Receipt ids of what was not given to the connection, because it takes nothing now.
        self._unsent: deque[str] = deque()
        self._routes: dict[str, Callable[[StompWire, Frame], None]] = {}
        self._control: _Control | None = None
        self._control_lock = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None
        self._latest: StompWire | None = None
        #: Connections in a row that ended before the broker confirmed anything.
        self._useless = 0
        # A receipt that a live connection owes for longer is lost.
        self.receipt_timeout = min(_LONGEST_RECEIPT, settings.confirm_timeout / 3)

    @property
    def wire(self) -> StompWire | None:
        """The connection, or None while there is none."""
        wire = self._supervisor.wire
        return wire if wire is not None and wire.usable else None

    @property
    def unconfirmed(self) -> int:
        return len(self._ledger)

    @property
    def current(self) -> ConnectionSettings:
        """Settings of the broker it is connected to."""
        return self._supervisor.current

    @property
    def reconnect_exhausted(self) -> bool:
        return self._supervisor.reconnect_exhausted

    @property
    def reconnects(self) -> int:
        return self._supervisor.reconnects

    async def start(self) -> None:
        """Connect; raises as `Supervisor.start`."""
        await self._supervisor.start()
        self._watcher = asyncio.get_running_loop().create_task(self._watch(), name=f"receipts {self.settings.where}")

    async def flush(self, timeout: float) -> None:
        """Wait until everything is confirmed, or failed, or *timeout* seconds are over."""
        futures = [entry.future for entry in self._ledger.values()]
        if futures:
            await asyncio.wait(futures, timeout=timeout)

    async def stop(self) -> None:
        """Disconnect; fails what is unconfirmed with `ConnectionLostError`."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        stopped = ConnectionLostError(f"{self.settings.where}: the provider was stopped before the confirmation came")
        # The supervisor goes first, or it would take the broker's answer to DISCONNECT for a lost connection.
        wire = await self._supervisor.stop()
        try:
            if wire is not None and wire.usable:
                await self._command(wire, "DISCONNECT", {}, "disconnect", _GOODBYE)
        except EventException as error:
            logger.info("no orderly good-bye: %s", error)
        finally:
            if wire is not None:
                await wire.close(stopped)
            for receipt in list(self._ledger):
                self._settle(receipt, stopped)
            self._routes.clear()

    async def connected(self, timeout: float) -> StompWire:
        """Return the open connection, waiting for one; raises `ConnectError` after *timeout* seconds."""
        return await self._supervisor.connected(timeout)

    def next_id(self) -> str:
        """Return an id that no subscription of this client has had."""
        return str(next(self._numbers))

    def route(self, subscription: str, receive: Callable[[StompWire, Frame], None] | None) -> None:
        """Hand the messages of a subscription to *receive*; None drops them."""
        if receive is None:
            self._routes.pop(subscription, None)
        else:
            self._routes[subscription] = receive

    def send(self, message: Outgoing) -> asyncio.Future[None]:
        """Send a message now, or as soon as there is a connection, and again until it is confirmed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        address = message.address if message.only is None else target(message)
        if self._watcher is None:
            future.set_exception(ConnectionLostError(f"publish to {address!r}: the provider is not started"))
            return future
        receipt = self.next_id()
        try:
            data = send_frame(message, receipt)
        except EventException as error:
            future.set_exception(error)
            return future
        refusal = self._buffer.take(address, len(data))
        if refusal is not None:
            future.set_exception(refusal)
            return future
        self._ledger[receipt] = _Unconfirmed(address, data, future, loop.time() + self.settings.confirm_timeout)
        if (wire := self.wire) is not None:
            if self._unsent or wire.full:
                self._unsent.append(receipt)
            else:
                wire.put(data)
        return future

    def _send_unsent(self, wire: StompWire) -> None:
        while self._unsent and wire is self._latest and not wire.full:
            entry = self._ledger.get(self._unsent.popleft())
            if entry is not None:  # it may be over its time
                wire.put(entry.data)

    async def control(self, command: str, headers: dict[str, str], what: str) -> StompWire:
        """Send a command and wait for its receipt. One at a time: an ERROR for a SUBSCRIBE names no receipt.

        Args:
            command: SUBSCRIBE or UNSUBSCRIBE.
            headers: Without receipt.
            what: What is about to be done, for messages.

        Returns:
            The connection that confirmed.

        Raises:
            ConnectionLostError: it ended, or did not answer in time and was given up.
            ProviderError: the broker refused.
        """
        async with self._control_lock:
            wire = self.wire
            if wire is None:
                raise ConnectionLostError(f"{what}: there is no connection to the {self.settings.where}")
            await self._command(wire, command, headers, what, self.receipt_timeout)
            return wire

    async def _command(self, wire: StompWire, command: str, headers: dict[str, str], what: str, timeout: float) -> None:
        receipt = self.next_id()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._control = _Control(command, what, receipt, future)
        try:
            wire.put(encode(command, {**headers, "receipt": receipt}))
            await asyncio.wait((future, wire.closed), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if command == "SUBSCRIBE":  # nobody will read what comes
                wire.put(encode("UNSUBSCRIBE", {"id": headers["id"]}))
            raise
        finally:
            self._control = None
        if future.done():
            future.result()
        elif wire.usable:
            late = ConnectionLostError(f"{what}: the {self.settings.where} did not answer within {timeout:g} s")
            wire.fail(late)
            raise late
        else:
            raise ConnectionLostError(f"{what}: {self.settings.where}: {wire.closed.result()}")

    async def _connect(self, settings: ConnectionSettings) -> StompWire:
        if self._useless:
            # A broker that drops us again and again before it confirms anything must not be called in a tight loop.
            await asyncio.sleep(min(0.05 * 2**self._useless, 1.0, settings.connect_timeout / 2))
        return await open_wire(settings, self._vhost, self._receive, wanted)

    def _up(self, wire: StompWire) -> None:
        self._latest = wire
        wire.on_room = lambda: self._send_unsent(wire)
        self._unsent = deque(self._ledger)
        self._send_unsent(wire)
        self._on_up(wire)

    def _down(self, _reason: Exception) -> None:
        if self._latest is not None and not self._latest.confirmed and self._ledger:
            self._useless += 1
        self._on_down()

    def _receive(self, wire: StompWire, frame: Frame) -> None:
        command = frame.cmd
        if command == "MESSAGE":
            route = self._routes.get(frame.get("subscription"))
            if route is not None:
                route(wire, frame)
        elif command == "RECEIPT":
            wire.confirmed, self._useless = True, 0
            receipt = frame.get("receipt-id")
            control = self._control
            if control is not None and control.receipt == receipt:
                if not control.future.done():
                    control.future.set_result(None)
            else:
                self._settle(receipt, None)
        elif command == "ERROR":
            self._refused(wire, reason_of(frame.headers, frame.body), frame.headers.get("receipt-id"))

    def _refused(self, wire: StompWire, reason: str, receipt: str | None) -> None:
        """An ERROR ends the connection. What caused it fails, whatever else is under way goes over the next one."""
        control = self._control
        if receipt in self._ledger:
            self._useless = 0  # what caused the error is out of the ledger, so the next connection gets further
            self._settle(receipt, publish_error(f"publish to {self._ledger[receipt].address!r}", reason))
        elif control is not None and not control.future.done():
            # Artemis sends no receipt-id with the refusal of a SUBSCRIBE.
            unnamed = receipt is None and control.command == "SUBSCRIBE" and may_be_of_a_subscribe(reason)
            if unnamed or control.receipt == receipt:
                control.future.set_exception(broker_error(control.what, reason))
        wire.fail(ConnectionLostError(reason))

    def _settle(self, receipt: str, error: Exception | None) -> None:
        entry = self._ledger.pop(receipt, None)
        if entry is None:
            return
        self._buffer.remove(len(entry.data))
        if not entry.future.done():
            if error is None:
                entry.future.set_result(None)
            else:
                entry.future.set_exception(error)

    async def _watch(self) -> None:
        """Fail what is over its deadline; give up a live connection that lost a receipt."""
        loop = asyncio.get_running_loop()
        first: str | None = None
        watched: StompWire | None = None
        since, tick = 0.0, min(_TICK, self.settings.confirm_timeout / 10)
        while True:
            due = loop.time() + tick
            await asyncio.sleep(tick)
            now = loop.time()
            if now - due > tick:
                # The loop was held up: receipts may have come that were not read yet.
                first = None
                continue
            self._expire(now)
            oldest, wire = next(iter(self._ledger), None), self.wire
            # Receipts come in the order of the messages, so the oldest one being stuck says that its receipt is lost;
            # bytes the broker has not taken yet say that it is only slow.
            if oldest is None or wire is None or wire.writing or oldest != first or wire is not watched:
                first, watched, since = oldest, wire, now
            elif now - since > self.receipt_timeout:
                first = None
                wire.fail(ConnectionLostError(f"a receipt is overdue for {now - since:.1f} s"))

    def _expire(self, now: float) -> None:
        late = []
        for receipt, entry in self._ledger.items():  # all wait equally long, so the oldest end first
            if entry.deadline > now:
                break
            late.append(receipt)
        for receipt in late:
            self._settle(
                receipt,
                ConfirmTimeoutError(
                    f"publish to {self._ledger[receipt].address!r}: no confirmation within "
                    f"{self.settings.confirm_timeout:g} s; the broker may or may not have stored the message"
                ),
            )
