"""Media types and charsets of hostile senders: a closed list, no memory that they fill, no time that they waste."""

from __future__ import annotations

import encodings
import pkgutil
import time
import tracemalloc

import pytest

from aspyx_event.cloudevents.data import decode_data, encode_data
from aspyx_event.cloudevents.formats import read_structured
from aspyx_event.cloudevents.http import from_http
from aspyx_event.cloudevents.media_types import MediaType
from aspyx_event.cloudevents.messaging import from_envelope
from aspyx_event.envelope import CE_TIME, Envelope
from aspyx_event.exceptions import DecodeError, EncodeError, InvalidCloudEventError

SUPPORTED = (
    "utf-8", "UTF-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "iso-8859-15", "windows-1252", "utf-16",
    "utf-16le", "UTF-16BE", "utf-32", "utf-32le", "utf-32be",
)  # fmt: skip
#: Every codec of Python, and names that none has.
CODECS = sorted(
    {module.name.replace("_", "-") for module in pkgutil.iter_modules(encodings.__path__)}
    - {name.lower() for name in SUPPORTED}
    - {"aliases", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252", "iso8859-1", "iso8859-15"}
)
UNKNOWN = ("nonsense", "x" * 300, "../../x", "idna", "unicode_escape", "undefined", "rot13", "mbcs")
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}


@pytest.mark.parametrize("charset", SUPPORTED)
def test_a_charset_of_the_list_is_read_and_written(charset):
    for content_type in (f"text/plain; charset={charset}", f"application/json;charset={charset}"):
        assert decode_data(encode_data("text", content_type), content_type) == "text"


@pytest.mark.parametrize("charset", [*CODECS, *UNKNOWN])
def test_any_other_charset_is_a_typed_error_and_leaves_no_trace(charset):
    before = dict(encodings._cache)
    for content_type in (f'text/plain; charset="{charset}"', f'application/json;charset="{charset}"'):
        with pytest.raises(DecodeError, match=r"charset .* not supported; supported: utf-8"):
            decode_data(b"1", content_type)
        with pytest.raises(EncodeError, match="not supported"):
            encode_data("text", content_type)
        with pytest.raises(DecodeError):
            from_http({**BINARY, "content-type": content_type}, b"1")
    with pytest.raises(DecodeError):
        read_structured(
            "application/cloudevents+json",
            b'{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/x; charset=%s","data":"x"}'
            % charset.replace("/", "-").encode(),
        )
    assert dict(encodings._cache) == before


def test_punycode_takes_no_time():
    began = time.perf_counter()
    with pytest.raises(DecodeError):
        decode_data(b"a" * 1_000_000, "text/plain; charset=punycode")
    assert time.perf_counter() - began < 5


def test_long_media_types_are_not_kept():
    parameters = "".join(f"; p{number}=v" for number in range(20_000))
    tracemalloc.start()
    try:
        for number in range(20):
            assert MediaType.parse(f"text/x{number}{parameters}").essence == f"text/x{number}"
        in_use, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert in_use < 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "a/" + "b" * 1_000_000,
        "a/b" + ";c=d" * 250_000,
        'a/b;c="' + "\\a" * 500_000,
        "a/b;" + " " * 1_000_000,
        " " * 1_000_000,
        "a/b" + ";" * 1_000_000,
        'a/b;c="' + "x" * 1_000_000 + '"',
    ],
    ids=lambda text: text[:12],
)
def test_a_media_type_of_a_megabyte_is_parsed_or_refused_in_linear_time(text):
    began, message = time.perf_counter(), ""
    try:
        MediaType.parse(text)
    except ValueError as error:
        message = str(error)
    assert len(message) < 300
    assert time.perf_counter() - began < 10


def test_errors_show_the_beginning_of_a_media_type():
    for content_type in ("text/plain; charset=" + "x" * 100_000, "y" * 100_000):
        with pytest.raises(DecodeError) as raised:
            decode_data(b"1", content_type)
        assert len(str(raised.value)) < 1000


def test_a_time_of_thousands_of_digits_is_a_typed_error():
    with pytest.raises(InvalidCloudEventError, match="time"):
        from_envelope(
            Envelope(
                b"1", {**{f"cloudEvents_{name[3:]}": value for name, value in BINARY.items()}, CE_TIME: "9" * 5000}
            )
        )
