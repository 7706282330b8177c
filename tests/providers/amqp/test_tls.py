"""AMQP over TLS: trust, host names, IP addresses and client certificates."""

from __future__ import annotations

import ssl
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from aspyx_event.exceptions import AuthenticationError, ConnectError
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.base import Binding
from aspyx_event.testing import ArtemisBroker, BrokerConfig

pytestmark = pytest.mark.broker

PASSWORD = "key-store-password"
ETC = "${artemis.instance}/etc"
LOGIN = """activemq {
   org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
       org.apache.activemq.jaas.properties.user="artemis-users.properties"
       org.apache.activemq.jaas.properties.role="artemis-roles.properties";
};
amqp-sasl-external {
   org.apache.activemq.artemis.spi.core.security.jaas.ExternalCertificateLoginModule required;
};
cert {
   org.apache.activemq.artemis.spi.core.security.jaas.TextFileCertificateLoginModule required
       org.apache.activemq.jaas.textfiledn.user="cert-users.properties"
       org.apache.activemq.jaas.textfiledn.role="cert-roles.properties";
};
"""


def key_store(issued: trustme.LeafCert) -> bytes:
    chain = [x509.load_pem_x509_certificate(blob.bytes()) for blob in issued.cert_chain_pems]
    key: Any = load_pem_private_key(issued.private_key_pem.bytes(), None)
    return pkcs12.serialize_key_and_certificates(
        b"broker", key, chain[0], chain[1:] or None, BestAvailableEncryption(PASSWORD.encode())
    )


@pytest.fixture(scope="module")
def tls():
    """A broker with a certificate for `localhost` and 127.0.0.1 (not 127.0.0.2), and who signed it."""
    authority, stranger = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    client = authority.issue_cert("billing@example.org", common_name="billing")
    secure = {
        "protocols": "AMQP",
        "sslEnabled": "true",
        "keyStorePath": f"{ETC}/server.p12",
        "keyStorePassword": PASSWORD,
        "keyStoreType": "PKCS12",
    }
    external = {
        **secure,
        "needClientAuth": "true",
        "trustStorePath": f"{ETC}/ca.pem",
        "trustStoreType": "PEM",
        "saslMechanisms": "EXTERNAL",
        "saslLoginConfigScope": "amqp-sasl-external",
        "securityDomain": "cert",
    }
    config = BrokerConfig(
        acceptors={"amqps": secure, "external": external},
        files={
            "server.p12": key_store(issued),
            "ca.pem": authority.cert_pem.bytes(),
            "login.config": LOGIN.encode(),
            "cert-users.properties": b"billing=/CN=billing, .*/\n",
            "cert-roles.properties": b"amq=billing\n",
        },
    )
    with ArtemisBroker.own(config) as broker:
        yield SimpleNamespace(broker=broker, authority=authority, stranger=stranger, client=client)


def trusting(authority: trustme.CA, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    return context


def provider(tls, host, context, acceptor="amqps", user="admin", **options):
    options = {"start_timeout": 0.1, "connect_timeout": 10.0, "require_tls": True, **options}
    return AMQPProvider("s", host, tls.broker.ports[acceptor], user, "admin" if user else "", ssl=context, **options)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_for_the_name_or_the_ip_address_is_accepted(tls, unique, outgoing, until, host):
    it, got = provider(tls, host, trusting(tls.authority)), []
    await it.start()
    await it.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), got.append)
    body = bytes(range(256)) * 4096
    await it.publish(outgoing(unique, body))
    await until(lambda: got)
    assert got[0].envelope.body == body
    await it.stop()


async def test_a_certificate_of_an_unknown_authority_is_refused(tls):
    with pytest.raises(ConnectError, match="certificate is not trusted"):
        await provider(tls, "localhost", trusting(tls.stranger)).start()
    with pytest.raises(ConnectError, match="certificate is not trusted"):
        await provider(tls, "localhost", True).start()


async def test_a_certificate_for_another_address_is_refused(tls):
    with pytest.raises(ConnectError, match=r"127\.0\.0\.2|mismatch"):
        await provider(tls, "127.0.0.2", trusting(tls.authority)).start()


async def test_tls_to_a_plain_port_and_plain_to_a_tls_port_are_refused(tls):
    context = trusting(tls.authority)
    with pytest.raises(ConnectError, match="TLS"):
        await provider(tls, "localhost", context, acceptor="artemis", connect_timeout=1.0).start()
    with pytest.raises(ConnectError, match="TLS"):
        await provider(tls, "localhost", None, require_tls=False, connect_timeout=1.0).start()


async def test_a_wrong_password_over_tls_is_an_authentication_error(tls):
    with pytest.raises(AuthenticationError):
        await provider(tls, "localhost", trusting(tls.authority), user="nobody").start()


async def test_a_client_certificate_authenticates_where_the_mechanism_is_external(tls, unique, outgoing):
    context = trusting(tls.authority, tls.client)
    it = provider(tls, "localhost", context, acceptor="external", user="", mechanism="EXTERNAL")
    await it.start()
    await it.publish(outgoing(unique))
    await it.stop()


async def test_a_missing_client_certificate_is_refused(tls):
    with pytest.raises(ConnectError):
        await provider(
            tls, "localhost", trusting(tls.authority), acceptor="external", user="", mechanism="EXTERNAL"
        ).start()
