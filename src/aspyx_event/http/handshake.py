"""`Handshake`: answers the validation requests of webhook senders.

Source: HTTP 1.1 Web Hooks for Event Delivery, version 1.0.1, section 4.
"""

from __future__ import annotations

from .messages import Post, Refusal


class Handshake:
    """Answers validation requests: whether a sender may post events here, and at what rate.

    Answers immediately and ignores callback URLs, so that nobody can make this server send requests elsewhere.
    """

    def __init__(self, origins: frozenset[str], rate: int | None) -> None:
        self._origins, self._rate = origins, rate

    def headers(self, post: Post) -> list[tuple[str, str]]:
        """Return the headers of the response.

        Raises:
            Refusal: the origin is not permitted.
        """
        allow = ("allow", "OPTIONS, POST")
        origin = post.header("webhook-request-origin")
        if not origin:
            return [allow]
        if "*" not in self._origins and origin.lower() not in {permitted.lower() for permitted in self._origins}:
            raise Refusal(403, "this origin is not permitted to send events here", [allow])
        requested = post.header("webhook-request-rate")
        rate = "*" if self._rate is None else str(self._rate)
        if requested.isascii() and requested.isdigit() and 0 < int(requested[:9]) < (self._rate or 10**9):
            rate = str(int(requested[:9]))
        return [
            allow,
            ("webhook-allowed-origin", "*" if "*" in self._origins else origin),
            ("webhook-allowed-rate", rate),
        ]
