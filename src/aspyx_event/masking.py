"""`masked_url`: the only function that prepares a URL for a repr, an error message, a log line or a document."""

from __future__ import annotations

import re

from .printable import printable

#: A path segment of this length is treated as a token: webhook URLs of chat services have their secret in the path.
_TOKEN_LENGTH = 20
_MASK = "***"
_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_segment = re.compile(rf"[^/]{{{_TOKEN_LENGTH},}}")


def masked_url(text: object, *, path: bool = True) -> str:
    """Return a URL without its secrets: user info, query, fragment, and path segments as long as a token.

    Whatever precedes the last ``@`` counts as user info, because a password may contain any character that should have
    been percent-encoded. Text that is not a URL is masked by the same rules.

    Args:
        text: The URL; anything else is shown by its type.
        path: The path may contain tokens; False shows it whole, such as the file of a database.
    """
    if not isinstance(text, str):
        return f"<{type(text).__name__}>"
    start = _scheme.match(text)
    scheme, rest = (start.group(), text[start.end() :]) if start else ("", text)
    _, at, rest = rest.rpartition("@")
    end = min((index for index in (rest.find("?"), rest.find("#")) if index >= 0), default=len(rest))
    host, slash, tail = rest[:end].partition("/")
    if path:
        tail = _segment.sub(_MASK, tail)
    hidden = rest[end : end + 1]
    return printable(scheme + (_MASK + at if at else "") + host + slash + tail + (hidden + _MASK if hidden else ""))


def without_secret(message: str, url: str) -> str:
    """Return the message of a library about *url* with the URL masked, wherever the library quotes it."""
    return message.replace(url, masked_url(url))
