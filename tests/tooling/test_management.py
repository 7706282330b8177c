"""The management helper counts and changes what is really on the broker."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aspyx_event.testing import ArtemisBroker, BrokerConfig, Management, ManagementError

pytestmark = pytest.mark.broker


def send(broker, address, *bodies):
    """Send with a plain client, so that the helper is not measured with itself."""
    from proton import Message
    from proton.utils import BlockingConnection

    connection = BlockingConnection(
        f"amqp://{broker.where}", timeout=10, user=broker.user, password=broker.password, allowed_mechs="PLAIN"
    )
    try:
        sender = connection.create_sender(address)
        for body in bodies:
            sender.send(Message(body=body, durable=True))
    finally:
        connection.close()


def test_messages_are_counted_and_gone_with_their_queue(broker, management, unique):
    management.create_queue(f"{unique}.q", unique)
    assert management.messages(f"{unique}.q") == 0
    send(broker, unique, "a", "b", "c")
    assert management.messages(f"{unique}.q") == 3
    assert management.queues_of(unique) == [f"{unique}.q"]
    management.destroy_queue(f"{unique}.q")
    assert management.queues_of(unique) == []
    assert management.messages(f"{unique}.q") == 0


def test_a_name_that_contains_another_is_not_confused_with_it(management, unique):
    management.create_queue(f"{unique}.long", unique)
    assert management.describe(unique) == {}
    assert management.queues_of(f"{unique}.lo") == []
    management.destroy_queue(f"{unique}.long")


def test_consumers_and_connections_are_seen_and_can_be_closed(broker, management, unique):
    from proton import ConnectionException
    from proton.reactor import Container
    from proton.utils import BlockingConnection

    container = Container()
    container.container_id = unique
    connection = BlockingConnection(
        f"amqp://{broker.where}",
        timeout=10,
        user=broker.user,
        password=broker.password,
        allowed_mechs="PLAIN",
        container=container,
    )
    management.create_queue(f"{unique}.q", unique)
    receiver = connection.create_receiver(f"{unique}::{unique}.q", credit=0)
    assert management.consumers(f"{unique}.q") == 1
    assert [row for row in management.connections(broker.user) if row["clientID"] == unique]
    assert management.close_connections(unique) == 1
    with pytest.raises(ConnectionException):
        receiver.receive(timeout=5)
    assert management.close_connections(unique) == 0
    management.destroy_queue(f"{unique}.q")


def test_a_refusal_of_the_broker_is_an_error_that_names_the_call(management, unique):
    with pytest.raises(ManagementError, match=f"destroyQueue.*{unique}"):
        management.destroy_queue(unique)


def test_queues_are_removed_by_a_part_of_their_names_also_while_others_remove_them(broker, management, unique):
    names = [f"{unique}.{number}" for number in range(30)]
    for name in [*names, f"other-{unique[::-1]}"]:
        management.create_queue(name)
    with Management(broker) as second, ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one.destroy_queues, unique) for one in (management, second)]:
            done.result(timeout=60)
    assert not [name for name in management.queues() if unique in name]
    assert f"other-{unique[::-1]}" in management.queues()
    management.destroy_queue(f"other-{unique[::-1]}")


def test_closing_all_connections_of_the_administrator_spares_nobody_and_is_survived(own_broker):
    own = own_broker()
    with Management(own) as management:
        management.close_user_connections(own.user)
        assert "DLQ" in management.queues()


def test_closing_a_connection_that_the_broker_has_closed_leaves_no_thread_behind(own_broker):
    broker = own_broker()
    with Management(broker) as observer, Management(broker) as management:
        known = {row["connectionID"] for row in observer.connections()}
        management.queues()
        (mine,) = {row["connectionID"] for row in observer.connections()} - known
        observer.op("broker", "closeConnectionWithID", mine)
        management.close()
        left = [thread for thread in threading.enumerate() if thread.name == "close management connection"]
        assert not left, "it turns idly"


def test_a_frozen_broker_does_not_hold_up_the_close(own_broker):
    own = own_broker()
    management = Management(own)
    assert "DLQ" in management.queues()
    own.freeze()
    management.close()
    own.thaw()


def test_a_wrong_password_is_refused_and_not_shown(broker):
    stranger = ArtemisBroker(BrokerConfig(user="nobody", password="guessed-wrong"), None, port=broker.port)
    with Management(stranger) as calls, pytest.raises(ManagementError, match="unauthorized") as caught:
        calls.queues()
    assert "guessed-wrong" not in str(caught.value)
