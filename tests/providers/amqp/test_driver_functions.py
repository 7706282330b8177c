"""The undocumented functions of `cproton` that are called per message do what proton's documented classes do.

The driver is pinned to a minor version; where a new one changes a function, this names it.
"""

from __future__ import annotations

import cproton as pn
import pytest
from proton import Collector, Connection, Delivery, Event, Link, Session, Transport


class Pair:
    """Two connections, wired to each other in memory."""

    def __init__(self):
        self.collectors = Collector(), Collector()
        self.connections = Connection(), Connection()
        self.transports = Transport(Transport.CLIENT), Transport(Transport.SERVER)
        for collector, connection, transport in zip(self.collectors, self.connections, self.transports, strict=True):
            connection.collect(collector)
            transport.bind(connection)
        for connection in self.connections:
            connection.open()
        self.session = self.connections[0].session()
        self.session.open()
        self.sender = self.session.sender("link")
        self.sender.open()
        self.pump()
        peer = self.connections[1].session_head(0)
        peer.open()
        self.receiver = self.connections[1].link_head(0)
        self.receiver.open()
        self.pump()

    def pump(self):
        """Carry bytes until both are quiet."""
        moved = True
        while moved:
            moved = False
            for source, target in (self.transports, self.transports[::-1]):
                size = pn.pn_transport_pending(source._impl)
                if size > 0:
                    assert size == source.pending()
                    count, data = pn.pn_transport_peek(source._impl, size)
                    assert count == size
                    assert bytes(data) == source.peek(size)
                    pn.pn_transport_pop(source._impl, size)
                    assert pn.pn_transport_capacity(target._impl) == target.capacity()
                    assert pn.pn_transport_push(target._impl, bytes(data)) == size
                    moved = True

    def events(self, side):
        collector, found = self.collectors[side]._impl, []
        while not pn.isnull(event := pn.pn_collector_peek(collector)):
            found.append(event_of(event))
            pn.pn_collector_pop(collector)
        return found


def event_of(event):
    kind = pn.pn_event_type(event)
    link = delivery = None
    if kind == pn.PN_DELIVERY:
        delivery = pn.pn_event_delivery(event)
        assert pn.pn_delivery_link(delivery) == pn.pn_event_link(event)
    elif kind in (pn.PN_LINK_FLOW, pn.PN_LINK_REMOTE_OPEN, pn.PN_LINK_REMOTE_CLOSE, pn.PN_LINK_REMOTE_DETACH):
        link = pn.pn_event_link(event)
    return kind, link, delivery


@pytest.fixture
def pair():
    return Pair()


def send(pair, data, tag=b"1"):
    delivery = pn.pn_delivery(pair.sender._impl, tag)
    assert pn.pn_link_send(pair.sender._impl, data) == len(data)
    pn.pn_link_advance(pair.sender._impl)
    pair.pump()
    return delivery


def arrived(pair):
    return [delivery for *_, delivery in pair.events(1) if delivery is not None]


@pytest.mark.parametrize(
    ("name", "documented"),
    [
        ("PN_DELIVERY", Event.DELIVERY),
        ("PN_LINK_FLOW", Event.LINK_FLOW),
        ("PN_LINK_REMOTE_OPEN", Event.LINK_REMOTE_OPEN),
        ("PN_LINK_REMOTE_CLOSE", Event.LINK_REMOTE_CLOSE),
        ("PN_LINK_REMOTE_DETACH", Event.LINK_REMOTE_DETACH),
        ("PN_SESSION_REMOTE_OPEN", Event.SESSION_REMOTE_OPEN),
        ("PN_SESSION_REMOTE_CLOSE", Event.SESSION_REMOTE_CLOSE),
        ("PN_CONNECTION_REMOTE_CLOSE", Event.CONNECTION_REMOTE_CLOSE),
        ("PN_TRANSPORT_ERROR", Event.TRANSPORT_ERROR),
    ],
)
def test_event_numbers_are_those_of_the_event_class(name, documented):
    assert getattr(pn, name) == documented.number


@pytest.mark.parametrize("name", ["ACCEPTED", "REJECTED", "RELEASED", "MODIFIED"])
def test_outcome_numbers_are_those_of_the_delivery_class(name):
    assert getattr(pn, f"PN_{name}") == getattr(Delivery, name)


