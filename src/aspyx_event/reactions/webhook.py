"""Events posted to a URL, as CloudEvents or as JSON of one's own. Needs httpx.

Source: HTTP 1.1 Web Hooks for Event Delivery, version 1.0.1 (methods, statuses, Retry-After).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..cloudevents.http import HTTPMessage, to_http
from ..cloudevents.messaging import from_envelope
from ..context import EventContext
from ..exceptions import DeclarationError, EncodeError, MissingDriverError, WebhookError, WebhookRefusedError
from ..http.interceptors import Signature
from ..policies import Retry

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("aspyx.event.webhook")

#: Statuses below 500 after which the same request may succeed.
_PASSING = frozenset({408, 425, 429})
_MAX_ANSWER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What the receiver said.

    Attributes:
        status: HTTP status code.
        payload: The JSON of its body; None where there is none.
    """

    status: int
    payload: Any = None


def webhook(
    url: str,
    payload: Any = None,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    mode: Literal["binary", "structured"] = "binary",
    timeout: float = 10.0,
    retry: Retry | None = None,
    signature: Signature | None = None,
    client: httpx.AsyncClient | None = None,
) -> Webhook:
    """Return a handler that posts each event it gets.

    ``manager.subscribe(OrderPlaced, webhook("https://example.org/orders"))``

    An answer of 200 to 299 is success. Every other one fails the attempt of the delivery, with what the subscription's
    own `Retry` says; redirects are not followed.

    Args:
        url: Where to.
        payload: None posts the event as a CloudEvent, whatever its class. Anything else is posted as JSON in its place;
            a function is given the event, and returns it.
        params: Added to the URL's query.
        headers: Added to the request, such as ``{"Authorization": "Bearer ..."}``.
        mode: How a CloudEvent is posted: attributes as headers and the data as body, or all of it in the body.
        timeout: Seconds for one post.
        retry: Posts again within one delivery, for which the delivery waits, and for as long as a ``Retry-After``
            asks, up to `max_delay`. None posts once.
        signature: Signs the body in its header.
        client: Used instead of one of its own; the caller closes it.

    Raises:
        DeclarationError: an option is none.
        MissingDriverError: httpx is not installed.
    """
    if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
        raise DeclarationError(f"webhook({url!r}): give a URL, http:// or https://")
    if mode not in ("binary", "structured"):
        raise DeclarationError(f'webhook(mode={mode!r}) is neither "binary" nor "structured"')
    if timeout <= 0:
        raise DeclarationError(f"webhook(timeout={timeout!r}): seconds > 0")
    try:
        import httpx
    except ImportError as error:
        raise MissingDriverError("webhook() needs httpx: pip install 'aspyx-event[webhook]'") from error
    try:
        valid = bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        valid = False
    if not valid:
        raise DeclarationError(f"webhook({url.partition('?')[0]!r}): this is no URL that can be posted to")
    options = _Options(url, payload, dict(params or {}), dict(headers or {}), mode, timeout, retry, signature)
    return Webhook(options, client)


@dataclass(frozen=True, slots=True)
class _Options:
    url: str
    payload: Any
    params: dict[str, str]
    headers: dict[str, str]
    mode: Literal["binary", "structured"]
    timeout: float
    retry: Retry | None
    signature: Signature | None


class Webhook:
    """What `webhook` returns: an async handler. It keeps connections open between posts, until `aclose`.

    Attributes:
        last_answer: What the receiver said last; None before the first answer.
    """

    __name__ = "webhook"

    def __init__(self, options: _Options, client: httpx.AsyncClient | None) -> None:
        self._options, self._given = options, client
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.last_answer: WebhookAnswer | None = None

    def __repr__(self) -> str:
        return f"<Webhook {self._options.url.partition('?')[0]!r}>"  # queries may have tokens

    async def __call__(self, event: Any, context: EventContext) -> None:
        """Post *event*.

        Raises:
            WebhookRefusedError: the receiver will not take it; trying again does not help.
            WebhookError: the receiver could not be reached or did not take it now.
            CodecError: it cannot be written, or is no CloudEvent.
        """
        message = self._message(event, context)
        attempt = 1
        while True:
            try:
                await self._post(message)
            except WebhookRefusedError:
                raise
            except WebhookError as error:
                retry = self._options.retry
                delay = None if retry is None else retry.next_delay(attempt, error)
                if retry is None or delay is None:
                    raise
                delay = min(max(delay, error.retry_after or 0.0), retry.max_delay)
                logger.info("%r: %s; trying again in %g s", self, error, delay)
                await asyncio.sleep(delay)
                attempt += 1
            else:
                return

    async def aclose(self) -> None:
        """Close its connections. A later post opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _message(self, event: Any, context: EventContext) -> HTTPMessage:
        options = self._options
        if options.payload is None:
            binary = options.mode == "binary"  # where the data can stay in the bytes it came in
            made = to_http(from_envelope(context.envelope, raw=binary), options.mode)
        else:
            payload = options.payload(event) if callable(options.payload) else options.payload
            try:
                body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
            except (TypeError, ValueError) as error:
                raise EncodeError(f"{self!r}: the payload cannot be written as JSON: {error}") from error
            made = HTTPMessage({"content-type": "application/json"}, body)
        headers = {**made.headers, **options.headers}
        if options.signature is not None:
            headers[options.signature.header] = options.signature.sign(made.body)
        return HTTPMessage(headers, made.body)

    async def _post(self, message: HTTPMessage) -> None:
        import httpx

        options = self._options
        try:
            answer = await self._connected().post(
                options.url,
                params=options.params or None,
                headers=message.headers,
                content=message.body,
                timeout=options.timeout,
                follow_redirects=False,
            )
        except httpx.HTTPError as error:
            raise WebhookError(f"{self!r}: {type(error).__name__}: {error}") from error
        self.last_answer = WebhookAnswer(answer.status_code, _payload(answer))
        status = answer.status_code
        if 200 <= status < 300:
            return
        said = f"{self!r}: answered {status} {answer.reason_phrase}"
        if status < 500 and status not in _PASSING:
            raise WebhookRefusedError(said, status)
        raise WebhookError(said, status, _seconds(answer.headers.get("retry-after", "")))

    def _connected(self) -> httpx.AsyncClient:
        import httpx

        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:  # connections belong to the loop they were opened on
            self._client, self._loop = httpx.AsyncClient(), loop
        return self._client


def _payload(answer: httpx.Response) -> Any:
    if "json" not in answer.headers.get("content-type", "") or len(answer.content) > _MAX_ANSWER:
        return None
    try:
        return answer.json()
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
