"""Who may post: a shared secret, or a signature of the body."""

from __future__ import annotations

import hashlib
import hmac

from ..cloudevents.formats import is_structured
from ..exceptions import DeclarationError
from .messages import Post, Refusal


class SharedSecret:
    """Lets those in who know a secret: ``Authorization: Bearer <secret>``, or ``access_token=<secret>`` in the query.

    Source: HTTP 1.1 Web Hooks for Event Delivery, version 1.0.1, section 3. A query ends up in logs; prefer the header.

    Args:
        *secrets: More than one while they are changed.

    Raises:
        DeclarationError: there is none, or an empty one.
    """

    def __init__(self, *secrets: str) -> None:
        if not secrets or not all(secrets):
            raise DeclarationError("SharedSecret(...): give at least one secret, and none that is empty")
        self._secrets = [secret.encode() for secret in secrets]

    def __call__(self, post: Post) -> None:
        """Raise `Refusal` for a post without the secret."""
        scheme, _, token = post.header("authorization").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else post.parameter("access_token")
        # All of them are compared, so that the time says nothing.
        if not any([hmac.compare_digest(given.encode("utf-8", "replace"), secret) for secret in self._secrets]):  # noqa: C419
            detail = "the secret is missing or wrong: Authorization: Bearer <secret>"
            raise Refusal(401, detail, (("www-authenticate", "Bearer"),))


class Signature:
    """Lets bodies in that are signed: a header has ``sha256=`` and the HMAC-SHA256 of the body in hexadecimal.

    A signature covers the body alone. In binary mode the attributes are headers, which anybody on the way could
    change, so such posts are refused unless `binary` is set.

    Args:
        *secrets: More than one while they are changed; the first one signs.
        header: The header with the signature.
        binary: Take posts in binary mode too.

    Raises:
        DeclarationError: there is no secret, or an empty one.
    """

    def __init__(self, *secrets: str, header: str = "X-Signature-256", binary: bool = False) -> None:
        if not secrets or not all(secrets):
            raise DeclarationError("Signature(...): give at least one secret, and none that is empty")
        self._secrets = [secret.encode() for secret in secrets]
        self.header, self._binary = header, binary

    def sign(self, body: bytes) -> str:
        """Return the value of the header for a body."""
        return _sign(self._secrets[0], body)

    def __call__(self, post: Post) -> None:
        """Raise `Refusal` for a post without a good signature."""
        given = post.header(self.header).encode("utf-8", "replace")
        if not any([hmac.compare_digest(given, _sign(secret, post.body).encode()) for secret in self._secrets]):  # noqa: C419
            raise Refusal(401, f"the signature of the body in the header {self.header} is missing or wrong")
        if not self._binary and not is_structured(post.header("content-type")):
            raise Refusal(403, "headers are not signed: send the event in structured mode")


def _sign(secret: bytes, body: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
