"""Media types (RFC 2045 section 5.1): parsed, and comparable regardless of spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# RFC 2045 section 5.1, "token". Quoted strings are limited to printable ASCII, because they are sent in headers.
_WORD = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+"
_essence = re.compile(rf"[ \t]*({_WORD})/({_WORD})[ \t]*")
_parameter = re.compile(rf';[ \t]*({_WORD})=({_WORD}|"(?:[ !#-\[\]-~]|\\[ -~])*")[ \t]*')
_escaped = re.compile(r"\\(.)")
_is_word = re.compile(_WORD).fullmatch
#: Charsets by their names of IANA in lower case, "" for none, with Python's names.
_ENCODINGS = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "iso-8859-1",
    "iso8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
}
#: Characters of a media type whose parsed form is kept.
_MAX_CACHED = 256


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type. Spellings are equal if they differ only in the case of types and parameter names.

    Attributes:
        type: "application" for ``application/json``; lower case.
        subtype: "json"; lower case.
        parameters: Names in lower case with their values, sorted by name.
    """

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def parse(text: str) -> MediaType:
        """Parse a media type.

        Raises:
            ValueError: *text* is not a media type.
        """
        # A long text is not cached: senders choose the text, and may send any number of them.
        return (_parse_cached if len(text) <= _MAX_CACHED else _parse)(text)

    @property
    def essence(self) -> str:
        """The type without its parameters: "application/json"."""
        return f"{self.type}/{self.subtype}"

    @property
    def suffix(self) -> str:
        """The structured syntax suffix (RFC 6839): "json" for ``application/geo+json``; "" if there is none."""
        return self.subtype.rpartition("+")[2] if "+" in self.subtype else ""

    @property
    def charset(self) -> str:
        """The parameter of this name; "" if there is none."""
        return dict(self.parameters).get("charset", "")

    @property
    def encoding(self) -> str:
        """The codec of Python for the `charset`; UTF-8 if there is none.

        Raises:
            ValueError: the charset is not one of a closed list. Python's other codecs are slow, or not codecs of text,
                and it remembers each name that it does not know.
        """
        charset = self.charset
        try:
            return _ENCODINGS[charset]
        except KeyError:
            known = ", ".join(name for name in _ENCODINGS if name)
            raise ValueError(f"the charset {charset[:40]!r} is not supported; supported: {known}") from None

    @property
    def is_json(self) -> bool:
        """True for ``*/json`` and ``*/*+json`` (JSON event format, section 3.1.1)."""
        return self.subtype == "json" or self.suffix == "json"

    def __str__(self) -> str:
        return self.essence + "".join(f"; {name}={_quoted(value)}" for name, value in self.parameters)


def _quoted(value: str) -> str:
    return value if _is_word(value) else '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"'


def _parse(text: str) -> MediaType:
    essence = _essence.match(text)
    if essence is None:
        raise ValueError(f"{text[:80]!r} is not a media type: the form is type/subtype")
    parameters: dict[str, str] = {}
    offset = essence.end()
    while offset < len(text):
        parameter = _parameter.match(text, offset)
        if parameter is None:
            raise ValueError(f"{text[:80]!r} is not a media type: the form of a parameter is ;name=value")
        name, value = parameter[1].lower(), parameter[2]
        if value.startswith('"'):
            value = _escaped.sub(r"\1", value[1:-1])
        # The values of other parameters may be case-sensitive.
        parameters[name] = value.lower() if name == "charset" else value
        offset = parameter.end()
    return MediaType(essence[1].lower(), essence[2].lower(), tuple(sorted(parameters.items())))


# Bounded, because a hostile sender may invent media types.
_parse_cached = lru_cache(maxsize=512)(_parse)

JSON = MediaType("application", "json")
