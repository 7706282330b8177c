"""Requests to Artemis' management about its addresses, over the provider's own connection.

Manual of Artemis, "Management", section "Using management message API". The user needs the right `manage`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import cproton as pn
from proton import Message, ProtonException

from ...exceptions import ConnectionLostError, EventException, NotAcceptedError, PermissionDeniedError
from .errors import Condition, Stage, error_for
from .links import LinkOwner, logger
from .receiver import Receiver

ADDRESS = "activemq.management"

# Seconds after which the unused queue of answers is closed.
_IDLE_TIMEOUT = 2.0
_SUCCEEDED = "_AMQ_OperationSucceeded"
# Artemis' answer for a resource that does not exist.
_UNKNOWN = "Problem while retrieving attribute"


class Replies(Receiver):
    """Receives the answers from a temporary queue, which gets a new name from the broker at every attach.

    Attributes:
        up: Set while the queue exists.
        reply_to: Its address; "" before the first attach.
        pending: Futures of the answers, by correlation id.
    """

    def __init__(self, owner: LinkOwner, close_timeout: float) -> None:
        super().__init__(
            owner, "", (), window=100, consume=_refuse, subject="answers of the management",
            close_timeout=close_timeout,
        )  # fmt: skip
        self.up = asyncio.Event()
        self.reply_to = ""
        self.pending: dict[str, asyncio.Future[Message]] = {}
        self._closing: asyncio.Task[None] | None = None

    def close_later(self, seconds: float, may_close: Callable[[Replies], bool]) -> None:
        """Close after *seconds* if *may_close* returns True then: the queue of answers costs the broker memory."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close_later(seconds, may_close))

    async def _close_later(self, seconds: float, may_close: Callable[[Replies], bool]) -> None:
        await asyncio.sleep(seconds)
        self._closing = None
        if may_close(self):
            await self.close()

    def fail(self, error: EventException) -> None:
        if self._closing is not None:
            self._closing.cancel()
        super().fail(error)

    def _describe(self, terminus: Any) -> None:
        terminus.dynamic = True

    def on_attached(self) -> None:
        self.reply_to = self._link.remote_source.address
        self.up.set()
        super().on_attached()

    def _unbind(self) -> None:
        super()._unbind()
        self.up.clear()
        pending, self.pending = self.pending, {}
        for answer in pending.values():
            if not answer.done():
                answer.set_exception(ConnectionLostError("the management's answer was lost with the connection"))

    def _hand_over(self, data: bytes, handle: Any) -> None:
        self._answer(handle, pn.PN_ACCEPTED)
        message = Message()
        try:
            message.decode(data)
        except ProtonException as error:
            logger.warning("an answer of the management cannot be read: %s", error)
            return
        answer = self.pending.pop(str(message.correlation_id), None)
        if answer is not None and not answer.done():
            answer.set_result(message)


def _refuse(_: Any) -> None:
    raise NotImplementedError("answers are not handed to a consumer")


class Management:
    """Sends requests to the broker's management. Attaches its links at the first request, because most users lack the
    permission.

    Args:
        send: Publishes an encoded message to `ADDRESS`.
        attach: Attaches a new receiver of answers; raises what `Provider.subscribe` raises.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], attach: Callable[[], Awaitable[Replies]]) -> None:
        self._send, self._attach = send, attach
        self._lock = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._replies: Replies | None = None
        #: Requests without an answer.
        self._requests = 0

    async def has_route(self, address: str) -> bool:
        """Return whether a queue or a divert is bound to *address*; the caller limits the time.

        Raises:
            PermissionDeniedError: the broker refuses the request.
            ConnectionLostError: the provider is stopped.
        """
        try:
            message = await self._request(f"address.{address}", {"_AMQ_Attribute": "bindingNames"})
        except (PermissionDeniedError, NotAcceptedError) as error:
            # Artemis 2.44 tells a user without the permission only that the request failed (a NullPointerException).
            raise PermissionDeniedError(
                f"require_route=True for {address!r} needs the right 'manage' on {ADDRESS!r}: {error}"
            ) from error
        text = str(message.body or "[]")
        if (message.properties or {}).get(_SUCCEEDED):
            return any(json.loads(text))
        if _UNKNOWN in text:
            return False
        raise error_for(Stage.OUTCOME, Condition("", text), repr(ADDRESS))

    async def address_settings(self, address: str) -> str:
        """Return the settings of an address as JSON; the caller limits the time.

        Raises:
            ProviderError: the broker refuses the request.
        """
        operation = {"_AMQ_OperationName": "getAddressSettingsAsJSON"}
        message = await self._request("broker", operation, json.dumps([address]))
        text = str(message.body or "")
        if not (message.properties or {}).get(_SUCCEEDED):
            raise error_for(Stage.OUTCOME, Condition("", text), repr(ADDRESS))
        return str(json.loads(text)[0])

    async def _request(self, resource: str, properties: dict[str, str], arguments: str = "[]") -> Message:
        self._requests += 1
        try:
            return await self._exchange(resource, properties, arguments)
        finally:
            self._requests -= 1
            if not self._requests and self._replies is not None:
                self._replies.close_later(_IDLE_TIMEOUT, self._release)

    def _release(self, replies: Replies) -> bool:
        """Forget *replies* if it is not in use; return whether it may be closed."""
        if self._requests or self._replies is not replies:
            return False
        self._replies = None
        return True

    async def _exchange(self, resource: str, properties: dict[str, str], arguments: str) -> Message:
        async with self._lock:
            if self._replies is None:
                self._replies = await self._attach()
        replies = self._replies
        while True:
            await replies.up.wait()
            number = str(next(self._numbers))
            request = Message(body=arguments, reply_to=replies.reply_to, correlation_id=number)
            request.properties = {"_AMQ_ResourceName": resource, **properties}
            answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
            replies.pending[number] = answer
            try:
                await self._send(request.encode())
                return await answer
            except ConnectionLostError as error:
                # It changes nothing on the broker, so it may be repeated; after a stop the caller ends this task.
                logger.debug("repeating a management request: %s", error)
            finally:
                replies.pending.pop(number, None)
                if not answer.cancel():
                    answer.exception()
