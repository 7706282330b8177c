"""The STOMP 1.2 codec, against stomp.py's own parser and against hostile bytes."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stomp import utils
from stomp.utils import parse_frame

from aspyx_event.exceptions import HeaderError
from aspyx_event.providers.stomp import frames
from aspyx_event.providers.stomp.errors import ProtocolError
from aspyx_event.providers.stomp.frames import Frame, FrameParser, encode

COMMANDS = st.sampled_from(["MESSAGE", "RECEIPT", "ERROR"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# stomp.py needs a name; it also splits lines at a bare CR, which an escaped header never contains.
HEADERS = st.dictionaries(TEXT.filter(lambda name: name and name != "content-length"), TEXT, max_size=8)
BODY = st.binary(max_size=300)


@given(COMMANDS, HEADERS, BODY)
def test_headers_of_every_text_and_bodies_of_every_byte_survive(
    command: str, headers: dict[str, str], body: bytes
) -> None:
    (frame,) = FrameParser().feed(encode(command, headers, body))
    assert (frame.cmd, frame.body) == (command, body)
    assert frame.headers == {**headers, "content-length": str(len(body))}


@given(COMMANDS, HEADERS, BODY)
def test_the_parser_reads_what_the_parser_of_stomp_py_reads(command: str, headers: dict[str, str], body: bytes) -> None:
    data = encode(command, headers, body)
    theirs = parse_frame(data[:-1])
    (ours,) = FrameParser().feed(data)
    assert (ours.cmd, ours.headers, ours.body) == (theirs.cmd, theirs.headers, theirs.body)


@given(st.sampled_from(["SEND", "ACK", "SUBSCRIBE"]), HEADERS, st.one_of(st.none(), BODY))
def test_frames_have_the_lines_that_stomp_py_writes(command: str, headers: dict[str, str], body: bytes | None) -> None:
    escapes = str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"})
    escaped = {name.translate(escapes): value.translate(escapes) for name, value in headers.items()}
    if body is not None:
        escaped["content-length"] = str(len(body))
    theirs = b"".join(utils.convert_frame(utils.Frame(command, escaped, body)))
    ours = encode(command, headers, body)
    head, _, rest = ours.partition(b"\n\n")
    expected, _, expected_rest = theirs.partition(b"\n\n")
    assert sorted(head.split(b"\n")) == sorted(expected.split(b"\n"))
    assert (rest, head.split(b"\n")[0]) == (expected_rest, command.encode())


def test_the_formats_of_frames_do_not_fill_the_memory() -> None:
    for number in range(3_000):
        assert encode("SEND", {f"made-up-{number}": "%s %d"}) == b"SEND\nmade-up-%d:%%s %%d\n\n\0" % number
    assert len(frames._formats) <= 1_024
    encode("SEND", {"x" * 10_000: "long"})
    assert max(map(len, frames._formats.values())) < 4_096


@given(st.lists(st.tuples(COMMANDS, HEADERS, st.one_of(st.none(), BODY)), min_size=1, max_size=5), st.data())
def test_frames_cut_anywhere_are_put_together_again(
    sent: list[tuple[str, dict[str, str], bytes | None]], data: st.DataObject
) -> None:
    stream = b"\n".join(encode(*frame) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    parser, frames = FrameParser(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        frames += parser.feed(stream[start:end])
    assert [(frame.cmd, frame.body) for frame in frames] == [(command, body or b"") for command, _, body in sent]


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_whatever_arrives_is_frames_or_a_protocol_error(chunks: list[bytes]) -> None:
    parser = FrameParser(100)
    try:
        for chunk in chunks:
            parser.feed(chunk)
    except ProtocolError:
        pass


def test_line_ends_of_both_kinds_and_heart_beats_between_frames_are_read() -> None:
    stream = b"\n\r\nMESSAGE\r\na:1\r\nb:x\\ny\r\n\r\nbody\0\n\n\r\nRECEIPT\nreceipt-id:7\n\n\0\n"
    first, second = FrameParser().feed(stream)
    assert (first.cmd, first.headers, first.body) == ("MESSAGE", {"a": "1", "b": "x\ny"}, b"body")
    assert second.headers == {"receipt-id": "7"}


def test_of_repeated_headers_the_first_one_counts() -> None:
    (frame,) = FrameParser().feed(b"MESSAGE\na:1\na:2\n\n\0")
    assert frame.headers == {"a": "1"}


def test_connect_and_connected_are_not_escaped() -> None:
    assert b"passcode:a:b\\c\n" in encode("CONNECT", {"passcode": "a:b\\c"})
    (frame,) = FrameParser().feed(b"CONNECTED\nserver:a\\cb\n\n\0")
    assert frame.headers == {"server": "a\\cb"}


def test_a_password_with_a_line_end_cannot_add_headers_to_connect() -> None:
    with pytest.raises(HeaderError):
        encode("CONNECT", {"passcode": "x\nlogin:admin"})


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"AMQP\x03\x01\x00\x00",
        b"MESSY\n\n\0",
        b"MESSAGE\na:\\x\n\n\0",
        b"MESSAGE\ncontent-length:-1\n\n\0",
        b"MESSAGE\ncontent-length:1\xc2\xb2\n\n\0",
        b"MESSAGE\ncontent-length:2\n\nabc\0",
        b"ERROR\ncontent-length:1001\n\n",
        b"MESSAGE\ncontent-length:99999999999\n\n",
        b"MESSAGE\ncontent-length:" + b"9" * 900 + b"\n\n",
        b"MESSAGE\ncontent-length:1001\n\n" + b"x" * 1002,
        b"MESSAGE\ncontent-length:\n\n\0",
        b"\0" * 100,
        b"RECEIPT\nreceipt-id:1\ncontent-length:+1\n\n\0",
        b"CONNECTED\n\x00\xff\n\n\0\xff",
        b"MESSAGE\n\n" + b"x" * 1001,
        b"MESSAGE\na:" + b"x" * 1001,
    ],
)
def test_what_is_not_stomp_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        FrameParser(1000).feed(data)


def test_a_body_without_length_that_never_ends_is_refused() -> None:
    parser = FrameParser(1000)
    for chunk in (b"MESSAGE\n\n", b"x" * 600, b"x" * 300):
        assert parser.feed(chunk) == []
    with pytest.raises(ProtocolError):
        drain(parser, [b"x" * 500] * 10)


@pytest.mark.parametrize("step", [1, 7, 1000, 10_000])
def test_the_body_of_a_message_that_is_too_large_is_dropped_while_it_arrives(step: int) -> None:
    """Its frame can acknowledge the message, and the frames around it are read."""
    stream = b"".join(
        encode("MESSAGE", {"subscription": "1", "ack": str(number)}, body)
        for number, body in enumerate([b"a", b"x" * 5000, b"b", b"y" * 1001, b"c"] + [b"z"] * 20 + [b"x" * 5000])
    )
    parser, frames = FrameParser(1000), []
    for start in range(0, len(stream), step):
        frames += parser.feed(stream[start : start + step])
        assert len(parser._pending) <= 2000
    assert [frame.get("ack") for frame in frames] == [str(number) for number in range(26)]
    assert [frame.body for frame in frames[:5]] == [b"a", b"", b"b", b"", b"c"]
    assert [bool(frame.oversized) for frame in frames] == [False, True, False, True, False] + 20 * [False] + [True]
    assert "5,000 bytes, 1,000 are the limit (max_message_size)" in frames[1].oversized


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_headers_in_many_parts_are_read_in_linear_time(line_end: bytes) -> None:
    def seconds(lines: int) -> float:
        head = line_end.join([b"MESSAGE", *(b"name-%d:value" % number for number in range(lines)), b"", b""])
        parts = [head[at : at + 100] for at in range(0, len(head), 100)]
        parser, begin = FrameParser(), time.process_time()
        (frame,) = drain(parser, [*parts, b"body\0"])
        assert isinstance(frame, Frame)
        assert len(frame.headers) == lines
        return time.process_time() - begin

    seconds(100)
    small, large = min(seconds(5000) for _ in range(3)), min(seconds(50_000) for _ in range(2))
    assert large < 30 * small


def drain(parser: FrameParser, chunks: list[bytes]) -> list[object]:
    return [frame for chunk in chunks for frame in parser.feed(chunk)]


def test_headers_larger_than_brokers_take_are_refused() -> None:
    encode("SEND", {"a": "x" * 60_000}, b"")
    with pytest.raises(HeaderError, match=re.escape("65536 are the limit")):
        encode("SEND", {"a": "é" * 40_000}, b"")
