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

from ...exceptions import ConnectionLostError, NotAcceptedError, PermissionDeniedError
from .errors import Condition, Stage, error_for
from .links import LinkOwner, logger
from .receiver import Receiver

ADDRESS = "activemq.management"

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

    async def has_route(self, address: str) -> bool:
        """Tell whether a queue or a divert is bound to *address*; the caller limits the time.

        Raises:
            PermissionDeniedError: the broker refuses the question.
            ConnectionLostError: the provider is stopped.
        """
        try:
            message = await self._ask(f"address.{address}", "bindingNames")
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

    async def _ask(self, resource: str, attribute: str) -> Message:
        async with self._lock:
            if self._replies is None:
                self._replies = await self._attach()
        replies = self._replies
        while True:
            await replies.up.wait()
            number = str(next(self._numbers))
            question = Message(body="[]", reply_to=replies.address_now, correlation_id=number)
            question.properties = {"_AMQ_ResourceName": resource, "_AMQ_Attribute": attribute}
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
