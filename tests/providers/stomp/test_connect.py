"""Connecting: what goes wrong is named, at once or within the time limit, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import time
from typing import Any

import pytest
import trustme

from aspyx_event.exceptions import AuthenticationError, ConnectError
from aspyx_event.providers.stomp import StompProvider

ABSURD = [
    b"0", b"", b"1,2,3", b"-1,-1", b"1e9,1e9", b"nan,inf", b"9" * 400 + b"," + b"9" * 400, b"9" * 5000 + b",1",
    b"1," + b"9" * 5000, b"1234567890,0", b"0,1234567890", "\u0661,\u0661".encode(), b"0x1,1", b"1_0,1",
]  # fmt: skip
SECRET = "pass:word\\with-all"


@pytest.fixture
async def peer():
    """Start a TCP server that talks as told: `await peer(b"answer")`; None stays silent."""
    servers = []

    async def start(answer, context=None):
        async def serve(reader, writer):
            await reader.read(10)
            if answer is not None:
                writer.write(answer)
                await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        servers.append(server)
        return server.sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()


def make(port, host="127.0.0.1", **options):
    options = {"user": "admin", "password": SECRET, "start_timeout": 0.3, "connect_timeout": 0.5, **options}
    return StompProvider(host, port, **options)


async def test_a_refused_port_is_named(unused_tcp_port):
    with pytest.raises(ConnectError, match="connection refused") as raised:
        await make(unused_tcp_port).start()
    assert str(unused_tcp_port) in str(raised.value)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
async def test_an_unknown_host_is_named(host):
    with pytest.raises(ConnectError, match=host.replace(".", r"\.")):
        await make(61616, host).start()


async def test_a_silent_port_ends_within_the_time_limit(peer):
    start = time.monotonic()
    with pytest.raises(ConnectError, match=r"no STOMP answer within 0\.5 s"):
        await make(await peer(None)).start()
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"AMQP\x00\x01\x00\x00",
        b"CONNECTED\nversion:1.1\n\n\0",
        b"CONNECTED\nversion:1.2\nheart-beat:x,y\n\n\0",
        b"RECEIPT\nreceipt-id:1\n\n\0",
        *(b"CONNECTED\nversion:1.2\nheart-beat:" + heartbeat + b"\n\n\0" for heartbeat in ABSURD),
    ],
)
async def test_a_port_that_does_not_speak_stomp_1_2_is_a_connect_error(answer, peer):
    with pytest.raises(ConnectError, match="STOMP"):
        await make(await peer(answer)).start()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ERROR\nmessage:no\n\n\0"])
async def test_an_attempt_that_fails_closes_its_socket(answer, until):
    opened, closed = [], []

    async def serve(reader, writer):
        opened.append(writer)
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        closed.append(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.raises(ConnectError):
        await make(server.sockets[0].getsockname()[1]).start()
    await until(lambda: opened and len(closed) == len(opened))
    server.close()


async def test_start_waits_for_a_broker_that_comes_up_late(unused_tcp_port, until):
    provider = make(unused_tcp_port, start_timeout=30.0)
    starting = asyncio.create_task(provider.start())
    await asyncio.sleep(0.2)

    async def serve(reader, writer):
        await reader.readuntil(b"\0")
        writer.write(b"CONNECTED\nversion:1.2\n\n\0")
        await reader.readuntil(b"\0")  # DISCONNECT
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", unused_tcp_port)
    await asyncio.wait_for(starting, 30)
    assert provider.connected
    await provider.stop()
    server.close()


async def test_tls_is_required_where_it_is_asked_for():
    with pytest.raises(ConnectError, match="require_tls"):
        await make(61616, require_tls=True).start()


async def test_a_plain_port_is_no_tls_port(peer):
    with pytest.raises(ConnectError):
        await make(await peer(b"CONNECTED\nversion:1.2\n\n\0"), ssl=True).start()


def test_the_password_is_never_shown():
    provider = make(61616)
    assert SECRET not in repr(provider)
    assert SECRET not in repr(provider._settings)
    assert "127.0.0.1:61616" in repr(provider)


@pytest.mark.broker
async def test_a_wrong_password_is_told_at_once_and_not_shown(broker):
    provider = StompProvider(broker.host, broker.port, broker.user, SECRET, start_timeout=60.0)
    start = time.monotonic()
    with pytest.raises(AuthenticationError, match="check user= and password=") as raised:
        await provider.start()
    assert time.monotonic() - start < 30
    assert SECRET not in str(raised.value)
    await provider.stop()


@pytest.mark.broker
async def test_a_password_of_protocol_characters_is_accepted(own_broker, provider):
    broker = own_broker(users={"app": ("a:b c", "amq")})
    assert (await provider(broker, user="app", password="a:b c")).connected


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority):
    """A server certificate for localhost, but not for 127.0.0.1, as a PKCS 12 store."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

    leaf = authority.issue_cert("localhost")
    key: Any = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    chain = [x509.load_pem_x509_certificate(blob.bytes()) for blob in leaf.cert_chain_pems]
    return pkcs12.serialize_key_and_certificates(
        b"server", key, chain[0], chain[1:], BestAvailableEncryption(b"changeit")
    )


@pytest.fixture
def tls_broker(own_broker, certificate):
    options = {
        "protocols": "STOMP",
        "sslEnabled": "true",
        "keyStorePath": "${artemis.instance}/etc/server.p12",
        "keyStorePassword": "changeit",
        "keyStoreType": "PKCS12",
    }
    return own_broker(acceptors={"tls": options}, files={"server.p12": certificate})


@pytest.mark.broker
async def test_tls_verifies_authority_and_host_name(tls_broker, authority, inbox, outgoing, unique):
    port, context = tls_broker.ports["tls"], ssl.create_default_context()
    authority.configure_trust(context)
    provider = make(port, "localhost", password="admin", ssl=context, require_tls=True, connect_timeout=10.0)
    await provider.start()
    await provider.publish(outgoing(unique, b"x" * 3_000_000))
    await provider.stop()
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1"):
        await make(port, "127.0.0.1", password="admin", ssl=context, connect_timeout=10.0).start()
    with pytest.raises(ConnectError, match="not trusted"):
        await make(port, "localhost", password="admin", ssl=True, connect_timeout=10.0).start()
    with pytest.raises(ConnectError):
        await make(port, "localhost", password="admin").start()
    with pytest.raises(ConnectError):
        await make(tls_broker.port, "localhost", password="admin", ssl=context, connect_timeout=1.0).start()


def test_without_stomp_py_the_provider_can_be_made_and_start_names_the_install_line():
    script = """
import asyncio, sys
sys.modules["stomp"] = None
from aspyx_event.exceptions import MissingDriverError
from aspyx_event.providers.stomp import StompProvider
provider = StompProvider()
try:
    asyncio.run(provider.start())
except MissingDriverError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'aspyx-event[stomp]'" in done.stdout


def test_importing_the_provider_does_not_import_stomp_py():
    script = "import sys, aspyx_event.providers.stomp; assert 'stomp' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
