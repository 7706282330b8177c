"""The CloudEvents SDK for Python reads what is written here, and the other way round, over HTTP and AMQP.

Where it does not do what the specification says, the specification wins, and a test says where.
"""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from cloudevents.core.bindings import amqp as sdk_amqp
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.v1.event import CloudEvent as SdkEvent

from aspyx_event.cloudevents import (
    CloudEvent,
    from_amqp,
    from_http,
    from_stomp,
    to_amqp,
    to_http,
    to_stomp,
)
from aspyx_event.exceptions import DecodeError, InvalidCloudEventError, UnknownFormatError

MOMENT = datetime(2018, 4, 5, 17, 31, 0, 123_000, tzinfo=timezone.utc)
BASE = {"id": "1", "type": "com.example.someevent", "source": "/mycontext"}
PAYLOADS = [
    ("application/json", {"a": [1, "ü", None, True, 1.5]}),
    ("application/vnd.acme.v2+json", {"a": 1}),
    ("text/plain", "Größe"),
    ("application/xml", "<x/>"),
    ("application/octet-stream", b"\xff\0"),
    (None, None),
]
ATTRIBUTES = {"subject": 'Größe "5" 100%', "time": MOMENT, "dataschema": "http://example.org/s#p", "tenant": "blue"}


def ours(content_type, data) -> CloudEvent:
    given = {} if data is None else {"datacontenttype": content_type, "data": data}
    return CloudEvent(**BASE, **ATTRIBUTES, **given)


def theirs(content_type, data) -> SdkEvent:
    given = {} if content_type is None else {"datacontenttype": content_type}
    return SdkEvent({"specversion": "1.0", **BASE, **ATTRIBUTES, **given}, data)


def same(theirs: SdkEvent, ours: CloudEvent) -> bool:
    return CloudEvent(**theirs.get_attributes(), data=theirs.get_data()) == ours


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize(("content_type", "data"), PAYLOADS)
def test_the_sdk_reads_our_http(content_type, data, mode):
    message = to_http(ours(content_type, data), mode)
    assert same(sdk_http.from_http_event(sdk_http.HTTPMessage(message.headers, message.body)), ours(content_type, data))


@pytest.mark.parametrize("write", [sdk_http.to_binary_event, sdk_http.to_structured_event])
@pytest.mark.parametrize(("content_type", "data"), PAYLOADS)
def test_we_read_the_http_of_the_sdk(content_type, data, write):
    message = write(theirs(content_type, data))
    assert from_http(message.headers, message.body) == ours(content_type, data)


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
@pytest.mark.parametrize(("content_type", "data"), PAYLOADS)
def test_the_sdk_reads_our_amqp(content_type, data, prefix, mode):
    message = to_amqp(ours(content_type, data), mode, prefix=prefix)
    properties = {} if message.content_type is None else {"content-type": message.content_type}
    read = sdk_amqp.from_amqp_event(sdk_amqp.AMQPMessage(properties, message.application_properties, message.body))
    assert same(read, ours(content_type, data))


@pytest.mark.parametrize("write", [sdk_amqp.to_binary_event, sdk_amqp.to_structured_event])
@pytest.mark.parametrize(("content_type", "data"), PAYLOADS)
def test_we_read_the_amqp_of_the_sdk(content_type, data, write):
    message = write(theirs(content_type, data))
    content = message.properties.get("content-type")
    assert from_amqp(content, message.application_properties, message.application_data) == ours(content_type, data)


def test_native_values_of_amqp_pass_both_ways():
    native = {"flag": True, "count": -5, "blob": b"\0"}
    message = to_amqp(CloudEvent(**BASE, **native))
    assert {name: message.application_properties[f"cloudEvents_{name}"] for name in native} == native
    read = sdk_amqp.from_amqp_event(
        sdk_amqp.AMQPMessage({}, message.application_properties, message.body),
    )
    assert {name: read.get_extension(name) for name in native} == native
    back = sdk_amqp.to_binary_event(read)
    assert from_amqp(None, back.application_properties, b"").extensions == native


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize(("content_type", "data"), PAYLOADS)
def test_stomp_has_the_names_of_amqp_and_values_as_strings(content_type, data, mode):
    event = ours(content_type, data)
    message = to_stomp(event, mode)
    assert all(isinstance(value, str) for value in message.headers.values())
    assert from_stomp(message.headers, message.body) == event
    properties = {name: value for name, value in message.headers.items() if name != "content-type"}
    read = sdk_amqp.from_amqp_event(
        sdk_amqp.AMQPMessage({name: message.headers[name] for name in ("content-type",) if name in message.headers}, properties, message.body)
    )  # fmt: skip
    assert same(read, event)


# Where the SDK (2.2.0) is not the specification.


def test_deviation_the_sdk_writes_a_json_string_without_its_quotes():
    """HTTP binding 2.2 and JSON format 3.2: the body is a JSON text, so that a string has quotes."""
    assert sdk_http.to_binary_event(theirs("application/json", "text")).body == b"text"
    assert to_http(ours("application/json", "text")).body == b'"text"'
    message = sdk_http.to_binary_event(theirs("application/json", "text"))
    with pytest.raises(DecodeError, match="application/json"):
        from_http(message.headers, message.body)


