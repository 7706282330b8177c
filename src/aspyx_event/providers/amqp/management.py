"""Questions to Artemis about its addresses, asked over the provider's own connection.

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

# Seconds that the queue of answers stays for a next question.
_IDLE = 2.0
_SUCCEEDED = "_AMQ_OperationSucceeded"
# What Artemis says where a resource does not exist.
_UNKNOWN = "Problem while retrieving attribute"


class Replies(Receiver):
    """Receives the answers, from a temporary queue that the broker names anew at every attach.

    Attributes:
        up: Set while there is such a queue.
        address_now: Its address; "" while there is none.
        waiting: Who waits for which answer, by correlation id.
    """

    def __init__(self, owner: LinkOwner, close_timeout: float) -> None:
        super().__init__(
            owner, "", (), name="", window=100, consume=_refuse, subject="answers of the management",
            close_timeout=close_timeout,
        )  # fmt: skip
        self.up = asyncio.Event()
        self.address_now = ""
        self.waiting: dict[str, asyncio.Future[Message]] = {}
        self._leaving: asyncio.Task[None] | None = None

    def leave_later(self, seconds: float, may_leave: Callable[[Replies], bool]) -> None:
        """Close in a while, if that is still wanted then: the queue of answers is the broker's burden."""
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().create_task(self._leave(seconds, may_leave))

    async def _leave(self, seconds: float, may_leave: Callable[[Replies], bool]) -> None:
        await asyncio.sleep(seconds)
        self._leaving = None
        if may_leave(self):
            await self.close()

    def give_up(self, error: EventException) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        super().give_up(error)

    def _describe(self, terminus: Any) -> None:
        terminus.dynamic = True

    def on_attached(self) -> None:
        self.address_now = self._link.remote_source.address
        self.up.set()
        super().on_attached()

    def _unbind(self) -> None:
        super()._unbind()
        self.up.clear()
        waiting, self.waiting = self.waiting, {}
        for answer in waiting.values():
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
        answer = self.waiting.pop(str(message.correlation_id), None)
        if answer is not None and not answer.done():
            answer.set_result(message)


def _refuse(_: Any) -> None:
    raise NotImplementedError("answers are not handed to a consumer")


class Management:
    """Asks the broker. Attaches its links when it is first asked, because most users lack the right.

    Args:
        send: Publishes an encoded message to `ADDRESS`.
        attach: Attaches a new receiver of answers; raises what `Provider.subscribe` raises.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], attach: Callable[[], Awaitable[Replies]]) -> None:
        self._send, self._attach = send, attach
        self._lock = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._replies: Replies | None = None
        self._asking = 0

    async def has_route(self, address: str) -> bool:
        """Tell whether a queue or a divert is bound to *address*; the caller limits the time.

        Raises:
            PermissionDeniedError: the broker refuses the question.
            ConnectionLostError: the provider is stopped.
        """
        try:
            message = await self._ask(f"address.{address}", {"_AMQ_Attribute": "bindingNames"})
        except (PermissionDeniedError, NotAcceptedError) as error:
            # To a user without the right Artemis 2.44 says no more than that it failed (a NullPointerException).
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
            ProviderError: the broker refuses the question.
        """
        operation = {"_AMQ_OperationName": "getAddressSettingsAsJSON"}
        message = await self._ask("broker", operation, json.dumps([address]))
        text = str(message.body or "")
        if not (message.properties or {}).get(_SUCCEEDED):
            raise error_for(Stage.OUTCOME, Condition("", text), repr(ADDRESS))
        return str(json.loads(text)[0])

    async def _ask(self, resource: str, about: dict[str, str], arguments: str = "[]") -> Message:
        self._asking += 1
        try:
            return await self._exchange(resource, about, arguments)
        finally:
            self._asking -= 1
            if not self._asking and self._replies is not None:
                self._replies.leave_later(_IDLE, self._left)

    def _left(self, replies: Replies) -> bool:
        """Forget *replies*, unless an answer is waited for again."""
        if self._asking or self._replies is not replies:
            return False
        self._replies = None
        return True

    async def _exchange(self, resource: str, about: dict[str, str], arguments: str) -> Message:
        async with self._lock:
            if self._replies is None:
                self._replies = await self._attach()
        replies = self._replies
        while True:
            await replies.up.wait()
            number = str(next(self._numbers))
            question = Message(body=arguments, reply_to=replies.address_now, correlation_id=number)
            question.properties = {"_AMQ_ResourceName": resource, **about}
            answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
            replies.waiting[number] = answer
            try:
                await self._send(question.encode())
                return await answer
            except ConnectionLostError as error:
                # It changes nothing, so it may be asked again; after a stop the caller ends this task.
                logger.debug("asking again: %s", error)
            finally:
                replies.waiting.pop(number, None)
                if not answer.cancel():
                    answer.exception()
