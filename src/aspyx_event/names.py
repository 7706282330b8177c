"""What a name may look like: event names are addresses, listener names are queues on a broker.

A pattern stands for many names: ``*`` for one word between dots, ``#`` for any number of them, none included, as in
the wildcard syntax of Artemis.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from .exceptions import InvalidNameError

#: Prefix of the addresses and queues of dead letters; nothing else may be called so.
DEAD_LETTER_PREFIX = "dead-letters."
#: Address prefix of the framework's own queues.
FRAMEWORK_ADDRESS_PREFIX = "aspyx."
# Artemis reads * and # as wildcards, ? as the start of options and :: as "queue of an address".
_FORBIDDEN = ("*", "#", "?", "::")
_MAX_LENGTH = 255


def is_pattern(name: str) -> bool:
    """True for a name with a wildcard in it."""
    return "*" in name or "#" in name


def check_pattern(pattern: str, kind: str) -> str:
    """Return *pattern* if it can stand for names.

    Raises:
        InvalidNameError: a wildcard is not a word of its own, or the rest is no name.
    """
    words = pattern.split(".")
    for word in words:
        if word not in ("*", "#") and is_pattern(word):
            raise InvalidNameError(
                f"{kind} {pattern!r}: '*' and '#' stand for whole words between dots, as in 'shop.*'"
            )
    check_name(".".join("any" if is_pattern(word) else word for word in words), kind)
    return pattern


def pattern_matches(pattern: str, name: str) -> bool:
    """Tell whether *pattern* stands for *name*; a pattern without wildcards stands for itself."""
    if not is_pattern(pattern):
        return pattern == name
    # Patterns of a broker may be of any length and must not fill the memory.
    by_word, any_word, repeats, end = (_compiled if len(pattern) <= _MAX_LENGTH else _compile)(pattern)
    # Bit i is set while the first i words of the pattern match what was read. All of them are followed at once, so the
    # time grows with the length of the name and not with the number of ways to match it.
    state = 1
    for word in name.split("."):
        state = (state & by_word.get(word, any_word)) << 1 | state & repeats
        if not state:
            return False
    return bool(state & end)


def _compile(pattern: str) -> tuple[dict[str, int], int, int, int]:
    """Return a pattern as bits: positions of each word and of `*`, of `*` alone, before which a `#` is, and the end."""
    words: list[str] = []
    repeats = any_word = 0
    for word in pattern.split("."):
        if word == "#":
            repeats |= 1 << len(words)
        else:
            any_word |= (word == "*") << len(words)
            words.append(word)
    positions: dict[str, int] = {}
    for position, word in enumerate(words):
        if word != "*":
            positions[word] = positions.get(word, 0) | 1 << position
    return {word: bits | any_word for word, bits in positions.items()}, any_word, repeats, 1 << len(words)


_compiled = lru_cache(maxsize=1024)(_compile)


def literal(name: str) -> str:
    """Return *name* with its wildcards escaped, for the names of queues and addresses, where brokers would read them."""
    return name.replace("*", "%2A").replace("#", "%23") if is_pattern(name) else name


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
