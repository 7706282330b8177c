"""Events by HTTP: an ASGI application that takes CloudEvents and sends them on.

Sources: HTTP Protocol Binding for CloudEvents v1.0.2; HTTP 1.1 Web Hooks for Event Delivery, version 1.0.1 (statuses,
validation handshake); RFC 9457 (problem documents).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Protocol

from ..asgi import Message, Receive, Send, answer
from ..cloudevents.event import CloudEvent
from ..cloudevents.formats import is_batch
from ..cloudevents.http import from_http, from_http_batch
from ..deadlines import within
from ..engine.sending.receipt import Receipt
from ..exceptions import (
    CodecError,
    DeclarationError,
    HeaderError,
    InvalidCloudEventError,
    InvalidNameError,
    LimitExceededError,
    ProviderError,
    StateError,
    UnknownFormatError,
)
from ..providers.base import Provider
from .messages import ClientGoneError, Interceptor, Post, Refusal, headers_of, read_body, refuse

logger = logging.getLogger("aspyx.event.http")


class Manager(Protocol):
    """The part of `EventManager` that the endpoint uses."""

    provider: Provider

    @property
    def running(self) -> bool: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def events(self) -> Any: ...

    def send_event(
        self, event: Any, *, headers: Mapping[str, str] | None = None, require_route: bool = False
    ) -> Receipt: ...


def cloudevents_endpoint(
    manager: Manager,
    *,
    interceptors: Iterable[Interceptor] = (),
    types: Iterable[str] | None = None,
    max_body: int = 1024 * 1024,
    max_batch: int = 1000,
    timeout: float = 10.0,
    retry_after: int = 5,
    require_route: bool = False,
    forward: Iterable[str] = (),
    webhook_origins: Iterable[str] = (),
    webhook_rate: int | None = None,
) -> Endpoint:
    """Return an ASGI application that takes CloudEvents by POST, in binary, structured and batch mode, and sends them.

    It works with every ASGI server and framework: ``Route("/events", cloudevents_endpoint(manager))`` in Starlette and
    FastAPI. Served on its own it starts and stops the manager; inside an application that is the application's
    business, see `lifespan_of`.

    The answer is 202 when the provider has confirmed all events of the request; what is refused leaves nothing behind,
    and the answer is a problem document that names what is wrong. An event that is posted again, because no answer
    came or a 503, is recognised by its source and id where the broker can tell.

    Args:
        manager: An `EventManager`.
        interceptors: Look at each post first, and raise `Refusal` for what is not to enter.
        types: Types of the events that may enter, ``*`` stands for any characters; None lets all in.
        max_body: Bytes of a body; more is a 413.
        max_batch: Events of a batch; more is a 413.
        timeout: Seconds for the provider to confirm; then the answer is 503, and the event may have been sent or not.
        retry_after: Seconds that a client is asked to wait after a 503.
        require_route: Answer 503 where no queue would take an event, instead of letting it vanish.
        forward: Names of HTTP headers that travel with the events as headers.
        webhook_origins: Senders that are told in the validation handshake that they may send; ``*`` is all.
        webhook_rate: Requests a minute that they are granted; None is no limit.

    Raises:
        DeclarationError: a number is out of its range.
    """
    if (
        max_body < 1
        or max_batch < 1
        or timeout <= 0
        or retry_after < 0
        or (webhook_rate is not None and webhook_rate < 1)
    ):
        raise DeclarationError("cloudevents_endpoint: sizes, times and rates are numbers > 0")
    return Endpoint(
        manager,
        tuple(interceptors),
        None if types is None else tuple(types),
        _Limits(max_body, max_batch, timeout, retry_after, require_route),
        tuple(name.lower() for name in forward),
        Handshake(frozenset(webhook_origins), webhook_rate),
    )


class _Limits:
    __slots__ = ("max_batch", "max_body", "require_route", "retry_after", "timeout")

    def __init__(self, max_body: int, max_batch: int, timeout: float, retry_after: int, require_route: bool) -> None:
        self.max_body, self.max_batch, self.timeout = max_body, max_batch, timeout
        self.retry_after, self.require_route = retry_after, require_route


class Handshake:
    """Answers to validation requests: whether a system may send its events here, and how many.

    A callback URL is not called: an answer at once is all that is given, and nobody can make this server call others.
    """

    def __init__(self, origins: frozenset[str], rate: int | None) -> None:
        self._origins, self._rate = origins, rate

    def headers(self, post: Post) -> list[tuple[str, str]]:
        """Return the headers of the answer.

        Raises:
            Refusal: the origin may not send.
        """
        allow = ("allow", "OPTIONS, POST")
        origin = post.header("webhook-request-origin")
        if not origin:
            return [allow]
        if "*" not in self._origins and origin.lower() not in {one.lower() for one in self._origins}:
            raise Refusal(403, "this origin has no permission to send events here", [allow])
        wanted = post.header("webhook-request-rate")
        rate = "*" if self._rate is None else str(self._rate)
        if wanted.isascii() and wanted.isdigit() and 0 < int(wanted[:9]) < (self._rate or 10**9):
            rate = str(int(wanted[:9]))
        return [
            allow,
            ("webhook-allowed-origin", "*" if "*" in self._origins else origin),
            ("webhook-allowed-rate", rate),
        ]


class Endpoint:
    """What `cloudevents_endpoint` returns."""

    def __init__(
        self,
        manager: Manager,
        interceptors: tuple[Interceptor, ...],
        types: tuple[str, ...] | None,
        limits: _Limits,
        forward: tuple[str, ...],
        handshake: Handshake,
    ) -> None:
        self._manager, self._interceptors, self._types = manager, interceptors, types
        self._limits, self._forward, self._handshake = limits, forward, handshake

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of a server; see the ASGI specification."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except Refusal as refusal:
                await refuse(send, refusal)
            except ClientGoneError:
                logger.info("a client went away before its request was whole")

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        headers, method = headers_of(scope), scope["method"]
        if method == "OPTIONS":
            await answer(send, 200, self._handshake.headers(Post(headers, b"")))
            return
        if method != "POST":
            raise Refusal(405, "events are posted", (("allow", "OPTIONS, POST"),))
        declared = next((value for name, value in headers if name == "content-length"), "")
        body = await read_body(receive, declared, self._limits.max_body)
        post = Post(headers, body, scope.get("query_string", b"").decode("latin-1"))
        for interceptor in self._interceptors:
            checked = interceptor(post)
            if inspect.isawaitable(checked):
                await checked
        await self._send(self._read(post), self._forwarded(post))
        # HTTP 1.1 Web Hooks, section 3.2.
        await answer(send, 202, (("cache-control", "private"),) if post.parameter("access_token") else ())

    def _read(self, post: Post) -> list[CloudEvent]:
        """Return the events of a request, all of them sound."""
        try:
            if is_batch(post.header("content-type")):
                events = from_http_batch(post.headers, post.body, raw=True)
                if len(events) > self._limits.max_batch:
                    raise Refusal(
                        413, f"a batch has up to {self._limits.max_batch:,} events", limit=self._limits.max_batch
                    )
            else:
                events = [from_http(post.headers, post.body, raw=True)]
            for event in events:
                if self._types is not None and not any(fnmatchcase(event.type, one) for one in self._types):
                    raise Refusal(403, f"events of the type {event.type[:80]!r} have no entry here", attribute="type")
                if len(events) > 1:  # a single one is checked when it is sent
                    self._manager.events.check(event)
        except UnknownFormatError as error:
            raise Refusal(415, str(error)) from error
        except (CodecError, DeclarationError, HeaderError) as error:
            raise _refusal(error) from error
        return events

    async def _send(self, events: list[CloudEvent], headers: dict[str, str]) -> None:
        """Send the events and wait for the provider.

        Raises:
            Refusal: they cannot be sent, or not now.
        """
        manager, limits = self._manager, self._limits
        away = (("retry-after", str(limits.retry_after)),)
        if manager.running and not manager.provider.connected:
            raise Refusal(503, "the broker is away; nothing was sent", away)
        try:
            receipts = [
                manager.send_event(event, headers=headers, require_route=limits.require_route) for event in events
            ]
            await within(_all(receipts), limits.timeout)
        except asyncio.TimeoutError:
            logger.warning("no confirmation within %g s for what was posted", limits.timeout)
            raise Refusal(503, "the broker has not confirmed in time; send it again", away) from None
        except (CodecError, DeclarationError, HeaderError) as error:
            raise _refusal(error) from error
        except (ProviderError, StateError) as error:
            logger.warning("what was posted could not be sent: %s", error)
            # What a broker says is none of a stranger's business.
            raise Refusal(503, "the broker did not take it; send it again", away) from error

    def _forwarded(self, post: Post) -> dict[str, str]:
        return {name: value for name in self._forward if (value := post.header(name))}

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            try:
                await (self._manager.start() if message["type"] == "lifespan.startup" else self._manager.stop())
            except Exception as error:
                await send({"type": f"{message['type']}.failed", "message": str(error)})
                raise
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def _all(receipts: list[Receipt]) -> None:
    """Wait for all receipts; raise the first error when all are done, so that none is left behind."""
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
