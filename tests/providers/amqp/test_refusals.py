"""Connections over AMQP that are refused, and how soon and in what words the provider says so."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from aspyx_event.exceptions import AuthenticationError, ConnectError, ConnectionLostError, NotAcceptedError
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.amqp.errors import Condition, Stage, error_for
from aspyx_event.testing.broker import free_ports

QUICK: dict[str, Any] = {"start_timeout": 0.2, "connect_timeout": 5.0}


async def serve(answer: bytes | None):
    """Listen on a free port; send *answer* to everybody and hang up, or, for None, say nothing."""

    async def talk(reader, writer):
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.broker
@pytest.mark.parametrize(("user", "password"), [("admin", "wrong-secret"), ("nobody", "secret")])
async def test_a_wrong_password_is_refused_at_once_and_not_repeated_in_the_message(broker, user, password):
    provider = AMQPProvider("s", broker.host, broker.port, user, password, start_timeout=60)
    with pytest.raises(AuthenticationError, match="check user= and password=") as caught:
        await asyncio.wait_for(provider.start(), 20)
    assert password not in str(caught.value) + repr(provider)


@pytest.mark.broker
async def test_an_anonymous_user_is_refused_where_a_login_is_required(broker):
    provider = AMQPProvider("s", broker.host, broker.port, start_timeout=60)
    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(provider.start(), 20)


async def test_a_port_nobody_listens_on_is_named():
    (port,) = free_ports(1)
    with pytest.raises(ConnectError, match=rf"127\.0\.0\.1:{port}.*connection refused"):
        await AMQPProvider("s", "127.0.0.1", port, **QUICK).start()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
async def test_an_unknown_host_is_named(host):
    with pytest.raises(ConnectError, match="check host="):
        await AMQPProvider("s", host, **QUICK).start()


async def test_a_port_that_says_nothing_is_given_up_after_the_time_limit():
    server, port = await serve(None)
    try:
        with pytest.raises(ConnectError, match=r"no AMQP answer within 0\.3 s"):
            await AMQPProvider("s", "127.0.0.1", port, start_timeout=0.1, connect_timeout=0.3).start()
    finally:
        server.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00" * 100, b"AMQP\x00\x00\x09\x01"])
async def test_a_port_that_speaks_something_else_is_refused(answer):
    server, port = await serve(answer)
    try:
        with pytest.raises(ConnectError, match=str(port)):
            await asyncio.wait_for(AMQPProvider("s", "127.0.0.1", port, **QUICK).start(), 20)
    finally:
        server.close()


@pytest.mark.broker
async def test_a_broker_that_comes_up_late_is_waited_for(own_broker, connect, unique, outgoing):
    broker = own_broker()
    await asyncio.to_thread(broker.stop)
    connecting = asyncio.ensure_future(connect(broker, start_timeout=60))
    await asyncio.to_thread(broker.start)
    provider = await connecting
    await provider.publish(outgoing(unique))


async def test_a_provider_that_could_not_start_may_try_again(outgoing, unique):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        provider = AMQPProvider("s", "127.0.0.1", taken.getsockname()[1], **QUICK)
        for _ in range(2):
            with pytest.raises(ConnectError):
                await provider.start()
        with pytest.raises(ConnectionLostError):
            await provider.publish(outgoing(unique))
        await provider.stop()


async def test_require_tls_refuses_a_plain_connection():
    with pytest.raises(ConnectError, match="require_tls"):
        await AMQPProvider("s", "127.0.0.1", require_tls=True).start()


async def test_a_password_that_would_cross_the_network_in_the_clear_is_warned_of(caplog):
    caplog.set_level(logging.WARNING)
    with pytest.raises(ConnectError):
        await AMQPProvider("s", "no-such-host.invalid", 1, "u", "hidden-word", **QUICK).start()
    assert "unencrypted" in caplog.text
    assert "hidden-word" not in caplog.text


def test_a_condition_nobody_foresaw_still_says_what_and_where():
    error = error_for(Stage.OUTCOME, Condition("amqp:strange", "odd things"), "'a'")
    assert type(error) is NotAcceptedError
    assert "amqp:strange: odd things" in str(error)
    assert "'a'" in str(error)
