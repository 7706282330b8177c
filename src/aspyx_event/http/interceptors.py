"""Authentication of posts: a shared secret, or a signature of the body."""

from __future__ import annotations

import hashlib
import hmac

from ..cloudevents.formats import is_structured
from ..exceptions import DeclarationError
from .messages import Post, Refusal


class SharedSecret:
    """Accepts posts with a secret: ``Authorization: Bearer <secret>``, or ``access_token=<secret>`` in the query.

    Source: HTTP 1.1 Web Hooks for Event Delivery, version 1.0.1, section 3. Queries end up in logs, so prefer the header.

    Args:
        *secrets: Accepted secrets; several during a rotation.

    Raises:
        DeclarationError: there is no secret, or a secret is empty.
    """

    def __init__(self, *secrets: str) -> None:
        if not secrets or not all(secrets):
            raise DeclarationError("SharedSecret(...): give a secret, and no empty ones")
        self._secrets = [secret.encode() for secret in secrets]

    def __call__(self, post: Post) -> None:
        """Raise `Refusal` for a post without the secret."""
        scheme, _, token = post.header("authorization").partition(" ")
        presented = token.strip() if scheme.lower() == "bearer" else post.parameter("access_token")
        # Compares with all secrets, so that the time reveals nothing.
        if not any([hmac.compare_digest(presented.encode("utf-8", "replace"), secret) for secret in self._secrets]):  # noqa: C419
            detail = "the secret is missing or wrong: Authorization: Bearer <secret>"
            raise Refusal(401, detail, (("www-authenticate", "Bearer"),))


class Signature:
    """Accepts posts with a signed body: a header holds ``sha256=`` and the HMAC-SHA256 of the body in hexadecimal.

    The signature covers only the body. In binary mode the attributes are headers and could be changed on the way,
    so such posts are refused unless `binary` is set.

    Args:
        *secrets: Accepted secrets; several during a rotation. The first signs.
        header: Name of the header with the signature.
        binary: Also accept posts in binary mode.

    Raises:
        DeclarationError: there is no secret, or a secret is empty.
    """

    def __init__(self, *secrets: str, header: str = "X-Signature-256", binary: bool = False) -> None:
        if not secrets or not all(secrets):
            raise DeclarationError("Signature(...): give a secret, and no empty ones")
        self._secrets = [secret.encode() for secret in secrets]
        self.header, self._binary = header, binary

    def sign(self, body: bytes) -> str:
        """Return the value of the header for a body."""
        return _sign(self._secrets[0], body)

    def __call__(self, post: Post) -> None:
        """Raise `Refusal` for a post without a valid signature."""
        presented = post.header(self.header).encode("utf-8", "replace")
        if not any([hmac.compare_digest(presented, _sign(secret, post.body).encode()) for secret in self._secrets]):  # noqa: C419
            raise Refusal(401, f"the signature of the body in the header {self.header} is missing or wrong")
        if not self._binary and not is_structured(post.header("content-type")):
            raise Refusal(403, "headers are not signed: send the event in structured mode")


def _sign(secret: bytes, body: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
