"""Questions to Artemis about its queues, asked over STOMP on a connection of their own.

Manual of Artemis, "Management", section "Using management message API". A connection of their own because every
refusal ends the connection it comes over. Imports stomp.py.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

from stomp.utils import Frame, convert_frame

from ...exceptions import ConnectError, ConnectionLostError, ProviderError
from ..connection import ConnectionSettings
from .errors import RefusedError, broker_error, reason_of
from .frames import encode
from .wire import StompWire, open_wire

_ADDRESS = "activemq.management"
#: A multicast address: each asker has a temporary queue there that lets its own answers through only.
_REPLIES = "aspyx-event.management.replies"
_SUBSCRIPTION = "replies"
# Seconds that the connection stays open for a next question.
_IDLE = 2.0
_LIST_ATTEMPTS = 5
_LIST_PAUSE = 0.02


class ManagementError(ProviderError):
    """The broker has no management address, the user may not use it, or the operation failed."""


class Management:
    """Asks one question at a time; connects when the first one comes and hangs up soon after the last.

    Args:
        current: Gives the settings of the broker that the client is connected to.
        vhost: The `host` header of CONNECT; None sends the host's name.
    """

    def __init__(self, current: Callable[[], ConnectionSettings], vhost: str | None) -> None:
        self._current, self._vhost = current, vhost
        self._lock = asyncio.Lock()
        self._name = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._wire: StompWire | None = None
        self._hang_up: asyncio.TimerHandle | None = None
        #: By receipt or correlation id.
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._doubtful = False
        #: Why asking is of no use; None while it is not known to be.
        self.unavailable: str | None = None

    async def queue(self, name: str) -> dict[str, Any] | None:
        """Return what the broker tells of a queue (`address`, `durable`, ...), or None if there is no such queue."""
        found = await self._list_queues("name", "EQUALS", name)
        return found[0] if found else None

    async def create_queue(self, **configuration: Any) -> None:
        """Create a queue, or leave it as it is if it is there. Keys are those of `QueueConfiguration`, with `_` for `-`."""
        text = json.dumps({key.replace("_", "-"): value for key, value in configuration.items()})
        await self._ask("broker", "createQueue", text, True)

    async def destroy_queue(self, name: str) -> None:
        """Remove a queue that has no consumers."""
        await self._ask("broker", "destroyQueue", name)

    async def has_queues(self, address: str) -> bool:
        """Tell whether a message to an address would get into a queue, those of wildcard addresses included."""
        if await self._ask("broker", "listBindingsForAddress", address):
            return True
        # The queues of wildcard addresses are bound to an address when the first message goes there.
        wild = [
            *await self._list_queues("address", "CONTAINS", "#"),
            *await self._list_queues("address", "CONTAINS", "*"),
        ]
        return any(matches(queue["address"].split("."), address.split(".")) for queue in wild)

    async def address_settings(self, address: str) -> str:
        """Return the settings of an address as JSON."""
        return str(await self._ask("broker", "getAddressSettingsAsJSON", address))

    async def close(self) -> None:
        wire, self._wire = self._wire, None
        if self._hang_up is not None:
            self._hang_up.cancel()
        if wire is not None:
            await wire.close(ConnectionLostError("done asking"))

    async def _list_queues(self, field: str, comparison: str, value: str) -> list[dict[str, Any]]:
        page = json.dumps({"field": field, "operation": comparison, "value": value})
        attempts = _LIST_ATTEMPTS
        while True:
            attempts -= 1
            try:
                answer = await self._ask("broker", "listQueues", page, 1, 10_000)
                break
            except ManagementError:
                # Artemis 2.44 fails here with a NullPointerException when any queue of the broker vanishes meanwhile.
                if self.unavailable is not None or not attempts:
                    raise
                await asyncio.sleep(_LIST_PAUSE)
        try:
            found: list[dict[str, Any]] = json.loads(answer)["data"]
        except (ValueError, TypeError, KeyError) as error:
            raise ManagementError(f"listQueues answered {str(answer)[:80]!r}") from error
        return found

    async def _ask(self, resource: str, operation: str, *arguments: Any) -> Any:
        """Return the first result of an operation.

        Raises:
            ManagementError: the broker does not let us ask, or the operation failed.
            ConnectionLostError: there is no connection.
        """
        async with self._lock:
            if self.unavailable is not None:
                raise ManagementError(self.unavailable)
            if self._hang_up is not None:
                self._hang_up.cancel()
            try:
                return await self._exchange(resource, operation, arguments)
            finally:
                self._hang_up = asyncio.get_running_loop().call_later(_IDLE, self._close_idle)

    async def _exchange(self, resource: str, operation: str, arguments: tuple[Any, ...]) -> Any:
        wire = await self._open()
        correlation = f"{self._name}-{next(self._numbers)}"
        headers = {
            "destination": _ADDRESS,
            "reply-to": _REPLIES,
            "correlation-id": correlation,
            "_AMQ_ResourceName": resource,
            "_AMQ_OperationName": operation,
        }
        # Without content-length Artemis reads the body as text, which is what its management wants.
        data = b"".join(convert_frame(Frame("SEND", headers, json.dumps(arguments).encode())))
        frame = await self._await(wire, correlation, data)
        self._doubtful = False
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
            wire = await asyncio.wait_for(
                open_wire(self._current(), self._vhost, self._receive), self._current().connect_timeout
            )
        except (OSError, asyncio.TimeoutError, ConnectError) as error:
            raise ConnectionLostError(str(self._current().connect_error(error))) from error
        headers = {
            "id": _SUBSCRIPTION,
            "destination": _REPLIES,
            "subscription-type": "MULTICAST",
            "ack": "auto",
            "selector": f"JMSCorrelationID LIKE '{self._name}-%'",
            "receipt": self._name,
        }
        self._wire = wire
        await self._await(wire, self._name, encode("SUBSCRIBE", headers))
        return wire

    async def _await(self, wire: StompWire, answer: str, data: bytes) -> Any:
        future = self._answers[answer] = asyncio.get_running_loop().create_future()
        try:
            wire.put(data)
            await asyncio.wait(
                (future, wire.closed), timeout=self._current().connect_timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            del self._answers[answer]
        if future.done():
            return future.result()
        if wire.usable:
            self.unavailable = f"the {self._current().where} does not answer management requests"
            raise ManagementError(self.unavailable)
        raise ConnectionLostError(f"{self._current().where}: {wire.closed.result()}")

    def _receive(self, wire: StompWire, frame: Any) -> None:
        answer = frame.headers.get("receipt-id" if frame.cmd == "RECEIPT" else "correlation-id", "")
        if frame.cmd == "ERROR":
            self._refused(wire, broker_error("management", reason_of(frame.headers, frame.body)))
        elif (future_ := self._answers.get(answer)) is not None and not future_.done():
            future_.set_result(frame)

    def _refused(self, wire: StompWire, error: Exception) -> None:
        # An unknown reason may be that the broker is going down: only the second time it is taken for an answer.
        final = not isinstance(error, RefusedError) or self._doubtful
        self._doubtful = True
        if final:
            self.unavailable = str(error)
        for future in self._answers.values():
            if not future.done():
                future.set_exception(ManagementError(str(error)) if final else ConnectionLostError(str(error)))
        wire.fail(ConnectionLostError(str(error)))

    def _close_idle(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.fail(ConnectionLostError("done asking"))


def matches(pattern: list[str], words: list[str]) -> bool:
    """Tell whether an address fits a wildcard address, both as their words between the dots.

    `*` is one word, `#` any number of words, none included (manual of Artemis, "Wildcard Syntax").
    """
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(matches(pattern[1:], words[start:]) for start in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])
