"""Fixtures for what the AMQP and the STOMP provider promise alike: each test runs once per protocol."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from support_full_addresses import FULL_ADDRESSES

from aspyx_event import AMQPProvider, StompProvider
from aspyx_event.providers import Provider
from aspyx_event.providers.base import Outgoing
from aspyx_event.testing import ArtemisBroker, BrokerConfig, Management
from aspyx_event.testing.conformance.rig import make_outgoing

DEADLINE = 30.0
_ETC = "${artemis.instance}/etc"
_LOGIN = b"""activemq {
   org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
       org.apache.activemq.jaas.properties.user="artemis-users.properties"
       org.apache.activemq.jaas.properties.role="artemis-roles.properties";
};
cert {
   org.apache.activemq.artemis.spi.core.security.jaas.TextFileCertificateLoginModule required
       org.apache.activemq.jaas.textfiledn.user="cert-users.properties"
       org.apache.activemq.jaas.textfiledn.role="cert-roles.properties";
};
"""


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the certificate of `strict_broker`, and those of its clients."""
    return trustme.CA()


def _key_store(issued: trustme.LeafCert) -> bytes:
    key: Any = load_pem_private_key(issued.private_key_pem.bytes(), None)
    chain = [x509.load_pem_x509_certificate(blob.bytes()) for blob in issued.cert_chain_pems]
    return pkcs12.serialize_key_and_certificates(
        b"broker", key, chain[0], chain[1:] or None, BestAvailableEncryption(b"changeit")
    )


@pytest.fixture(scope="session")
def strict_broker(tell, authority: trustme.CA) -> Iterator[ArtemisBroker]:
    """A broker with addresses that have little room, or settings of their own, and TLS; nobody stops it."""
    mutual = {
        "protocols": "AMQP,STOMP",
        "sslEnabled": "true",
        "keyStorePath": f"{_ETC}/server.p12",
        "keyStorePassword": "changeit",
        "keyStoreType": "PKCS12",
        "needClientAuth": "true",
        "trustStorePath": f"{_ETC}/ca.pem",
        "trustStoreType": "PEM",
    }
    config = BrokerConfig(
        users={"app": ("secret", "app")},
        acceptors={"mutual": mutual, "certified": {**mutual, "protocols": "STOMP", "securityDomain": "cert"}},
        files={
            "server.p12": _key_store(authority.issue_cert("localhost")),
            "ca.pem": authority.cert_pem.bytes(),
            "login.config": _LOGIN,
            "cert-users.properties": b"billing=/CN=billing, .*/\n",
            "cert-roles.properties": b"amq=billing\n",
        },
        permissions={
            "#": dict.fromkeys(
                ("createNonDurableQueue", "createDurableQueue", "createAddress", "consume", "send", "browse"), ("app",)
            ),
            "activemq.management.#": {},
        },
        address_settings={
            **FULL_ADDRESSES,
            "fight.#": {"max-delivery-attempts": "3", "redelivery-delay": "500"},
        },
    )
    with ArtemisBroker.own(config, progress=tell) as broker:
        yield broker


@pytest.fixture(scope="session")
def strict_management(strict_broker: ArtemisBroker) -> Iterator[Management]:
    with Management(strict_broker) as calls:
        yield calls


Make = Callable[..., Provider]


@pytest.fixture
def make(protocol: str) -> Make:
    """Make a provider: `make(at, **options)`, where *at* has `host` and `port`."""

    def provider(at: Any, **options: Any) -> Provider:
        options = {"user": "admin", "password": "admin", "server_name": "networked", **options}
        if protocol == "stomp":
            return StompProvider(at.host, at.port, **options)
        return AMQPProvider(options.pop("server_name"), at.host, at.port, **options)

    return provider


@pytest.fixture
async def connect(make: Make) -> AsyncIterator[Callable[..., Awaitable[Provider]]]:
    """Start a provider that is stopped with the test: `await connect(at, **options)`."""
    started: list[Provider] = []

    async def start(at: Any, **options: Any) -> Provider:
        made = make(at, **options)
        started.append(made)
        await made.start()
        return made

    yield start
    for made in started:
        await asyncio.wait_for(made.stop(), DEADLINE)


@pytest.fixture
def outgoing() -> Callable[..., Outgoing]:
    """Make a durable message with an id nobody used: `outgoing(address, body, **fields)`."""

    def message(address: str, body: bytes = b"{}", **fields: Any) -> Outgoing:
        fields.setdefault("durable", True)
        fields.setdefault("dedup_id", uuid.uuid4().hex)
        return make_outgoing(address, body, **fields)

    return message


class Door:
    """A way to a broker that can be shut: connections through it break, and nobody is let in until it opens."""

    def __init__(self, at: ArtemisBroker) -> None:
        self._at = at
        self.host, self.port = "127.0.0.1", 0
        #: What the broker answers is lost.
        self.mute = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._let_in, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        tasks = list(self._tasks)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._at.host, self._at.port)
        self._writers |= {writer, up_writer}
        for source, sink in ((reader, up_writer), (up_reader, writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not (self.mute and sink.get_extra_info("sockname")[1] == self.port):
                    sink.write(data)
                    await sink.drain()
        sink.transport.abort()
        self._writers.discard(sink)


@pytest.fixture
async def door(broker: ArtemisBroker) -> AsyncIterator[Door]:
    """An open door to the shared broker."""
    made = Door(broker)
    await made.open()
    yield made
    await made.shut()


@pytest.fixture
async def back_door(broker: ArtemisBroker) -> AsyncIterator[Door]:
    """Another open door to the shared broker."""
    made = Door(broker)
    await made.open()
    yield made
    await made.shut()