def test_credit_is_granted_counted_and_taken_back(pair):
    pn.pn_link_flow(pair.receiver._impl, 10)
    pair.pump()
    assert pn.pn_link_credit(pair.sender._impl) == pair.sender.credit == 10
    assert pn.pn_link_credit(pair.receiver._impl) == pair.receiver.credit == 10
    send(pair, b"x")
    assert pn.pn_link_queued(pair.receiver._impl) == pair.receiver.queued == 1
    pn.pn_link_flow(pair.receiver._impl, 1 - pn.pn_link_credit(pair.receiver._impl))
    pair.pump()
    assert pn.pn_link_credit(pair.sender._impl) == pair.sender.credit == 0
    assert pair.receiver.credit == 1
    assert [event for event in pair.events(0) if event[0] == pn.PN_LINK_FLOW]


def test_a_sent_message_is_received_with_its_bytes(pair):
    pair.receiver.flow(10)
    pair.pump()
    pair.events(1)
    sent = send(pair, b"some bytes")
    assert Delivery(sent).tag == "1"
    (handle,) = arrived(pair)
    wrapper = Delivery(handle)
    assert pn.pn_delivery_readable(handle) == wrapper.readable is True
    assert pn.pn_delivery_partial(handle) == wrapper.partial is False
    assert pn.pn_delivery_aborted(handle) == wrapper.aborted is False
    assert pn.pn_delivery_pending(handle) == wrapper.pending == 10
    assert pn.pn_delivery_link(handle) == pair.receiver._impl == wrapper.link._impl
    count, data = pn.pn_link_recv(pair.receiver._impl, 10)
    assert (count, bytes(data)) == (10, b"some bytes")
    pn.pn_link_advance(pair.receiver._impl)
    assert pair.receiver.credit == 9
    assert not wrapper.readable or pair.receiver.current is None


@pytest.mark.parametrize("outcome", [pn.PN_ACCEPTED, pn.PN_RELEASED, pn.PN_MODIFIED])
def test_an_outcome_reaches_the_sender(pair, outcome):
    pair.receiver.flow(10)
    pair.pump()
    pair.events(1)
    sent = send(pair, b"x")
    (handle,) = arrived(pair)
    pair.receiver.recv(1)
    pn.pn_link_advance(pair.receiver._impl)
    if outcome == pn.PN_MODIFIED:
        pn.pn_disposition_set_failed(pn.pn_delivery_local(handle), True)
        assert Delivery(handle).local.failed is True
    pn.pn_delivery_update(handle, outcome)
    assert Delivery(handle).local_state == outcome
    pn.pn_delivery_settle(handle)
    pair.pump()
    assert sent in [delivery for *_, delivery in pair.events(0)]
    wrapper = Delivery(sent)
    assert pn.pn_delivery_updated(sent) == wrapper.updated is True
    assert pn.pn_delivery_remote_state(sent) == wrapper.remote_state == outcome
    assert pn.pn_delivery_settled(sent) == wrapper.settled is True
    if outcome == pn.PN_MODIFIED:
        assert wrapper.remote.failed is True


def test_a_partial_and_an_aborted_delivery_are_told_apart(pair):
    pair.receiver.flow(10)
    pair.pump()
    pair.events(1)
    handle = pn.pn_delivery(pair.sender._impl, b"1")
    pn.pn_link_send(pair.sender._impl, b"half")
    pair.pump()
    (part,) = arrived(pair)
    assert pn.pn_delivery_partial(part) == Delivery(part).partial is True
    assert bytes(pn.pn_link_recv(pair.receiver._impl, 4)[1]) == b"half"
    Delivery(handle).abort()
    pair.pump()
    (same,) = arrived(pair)
    assert same == part
    assert pn.pn_delivery_aborted(part) == Delivery(part).aborted is True
    assert pn.pn_delivery_pending(part) == Delivery(part).pending == 1


def test_the_end_of_the_events_is_false(pair):
    collector = pair.collectors[0]._impl
    pair.connections[0].session().open()
    assert pn.pn_collector_peek(collector)
    pair.events(0)
    assert not pn.pn_collector_peek(collector)
    assert pn.isnull(pn.pn_collector_peek(collector))


def test_a_handle_is_the_same_key_however_it_is_obtained(pair):
    handles = {pair.sender._impl: "sender", pair.receiver._impl: "receiver"}
    assert handles[pair.connections[0].link_head(0)._impl] == "sender"
    assert handles[pair.connections[1].link_head(0)._impl] == "receiver"


def test_the_wrappers_expose_the_handles_that_are_used(pair):
    for wrapper in (pair.collectors[0], pair.transports[0], pair.sender, pair.session):
        assert wrapper._impl is not None
    assert isinstance(pair.sender, Link)
    assert isinstance(pair.session, Session)
