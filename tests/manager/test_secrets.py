"""No repr, error, log line, health or document shows a password or a token: all public objects, each with a secret."""

from __future__ import annotations

import logging
import traceback
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import AMQPProvider, EventConfiguration, EventManager, LocalProvider, StompProvider
from aspyx_event.database import SqlEventStore, SqlInboxStore
from aspyx_event.http import SharedSecret, Signature
from aspyx_event.masking import masked_url
from aspyx_event.providers.settings import ConnectionSettings
from aspyx_event.reactions import webhook

SECRET = "s3cr3t"
#: Characters that should have been percent-encoded, as people write them.
PASSWORDS = [SECRET, f"a/{SECRET}", f"a?{SECRET}", f"a#{SECRET}", f"{SECRET}@b", f"a:{SECRET}", f"://{SECRET}"]


def database(password):
    return f"postgresql://user:{password}@localhost:1/shop?password={SECRET}"


def hook(password):
    return f"https://user:{password}@example.org/hooks?token={SECRET}#{SECRET}"


OBJECTS = {
    "AMQPProvider": lambda p: AMQPProvider("s", password=p),
    "StompProvider": lambda p: StompProvider(password=p),
    "servers": lambda p: AMQPProvider("s", user="u", password=p).servers,
    "ConnectionSettings": lambda p: ConnectionSettings(protocol="AMQP", host="h", port=1, password=p),
    "EventManager": lambda p: EventManager(AMQPProvider("s", password=p), store=SqlEventStore(database(p))),
    "EventManager.store": lambda p: EventManager(LocalProvider(), store=SqlEventStore(database(p))).store,
    "EventManager.stats": lambda p: EventManager(AMQPProvider("s", password=p)).stats,
    "EventManager.configuration": lambda p: (
        EventManager(LocalProvider(), configuration=EventConfiguration(persistence_backend=database(p))).configuration
    ),
    "EventConfiguration": lambda p: EventConfiguration(persist=True, persistence_backend=database(p)),
    "EventConfiguration.make_store": lambda p: EventConfiguration(
        persist=True, persistence_backend=database(p)
    ).make_store(),
    "SqlEventStore": lambda p: SqlEventStore(database(p)),
    "SqlInboxStore": lambda p: SqlInboxStore(database(p)),
    "webhook": lambda p: webhook(hook("pw"), headers={"Authorization": p}, params={"key": p}, signature=Signature(p)),
    "webhook options": lambda p: (
        webhook(hook("pw"), headers={"Authorization": p}, params={"key": p}, signature=Signature(p))._options
    ),
    "webhook URL": lambda p: webhook(f"https://user:{SECRET}@example.org/"),
    "chat webhook": lambda p: webhook(f"https://hooks.example.org/services/T01/{'x' * 20}{SECRET}"),
    "SharedSecret": SharedSecret,
    "Signature": Signature,
}

ERRORS = {
    "host is a URL": lambda p: AMQPProvider("s", host=f"amqp://user:{p}@broker"),
    "host has a query": lambda p: AMQPProvider("s", host=f"broker/?password={SECRET}"),
    "failover is a URL": lambda p: StompProvider(failover=[f"stomp://user:{p}@broker:61613"]),
    "webhook without scheme": lambda p: webhook(f"user:{p}@example.org"),
    "webhook without host": lambda p: webhook(f"https://user:{p}@"),
    "webhook with a bad port": lambda p: webhook(f"https://user:{p}@host:port/"),
    "backend without scheme": lambda p: EventConfiguration(
        persist=True, persistence_backend=f"user:{p}@host/shop"
    ).make_store(),
    "backend at the wrong key": lambda p: EventConfiguration.from_mapping({"events": {"persist": database(p)}}),
    "backends in a list": lambda p: EventConfiguration.from_mapping({"events": {"persistence_backend": [database(p)]}}),
    "store without scheme": lambda p: SqlEventStore(f"user:{p}@host"),
}

STARTS = {
    "no server": lambda p: database("pw"),
    "no driver": lambda p: f"nothing+such://user:{p}@host/shop",
    "bad port": lambda p: f"postgresql://user@host:{SECRET}/shop",
    "database in memory": lambda p: f"sqlite+aiosqlite://user:{SECRET}@/:memory:?key={SECRET}",
}


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("name", OBJECTS)
def test_a_repr_shows_no_secret(name, password):
    made = OBJECTS[name](password)
    for text in (repr(made), str(made), f"{made}"):
        assert SECRET not in text


@pytest.mark.parametrize("password", [password for password in PASSWORDS if "://" not in password])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_shows_no_secret(name, password):
    with pytest.raises(Exception) as caught:
        ERRORS[name](password)
    assert type(caught.value).__module__.startswith("aspyx_event")
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))
    causes = traceback.TracebackException.from_exception(caught.value)
    while causes is not None:
        assert SECRET not in str(causes)
        causes = causes.__cause__ or (None if causes.__suppress_context__ else causes.__context__)


@pytest.mark.parametrize("name", STARTS)
async def test_a_store_that_does_not_start_shows_no_secret(name, caplog):
    caplog.set_level(logging.DEBUG)
    manager = EventManager(LocalProvider(), store=SqlEventStore(STARTS[name](SECRET), timeout=1.0), persist=True)
    try:
        with pytest.raises(Exception) as caught:
            await manager.start()
        assert type(caught.value).__module__.startswith("aspyx_event")
        assert SECRET not in str(caught.value)
        assert SECRET not in caplog.text
    finally:
        await manager.stop()


async def test_a_broker_that_is_away_shows_no_secret_in_errors_logs_and_health(caplog):
    caplog.set_level(logging.DEBUG)
    for provider in (
        AMQPProvider("s", port=1, user="user", password=SECRET, start_timeout=0),
        StompProvider(port=1, user="user", password=SECRET, start_timeout=0),
    ):
        manager = EventManager(provider)
        with pytest.raises(Exception) as caught:
            await manager.start()
        health = await manager.health()
        texts = [str(caught.value), str(health.as_dict()), repr(health), repr(manager), caplog.text]
        assert not [text for text in texts if SECRET in text]
        assert SECRET not in str([asdict(server) for server in provider.servers])
        await manager.stop()


@given(st.text(max_size=30), st.sampled_from(["https://", "postgresql+asyncpg://", ""]), st.text(max_size=10))
def test_whatever_precedes_the_last_at_sign_is_masked(password, scheme, rest):
    rest = rest.replace("@", "")
    assert masked_url(f"{scheme}user:{password}@{rest}") == masked_url(f"{scheme}@{rest}")
    assert masked_url(f"{scheme}user:{password}@{rest}").startswith(f"{scheme}***@")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://example.org/hooks/orders", "https://example.org/hooks/orders"),
        ("https://u:p@example.org:80/a?b=c#d", "https://***@example.org:80/a?***"),
        ("sqlite:///events.db", "sqlite:///events.db"),
        ("https://example.org/" + "x" * 20, "https://example.org/***"),
        ("shop.stores.OrderStore", "shop.stores.OrderStore"),
        ("a\nb", "a\\nb"),
        (None, "<NoneType>"),
    ],
)
def test_a_masked_url_is_still_of_use(url, masked):
    assert masked_url(url) == masked
