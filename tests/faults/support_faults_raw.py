"""Plain clients that send what no event manager would: a few lines of proton, and of STOMP on a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from proton import Data, Message, symbol
from proton.reactor import LinkOption
from proton.utils import BlockingConnection


@dataclass
class Poison:
    """A message that no listener can take."""

    kind: str
    body: bytes
    headers: dict[str, object] = field(default_factory=dict)


class ToTopic(LinkOption):
    """Asks for the address as a topic, which AMQP says with a capability of the target."""

    def apply(self, link) -> None:
        capabilities = link.target.capabilities
        capabilities.put_array(False, Data.SYMBOL)
        capabilities.enter()
        capabilities.put_symbol(symbol("topic"))
        capabilities.exit()


def send_amqp(host: str, port: int, user: str, password: str, address: str, messages: Iterable[Poison]) -> None:
    connection = BlockingConnection(
        f"amqp://{host}:{port}", timeout=60, user=user, password=password, allowed_mechs="PLAIN"
    )
    try:
        sender = connection.create_sender(address, options=ToTopic())
        for poison in messages:
            sender.send(Message(body=poison.body, inferred=True, durable=True, properties=poison.headers))
    finally:
        connection.close()


def send_stomp(host: str, port: int, user: str, password: str, address: str, messages: Iterable[Poison]) -> None:
    with socket.create_connection((host, port), 60) as connection:
        replies = connection.makefile("rb")
        connection.sendall(
            f"CONNECT\naccept-version:1.2\nhost:{host}\nlogin:{user}\npasscode:{password}\n\n\0".encode()
        )
        assert _frame(replies).startswith(b"CONNECTED")
        for number, poison in enumerate(messages):
            lines = [f"{name}:{_escaped(str(value))}" for name, value in poison.headers.items()]
            lines += [f"destination:{address}", "destination-type:MULTICAST", "persistent:true"]
            lines += [f"receipt:{number}", f"content-length:{len(poison.body)}"]
            connection.sendall("\n".join(["SEND", *lines, "", ""]).encode() + poison.body + b"\0")
            assert _frame(replies).startswith(b"RECEIPT"), poison.kind


def _frame(replies) -> bytes:
    found = b""
    while not found.endswith(b"\0"):
        found += replies.read(1)
    return found.strip(b"\r\n\0")


def _escaped(text: str) -> str:
    # STOMP 1.2, "Value Encoding"
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace(":", "\\c")


def poisons(random, count: int, large: int) -> list[Poison]:
    """Return messages of every kind, *large* of them with bodies of 20 MB."""
    tick = {"id": "no-event", "key": "a", "seq": 1}
    deep = b"[" * 50_000 + b"]" * 50_000
    makers = [
        lambda n: Poison("random bytes", b"%d:" % n + random.randbytes(random.randrange(2000))),
        lambda n: Poison("wrong type", json.dumps({"id": n, "key": [], "seq": "x"}).encode()),
        lambda n: Poison("no object", json.dumps([n]).encode()),
        lambda n: Poison("not a number", b'{"id":%d,"key":"a","seq":NaN}' % n),
        lambda n: Poison("infinite", b'{"id":%d,"key":"a","seq":1e999}' % n),
        lambda n: Poison("deep", b'{"id":%d,"seq":' % n + deep + b"}"),
        lambda n: Poison("half a surrogate", b'{"id":"\\ud800","key":%d}' % n),
        lambda n: Poison("other event", json.dumps({"number": n, **tick}).encode().replace(b'"id"', b'"ID"')),
        lambda n: Poison("unknown event", json.dumps({"n": n}).encode(), {"cloudEvents_type": "somebody.elses"}),
        lambda n: Poison("forged notes", b"forged %d" % n, {"aspyx-attempts": "999", "aspyx-cause-type": "none"}),
        lambda n: Poison("foreign headers", b"headers %d" % n, {"x": 1, "y": True, "Ωmega": "\u2028\x07", "z": 1.5}),
        lambda n: Poison("content type", b"\x89PNG %d" % n, {"content-type": "image/png", "cloudEvents_time": "never"}),
        lambda n: Poison("empty id", b"{%d" % n, {"cloudEvents_id": "", "cloudEvents_specversion": "9"}),
        lambda n: Poison("long header", b"long %d" % n, {"long": "x" * 20_000}),
    ]
    found = [makers[number % len(makers)](number) for number in range(count)]
    found += [Poison("large", b'{"id":%d,"padding":"' % n + b"x" * 20_000_000 + b'"}') for n in range(large)]
    random.shuffle(found)
    return found
