"""A supervised STOMP connection: resends unconfirmed messages, and waits for the receipts of commands.

Imports stomp.py.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable

from ...exceptions import ConfirmTimeoutError, ConnectionLostError, EventException
from ...futures import failed
from ...safe_logger import SafeLogger
from ..artemis import destination
from ..base import Outgoing
from ..buffer import SendBuffer
from ..connection import Supervisor
from ..settings import ConnectionSettings
from .errors import broker_error, error_reason, may_answer_subscribe, publish_error
from .frames import Frame, encode
from .headers import needs_header
from .sends import send_frame
from .unconfirmed import PendingCommand, UnconfirmedMessage
from .wire import StompWire, open_wire

logger = SafeLogger(logging.getLogger("aspyx.event.stomp"))

# Seconds between two checks of the deadlines of unconfirmed messages.
_CHECK_INTERVAL = 0.25
_MAX_RECEIPT_TIMEOUT = 10.0
# Seconds for DISCONNECT at stop.
_DISCONNECT_TIMEOUT = 5.0


class StompClient:
    """A connection that is opened again whenever it ends, until `stop`.

    Args:
        settings: Broker, time limits and buffer limits.
        vhost: The `host` header of CONNECT; None sends the host's name.
        on_connected: Called with each new connection, after the unconfirmed messages were sent again.
        on_disconnected: Called when a connection has ended.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        vhost: str | None,
        on_connected: Callable[[StompWire], None],
        on_disconnected: Callable[[], None],
    ) -> None:
        self.settings = settings
        self._vhost = vhost
        self._notify_connected, self._notify_disconnected = on_connected, on_disconnected
        self._supervisor: Supervisor[StompWire] = Supervisor(
            settings, self._connect, self._on_connected, self._on_disconnected, self._fail_all
        )
        self._numbers = itertools.count(1)
        #: By receipt id, oldest first.
        self._unconfirmed: dict[str, UnconfirmedMessage] = {}
        self._buffer = SendBuffer(settings)
        #: Receipt ids of messages that were not written yet, because the connection is full.
        self._unsent: deque[str] = deque()
        #: By subscription id.
        self._receivers: dict[str, Callable[[StompWire, Frame], None]] = {}
        self._pending: PendingCommand | None = None
        self._command_lock = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None
        self._latest_wire: StompWire | None = None
        #: Connections in a row that ended before the broker confirmed anything.
        self._early_losses = 0
        # A receipt that takes longer on a live connection is considered lost.
        self.receipt_timeout = min(_MAX_RECEIPT_TIMEOUT, settings.confirm_timeout / 3)

    @property
    def wire(self) -> StompWire | None:
        """The connection, or None while there is none."""
        wire = self._supervisor.wire
        return wire if wire is not None and wire.usable else None

    @property
    def unconfirmed(self) -> int:
        return len(self._unconfirmed)

    @property
    def current(self) -> ConnectionSettings:
        """Settings of the broker it is connected to, or tries next."""
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
        """Wait until every message is confirmed or failed, for at most *timeout* seconds."""
        futures = [message.future for message in self._unconfirmed.values()]
        if futures:
            await asyncio.wait(futures, timeout=timeout)

    async def stop(self) -> None:
        """Disconnect; unconfirmed messages fail with `ConnectionLostError`."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        stopped = ConnectionLostError(f"{self.settings.where}: the provider was stopped before the confirmation came")
        # The supervisor stops first: otherwise it would take the broker's answer to DISCONNECT for a lost connection.
        wire = await self._supervisor.stop()
        try:
            if wire is not None and wire.usable:
                await self._execute(wire, "DISCONNECT", {}, "disconnect", _DISCONNECT_TIMEOUT)
        except EventException as error:
            logger.info("disconnect failed: %s", error)
        finally:
            if wire is not None:
                await wire.close(stopped)
            self._fail_all(stopped)
            self._receivers.clear()

    async def connected(self, timeout: float) -> StompWire:
        """Return the open connection, waiting for it; raises `ConnectError` after *timeout* seconds."""
        return await self._supervisor.connected(timeout)

    def next_id(self) -> str:
        """Return an id that this client has not used for a subscription or receipt yet."""
        return str(next(self._numbers))

    def set_receiver(self, subscription: str, receive: Callable[[StompWire, Frame], None] | None) -> None:
        """Pass the MESSAGE frames of a subscription id to *receive*; None drops them."""
        if receive is None:
            self._receivers.pop(subscription, None)
        else:
            self._receivers[subscription] = receive

    def send(self, message: Outgoing) -> asyncio.Future[None]:
        """Send a message now, or as soon as there is a connection, and again until it is confirmed."""
        address = message.address if message.only is None else destination(message)
        if self._watcher is None:
            return failed(ConnectionLostError(f"publish to {address!r}: the provider is not started"))
        if self._supervisor.end is not None:
            return failed(ConnectionLostError(f"publish to {address!r}: {self._supervisor.end}"))
        receipt = self.next_id()
        try:
            data = send_frame(message, receipt)
        except EventException as error:
            return failed(error)
        refusal = self._buffer.try_add(address, len(data))
        if refusal is not None:
            return failed(refusal)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        deadline = loop.time() + self.settings.confirm_timeout
        self._unconfirmed[receipt] = unconfirmed = UnconfirmedMessage(address, data, future, deadline)
        if (wire := self.wire) is not None:
            if self._unsent or wire.full:
                self._unsent.append(receipt)
            else:
                unconfirmed.sent = True
                wire.put(data)
        return future

    def _send_unsent(self, wire: StompWire) -> None:
        while self._unsent and wire is self._latest_wire and not wire.full:
            receipt = self._unsent.popleft()
            message = self._unconfirmed.get(receipt)
            if message is None:  # after its deadline
                continue
            if message.future.cancelled():  # by its sender, before it left or before it is sent again
                self._settle(receipt, None)
                continue
            message.sent = True
            wire.put(message.data)

    async def execute(self, command: str, headers: dict[str, str], operation: str) -> StompWire:
        """Send a command and wait for its receipt. One at a time, because an ERROR for a SUBSCRIBE has no receipt-id.

        Args:
            command: SUBSCRIBE or UNSUBSCRIBE.
            headers: Without receipt.
            operation: What the command does, for error messages.

        Returns:
            The connection that confirmed.

        Raises:
            ConnectionLostError: the connection ended, or was closed because no answer came in time.
            ProviderError: the broker refused.
        """
        async with self._command_lock:
            wire = self.wire
            if wire is None:
                raise ConnectionLostError(f"{operation}: there is no connection to the {self.current.where}")
            await self._execute(wire, command, headers, operation, self.receipt_timeout)
            return wire

    async def _execute(
        self, wire: StompWire, command: str, headers: dict[str, str], operation: str, timeout: float
    ) -> None:
        receipt = self.next_id()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending = PendingCommand(command, operation, receipt, future)
        try:
            wire.put(encode(command, {**headers, "receipt": receipt}))
            await asyncio.wait((future, wire.closed), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if command == "SUBSCRIBE":  # its messages have no receiver any more
                wire.put(encode("UNSUBSCRIBE", {"id": headers["id"]}))
            raise
        finally:
            self._pending = None
        if future.done():
            future.result()
        elif wire.usable:
            late = ConnectionLostError(f"{operation}: the {self.current.where} did not answer within {timeout:g} s")
            wire.fail(late)
            raise late
        else:
            raise ConnectionLostError(f"{operation}: {self.current.where}: {wire.closed.result()}")

    async def _connect(self, settings: ConnectionSettings) -> StompWire:
        if self._early_losses:
            # Do not reconnect in a tight loop to a broker that closes each connection before it confirms anything.
            await asyncio.sleep(min(0.05 * 2**self._early_losses, 1.0, settings.connect_timeout / 2))
        return await open_wire(settings, self._vhost, self._receive, needs_header)

    def _on_connected(self, wire: StompWire) -> None:
        self._latest_wire = wire
        wire.on_writable = lambda: self._send_unsent(wire)
        self._unsent = deque(self._unconfirmed)
        self._send_unsent(wire)
        self._notify_connected(wire)

    def _on_disconnected(self, _reason: Exception) -> None:
        if self._latest_wire is not None and not self._latest_wire.confirmed and self._unconfirmed:
            self._early_losses += 1
        self._notify_disconnected()

    def _receive(self, wire: StompWire, frame: Frame) -> None:
        command = frame.cmd
        if command == "MESSAGE":
            receive = self._receivers.get(frame.get("subscription"))
            if receive is not None:
                receive(wire, frame)
        elif command == "RECEIPT":
            wire.confirmed, self._early_losses = True, 0
            receipt = frame.get("receipt-id")
            pending = self._pending
            if pending is not None and pending.receipt == receipt:
                if not pending.future.done():
                    pending.future.set_result(None)
            else:
                self._settle(receipt, None)
        elif command == "ERROR":
            self._on_error(wire, error_reason(frame.headers, frame.body), frame.headers.get("receipt-id"))

    def _on_error(self, wire: StompWire, reason: str, receipt: str | None) -> None:
        """Fail the cause of an ERROR. The ERROR ends the connection; all other messages go over the next connection."""
        pending = self._pending
        if receipt in self._unconfirmed:
            self._early_losses = 0  # the message that caused it is not resent, so the next connection gets further
            self._settle(receipt, publish_error(f"publish to {self._unconfirmed[receipt].address!r}", reason))
        elif pending is not None and not pending.future.done():
            # Artemis sends no receipt-id when it refuses a SUBSCRIBE.
            unnamed = receipt is None and pending.command == "SUBSCRIBE" and may_answer_subscribe(reason)
            if unnamed or pending.receipt == receipt:
                pending.future.set_exception(broker_error(pending.operation, reason))
        wire.fail(ConnectionLostError(reason))

    def _fail_all(self, error: ConnectionLostError) -> None:
        for receipt, message in list(self._unconfirmed.items()):
            self._settle(receipt, message.error(type(error), str(error)))

    def _settle(self, receipt: str, error: Exception | None) -> None:
        message = self._unconfirmed.pop(receipt, None)
        if message is None:
            return
        self._buffer.remove(len(message.data))
        if not message.future.done():
            if error is None:
                message.future.set_result(None)
            else:
                message.future.set_exception(error)

    async def _watch(self) -> None:
        """Fail messages after their deadline; close a live connection that lost a receipt."""
        loop = asyncio.get_running_loop()
        watched_receipt: str | None = None
        watched_wire: StompWire | None = None
        since, interval = 0.0, min(_CHECK_INTERVAL, self.settings.confirm_timeout / 10)
        while True:
            due = loop.time() + interval
            await asyncio.sleep(interval)
            now = loop.time()
            if now - due > interval:
                # The loop was blocked: receipts may have arrived that were not read yet.
                watched_receipt = None
                continue
            self._expire(now)
            oldest, wire = next(iter(self._unconfirmed), None), self.wire
            # Receipts arrive in the order of the messages, so a receipt for the oldest that does not come is lost.
            # While bytes are unsent, the broker is only slow.
            if (
                oldest is None
                or wire is None
                or wire.has_unsent
                or oldest != watched_receipt
                or wire is not watched_wire
            ):
                watched_receipt, watched_wire, since = oldest, wire, now
            elif now - since > self.receipt_timeout:
                watched_receipt = None
                wire.fail(ConnectionLostError(f"a receipt is overdue for {now - since:.1f} s"))

    def _expire(self, now: float) -> None:
        late = []
        for receipt, message in self._unconfirmed.items():  # all have the same timeout, so the oldest expire first
            if message.deadline > now:
                break
            late.append(receipt)
        reason = f"no confirmation within {self.settings.confirm_timeout:g} s"
        for receipt in late:
            self._settle(receipt, self._unconfirmed[receipt].error(ConfirmTimeoutError, reason))
