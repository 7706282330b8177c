"""Bytes that no sound sender writes: `decode` never raises, and a receiver reads the next message as before.

Seeded, so a failure is repeatable. `ASPYX_FUZZ_SECONDS` runs the generator for longer.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import time
from collections.abc import Iterator

import pytest
from support_amqp_sections import nested, section, string_map

from aspyx_event.envelope import CE_ID, CE_TYPE, CONTENT_TYPE
from aspyx_event.providers.amqp import sections
from aspyx_event.providers.amqp.head_templates import Received, TemplateCache
from aspyx_event.providers.amqp.sections import decode, encode
from aspyx_event.providers.content_mode import received_envelope
from aspyx_event.testing.conformance.rig import make_outgoing

SECONDS = float(os.environ.get("ASPYX_FUZZ_SECONDS", "3"))
HEAD = {CE_ID: "id-1", CE_TYPE: "order", CONTENT_TYPE: "application/json", "trace": "t" * 20}
SOUND = encode(make_outgoing("a", b'{"number": 1}', HEAD, dedup_id="d-1", durable=True))
STRUCTURED = encode(make_outgoing("a", b"[" * 60_000, {CONTENT_TYPE: "application/cloudevents+json"}, dedup_id="d-1"))
#: A described section with each of these numbers: header to footer, and one that does not exist.
SECTIONS = (0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79)
#: Every constructor of the type system, and codes that do not exist.
CODES = tuple(range(0x40, 0x100))


def examples() -> Iterator[bytes]:
    """Messages that are wrong in a way that somebody chose."""
    yield from (b"", b"\x00", b"\x00\x53", b"\x00\x53\x75", b"\xff" * 100, b"\x00" * 50_000, b"AMQP\x00\x01\x00\x00")
    for number in SECTIONS:
        for code in CODES:
            for content in (b"", b"\x00", b"\xff", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x04\xff" + b"\x40" * 4):
                yield section(number, bytes((code,)) + content) + section(0x75, b"\xa0\x01x")
        for levels in (1000, 20_000, 70_000):
            yield section(number, nested(levels))
        yield section(number, b"\x00" * 70_000)
        yield section(number, b"\x00\x40" * 40_000 + b"\x40")
    # content-type: seven fields, the last is a symbol that is not ASCII
    yield section(0x73, b"\xc0\x0b\x07\x40\x40\x40\x40\x40\x40\xa3\x02\xff\x80") + section(0x75, b"\xa0\x01x")
    yield section(0x73, b"\xc0\x0d\x07\xa1\x02id\x40\x40\x40\x40\x40\xa3\x02\xc3\x28") + section(0x75, b"\xa0\x01x")
    deep = nested(1000)
    yield section(0x74, string_map((b"\xa1\x04deep", deep))) + section(0x75, b"\xa0\x01x")
    yield section(0x74, string_map((deep, b"\xa1\x01x"))) + section(0x75, b"\xa0\x01x")
    yield section(0x74, string_map((b"\xa1\x02\xff\xfe", b"\xa1\x01x"))) + section(0x75, b"\xa0\x01x")
    yield section(0x72, string_map((b"\xa3\x01a", deep))) + section(0x75, b"\xa0\x01x")
    yield section(0x70, b"\xc0\x06\x05\x40\x40\x40\x40\xa1")  # a delivery count that is text, and cut off
    yield section(0x70, b"\xc0\x09\x05\x40\x40\x40\x40\xa1\x03abc") + section(0x75, b"\xa0\x01x")
    yield STRUCTURED


def mutated(random_: random.Random) -> bytes:
    """A sound message of which some bytes are replaced, cut out, repeated or swapped for another's."""
    data = bytearray(SOUND if random_.random() < 0.8 else SOUND * 2)
    for _ in range(random_.choice((1, 1, 2, 4, 16))):
        at = random_.randrange(len(data) or 1)
        change = random_.randrange(5)
        if change == 0 and data:
            data[at] = random_.choice((0, 0x40, 0x53, 0x7F, 0x80, 0xA1, 0xD1, 0xFF, random_.randrange(256)))
        elif change == 1:
            del data[at : at + random_.randrange(1, 40)]
        elif change == 2:
            data[at:at] = data[at : at + random_.randrange(1, 40)]
        elif change == 3:
            data[at:at] = random_.randbytes(random_.randrange(1, 20))
        else:
            del data[at:]
    return bytes(data)


