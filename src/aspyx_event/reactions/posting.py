"""Posts a request with httpx within a time limit, and reads a bounded part of the response."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NamedTuple

from ..deadlines import within
from ..masking import masked_url
from ..printable import printable

if TYPE_CHECKING:
    import httpx

#: A longer body is not read to its end.
MAX_RESPONSE = 1024 * 1024
_MAX_REASON = 80
_posts: ContextVar[bool] = ContextVar("aspyx_event_webhook_posts", default=False)


class Response(NamedTuple):
    """A response.

    Attributes:
        status: HTTP status code.
        reason: Reason phrase, printable.
        headers: Headers, with lower-case names.
        body: None if it has more than `MAX_RESPONSE` bytes, or is compressed.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes | None


def new_client() -> httpx.AsyncClient:
    """Return a client that stores no cookies: a receiver could fill the memory with them."""
    import httpx

    return httpx.AsyncClient(cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])))


async def post(
    client: httpx.AsyncClient,
    url: str,
    *,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str],
    content: bytes,
    timeout: float,
) -> Response:
    """Post a request.

    Args:
        client: The client.
        url: URL to post to.
        params: Added to the query.
        headers: Headers of the request.
        content: The body.
        timeout: Seconds for everything, from the connection to the end of the response.

    Raises:
        asyncio.TimeoutError: the time is over.
        httpx.HTTPError: there is no connection, or no valid response.
    """
    with _masked_log():
        return await within(_exchange(client, url, params, headers, content), timeout)


async def _exchange(
    client: httpx.AsyncClient, url: str, params: Mapping[str, str] | None, headers: Mapping[str, str], content: bytes
) -> Response:
    import httpx

    # `params=` of httpx replaces the query of the URL.
    target = httpx.URL(url).copy_merge_params(params) if params else url
    # A compressed body could become a thousand times as large: it is neither requested nor read.
    request = client.build_request(
        "POST", target, headers={"accept-encoding": "identity", **headers}, content=content, timeout=None
    )
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        body = await _read(response)
    finally:
        await response.aclose()
    reason = printable(response.reason_phrase)[:_MAX_REASON]
    return Response(response.status_code, reason, response.headers, body)


async def _read(response: httpx.Response) -> bytes | None:
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        return None
    if response.is_stream_consumed:  # a hook of the application's client has read it, or its transport had it whole
        content = response.content
        return content if len(content) <= MAX_RESPONSE else None
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MAX_RESPONSE:
            return None
    return bytes(body)


class _MaskUrls(logging.Filter):
    """Masks the URLs in httpx's log lines about our requests; it logs each URL whole, at level INFO."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _posts.get() and isinstance(record.args, tuple):
            record.args = tuple(_masked(argument) for argument in record.args)
        return True


def _masked(argument: Any) -> Any:
    text = argument if isinstance(argument, str) else str(argument) if type(argument).__name__ == "URL" else ""
    return masked_url(text) if "://" in text else argument


_filter = _MaskUrls()


@contextmanager
def _masked_log() -> Iterator[None]:
    logging.getLogger("httpx").addFilter(_filter)  # does nothing the second time
    token = _posts.set(True)
    try:
        yield
    finally:
        _posts.reset(token)
