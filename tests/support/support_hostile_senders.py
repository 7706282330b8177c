"""What hostile senders write: raw AMQP messages and STOMP frames, from a table and from a seeded generator.

The senders use nothing of the framework: a thread, a socket, and for AMQP the driver.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import proton
from proton.utils import BlockingConnection
from support_amqp_sections import nested, section, string_map

from aspyx_event.engine.failure import republish
from aspyx_event.engine.failure.signature import SIGNATURE
from aspyx_event.envelope import ATTEMPT, REPLAY_RUN

#: Every header of the framework that some part of the engine reads.
FRAMEWORK_HEADERS = (
    *sorted(value for name, value in vars(republish).items() if name.isupper() and str(value).startswith("aspyx-")),
    SIGNATURE, ATTEMPT, REPLAY_RUN, "aspyx-marker", "aspyx-in-flight", "aspyx-crashes", "aspyx-free-form",
)  # fmt: skip
_ATTRIBUTES = ("id", "source", "type", "specversion", "time", "partitionkey", "schemaversion", "correlationid",
               "causationid", "datacontenttype", "dataschema", "subject")  # fmt: skip
#: Every other header that is read, and names that are escaped, reserved, or nearly one of ours.
OTHER_HEADERS = (
    *(f"cloudEvents_{name}" for name in _ATTRIBUTES), *(f"cloudEvents:{name}" for name in _ATTRIBUTES), "content-type",
    "header-content-type", "header-cloudEvents:id", "header-aspyx-attempt", "header-", "header-header-x", "traceparent", "tracestate",
    "JMS_AMQP_ContentType", "_AMQ_CONTENT_TYPE", "_AMQ_GROUP_ID", "JMSXGroupID", "JMSXDeliveryCount", "_AMQ_DUPL_ID",
    "Aspyx-Attempt", "aspyx-", "aspyx-\n", "x:y", "x\\y", " x ", "ack", "type", "x-opt-delivery-time",
)  # fmt: skip
VALUES = (
    "", "check", "2", "-1", "9" * 5000, "\u0661", "1e999", "%", "a,b,%2C", "\x1b[2J\r\n", "\u2028\u202e", "\\n\\c\\x", ":",
    "\U0001f980", "x" * 3000, "0" * 64, "application/json; charset=punycode", "2026-01-01T00:00:00+99:99", "00-0-0-0",
)  # fmt: skip
BODIES = (
    b'{"number": 1}', b"", b"null", b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000, b'{"number": ' + b"9" * 10_000 + b"}",
    b'{"number": 1e400}', b'{"number": "\\ud800"}', b'{"number": NaN}', b"x" * 200_000, b"\x00" * 1000,
)  # fmt: skip
CONTENT_TYPES = (
    "application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain; charset=idna",
    "application/" + "x" * 5000, ";", "application/json" + ";a=b" * 500, "", "\xe9", "application/vnd.apache.thrift+binary",
)  # fmt: skip


def basic(name: str, case: str) -> dict[str, str]:
    """Return the headers of a sound event that names its *case*."""
    return {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": uuid.uuid4().hex,
        "cloudEvents_source": "/hostile",
        "cloudEvents_type": name,
        "case": case,
    }


def amqp(properties: dict[str, Any], body: bytes = b'{"number": 1}', **fields: Any) -> bytes:
    """Return the sections of an AMQP message, written by the driver."""
    fields = {"content_type": "application/json", "durable": True, "inferred": True, **fields}
    return bytes(proton.Message(body=body, properties=properties, **fields).encode())


def stomp(address: str, properties: Iterable[tuple[str, str]], body: bytes = b'{"number": 1}') -> bytes:
    """Return a SEND frame; names and values are escaped, so that the broker gets each of them."""
    lines = [f"destination:{address}", "destination-type:MULTICAST", f"content-length:{len(body)}", "persistent:true"]
    lines += [f"{_escaped(name)}:{_escaped(value)}" for name, value in properties]
    return ("SEND\n" + "\n".join(lines) + "\n\n").encode("utf-8", "surrogateescape") + body + b"\x00"


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")
    return text.replace("\x00", "")


def table(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Return the case and the headers of a message for each header that is read, and each value."""
    for header in (*FRAMEWORK_HEADERS, *OTHER_HEADERS):
        for number, value in enumerate(VALUES):
            case = f"{header!r}:{number}"
            yield case, {**basic(name, case), header: value}
    for number, value in enumerate(VALUES):
        case = f"all:{number}"
        yield case, {**basic(name, case), **dict.fromkeys(FRAMEWORK_HEADERS, value)}