def generated(seed: int) -> Iterator[bytes]:
    random_ = random.Random(seed)
    while True:
        yield mutated(random_)
        if random_.random() < 0.2:
            yield random_.randbytes(random_.randrange(200))
        if random_.random() < 0.2:
            parts = [
                section(
                    random_.choice(SECTIONS), bytes((random_.choice(CODES),)) + random_.randbytes(random_.randrange(30))
                )
                for _ in range(random_.randrange(1, 5))
            ]
            yield b"".join(parts) + SOUND


def check(data: bytes, templates: TemplateCache) -> None:
    received = decode(data, templates)
    assert isinstance(received.body, bytes)
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in received.headers.items())
    assert isinstance(received.delivery_count, int)
    assert isinstance(received.dedup_id, str)
    assert decode(data) == received  # whoever has seen other messages reads the same
    received_envelope(received.body, dict(received.headers))


def test_a_chosen_malformed_message_never_raises():
    templates = TemplateCache()
    for data in examples():
        check(data, templates)
    assert decode(SOUND, templates) == decode(SOUND)


def test_a_generated_malformed_message_never_raises_and_changes_nothing_for_the_next():
    seed = int(os.environ.get("ASPYX_FUZZ_SEED", "12"))
    templates, sound, end = TemplateCache(), decode(SOUND), time.monotonic() + SECONDS
    for count, data in enumerate(generated(seed)):
        try:
            check(data, templates)
        except Exception as error:
            raise AssertionError(f"seed {seed}, message {count}: {data!r}") from error
        if not count % 50:
            assert decode(SOUND, templates) == sound
            if time.monotonic() > end:
                break
    assert count > 100


@pytest.mark.parametrize("levels", [1000, 70_000])
def test_values_nested_too_deeply_are_a_body_without_headers(levels):
    data = section(0x77, nested(levels))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # the default; libraries raise it
    try:
        assert decode(data) == Received(data, {}, 0)
    finally:
        sys.setrecursionlimit(limit)


def test_a_body_of_many_data_sections_is_read_in_linear_time():
    def seconds(count: int) -> float:
        data = section(0x75, b"\xa0\x10" + b"x" * 16) * count
        begin = time.process_time()
        assert len(decode(data).body) == 16 * count
        return time.process_time() - begin

    seconds(1000)
    small, large = min(seconds(20_000) for _ in range(3)), min(seconds(200_000) for _ in range(2))
    assert large < 30 * small  # ten times the sections; quadratic would be a hundred times


def test_long_names_of_properties_are_not_remembered():
    before = len(sections._decoded_names)
    for number in range(20):
        name = b"n%d" % number * 1000
        data = section(0x74, string_map((b"\xb1" + struct.pack(">I", len(name)) + name, b"\xa1\x01x")))
        assert decode(data + section(0x75, b"\xa0\x01x")).headers
    for number in range(20):
        name = b"%03d" % number * 85
        assert decode(section(0x74, string_map((b"\xa1" + bytes((255,)) + name, b"\xa1\x01x")))).headers
    assert len(sections._decoded_names) <= before + 20


def test_a_wrong_number_of_properties_reads_nothing_beyond_its_section():
    """The count says two pairs, the section holds a single pair: the body is not taken for the second."""
    pair = b"\xa1\x01a\xa1\x01b"
    data = section(0x74, b"\xc1" + bytes((len(pair) + 1, 4)) + pair) + section(0x75, b"\xa0\x01x")
    assert set(decode(data).headers) <= {"a"}
