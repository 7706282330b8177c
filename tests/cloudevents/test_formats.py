"""The JSON format, its batches, and payloads by media type, by the rules and examples of the specification."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from aspyx_event.cloudevents import (
    JSON_FORMAT,
    CloudEvent,
    JSONFormat,
    MediaType,
    from_http,
    register_coder,
    register_format,
    to_http,
)
from aspyx_event.cloudevents.data import _coders
from aspyx_event.cloudevents.formats import _formats
from aspyx_event.exceptions import DecodeError, EncodeError, InvalidCloudEventError, UnknownFormatError

BASE = {"specversion": "1.0", "id": "1", "type": "com.example.someevent", "source": "/mycontext"}
EXTENSIONS = {"comexampleextension1": "value", "comexampleothervalue": 5}


def written(event: CloudEvent) -> dict[str, Any]:
    return json.loads(JSON_FORMAT.encode(event))


def read(**members: Any) -> CloudEvent:
    return JSON_FORMAT.decode(json.dumps({**BASE, **members}).encode())


@dataclass
class Price:
    amount: Decimal


def test_an_event_is_written_as_one_json_object():
    event = CloudEvent(
        **BASE, time="2018-04-05T17:31:00Z", datacontenttype="application/json", data={"a": 1}, **EXTENSIONS
    )
    assert JSON_FORMAT.encode(event).decode() == (
        '{"id":"1","source":"/mycontext","specversion":"1.0","type":"com.example.someevent","time":"2018-04-05T17:31:00Z",'
        '"datacontenttype":"application/json","comexampleextension1":"value","comexampleothervalue":5,"data":{"a":1}}'
    )


@pytest.mark.parametrize("content_type", [None, "application/json", "text/json", "application/geo+json; v=1", "a/JSON"])
@pytest.mark.parametrize("data", [{"a": [1, None]}, [], "I'm just a string", "{}", 1.5, 0, False])
def test_json_data_stays_a_json_value(content_type, data):
    event = CloudEvent(**BASE, time=None, datacontenttype=content_type, data=data)
    members = written(event)
    assert members["data"] == data
    assert members.get("datacontenttype") == content_type
    assert JSON_FORMAT.decode(JSON_FORMAT.encode(event)) == event


def test_bytes_become_base64_and_keep_their_media_type():
    for content_type in (None, "application/vnd.apache.thrift.binary", "application/json"):
        members = written(CloudEvent(**BASE, datacontenttype=content_type, data=b"\xff\0"))
        assert members["data_base64"] == "/wA="
        assert "data" not in members
        assert members.get("datacontenttype") == content_type


def test_text_of_another_media_type_is_a_string():
    event = CloudEvent(**BASE, datacontenttype="application/xml", data='<much wow="xml"/>')
    assert written(event)["data"] == '<much wow="xml"/>'
    assert JSON_FORMAT.decode(JSON_FORMAT.encode(event)) == event


def test_dataclasses_and_decimals_are_written_as_pydantic_writes_them():
    assert written(CloudEvent(**BASE, data=Price(Decimal("9.90"))))["data"] == {"amount": "9.90"}


@pytest.mark.parametrize("data", [float("nan"), float("inf"), {"a": object()}, {(1, 2): 3}, "\ud800"])
def test_data_that_json_does_not_have_is_an_encode_error(data):
    with pytest.raises(EncodeError, match="cannot be encoded"):
        JSON_FORMAT.encode(CloudEvent(**BASE, data=data))


# The examples of the JSON event format, section 3.2.
@pytest.mark.parametrize(
    ("members", "data", "content_type", "body"),
    [
        (
            {"datacontenttype": "application/vnd.apache.thrift.binary", "data_base64": "AAH/"},
            b"\0\1\xff",
            "application/vnd.apache.thrift.binary",
            b"\0\1\xff",
        ),
        (
            {"unsetextension": None, "datacontenttype": "application/xml", "data": '<much wow="xml"/>'},
            '<much wow="xml"/>',
            "application/xml",
            b'<much wow="xml"/>',
        ),
        (
            {"subject": None, "datacontenttype": "application/json", "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True}},
            {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
            "application/json",
            b'{"appinfoA":"abc","appinfoB":123,"appinfoC":true}',
        ),
        ({"subject": None, "datacontenttype": "application/json", "data": 1.5}, 1.5, "application/json", b"1.5"),
        ({"data": "I'm just a string"}, "I'm just a string", "application/json", b'"I\'m just a string"'),
        ({"data_base64": "eyAieHl6IjogMTIzIH0="}, b'{ "xyz": 123 }', None, b'{ "xyz": 123 }'),
    ],
)  # fmt: skip
def test_the_examples_of_the_json_format_are_re_encoded_over_http_as_it_says(members, data, content_type, body):
    event = read(time="2018-04-05T17:31:00Z", **EXTENSIONS, **members)
    assert event.data == data
    assert event.extensions == EXTENSIONS
    message = to_http(event)
    assert message.headers.get("content-type") == content_type
    assert message.headers["ce-comexampleothervalue"] == "5"
    assert not {"ce-subject", "ce-unsetextension", "ce-datacontenttype"} & set(message.headers)
    assert message.body == body
    assert from_http(message.headers, message.body) == event


def test_what_is_absent_stays_absent_and_null_is_absent():
    for event in (read(), read(time=None, subject=None, tenant=None, dataschema=None, data_base64=None)):
        assert event.attributes == BASE
        assert not event.has_data


def test_a_media_type_may_stand_without_data():
    assert read(datacontenttype="application/json").datacontenttype == "application/json"
    assert not read(datacontenttype="application/json").has_data


def test_an_explicit_null_is_data():
    event = read(data=None)
    assert event.has_data
    assert to_http(event).body == b"null"
    assert from_http(*to_http(event)) == event
    assert written(event)["data"] is None


def test_base64_is_read_by_its_media_type_where_there_is_one():
    assert read(data_base64="AAH/").data == b"\0\1\xff"
    assert read(data_base64=base64.b64encode(b'{"a":1}').decode(), datacontenttype="application/json").data == {"a": 1}
    latin = base64.b64encode("é".encode("latin-1")).decode()
    assert read(data_base64=latin, datacontenttype="text/plain; charset=latin-1").data == "é"
    with pytest.raises(DecodeError, match="text/plain"):
        read(data_base64=latin, datacontenttype="text/plain")
    assert read(data_base64="", datacontenttype="text/plain").data == b""


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("value", [None, "", "  ", 5, True, [], {}])
def test_a_required_attribute_that_is_missing_or_wrong_is_named(name, value):
    with pytest.raises(InvalidCloudEventError, match=name) as caught:
        read(**{name: value})
    assert caught.value.attribute == name


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"ext": 2**31}, "ext"),
        ({"ext": 5.0}, "ext"),
        ({"ext": {"a": 1}}, "ext"),
        ({"ext": [1]}, "ext"),
        ({"Ext": "x"}, "Ext"),
        ({"my_ext": "x"}, "my_ext"),
        ({"ext": "a\nb"}, "ext"),
        ({"time": "2020-01-01T00:00:00"}, "time"),
        ({"time": 5}, "time"),
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": "2.0"}, "specversion"),
        ({"subject": ""}, "subject"),
        ({"datacontenttype": "x"}, "datacontenttype"),
        ({"datacontenttype": ""}, "datacontenttype"),
        ({"dataschema": ""}, "dataschema"),
        ({"data": 1, "data_base64": "AA=="}, "data_base64"),
        ({"data_base64": "A"}, "data_base64"),
        ({"data_base64": "A A="}, "data_base64"),
        ({"data_base64": "_-8="}, "data_base64"),
        ({"data_base64": 5}, "data_base64"),
        ({"datacontenttype": "text/plain", "data": {"a": 1}}, "data"),
        ({"datacontenttype": "application/xml", "data": 5}, "data"),
    ],
)
def test_a_malformed_event_is_refused_and_named(members, name):
    with pytest.raises(InvalidCloudEventError) as caught:
        read(**members)
    assert caught.value.attribute == name


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"null", b"\xff{}", '{"a":1}'.encode("utf-16"), b"{}{}", b'{"id":NaN}', json.dumps(BASE)[:-1].encode() + b',"data":NaN}', json.dumps(BASE)[:-1].encode() + b',"data":[-Infinity]}', b"[" * 100_000,
     json.dumps(BASE)[:-1].encode() + b',"id":"2"}'],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(body):
    with pytest.raises(InvalidCloudEventError):
        JSON_FORMAT.decode(body)


def test_a_batch_is_an_array_of_events():
    events = [read(data=1), read(id="2", type="other", data_base64="AA=="), read(id="3")]
    assert JSON_FORMAT.decode_batch(JSON_FORMAT.encode_batch(events)) == events
    assert JSON_FORMAT.encode_batch([]) == b"[]"
    assert JSON_FORMAT.decode_batch(b"[]") == []


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({}, "array"),
        ([BASE, 5], "event 1"),
        ([BASE, [BASE]], "event 1"),
        ([BASE, {**BASE, "specversion": "0.3"}], "event 1.*0.3"),
        ([{**BASE, "id": ""}], "event 0.*id"),
        (
            [BASE, BASE, {**BASE, "datacontenttype": "application/json", "data_base64": "ew=="}],
            "event 2.*application/json",
        ),
    ],
)
def test_a_batch_with_one_bad_event_is_refused_whole_and_the_event_named(batch, message):
    with pytest.raises(DecodeError, match=message):
        JSON_FORMAT.decode_batch(json.dumps(batch).encode())


def test_raw_data_is_bytes_in_its_media_type():
    raw = JSON_FORMAT.decode(json.dumps({**BASE, "data": {"a": 1}}).encode(), raw=True)
    assert (raw.data, raw.datacontenttype) == (b'{"a":1}', "application/json")
    text = {**BASE, "data": "é", "datacontenttype": "text/plain; charset=latin-1"}
    assert JSON_FORMAT.decode(json.dumps(text).encode(), raw=True).data == b"\xe9"
    for charset, data in (("ascii", "é"), ("nonsense", "e")):
        with pytest.raises(DecodeError, match="text/plain"):
            JSON_FORMAT.decode(
                json.dumps({**text, "data": data, "datacontenttype": f"text/plain; charset={charset}"}).encode(),
                raw=True,
            )


def test_a_format_knows_its_media_types():
    assert JSON_FORMAT.content_type == "application/cloudevents+json"
    assert JSON_FORMAT.batch_content_type == "application/cloudevents-batch+json"


class LinesFormat(JSONFormat):
    """JSON with a line in front of it."""

    content_type = "application/cloudevents+lines"
    batch_content_type = ""

    def encode(self, event: CloudEvent) -> bytes:
        return b"lines\n" + super().encode(event)

    def decode(self, encoded: bytes, *, raw: bool = False) -> CloudEvent:
        return super().decode(encoded.removeprefix(b"lines\n"), raw=raw)


def test_a_format_of_ones_own_is_read_and_written():
    event = read(data={"a": 1})
    message = to_http(event, "structured", format=LinesFormat())
    with pytest.raises(UnknownFormatError, match=r"cloudevents\+lines"):
        from_http(*message)
    register_format(LinesFormat())
    try:
        assert message.body.startswith(b"lines\n")
        assert from_http({"Content-Type": "Application/CloudEvents+Lines; charset=utf-8"}, message.body) == event
    finally:
        del _formats["application/cloudevents+lines"]


class CsvCoder:
    """Rows of fields."""

    def encode(self, data: Any, media_type: MediaType) -> bytes:
        return "\n".join(",".join(row) for row in data).encode()

    def decode(self, encoded: bytes, media_type: MediaType) -> Any:
        if b"," not in encoded:
            raise ValueError("no comma")
        return [line.split(",") for line in encoded.decode().split("\n")]


def test_a_coder_of_ones_own_writes_and_reads_its_media_type():
    event = CloudEvent(**BASE, datacontenttype="text/csv", data=[["a", "b"], ["c", "d"]])
    with pytest.raises(EncodeError, match="text/csv"):
        to_http(event)
    register_coder("text/csv", CsvCoder())
    try:
        assert to_http(event).body == event.encoded_data == b"a,b\nc,d"
        assert from_http(*to_http(event)) == event
        assert JSON_FORMAT.decode(JSON_FORMAT.encode(event)) == event
        assert read(datacontenttype="text/csv", data="a,b").data == [["a", "b"]]
        with pytest.raises(DecodeError, match="no comma"):
            read(datacontenttype="text/csv", data="ab")
    finally:
        del _coders["text/csv"]


@pytest.mark.parametrize(
    ("content_type", "data", "encoded"),
    [
        ("text/plain; charset=us-ascii", "Hello", b"Hello"),
        ("text/plain; charset=utf-8", "Hello, \U0001f30e!", "Hello, \U0001f30e!".encode()),
        ("text/plain; charset=iso-8859-1", "é", b"\xe9"),
        ("application/xml; charset=utf-8", "<msg>\U0001f30e</msg>", "<msg>\U0001f30e</msg>".encode()),
        ("image/svg+xml", "<svg/>", b"<svg/>"),
        ("application/json; charset=utf-16", ["é"], '["é"]'.encode("utf-16")),
        ("application/octet-stream", b"\xff", b"\xff"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
        ("application/xml", b"<?xml version='1.0' encoding='latin-1'?>\xe9", b"<?xml version='1.0' encoding='latin-1'?>\xe9"),
    ],
)  # fmt: skip
def test_data_is_encoded_by_its_media_type_and_read_back(content_type, data, encoded):
    event = CloudEvent(**BASE, datacontenttype=content_type, data=data)
    assert event.encoded_data == encoded
    assert from_http(*to_http(event)) == event


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("text/plain", {"a": 1}),
        ("text/plain; charset=ascii", "é"),
        ("text/plain; charset=klingon", "x"),
        ("image/png", {"a": 1}),
    ],
)
def test_data_that_does_not_fit_its_media_type_is_an_encode_error(content_type, data):
    with pytest.raises(EncodeError):
        _ = CloudEvent(**BASE, datacontenttype=content_type, data=data).encoded_data
