"""TLS with an authority of one's own, host names that must fit, and client certificates, alike over both protocols."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

import pytest
import trustme

from aspyx_event.exceptions import ConnectError

pytestmark = pytest.mark.broker
PATIENCE = {"require_tls": True, "start_timeout": 0.0, "connect_timeout": 15.0}


@pytest.fixture
def trusting(authority):
    """Make a context that trusts the broker's authority: `trusting(client="billing")` has a certificate too."""

    def make(client: str = "", signed_by: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if client:
            (signed_by or authority).issue_cert(f"{client}@example.org", common_name=client).configure_cert(context)
        return context

    return make


def at(broker, acceptor="mutual", host="localhost"):
    return SimpleNamespace(host=host, port=broker.ports[acceptor])


async def test_a_client_certificate_opens_an_acceptor_that_wants_one(
    strict_broker, connect, trusting, outgoing, unique
):
    provider = await connect(at(strict_broker), ssl=trusting("anybody"), **PATIENCE)
    await provider.publish(outgoing(unique))


async def test_without_a_certificate_or_with_a_strangers_there_is_no_connection(strict_broker, make, trusting):
    for context in (trusting(), trusting("anybody", signed_by=trustme.CA())):
        with pytest.raises(ConnectError):
            await make(at(strict_broker), ssl=context, **PATIENCE).start()


async def test_verification_is_on_by_default_for_authority_and_host_name(strict_broker, make, trusting):
    with pytest.raises(ConnectError, match="not trusted"):
        await make(at(strict_broker), ssl=True, **PATIENCE).start()
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1"):
        await make(at(strict_broker, host="127.0.0.1"), ssl=trusting("anybody"), **PATIENCE).start()


@pytest.mark.parametrize("protocol", ["stomp"])
async def test_a_certificate_is_a_login_where_the_broker_takes_it_for_one(
    strict_broker, connect, make, trusting, outgoing, unique
):
    nameless = {"user": "", "password": "", **PATIENCE}
    provider = await connect(at(strict_broker, "certified"), ssl=trusting("billing"), **nameless)
    await provider.publish(outgoing(unique))
    with pytest.raises(ConnectError):
        await make(at(strict_broker, "certified"), ssl=trusting("stranger"), **nameless).start()
