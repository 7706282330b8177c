"""Options that are not understood, passwords on open networks, and hooks that are told of a connection."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from aspyx_event import AMQPProvider, ConnectionHooks, DeclarationError
from aspyx_event.exceptions import ConnectError

NOWHERE = SimpleNamespace(host="127.0.0.1", port=1)
AWAY = SimpleNamespace(host="no-such-host.invalid", port=1)


@pytest.mark.parametrize(
    "options",
    [
        {"ssl": "ca.pem"},
        {"ssl": 1},
        {"ssl": {"cafile": "ca.pem"}},
        {"heartbeat": -1},
        {"heartbeat": "10"},
        {"connect_timeout": 0},
        {"confirm_timeout": 0},
        {"confirm_timeout": float("nan")},
        {"start_timeout": -1},
        {"max_unconfirmed": 0},
        {"max_unconfirmed": None},
        {"max_unconfirmed_bytes": 0},
        {"max_message_size": 1023},
        {"max_message_size": 1e6},
        {"max_retries": 0},
        {"backoff": 1},
        {"backoff": (1.0,)},
        {"backoff": (2.0, 1.0)},
        {"backoff": (0, 1.0)},
        {"failover": ("elsewhere",)},
    ],
    ids=str,
)
def test_an_option_that_is_not_understood_is_an_error_that_names_it(make, options):
    with pytest.raises(DeclarationError, match=next(iter(options))):
        make(NOWHERE, **options)


def test_an_option_that_does_not_exist_is_an_error(make):
    with pytest.raises(TypeError, match="verify"):
        make(NOWHERE, verify=False)
    with pytest.raises(TypeError, match="tls_ca"):
        make(NOWHERE, tls_ca="ca.pem")


def test_a_login_by_certificate_needs_tls():
    with pytest.raises(DeclarationError, match="EXTERNAL"):
        AMQPProvider("server", mechanism="EXTERNAL")


async def test_without_tls_a_provider_that_requires_it_does_not_start(make):
    with pytest.raises(ConnectError, match="require_tls"):
        await make(NOWHERE, require_tls=True).start()


async def test_a_password_on_an_open_network_is_warned_of_once_for_each_broker(make, caplog):
    caplog.set_level(logging.WARNING, "aspyx.event.connection")
    provider = make(
        AWAY, password="hidden-word", failover=("also-not.invalid:2", "127.0.0.1:3"), start_timeout=0, connect_timeout=1
    )
    for _ in range(2):
        with pytest.raises(ConnectError):
            await provider.start()
    warned = [record.getMessage() for record in caplog.records if "unencrypted" in record.getMessage()]
    assert len(warned) == 2
    assert "no-such-host.invalid:1" in warned[0]
    assert "also-not.invalid:2" in warned[1]
    assert "hidden-word" not in caplog.text


async def test_a_password_that_stays_on_this_machine_is_not_warned_of(make, caplog):
    caplog.set_level(logging.WARNING, "aspyx.event.connection")
    for host in ("127.0.0.1", "localhost", "::1"):
        with pytest.raises(ConnectError):
            await make(SimpleNamespace(host=host, port=1), start_timeout=0, connect_timeout=1).start()
    assert "unencrypted" not in caplog.text


@pytest.mark.broker
async def test_hooks_are_told_once_for_each_occurrence_and_what_they_raise_ends_nothing(door, make, until, caplog):
    told = []

    def note(what, fails):
        def hook(*arguments):
            told.append(what)
            if fails:
                raise RuntimeError(f"{what} hook")

        async def later(*arguments):
            await asyncio.sleep(0)
            hook(*arguments)

        return later if what == "disconnect" else hook

    def in_vain():
        return sum(message.startswith("not connected: ") for message in caplog.messages)

    caplog.set_level(logging.DEBUG, "aspyx.event.connection")
    provider = make(door, backoff=(0.02, 0.05))
    provider.hooks = ConnectionHooks(
        on_connect=note("connect", True), on_disconnect=note("disconnect", True), on_error=note("error", True)
    )
    await provider.start()
    try:
        for _ in range(2):
            before = in_vain()
            await door.shut()
            await until(lambda: not provider.connected)
            # Some attempts in vain, of which only the first is news.
            await until(lambda before=before: in_vain() >= before + 4)
            await door.open()
            await until(lambda: provider.connected)
        assert provider.reconnects == 2
    finally:
        await provider.stop()
    assert [told.count(what) for what in ("connect", "disconnect", "error")] == [3, 2, 2]
    assert caplog.text.count("a connection hook failed") == 7
    news = [line.message for line in caplog.records if line.levelno == logging.INFO and "hook" not in line.message]
    assert [message.split(":")[0].split(" to ")[0] for message in news] == ["not connected", "connected again"] * 2
