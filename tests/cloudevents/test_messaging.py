"""The binding to AMQP and STOMP, and envelopes between binary and structured mode."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone

import proton
import pytest

from aspyx_event import Envelope
from aspyx_event.cloudevents import CloudEvent, from_amqp, from_envelope, from_stomp, to_amqp, to_stomp
from aspyx_event.cloudevents.messaging import to_binary, to_structured
from aspyx_event.exceptions import DecodeError, InvalidCloudEventError, UnknownFormatError

BASE = {"id": "1", "type": "com.example.someevent", "source": "/mycontext"}
PROPERTIES = {"cloudEvents_specversion": "1.0", **{f"cloudEvents_{name}": value for name, value in BASE.items()}}
MOMENT = datetime(2018, 4, 5, 17, 31, tzinfo=timezone.utc)
MILLISECONDS = 1522949460000


def test_attributes_are_application_properties_and_the_media_type_the_content_type():
    message = to_amqp(CloudEvent(**BASE, time=MOMENT, datacontenttype="text/plain", data="x", n=5))
    assert message == (
        "text/plain",
        {**PROPERTIES, "cloudEvents_time": "2018-04-05T17:31:00Z", "cloudEvents_n": 5},
        b"x",
    )


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
def test_both_prefixes_are_read(prefix):
    event = CloudEvent(**BASE, time=MOMENT, data={"a": 1}, tenant="blue")
    message = to_amqp(event, prefix=prefix)
    assert all(name.startswith(prefix) for name in message.application_properties)
    assert from_amqp(*message) == event
    stomp = {name.replace("cloudEvents_", prefix): value for name, value in to_stomp(event).headers.items()}
    assert from_stomp(stomp, b'{"a":1}') == event


def test_a_structured_message_has_no_properties():
    event = CloudEvent(**BASE, data={"a": 1})
    content_type, properties, body = to_amqp(event, "structured")
    assert (content_type, properties) == ("application/cloudevents+json", {})
    assert from_amqp("Application/CloudEvents+json; charset=utf-8", {"cloudEvents_id": "other"}, body) == event
    assert from_amqp(content_type, None, body) == event


@pytest.mark.parametrize(
    "value", [MOMENT, "2018-04-05T17:31:00Z", proton.timestamp(MILLISECONDS), MILLISECONDS, str(MILLISECONDS)]
)
def test_times_are_read_in_every_form(value):
    assert from_amqp(None, {**PROPERTIES, "cloudEvents_time": value}, b"").time == MOMENT


def test_native_types_of_the_driver_are_read():
    given = {"flag": True, "count": proton.ulong(7), "small": proton.byte(-1), "symbol": proton.symbol("x"), "due": proton.timestamp(MILLISECONDS), "blob": memoryview(b"\0"), "unset": None}  # fmt: skip
    event = from_amqp(
        proton.symbol("text/plain"),
        {**PROPERTIES, **{f"cloudEvents_{name}": value for name, value in given.items()}},
        b"x",
    )
    assert event.extensions == {"flag": True, "count": 7, "small": -1, "symbol": "x", "due": MOMENT, "blob": b"\0"}
    assert event.data == "x"


@pytest.mark.parametrize("value", [5, uuid.UUID(int=5), proton.ulong(5)])
def test_an_id_that_is_no_text_becomes_one(value):
    assert from_amqp(None, {**PROPERTIES, "cloudEvents_id": value}, b"").id == str(value)


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"cloudEvents:id": "2"}, "id"),
        ({"cloudEvents_data": "x"}, "data"),
        ({"cloudEvents_datacontenttype": "text/plain"}, "datacontenttype"),
        ({"cloudEvents_My": "x"}, "My"),
        ({"cloudEvents_n": 2**40}, "n"),
        ({"cloudEvents_n": 1.5}, "n"),
        ({"cloudEvents_n": {"a": 1}}, "n"),
        ({"cloudEvents_id": ""}, "id"),
        ({"cloudEvents_id": None}, "id"),
        ({"cloudEvents_time": 2**60}, "time"),
        ({"cloudEvents_time": True}, "time"),
        ({"cloudEvents_specversion": "0.3"}, "specversion"),
    ],
)
def test_malformed_properties_are_refused_and_named(properties, name):
    with pytest.raises(InvalidCloudEventError) as caught:
        from_amqp(None, {**PROPERTIES, **properties}, b"")
    assert caught.value.attribute == name


def test_a_batch_or_an_unknown_format_is_refused():
    for content_type in ("application/cloudevents-batch+json", "application/cloudevents+avro"):
        with pytest.raises(UnknownFormatError):
            from_amqp(content_type, PROPERTIES, b"[]")


def test_an_unknown_mode_or_prefix_is_refused():
    for write in (to_amqp, to_stomp):
        with pytest.raises(ValueError, match="mode"):
            write(CloudEvent(**BASE), "batch")
    with pytest.raises(ValueError, match="prefix"):
        to_amqp(CloudEvent(**BASE), prefix="ce-")


def test_an_envelope_gives_its_event():
    envelope = Envelope(b'{"a": 1}', {**PROPERTIES, "content-type": "application/json", "session": "alice"})
    assert from_envelope(envelope) == CloudEvent(**BASE, time=None, data={"a": 1})
    assert from_envelope(envelope, raw=True).data == b'{"a": 1}'


HEADERS = {**PROPERTIES, "cloudEvents_n": "5", "content-type": "application/json", "session": "alice"}


def test_wrapping_puts_the_attributes_into_the_body_and_leaves_other_headers():
    headers, body = to_structured(HEADERS, b'{"a": 1}')
    assert headers == {"content-type": "application/cloudevents+json", "session": "alice"}
    assert json.loads(body) == {
        **BASE,
        "specversion": "1.0",
        "n": "5",
        "datacontenttype": "application/json",
        "data": {"a": 1},
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a":1}'),
        ("application/json", b"null"),
        ("text/plain", b"x"),
        ("image/png", b"\xff"),
        ("", b"\xff"),
        ("", b""),
    ],
)
def test_unwrapping_undoes_wrapping(content_type, body):
    headers = {name: value for name, value in {**HEADERS, "content-type": content_type}.items() if value}
    assert to_binary(*to_structured(headers, body)) == (headers, body)


def test_data_that_an_interceptor_changed_survives_wrapping():
    # Compressed, say, and the content type left as it was.
    headers = HEADERS
    assert to_binary(*to_structured(headers, b"\x1f\x8b")) == (headers, b"\x1f\x8b")


def test_what_is_no_cloudevent_is_not_wrapped():
    for headers in ({"aspyx-marker": "1"}, {**HEADERS, "cloudEvents_id": ""}, {**HEADERS, "cloudEvents_My": "x"}):
        assert to_structured(headers, b"{}") == (headers, b"{}")


def test_attributes_beside_a_structured_body_do_not_count():
    headers, body = to_structured(HEADERS, b"{}")
    assert to_binary({**headers, "cloudEvents_id": "other", "cloudEvents_extra": "x"}, body) == (HEADERS, b"{}")


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+json", "application/cloudevents+avro", "application/cloudevents-batch+json"],
)
def test_a_structured_body_that_cannot_be_read_stays_as_it_is(content_type):
    headers = {"content-type": content_type, "session": "alice"}
    assert to_binary(headers, b"{broken") == (headers, b"{broken")
    with pytest.raises(DecodeError):
        from_envelope(Envelope(b"{broken", headers))
