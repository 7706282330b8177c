"""Frames that look like earlier ones are read in another way: it must find what the first way, and stomp.py, find."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stomp.utils import parse_frame

from aspyx_event.envelope import CONTENT_TYPE
from aspyx_event.providers.stomp.errors import ProtocolError
from aspyx_event.providers.stomp.frames import Frame, FrameParser, acknowledgement, encode
from aspyx_event.providers.stomp.headers import needs_header, read_headers

# More frames than it takes to know the next one by its looks.
ENOUGH = 12
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.lists(
    st.one_of(TEXT, st.text("abc.*+([\\%:-", min_size=1, max_size=5)).filter(
        lambda name: name not in ("", "content-length", "subscription")
    ),
    unique=True,
    max_size=6,
)
USUAL = {
    "message-id": "1",
    "destination": "shop",
    "redelivered": "false",
    "expires": "0",
    "tenant": "north",
    "header-priority": "9",
    "JMS_AMQP_ContentType": "application/json",
    "ack": "1,2",
}


def usual(**changes: str) -> dict[str, str]:
    return {"subscription": "1", **USUAL, **changes}


def trained(headers: dict[str, str], **options: Any) -> FrameParser:
    """Return a parser that has read frames with these headers."""
    parser = FrameParser(**options)
    for _ in range(ENOUGH):
        (frame,) = parser.feed(encode("MESSAGE", headers, b"{}"))
    assert frame.template is not None or any(set(name) & set("\\:\r\n") or not name.isascii() for name in headers)
    return parser


def first_way(data: bytes) -> Frame:
    (frame,) = FrameParser().feed(data)
    assert frame.template is None
    return frame


@given(NAMES, st.data())
def test_a_frame_that_looks_like_earlier_ones_is_read_as_stomp_py_reads_it(
    names: list[str], data: st.DataObject
) -> None:
    parser = trained({"subscription": "7", **dict.fromkeys(names, "")})
    for _ in range(3):
        headers = {"subscription": "7", **{name: data.draw(TEXT) for name in names}}
        sent = encode("MESSAGE", headers, data.draw(st.binary(max_size=50)))
        theirs = parse_frame(sent[:-1])
        (ours,) = parser.feed(sent)
        assert (ours.cmd, ours.headers, ours.body) == (theirs.cmd, theirs.headers, theirs.body)
        assert all(ours.get(name) == value for name, value in headers.items())


LINES = st.lists(
    st.sampled_from(["a:1", "a:2", "b:x:y", "b", ":", "a\\c:1", "b:\\c", "b:\\\\c", "b:\\x", "é:ü", "b:ü\r"])
)


@given(LINES, LINES, st.booleans())
def test_whatever_the_lines_are_it_makes_no_difference_what_was_read_before(
    before: list[str], lines: list[str], same: bool
) -> None:
    def data(lines: list[str]) -> bytes:
        return "\n".join(["MESSAGE", "s:1", *lines, "content-length:1", "", "x\0"]).encode()

    parser, fresh = FrameParser(), FrameParser()
    try:
        for _ in range(ENOUGH):
            parser.feed(data(lines if same else before))
    except ProtocolError:
        return
    try:
        expected = fresh.feed(data(lines))
    except ProtocolError:
        with pytest.raises(ProtocolError):
            parser.feed(data(lines))
        return
    (frame,) = parser.feed(data(lines))
    assert (frame.headers, frame.body) == (expected[0].headers, expected[0].body)


@given(st.data())
def test_known_frames_cut_anywhere_are_put_together_again(data: st.DataObject) -> None:
    parser = trained(usual())
    sent = [
        (usual(tenant=tenant), body) for tenant, body in data.draw(st.lists(st.tuples(TEXT, st.binary(max_size=9))))
    ]
    stream = b"\n".join(encode("MESSAGE", headers, body) for headers, body in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    frames = [
        frame
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for frame in parser.feed(stream[start:end])
    ]
    assert [(frame.get("tenant"), frame.body) for frame in frames] == [
        (headers["tenant"], body) for headers, body in sent
    ]


@given(TEXT, TEXT)
def test_an_envelope_has_the_same_headers_whichever_way_its_frame_was_read(tenant: str, priority: str) -> None:
    parser = trained(usual(), needs_header=needs_header)
    data = encode("MESSAGE", usual(tenant=tenant, **{"header-priority": priority}), b"{}")
    (frame,) = parser.feed(data)
    assert frame.template is not None
    expected = {"tenant": tenant, "priority": priority, CONTENT_TYPE: "application/json"}
    assert read_headers(frame) == read_headers(first_way(data)) == expected
    assert [frame.get(name) for name in ("subscription", "ack", "redelivered", "destination")] == [
        "1",
        "1,2",
        "false",
        "shop",
    ]
    assert (frame.get("expires"), frame.get("unknown")) == ("", "")


@pytest.mark.parametrize("headers", [{}, {"tenant": "north"}], ids=["none", "one"])
def test_an_envelope_may_have_no_headers_or_one(headers: dict[str, str]) -> None:
    parser = trained({"subscription": "1", **headers, "ack": "1"}, needs_header=needs_header)
    (frame,) = parser.feed(encode("MESSAGE", {"subscription": "1", **headers, "ack": "2"}, b""))
    assert (read_headers(frame), frame.get("ack")) == (headers, "2")


def test_several_kinds_of_frames_of_one_subscription_are_known_at_once() -> None:
    parser, kinds = FrameParser(), [usual(), usual(JMSXGroupID="a"), usual(traceparent="t")]
    for kind in kinds:
        for _ in range(ENOUGH):
            parser.feed(encode("MESSAGE", kind, b""))
    templates = {parser.feed(encode("MESSAGE", kind, b""))[0].template for kind in kinds}
    assert len(templates) == 3
    assert None not in templates


def test_kinds_that_come_after_many_others_are_known_too() -> None:
    parser = FrameParser()
    for number in range(200):
        kind = usual(**{f"name-{number}": ""})
        found = [parser.feed(encode("MESSAGE", kind, b""))[0].template for _ in range(300)]
        assert found[-1] is not None


def test_names_that_never_come_again_cost_less_and_less_to_look_at() -> None:
    parser, learnt = FrameParser(), []
    for number in range(1_500):
        kind = encode("MESSAGE", usual(**{f"name-{number}": ""}), b"")
        learnt.append(any(parser.feed(kind)[0].template for _ in range(ENOUGH)))
    assert sum(learnt[:100]) > 10 * sum(learnt[-100:])


@pytest.mark.parametrize(
    "data",
    [
        encode("MESSAGE", usual(), b"abc")[:-1] + b"x",
        encode("MESSAGE", usual(tenant="x" * 1_000), b""),
        encode("MESSAGE", usual(), b"").replace(b"north", b"a\\x"),
        encode("MESSAGE", usual(), b"").replace(b"content-length:0", b"content-length:-1"),
        encode("MESSAGE", usual(), b"").replace(b"content-length:0", b"content-length:" + b"9" * 20),
    ],
    ids=["no NUL", "headers too large", "undefined escape", "negative length", "enormous length"],
)
def test_a_known_frame_with_something_wrong_is_refused_as_any_other(data: bytes) -> None:
    parser = trained(usual(), max_size=1_000)
    with pytest.raises(ProtocolError):
        parser.feed(data)


def test_the_body_of_a_known_frame_that_is_too_large_is_dropped() -> None:
    parser = trained(usual(), max_size=1_000)
    (large, small) = parser.feed(encode("MESSAGE", usual(), b"x" * 1_001) + encode("MESSAGE", usual(), b"x"))
    assert (large.body, small.body) == (b"", b"x")
    assert large.oversized
    assert not small.oversized
    assert large.headers.items() >= usual().items()


def test_names_that_a_sender_makes_up_do_not_fill_the_memory() -> None:
    parser, numbers = FrameParser(), itertools.count()

    def feed(count: int) -> None:
        for number in itertools.islice(numbers, count):
            parser.feed(b"MESSAGE\nmessage-id:%d\ncontent-length:0\n\n\0" % number)
            for _ in range(ENOUGH):  # often enough to be learnt
                parser.feed(b"MESSAGE\nsubscription:%d\nname-%d:\ncontent-length:0\n\n\0" % (number % 50, number))

    feed(1_500)
    tracemalloc.start()
    try:
        feed(3_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 300_000


@given(TEXT)
def test_an_acknowledgement_is_the_frame_that_encode_makes(message: str) -> None:
    assert acknowledgement(message) == encode("ACK", {"id": message})