def test_deviation_the_sdk_takes_text_for_json_that_is_broken():
    """JSON format 3.2: "this would have been an invalid event because the content could not be decoded"."""
    headers = to_http(ours("application/json", {})).headers
    assert sdk_http.from_http_event(sdk_http.HTTPMessage(headers, b"{broken")).get_data() == "{broken"
    with pytest.raises(DecodeError):
        from_http(headers, b"{broken")


def test_deviation_the_sdk_guesses_where_there_is_no_content_type():
    """JSON format 3.1.2 and 3.2: without one no assumption is made of the bytes."""
    headers = to_http(ours(None, None)).headers
    assert sdk_http.from_http_event(sdk_http.HTTPMessage(headers, b'{"a":1}')).get_data() == {"a": 1}
    assert from_http(headers, b'{"a":1}').data == b'{"a":1}'


def test_deviation_the_sdk_leaves_the_implied_media_type_out():
    """JSON format 3.1.2: re-serialised in a binding, the implied application/json is to be stated."""
    event = theirs(None, {"a": 1})
    assert "content-type" not in sdk_http.to_binary_event(event).headers
    assert to_http(CloudEvent(**BASE, data={"a": 1})).headers["content-type"] == "application/json"


def test_deviation_the_sdk_takes_headers_for_the_sign_of_binary_mode():
    """HTTP binding 3: the content type alone tells the mode; 3.2.3 allows the headers in structured mode."""
    structured = to_http(ours("application/json", {"a": 1}), "structured")
    headers = {**structured.headers, "ce-id": "other", "ce-type": "x", "ce-source": "/x", "ce-specversion": "1.0"}
    assert sdk_http.from_http_event(sdk_http.HTTPMessage(headers, structured.body)).get_id() == "other"
    assert from_http(headers, structured.body).id == "1"


def test_deviation_the_sdk_reads_any_content_type_as_its_one_format():
    """HTTP binding 3: a format that is not known is not read."""
    message = sdk_http.HTTPMessage(
        {"content-type": "application/cloudevents+avro"}, to_http(ours(None, None), "structured").body
    )
    assert sdk_http.from_http_event(message).get_id() == "1"
    with pytest.raises(UnknownFormatError):
        from_http(message.headers, message.body)


def test_deviation_the_sdk_replaces_what_is_no_utf_8_and_keeps_quotes():
    """HTTP binding 3.1.3.2: such bytes MUST be rejected, and quoted strings MUST be unescaped."""
    headers = {**to_http(ours(None, None)).headers, "ce-tenant": "%C0%A0"}
    assert sdk_http.from_http_event(sdk_http.HTTPMessage(headers, b"")).get_extension("tenant") == "\ufffd\ufffd"
    with pytest.raises(InvalidCloudEventError, match="UTF-8"):
        from_http(headers, b"")
    headers["ce-tenant"] = '"blue sky"'
    assert sdk_http.from_http_event(sdk_http.HTTPMessage(headers, b"")).get_extension("tenant") == '"blue sky"'
    assert from_http(headers, b"").extensions == {"tenant": "blue sky"}


def test_deviation_the_sdk_writes_bytes_and_booleans_of_extensions_as_python_does():
    """Specification, type system: canonical strings are base64, and true and false in lower case."""
    event = SdkEvent({"specversion": "1.0", **BASE, "flag": True, "blob": b"\0"})
    assert sdk_http.to_binary_event(event).headers["ce-flag"] == "True"
    headers = to_http(CloudEvent(**BASE, flag=True, blob=b"\0")).headers
    assert (headers["ce-flag"], headers["ce-blob"]) == ("true", "AA==")


def test_deviation_the_sdk_loses_an_explicit_null():
    """JSON format 3.1.1: null is a payload, distinct from none."""
    event = CloudEvent(**BASE, datacontenttype="application/json", data=None)
    read = sdk_http.from_structured_event(sdk_http.HTTPMessage(*to_http(event, "structured")))
    assert sdk_http.to_binary_event(read).body == b""
    assert from_http(*to_http(event)).has_data


def test_deviation_the_sdk_invents_what_is_required():
    """Specification, required attributes: an event without an id is none."""
    headers = {"ce-specversion": "1.0", "ce-type": "x", "ce-source": "/x"}
    assert sdk_http.from_http_event(sdk_http.HTTPMessage(headers, b"")).get_id()
    with pytest.raises(InvalidCloudEventError, match="id"):
        from_http(headers, b"")


def test_deviation_the_sdk_takes_any_version_and_any_value():
    """Specification, type system: values have the types that are listed, an Integer has 32 bits."""
    assert SdkEvent({"specversion": "1.0", **BASE, "count": 2**40, "list": [1]}).get_extension("count") == 2**40
    with pytest.raises(ValueError, match="count"):
        CloudEvent(**BASE, count=2**40)


def test_deviation_the_sdk_writes_amqp_times_as_numbers():
    """AMQP binding 3.1.3.2: a timestamp, or a canonical string. Numbers are read nevertheless."""
    message = sdk_amqp.to_binary_event(theirs(None, None))
    assert message.application_properties["cloudEvents_time"] == int(MOMENT.timestamp() * 1000)
    assert from_amqp(None, message.application_properties, b"").time == MOMENT
    assert to_amqp(ours(None, None)).application_properties["cloudEvents_time"] == "2018-04-05T17:31:00.123000Z"
