"""What a name may look like: event names are addresses, listener names are queues on a broker."""

from __future__ import annotations

from urllib.parse import quote

from .exceptions import InvalidNameError

#: Prefix of the addresses and queues of dead letters; nothing else may be called so.
DEAD_LETTER_PREFIX = "dead-letters."
#: Address prefix of the framework's own queues.
FRAMEWORK_ADDRESS_PREFIX = "aspyx."
# Artemis reads * and # as wildcards, ? as the start of options and :: as "queue of an address".
_FORBIDDEN = ("*", "#", "?", "::")
_MAX_LENGTH = 255


def check_name(name: object, kind: str) -> str:
    """Return *name* if it can name an address or a queue on every broker.

    Args:
        name: The candidate.
        kind: What it names, for the message: "event name", "listener name", ...

    Raises:
        InvalidNameError: it is no str, is empty or too long, or has characters that brokers read as syntax.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"{kind} {name!r} is {type(name).__name__}, not a str")
    if not name or name != name.strip():
        raise InvalidNameError(f"{kind} {name!r} is empty or has blanks at an end")
    if len(name) > _MAX_LENGTH:
        raise InvalidNameError(f"{kind} {name[:40]!r}... has {len(name)} characters; {_MAX_LENGTH} are the limit")
    for text in _FORBIDDEN:
        if text in name:
            raise InvalidNameError(f"{kind} {name!r} contains {text!r}, which brokers read as syntax; use another name")
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise InvalidNameError(f"{kind} {name!r} contains a control character")
    for prefix, purpose in ((DEAD_LETTER_PREFIX, "dead letters"), (FRAMEWORK_ADDRESS_PREFIX, "the framework's queues")):
        if name.startswith(prefix):
            raise InvalidNameError(f"{kind} {name!r}: the prefix {prefix!r} is kept for {purpose}")
    return name


def uri_reference(text: str) -> str:
    """Return *text* with what has no place in a URI reference (RFC 3986) percent-encoded."""
    return quote(text, safe="/:@-._~?#[]!$&'()*+,;=%")
