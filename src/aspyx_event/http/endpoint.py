"""Receives CloudEvents over HTTP and sends them: an ASGI application.

Sources: HTTP Protocol Binding for CloudEvents v1.0.2; HTTP 1.1 Web Hooks for Event Delivery, version 1.0.1 (statuses,
validation handshake); RFC 9457 (problem documents).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from ..asgi import Message, Receive, Send, send_response
from ..cloudevents.event import CloudEvent
from ..cloudevents.formats import is_batch
from ..cloudevents.http import from_http, from_http_batch
from ..deadlines import within
from ..engine.sending.receipt import Receipt
from ..engine.subscribing.subscriptions import Subscription
from ..error_text import error_text, printable_message
from ..exceptions import (
    CodecError,
    ConfirmTimeoutError,
    DeclarationError,
    EventException,
    HeaderError,
    InvalidCloudEventError,
    InvalidNameError,
    LimitExceededError,
    UnknownFormatError,
)
from ..providers.base import Provider
from ..safe_logger import SafeLogger
from .accepted_types import AcceptedTypes
from .handshake import Handshake
from .messages import ClientDisconnectedError, Interceptor, Post, Refusal, headers_of, read_body, refuse

logger = SafeLogger(logging.getLogger("aspyx.event.http"))
#: Seconds after which a send that does not end by itself is abandoned.
_GRACE = 1.0


class Manager(Protocol):
    """The part of `EventManager` that the endpoint uses."""

    provider: Provider

    @property
    def running(self) -> bool: ...

    @property
    def starting(self) -> bool: ...

    def start(self) -> Awaitable[None]: ...

    def stop(self) -> Awaitable[None]: ...

    @property
    def events(self) -> Any: ...

    def send_event(
        self,
        event: Any,
        *,
        headers: Mapping[str, str] | None = None,
        require_route: bool = False,
        timeout: float | None = None,
    ) -> Receipt: ...

    def list_subscriptions(self, event_name: str | None = None) -> list[Subscription]: ...


def cloudevents_endpoint(
    manager: Manager,
    *,
    interceptors: Iterable[Interceptor] = (),
    types: Iterable[str] | None = None,
    max_body: int = 1024 * 1024,
    max_batch: int = 1000,
    timeout: float = 10.0,
    receive_timeout: float = 30.0,
    max_unknown_types: int = 1000,
    retry_after: int = 5,
    require_route: bool = False,
    forward: Iterable[str] = (),
    webhook_origins: Iterable[str] = (),
    webhook_rate: int | None = None,
) -> Endpoint:
    """Return an ASGI application that receives CloudEvents by POST in binary, structured and batch mode and sends them.

    It works with every ASGI server and framework: ``Route("/events", cloudevents_endpoint(manager))`` in Starlette and
    FastAPI. Served on its own, it starts and stops the manager; inside another application, the application does that,
    see `lifespan_of`.

    The response is 202 once the provider has confirmed all events of the request. If a request is refused, none of its
    events is sent, and the response is a problem document that names the reason. If a client posts an event again,
    after a 503 or without a response, the broker recognises the duplicate by source and id, where it can.

    Args:
        manager: An `EventManager`.
        interceptors: Check each post first, and raise `Refusal` to reject it.
        types: Accepted event types, with ``*`` for any characters; None accepts all.
        max_body: Maximum size of a body in bytes; a larger body is a 413.
        max_batch: Maximum number of events in a batch; a larger batch is a 413.
        timeout: Seconds to wait for the provider's confirmation. After that the response is 503, and it is unknown
            whether the event was sent.
        receive_timeout: Seconds that a client has to send the whole body; after that the response is 408.
        max_unknown_types: Maximum number of event types without a class or a subscription in this manager, while
            `types` is None: each is an address at the broker, and clients may invent types. A further type is a 403.
        retry_after: Seconds that a client should wait after a 503.
        require_route: Respond with 503 if no queue would receive an event, instead of losing it.
        forward: Names of HTTP headers to copy into the headers of the events.
        webhook_origins: Senders that the validation handshake permits; ``*`` permits all.
        webhook_rate: Requests per minute that the handshake grants; None sets no limit.

    Raises:
        DeclarationError: a number is out of its range.
    """
    if (
        max_body < 1
        or max_batch < 1
        or timeout <= 0
        or receive_timeout <= 0
        or max_unknown_types < 0
        or retry_after < 0
        or (webhook_rate is not None and webhook_rate < 1)
    ):
        raise DeclarationError("cloudevents_endpoint: sizes, times and rates must be numbers > 0")
    return Endpoint(
        manager,
        tuple(interceptors),
        AcceptedTypes(manager, None if types is None else tuple(types), max_unknown_types),
        _Limits(max_body, max_batch, timeout, receive_timeout, retry_after, require_route),
        tuple(name.lower() for name in forward),
        Handshake(frozenset(webhook_origins), webhook_rate),
    )


class _Limits(NamedTuple):
    max_body: int
    max_batch: int
    timeout: float
    receive_timeout: float
    retry_after: int
    require_route: bool


class Endpoint:
    """The ASGI application that `cloudevents_endpoint` returns."""

    def __init__(
        self,
        manager: Manager,
        interceptors: tuple[Interceptor, ...],
        types: AcceptedTypes,
        limits: _Limits,
        forward: tuple[str, ...],
        handshake: Handshake,
    ) -> None:
        self._manager, self._interceptors, self._types = manager, interceptors, types
        self._limits, self._forward, self._handshake = limits, forward, handshake

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request or the lifespan of a server, as the ASGI specification describes."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except Refusal as refusal:
                await refuse(send, refusal)
            except ClientDisconnectedError:
                logger.info("a client disconnected before its request was complete")

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        headers, method = headers_of(scope), scope["method"]
        if method == "OPTIONS":
            await send_response(send, 200, self._handshake.headers(Post(headers, b"")))
            return
        if method != "POST":
            raise Refusal(405, "use POST to send events", (("allow", "OPTIONS, POST"),))
        content_length = next((value for name, value in headers if name == "content-length"), "")
        body = await read_body(receive, content_length, self._limits.max_body, self._limits.receive_timeout)
        post = Post(headers, body, scope.get("query_string", b"").decode("latin-1"))
        for interceptor in self._interceptors:
            result = interceptor(post)
            if inspect.isawaitable(result):
                await result
        await self._send(self._read(post), self._forwarded(post))
        # HTTP 1.1 Web Hooks, section 3.2.
        await send_response(send, 202, (("cache-control", "private"),) if post.parameter("access_token") else ())

    def _read(self, post: Post) -> list[CloudEvent]:
        """Return the events of a request; all of them are valid."""
        try:
            if is_batch(post.header("content-type")):
                events = from_http_batch(post.headers, post.body, raw=True)
                if len(events) > self._limits.max_batch:
                    raise Refusal(
                        413, f"a batch may have at most {self._limits.max_batch:,} events", limit=self._limits.max_batch
                    )
            else:
                events = [from_http(post.headers, post.body, raw=True)]
            for event in events:
                self._types.check(event.type)
                if len(events) > 1:  # a single event is checked when it is sent
                    self._manager.events.check(event)
        except UnknownFormatError as error:
            raise Refusal(415, str(error)) from error
        except (CodecError, DeclarationError, HeaderError) as error:
            raise _refusal(error) from error
        except RecursionError:
            raise Refusal(400, "the body is nested too deeply", attribute="data") from None
        return events

    async def _send(self, events: list[CloudEvent], headers: dict[str, str]) -> None:
        """Send the events and wait for the provider's confirmation.

        Raises:
            Refusal: the events cannot be sent, or cannot be sent now.
        """
        manager, limits = self._manager, self._limits
        retry_after = (("retry-after", str(limits.retry_after)),)
        if manager.starting or (manager.running and not manager.provider.connected):
            raise Refusal(503, "the broker is not connected; nothing was sent", retry_after)
        try:
            receipts = [
                manager.send_event(event, headers=headers, require_route=limits.require_route, timeout=limits.timeout)
                for event in events
            ]
            await within(_confirmed(receipts), limits.timeout + _GRACE)
        except (asyncio.TimeoutError, ConfirmTimeoutError):
            logger.warning("no confirmation within %g s for a posted event", limits.timeout)
            raise Refusal(503, "the broker did not confirm in time; send it again", retry_after) from None
        except (CodecError, DeclarationError, HeaderError) as error:
            raise _refusal(error) from error
        except RecursionError:  # while a class or a JSON Schema validates the data
            raise Refusal(400, "the data is nested too deeply", attribute="data") from None
        except EventException as error:  # of the provider, the event store, or a manager that does not run
            logger.warning("a posted event could not be sent: %s", error_text(error))
            # Broker messages are not disclosed to clients.
            raise Refusal(503, "the broker did not accept the event; send it again", retry_after) from error

    def _forwarded(self, post: Post) -> dict[str, str]:
        return {name: value for name in self._forward if (value := post.header(name))}

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            try:
                await (self._manager.start() if message["type"] == "lifespan.startup" else self._manager.stop())
            except Exception as error:
                await send({"type": f"{message['type']}.failed", "message": printable_message(error)})
                raise
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def _confirmed(receipts: list[Receipt]) -> None:
    """Wait for all receipts, and raise the first error only after all of them are done."""
    if len(receipts) == 1:
        await receipts[0]
        return
    for result in await asyncio.gather(*receipts, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, LimitExceededError):
        return Refusal(413, str(error))
    attribute = "type" if isinstance(error, InvalidNameError) else "data" if isinstance(error, CodecError) else ""
    return Refusal(
        400, str(error), attribute=error.attribute if isinstance(error, InvalidCloudEventError) else attribute
    )
