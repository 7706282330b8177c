"""A client of the management API of Artemis for queues and address settings, over a STOMP connection of its own.

Manual of Artemis, "Management", section "Using management message API". The connection is separate because a refusal
ends the connection on which it arrives. Imports stomp.py.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

from stomp.utils import Frame, convert_frame

from ...deadlines import within
from ...exceptions import ConnectError, ConnectionLostError, ProviderError
from ...names import pattern_matches
from ..settings import ConnectionSettings
from .errors import RefusedError, broker_error, error_reason
from .frames import encode
from .wire import StompWire, open_wire

_ADDRESS = "activemq.management"
#: A multicast address: each client has a temporary queue there whose selector admits only its own replies.
_REPLY_ADDRESS = "aspyx-event.management.replies"
_SUBSCRIPTION = "replies"
# Seconds without a request after which the connection is closed.
_IDLE_TIMEOUT = 2.0
_LIST_ATTEMPTS = 5
_LIST_PAUSE = 0.02


class ManagementError(ProviderError):
    """The broker has no management address, the user may not use it, or the operation failed."""


class ManagementClient:
    """Sends one management request at a time; connects for the first and disconnects soon after the last.

    Args:
        current: Returns the settings of the broker to which the provider is connected.
        vhost: The `host` header of CONNECT; None sends the host's name.
    """

    def __init__(self, current: Callable[[], ConnectionSettings], vhost: str | None) -> None:
        self._current, self._vhost = current, vhost
        self._lock = asyncio.Lock()
        self._id = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._wire: StompWire | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        #: By receipt or correlation id.
        self._replies: dict[str, asyncio.Future[Any]] = {}
        self._refused_once = False
        #: Why management cannot be used; None unless that is certain.
        self.unavailable: str | None = None

    async def queue(self, name: str) -> dict[str, Any] | None:
        """Return the broker's description of a queue (`address`, `durable`, ...), or None if it does not exist."""
        queues = await self._list_queues("name", "EQUALS", name)
        return queues[0] if queues else None

    async def create_queue(self, **configuration: Any) -> None:
        """Create a queue unless it exists. Keys are those of `QueueConfiguration`, with `_` for `-`."""
        text = json.dumps({key.replace("_", "-"): value for key, value in configuration.items()})
        await self._call("broker", "createQueue", text, True)

    async def destroy_queue(self, name: str) -> None:
        """Remove a queue that has no consumers."""
        await self._call("broker", "destroyQueue", name)

    async def has_queues(self, address: str) -> bool:
        """Return whether a message to an address would reach a queue, including those of wildcard addresses."""
        if await self._call("broker", "listBindingsForAddress", address):
            return True
        # Queues of wildcard addresses are bound to an address when its first message arrives.
        wildcard_queues = [
            *await self._list_queues("address", "CONTAINS", "#"),
            *await self._list_queues("address", "CONTAINS", "*"),
        ]
        return any(pattern_matches(queue["address"], address) for queue in wildcard_queues)

    async def address_settings(self, address: str) -> str:
        """Return the settings of an address as JSON."""
        return str(await self._call("broker", "getAddressSettingsAsJSON", address))

    async def close(self) -> None:
        wire, self._wire = self._wire, None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if wire is not None:
            await wire.close(ConnectionLostError("the management client was closed"))

    async def _list_queues(self, field: str, comparison: str, value: str) -> list[dict[str, Any]]:
        condition = json.dumps({"field": field, "operation": comparison, "value": value})
        attempts = _LIST_ATTEMPTS
        while True:
            attempts -= 1
            try:
                answer = await self._call("broker", "listQueues", condition, 1, 10_000)
                break
            except ManagementError:
                # Artemis 2.44 fails here with a NullPointerException if any queue of the broker vanishes meanwhile.
                if self.unavailable is not None or not attempts:
                    raise
                await asyncio.sleep(_LIST_PAUSE)
        try:
            queues: list[dict[str, Any]] = json.loads(answer)["data"]
        except (ValueError, TypeError, KeyError) as error:
            raise ManagementError(f"listQueues answered {str(answer)[:80]!r}") from error
        return queues

    async def _call(self, resource: str, operation: str, *arguments: Any) -> Any:
        """Return the first result of an operation.

        Raises:
            ManagementError: the broker refuses management requests, or the operation failed.
            ConnectionLostError: there is no connection.
        """
        async with self._lock:
            if self.unavailable is not None:
                raise ManagementError(self.unavailable)
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            try:
                return await self._request(resource, operation, arguments)
            finally:
                self._idle_timer = asyncio.get_running_loop().call_later(_IDLE_TIMEOUT, self._close_idle)

    async def _request(self, resource: str, operation: str, arguments: tuple[Any, ...]) -> Any:
        wire = await self._open()
        correlation_id = f"{self._id}-{next(self._numbers)}"
        headers = {
            "destination": _ADDRESS,
            "reply-to": _REPLY_ADDRESS,
            "correlation-id": correlation_id,
            "_AMQ_ResourceName": resource,
            "_AMQ_OperationName": operation,
        }
        # Without content-length Artemis reads the body as text, which its management requires.
        data = b"".join(convert_frame(Frame("SEND", headers, json.dumps(arguments).encode())))
        frame = await self._await_reply(wire, correlation_id, data)
        self._refused_once = False
        try:
            results = json.loads(frame.body or b"[]")
        except ValueError as error:
            raise ManagementError(f"{resource}.{operation} answered {frame.body[:80]!r}") from error
        if frame.headers.get("_AMQ_OperationSucceeded") != "true":
            raise ManagementError(f"{resource}.{operation}: {results}")
        return results[0] if results else None

    async def _open(self) -> StompWire:
        if self._wire is not None and self._wire.usable:
            return self._wire
        try:
            wire = await within(open_wire(self._current(), self._vhost, self._receive), self._current().connect_timeout)
        except (OSError, asyncio.TimeoutError, ConnectError) as error:
            raise ConnectionLostError(str(self._current().connect_error(error))) from error
        headers = {
            "id": _SUBSCRIPTION,
            "destination": _REPLY_ADDRESS,
            "subscription-type": "MULTICAST",
            "ack": "auto",
            "selector": f"JMSCorrelationID LIKE '{self._id}-%'",
            "receipt": self._id,
        }
        self._wire = wire
        await self._await_reply(wire, self._id, encode("SUBSCRIBE", headers))
        return wire

    async def _await_reply(self, wire: StompWire, reply_id: str, data: bytes) -> Any:
        reply = self._replies[reply_id] = asyncio.get_running_loop().create_future()
        try:
            wire.put(data)
            await asyncio.wait(
                (reply, wire.closed), timeout=self._current().connect_timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            del self._replies[reply_id]
        if reply.done():
            return reply.result()
        if wire.usable:
            self.unavailable = f"the {self._current().where} does not answer management requests"
            raise ManagementError(self.unavailable)
        raise ConnectionLostError(f"{self._current().where}: {wire.closed.result()}")

    def _receive(self, wire: StompWire, frame: Any) -> None:
        reply_id = frame.headers.get("receipt-id" if frame.cmd == "RECEIPT" else "correlation-id", "")
        if frame.cmd == "ERROR":
            self._on_error(wire, broker_error("management", error_reason(frame.headers, frame.body)))
        elif (reply := self._replies.get(reply_id)) is not None and not reply.done():
            reply.set_result(frame)

    def _on_error(self, wire: StompWire, error: Exception) -> None:
        # An unknown reason may mean that the broker is shutting down: only a second refusal counts as an answer.
        final = not isinstance(error, RefusedError) or self._refused_once
        self._refused_once = True
        if final:
            self.unavailable = str(error)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ManagementError(str(error)) if final else ConnectionLostError(str(error)))
        wire.fail(ConnectionLostError(str(error)))

    def _close_idle(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.fail(ConnectionLostError("the management connection was idle"))
