"""`CloudEvent`: what an event may be, by the rules of the specification, and what it is equal to."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, ValidationError

from aspyx_event.cloudevents import AttributeType, CloudEvent

BASE = {"type": "co.example.sample", "source": "example"}


def test_an_event_is_made_of_keywords():
    event = CloudEvent(type="co.outcome.events.sample", source="example", data={"hello": "world"})
    assert (event.type, event.source, event.data) == ("co.outcome.events.sample", "example", {"hello": "world"})


@pytest.mark.parametrize("missing", ["type", "source"])
def test_a_missing_attribute_is_refused(missing):
    with pytest.raises(ValidationError, match=missing):
        CloudEvent(**{name: value for name, value in BASE.items() if name != missing})


@pytest.mark.parametrize("name", ["id", "type", "source", "subject", "datacontenttype", "dataschema"])
@pytest.mark.parametrize("value", ["", " ", 5, b"x"])
def test_a_blank_attribute_or_one_that_is_no_text_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        CloudEvent(**{**BASE, name: value})


@pytest.mark.parametrize("name", ["id", "type", "source"])
def test_a_required_attribute_is_not_none(name):
    with pytest.raises(ValidationError, match=name):
        CloudEvent(**{**BASE, name: None})


def test_id_time_and_version_have_defaults():
    before = datetime.now(timezone.utc)
    event = CloudEvent(**BASE)
    assert uuid.UUID(event.id).version == 4
    assert before <= event.time <= datetime.now(timezone.utc)
    assert (event.specversion, event.subject, event.data, event.datacontenttype) == ("1.0", None, None, None)
    assert CloudEvent(**BASE, time=None).time is None


@pytest.mark.parametrize("version", ["0.3", "1.1", "1", "", None, 1.0])
def test_another_version_of_the_specification_is_refused(version):
    with pytest.raises(ValidationError, match="specversion"):
        CloudEvent(**BASE, specversion=version)


def test_the_media_type_of_the_data_is_kept_as_given():
    text = "Application/JSON; CharSet=UTF-8"
    assert CloudEvent(**BASE, datacontenttype=text, data={}).datacontenttype == text
    event = CloudEvent(**BASE, id="1", time=None, datacontenttype=text, data={})
    assert event == CloudEvent(**BASE, id="1", time=None, datacontenttype="application/json;charset=utf-8", data={})
    assert event != CloudEvent(**BASE, id="1", time=None, datacontenttype="application/json;charset=latin-1", data={})


@pytest.mark.parametrize(
    "text", ["json", "application/", "/json", "a/b/c", "text/plain;", "text/plain; x", "text/plain\r\nx: y", "té/x"]
)
def test_what_is_no_media_type_is_refused(text):
    with pytest.raises(ValidationError, match="not a media type"):
        CloudEvent(**BASE, datacontenttype=text)


@pytest.mark.parametrize(
    "text",
    [
        "application/vnd.x-y.v1+json",
        "application/cloudevents-batch+json",
        'multipart/form-data; boundary="a b;c\\"d"',
        "text/plain;charset=us-ascii;format=flowed",
    ],
)
def test_media_types_have_all_the_letters_of_the_standard(text):
    assert CloudEvent(**BASE, datacontenttype=text).datacontenttype == text


def test_attributes_are_all_that_is_set_and_not_the_data():
    moment = datetime(2018, 4, 5, 17, 31, tzinfo=timezone.utc)
    event = CloudEvent(**BASE, id="1", time=moment, data={"a": 1}, tenant="blue")
    assert list(event.attributes.items()) == [
        ("id", "1"),
        ("source", "example"),
        ("specversion", "1.0"),
        ("type", "co.example.sample"),
        ("time", moment),
        ("tenant", "blue"),
    ]


def test_what_is_said_of_the_data_can_be_read():
    event = CloudEvent(**BASE, data="<x/>", datacontenttype="text/xml", dataschema="http://example.org/x.xsd#part")
    assert (event.datacontenttype, event.dataschema) == ("text/xml", "http://example.org/x.xsd#part")
    assert (CloudEvent(**BASE).datacontenttype, CloudEvent(**BASE).dataschema) == (None, None)


def test_extensions_have_the_types_of_the_specification():
    moment = datetime(2020, 2, 29, tzinfo=timezone(timedelta(hours=2)))
    event = CloudEvent(
        **BASE, flag=True, count=-5, tenant="blue", blob=bytearray(b"\0"), link=AnyUrl("http://x.org/a"), due=moment
    )
    assert event.extensions == {
        "flag": True,
        "count": -5,
        "tenant": "blue",
        "blob": b"\0",
        "link": "http://x.org/a",
        "due": moment,
    }
    assert (event.tenant, event.count) == ("blue", -5)


def test_an_extension_may_be_called_like_something_of_pydantic():
    assert CloudEvent(**BASE, copy="x", json=1, schema="s").extensions == {"copy": "x", "json": 1, "schema": "s"}


def test_an_extension_that_is_none_is_not_set():
    assert CloudEvent(**BASE, tenant=None).extensions == {}
    assert "tenant" not in CloudEvent(**BASE, tenant=None).attributes


@pytest.mark.parametrize("name", ["Tenant", "my_name", "my-name", "é", "", "data_base64", "a b", "a\n", "\uff12"])
def test_a_bad_extension_name_is_refused(name):
    with pytest.raises(ValidationError, match="attribute name"):
        CloudEvent(**BASE, **{name: "x"})
    event = CloudEvent(**BASE)
    with pytest.raises((ValueError, ValidationError)):
        setattr(event, name, "x")


@pytest.mark.parametrize(
    "value", [2**31, -(2**31) - 1, 1.5, [1], {"a": 1}, object(), "a\nb", "\ud800", "\ufffe", "\x9f"]
)
def test_a_value_outside_of_the_type_system_is_refused(value):
    with pytest.raises(ValidationError, match="ext"):
        CloudEvent(**BASE, ext=value)


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31), 0, "", "\U0001f600", "ü"])
def test_a_value_at_the_edge_of_the_type_system_is_taken(value):
    assert CloudEvent(**BASE, ext=value).extensions == {"ext": value}


def test_a_naive_time_is_refused():
    with pytest.raises(ValidationError, match="time zone"):
        CloudEvent(**BASE, time=datetime(2020, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValidationError, match="time zone"):
        CloudEvent(**BASE, due=datetime(2020, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValidationError, match="RFC 3339"):
        CloudEvent(**BASE, time="2020-01-01T00:00:00")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-04-05T17:31:00Z", datetime(2018, 4, 5, 17, 31, tzinfo=timezone.utc)),
        ("2018-04-05t17:31:00.5z", datetime(2018, 4, 5, 17, 31, 0, 500_000, tzinfo=timezone.utc)),
        ("2018-04-05T17:31:00.123456789Z", datetime(2018, 4, 5, 17, 31, 0, 123_456, tzinfo=timezone.utc)),
        ("2018-04-05T17:31:00-00:00", datetime(2018, 4, 5, 17, 31, tzinfo=timezone.utc)),
        ("2018-04-05T17:31:00+05:30", datetime(2018, 4, 5, 12, 1, tzinfo=timezone.utc)),
        ("1990-12-31T23:59:60Z", datetime(1990, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)),
    ],
)
def test_a_timestamp_of_rfc_3339_is_read(text, moment):
    assert CloudEvent(**BASE, time=text).time == moment


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2018-04-05", "2018-04-05 17:31:00Z", "2018-4-5T17:31:00Z", "2018-13-05T17:31:00Z", "2018-04-05T24:00:00Z",
     "2018-04-05T17:31:00+25:00", "2018-04-05T17:31Z", "1522949460", "\uff12018-04-05T17:31:00Z", 1522949460, True],
)  # fmt: skip
def test_what_is_no_timestamp_is_refused(text):
    with pytest.raises(ValidationError, match="time"):
        CloudEvent(**BASE, time=text)


@pytest.mark.parametrize("source", ["a b", "/ü", "x%2", "x%zz", "a#b#c", 'say"it"', "a\\b", "<x>", "a\r\nb"])
def test_what_is_no_uri_reference_is_refused_as_source(source):
    with pytest.raises(ValidationError, match="source"):
        CloudEvent(type="x", source=source)


@pytest.mark.parametrize(
    "source",
    ["https://github.com/cloudevents", "mailto:cncf-wg-serverless@lists.cncf.io", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
     "/cloudevents/spec/pull/123", "1-555-123-4567", "//host/x?y=%20#z", "http://[::1]:80/"],
)  # fmt: skip
def test_the_sources_of_the_specification_are_taken(source):
    assert CloudEvent(type="x", source=source).source == source


@pytest.mark.parametrize("schema", ["/relative", "no-scheme", "http:", "://x", "http://a b"])
def test_a_schema_is_named_by_an_absolute_uri(schema):
    with pytest.raises(ValidationError, match="dataschema"):
        CloudEvent(**BASE, dataschema=schema)


def test_what_is_assigned_is_checked_and_a_refused_value_does_not_stay():
    event = CloudEvent(**BASE, id="1", tenant="blue")
    for name, value in (("id", None), ("specversion", "1.1"), ("time", "soon"), ("tenant", 1.5), ("my_name", 1)):
        with pytest.raises((ValidationError, ValueError)):
            setattr(event, name, value)
    assert (event.id, event.specversion, event.extensions) == ("1", "1.0", {"tenant": "blue"})
    event.time, event.tenant, event.count = "2018-04-05T17:31:00Z", "red", 3  # type: ignore[assignment]
    assert event.time == datetime(2018, 4, 5, 17, 31, tzinfo=timezone.utc)
    assert event.extensions == {"tenant": "red", "count": 3}


def test_events_are_equal_by_value():
    one = CloudEvent(**BASE, id="1", time="2018-04-05T17:31:00Z", data={"a": [1]}, count=5, tenant="x")
    two = CloudEvent(**BASE, id="1", time="2018-04-05T19:31:00+02:00", data={"a": [1]}, tenant="x", count="5")
    assert one == two
    assert one == CloudEvent(**{**one.attributes, "data": {"a": [1]}, "datacontenttype": "application/json"})
    for name, value in (("id", "2"), ("source", "y"), ("type", "y"), ("subject", "y"), ("time", None), ("count", 6),
                        ("data", {"a": [2]}), ("datacontenttype", "text/json"), ("extra", "y")):  # fmt: skip
        assert one != CloudEvent(**{**two.attributes, "data": two.data, name: value}), name
    assert one != "something else"


def test_null_is_data_only_if_it_was_given_as_json():
    assert not CloudEvent(**BASE).has_data
    assert not CloudEvent(**BASE, data=None).has_data
    assert not CloudEvent(**BASE, datacontenttype="application/json").has_data
    null = CloudEvent(**BASE, datacontenttype="application/json", data=None)
    assert null.has_data
    assert null.encoded_data == b"null"


@pytest.mark.parametrize(
    ("value", "kind", "native"),
    [
        ("true", AttributeType.BOOLEAN, True),
        (False, AttributeType.BOOLEAN, False),
        ("-17", AttributeType.INTEGER, -17),
        (17, AttributeType.INTEGER, 17),
        ("AAE=", AttributeType.BINARY, b"\0\1"),
        (b"\0", AttributeType.BINARY, b"\0"),
        ("2018-04-05T17:31:00Z", AttributeType.TIMESTAMP, datetime(2018, 4, 5, 17, 31, tzinfo=timezone.utc)),
        ("x", AttributeType.STRING, "x"),
        (5, AttributeType.STRING, "5"),
        ("http://x.org", AttributeType.URI, "http://x.org"),
        ("/x", AttributeType.URI_REFERENCE, "/x"),
    ],
)
def test_an_extension_is_read_as_the_type_it_has(value, kind, native):
    read = CloudEvent(**BASE, ext=value).extension("ext", kind)
    assert read == native
    assert type(read) is type(native)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("True", AttributeType.BOOLEAN),
        (1, AttributeType.BOOLEAN),
        ("1.0", AttributeType.INTEGER),
        ("+1", AttributeType.INTEGER),
        ("01", AttributeType.INTEGER),
        ("2147483648", AttributeType.INTEGER),
        (True, AttributeType.INTEGER),
        ("***", AttributeType.BINARY),
        (5, AttributeType.BINARY),
        ("soon", AttributeType.TIMESTAMP),
        (5, AttributeType.TIMESTAMP),
        ("/x", AttributeType.URI),
        ("a b", AttributeType.URI_REFERENCE),
    ],
)
def test_an_extension_of_another_type_is_an_error(value, kind):
    with pytest.raises(ValueError):
        CloudEvent(**BASE, ext=value).extension("ext", kind)


def test_an_extension_that_is_not_set_is_none():
    assert CloudEvent(**BASE).extension("ext", AttributeType.INTEGER) is None


def test_a_repr_shows_neither_data_nor_extensions():
    assert "secret" not in repr(CloudEvent(**BASE, data="secret", token="secret"))


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_time_survives_its_canonical_string(moment):
    from aspyx_event.cloudevents.attributes import canonical, parse_time

    assert parse_time(canonical(moment)) == moment
