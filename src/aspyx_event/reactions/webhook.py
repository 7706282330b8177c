"""Posts events to a URL, as CloudEvents or as custom JSON. Needs httpx.

Source: HTTP 1.1 Web Hooks for Event Delivery, version 1.0.1 (methods, statuses, Retry-After).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from ..cloudevents.data import read_json
from ..cloudevents.http import HTTPMessage, to_http
from ..cloudevents.messaging import from_envelope
from ..context import EventContext
from ..error_text import printable_message
from ..exceptions import DeclarationError, EncodeError, MissingDriverError, WebhookError, WebhookRefusedError
from ..http.interceptors import Signature
from ..masking import masked_url, without_secret
from ..policies import Retry
from ..safe_logger import SafeLogger
from .posting import Response, new_client, post

if TYPE_CHECKING:
    import httpx

logger = SafeLogger(logging.getLogger("aspyx.event.webhook"))
_MAX_REASON = 500

#: Statuses below 500 after which the same request may succeed later.
_TEMPORARY = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """Response of the receiver.

    Attributes:
        status: HTTP status code.
        payload: Its body, parsed as JSON; None if it is not JSON, has more than 1 MiB, or is compressed.
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
    """Return a handler that posts each event to a URL.

    ``manager.subscribe(OrderPlaced, webhook("https://example.org/orders"))``

    A response of 200 to 299 is a success. Any other response fails the attempt, and the `Retry` of the subscription
    applies. Redirects are not followed, and cookies are not stored. User info in the URL is sent as Basic authentication.

    Args:
        url: URL to post to.
        payload: None posts the event as a CloudEvent, whatever its class. Any other value is posted as JSON instead;
            a function gets the event and returns the value.
        params: Added to the query of the URL.
        headers: Added to the request, such as ``{"Authorization": "Bearer ..."}``.
        mode: How a CloudEvent is posted: "binary" has the attributes in headers and the data in the body, "structured"
            has everything in the body.
        timeout: Seconds for a post as a whole, from the connection to the end of the response.
        retry: Repeats the post within a delivery, which waits meanwhile; a ``Retry-After`` is respected up to
            `max_delay`. None posts once.
        signature: Signs the body, and adds its header.
        client: Used instead of an own client; the caller closes it.

    Raises:
        DeclarationError: an option has an invalid value.
        MissingDriverError: httpx is not installed.
    """
    if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
        raise DeclarationError(f"webhook({masked_url(url)!r}): give a URL, http:// or https://")
    if mode not in ("binary", "structured"):
        raise DeclarationError(f'webhook(mode={mode!r}) must be "binary" or "structured"')
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
        raise DeclarationError(f"webhook({masked_url(url)!r}): this is not a URL that can be posted to")
    options = _Options(url, payload, dict(params or {}), dict(headers or {}), mode, timeout, retry, signature)
    return Webhook(options, client)


@dataclass(frozen=True, slots=True)
class _Options:
    url: str = field(repr=False)
    payload: Any
    params: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    mode: Literal["binary", "structured"]
    timeout: float
    retry: Retry | None
    signature: Signature | None


class Webhook:
    """The async handler that `webhook` returns. Keeps connections open between posts, until `aclose`.

    Attributes:
        last_answer: Last response of the receiver; None before the first response.
    """

    __name__ = "webhook"

    def __init__(self, options: _Options, client: httpx.AsyncClient | None) -> None:
        self._options, self._user_client = options, client
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.last_answer: WebhookAnswer | None = None

    def __repr__(self) -> str:
        return f"<Webhook {masked_url(self._options.url)!r}>"

    async def __call__(self, event: Any, context: EventContext) -> None:
        """Post *event*.

        Raises:
            WebhookRefusedError: the receiver rejected the event; retrying does not help.
            WebhookError: the receiver could not be reached, or did not accept the event now.
            CodecError: the event cannot be encoded, or is not a CloudEvent.
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
                logger.info("%r: %s; retrying in %g s", self, error, delay)
                await asyncio.sleep(delay)
                attempt += 1
            else:
                return

    async def aclose(self) -> None:
        """Close the connections. A later post opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _message(self, event: Any, context: EventContext) -> HTTPMessage:
        options = self._options
        if options.payload is None:
            binary = options.mode == "binary"  # then the data can be passed on as received bytes
            converted = to_http(from_envelope(context.envelope, raw=binary), options.mode)
        else:
            payload = options.payload(event) if callable(options.payload) else options.payload
            try:
                body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
            except (TypeError, ValueError) as error:
                raise EncodeError(f"{self!r}: the payload cannot be written as JSON: {error}") from error
            converted = HTTPMessage({"content-type": "application/json"}, body)
        headers = {**converted.headers, **options.headers}
        if options.signature is not None:
            headers[options.signature.header] = options.signature.sign(converted.body)
        return HTTPMessage(headers, converted.body)

    async def _post(self, message: HTTPMessage) -> None:
        import httpx

        options = self._options
        try:
            response = await post(
                self._connected_client(),
                options.url,
                params=options.params or None,
                headers=message.headers,
                content=message.body,
                timeout=options.timeout,
            )
        except asyncio.TimeoutError:
            raise WebhookError(f"{self!r}: no complete response within {options.timeout:g} s") from None
        except httpx.HTTPError as error:
            # Without the cause, whose message and request may show the URL.
            raise WebhookError(f"{self!r}: {type(error).__name__}: {self._masked(error)}") from None
        self.last_answer = WebhookAnswer(response.status, _payload(response))
        status = response.status
        if 200 <= status < 300:
            return
        reason = f"{self!r}: answered {status} {response.reason}"
        if status < 500 and status not in _TEMPORARY:
            raise WebhookRefusedError(reason, status)
        raise WebhookError(reason, status, _seconds(response.headers.get("retry-after", "")))

    def _masked(self, error: Exception) -> str:
        return without_secret(printable_message(error), self._options.url)[:_MAX_REASON]

    def _connected_client(self) -> httpx.AsyncClient:

        if self._user_client is not None:
            return self._user_client
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:  # connections belong to the loop that opened them
            self._client, self._loop = new_client(), loop
        return self._client


def _payload(response: Response) -> Any:
    if not response.body or "json" not in response.headers.get("content-type", "").lower():
        return None
    try:
        return read_json(response.body.decode())
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    """Return the seconds of a ``Retry-After``, None if it has neither form of RFC 9110, section 10.2.3.

    Source of the forms: a number of seconds, or a date, which may be past.
    """
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 7 else None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # "-0000", and the form of asctime: both are UTC
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, seconds)