def amqp_sections(name: str) -> Iterator[bytes]:
    """Return messages of which one section is malformed, huge, deep, or has values of unusual types."""
    sound = amqp(basic(name, "sections"))
    deep = nested(1000)
    data = section(0x75, b"\xa0\x0d" + b'{"number": 1}')
    for number in (0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78):
        for value in (b"\x40", b"\x45", b"\xc0\x01\x00", deep, b"\xa1\x02\xff\xfe", b"\xd1" + struct.pack(">II", 4, 0)):
            yield section(number, value) + data
    for key in (b"\xa3\x0fx-opt-delivery-", b"\xa3\x13x-opt-delivery-delay"[:2] + b"x-opt-delivery-dela", b"\xa3\x01a"):
        for value in (deep, b"\x40", b"\xa1\x01x", b"\x80" + b"\xff" * 8):
            yield section(0x72, string_map((key, value))) + sound
            yield section(0x78, string_map((key, value))) + data
    for body in BODIES:
        yield amqp(basic(name, "body"), body)
        yield amqp(basic(name, "body"), body, content_type="application/cloudevents+json")
    for content_type in CONTENT_TYPES:
        ascii_type = content_type.encode("ascii", "replace").decode()
        yield amqp({**basic(name, "content type"), "content-type": content_type}, content_type=ascii_type)
    yield amqp({**basic(name, "types"), "aspyx-attempt": 2, "aspyx-attempts": 1 << 62, "cloudEvents_id": 7, "n": None,
                "b": b"\xff" * 100, "f": float("nan"), "l": "x" * 20_000, "t": True, "u": uuid.uuid4()})  # fmt: skip
    yield amqp(basic(name, "fields"), group_id="g" * 3000, group_sequence=2**32 - 1, priority=9, delivery_count=2**31)
    yield amqp(
        basic(name, "fields"),
        id="i" * 3000,
        correlation_id=uuid.uuid4(),
        reply_to="\n",
        subject="\x1b",
        user_id=b"\xff",
    )
    yield data * 5000
    yield sound[: len(sound) // 2]


def mutated(random_: random.Random, data: bytes) -> bytes:
    """Return *data* with some bytes replaced, cut out, repeated or inserted."""
    copy = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 4, 16))):
        at, change = random_.randrange(len(copy) or 1), random_.randrange(4)
        if change == 0 and copy:
            copy[at] = random_.randrange(256)
        elif change == 1:
            del copy[at : at + random_.randrange(1, 40)]
        elif change == 2:
            copy[at:at] = copy[at : at + random_.randrange(1, 40)]
        else:
            copy[at:at] = random_.randbytes(random_.randrange(1, 20))
    return bytes(copy)


def generated(random_: random.Random, name: str) -> dict[str, str]:
    """Return headers of an event with forged, invented and repeated ones."""
    headers = basic(name, "generated")
    for _ in range(random_.randrange(1, 6)):
        names = random_.choice((FRAMEWORK_HEADERS, OTHER_HEADERS))
        header = random_.choice(names) if random_.random() < 0.8 else _text(random_) or "n"
        headers[header] = random_.choice(VALUES) if random_.random() < 0.7 else _text(random_)
    return headers


def _text(random_: random.Random) -> str:
    alphabet = "ab:\\\n\r\t -_%,;=\x1b\x7f\u00e9\u2028\U0001f980" + chr(random_.randrange(1, 0xD800))
    return "".join(random_.choices(alphabet, k=random_.randrange(40)))


class AMQPSender:
    """Sends raw messages; the broker may refuse each of them, or end the connection."""

    def __init__(self, broker: Any, address: str) -> None:
        self._broker, self._address = broker, address
        self._connection: BlockingConnection | None = None

    def send(self, messages: Iterable[bytes]) -> list[bool]:
        """Return for each message whether the broker took it. Blocks."""
        return [self._send(data) for data in messages]

    def _send(self, data: bytes) -> bool:
        try:
            if self._connection is None:
                url = f"amqp://{self._broker.host}:{self._broker.port}"
                self._connection = BlockingConnection(
                    url, user=self._broker.user, password=self._broker.password, allowed_mechs="PLAIN", timeout=5
                )
                self._sender = self._connection.create_sender(self._address)
            self._sender.send(_Raw(data))
        except proton.ProtonException:
            self.close()
            return False
        return True

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(proton.ProtonException):  # the broker has ended it
                connection.close()


class _Raw:
    """A message for the driver's `Sender.send`, as bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def send(self, sender: Any, tag: str | None = None) -> Any:
        delivery = sender.delivery(tag or sender.delivery_tag())
        sender.stream(self._data)
        sender.advance()
        return delivery


class StompSender:
    """Sends raw SEND frames, and waits for the broker's response to each."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self._socket: socket.socket | None = None

    def send(self, frames: Iterable[bytes]) -> list[bool]:
        """Return for each frame whether the broker took it. Blocks."""
        return [self._send(frame) for frame in frames]

    def _send(self, frame: bytes) -> bool:
        try:
            if self._socket is None:
                self._socket = socket.create_connection((self._broker.host, self._broker.port), timeout=3)
                login = f"login:{self._broker.user}\npasscode:{self._broker.password}"
                self._exchange(f"CONNECT\naccept-version:1.2\nhost:x\n{login}\n\n\0".encode())
            head, _, rest = frame.partition(b"\n")
            response = self._exchange(head + b"\nreceipt:r\n" + rest)
        except OSError:
            response = b""
        if not response.startswith(b"RECEIPT"):
            self.close()
            return False
        return True

    def _exchange(self, frame: bytes) -> bytes:
        assert self._socket is not None
        self._socket.sendall(frame)
        response = b""
        while b"\x00" not in response:
            part = self._socket.recv(65536)
            if not part:
                return b""
            response += part
        return response.lstrip(b"\n")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
