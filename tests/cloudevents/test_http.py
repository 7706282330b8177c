"""The HTTP binding: headers and percent-encoding, the three modes, and what is refused."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event.cloudevents import CloudEvent, from_http, from_http_batch, to_http, to_http_batch
from aspyx_event.exceptions import DecodeError, InvalidCloudEventError, UnknownFormatError

BASE = {"id": "1234-1234-1234", "type": "com.example.someevent", "source": "/mycontext/subcontext"}
HEADERS = {"ce-specversion": "1.0", **{f"ce-{name}": value for name, value in BASE.items()}}


def test_a_binary_message_has_attributes_in_headers_and_the_data_as_body():
    event = CloudEvent(
        **BASE, time="2018-04-05T03:56:24Z", datacontenttype="application/json", data={"hello": "world"}, n=5
    )
    message = to_http(event)
    assert message.headers == {
        **HEADERS,
        "ce-time": "2018-04-05T03:56:24Z",
        "ce-n": "5",
        "content-type": "application/json",
    }
    assert message.body == b'{"hello":"world"}'
    assert (message.headers, message.body) == tuple(message)


def test_without_data_there_is_neither_body_nor_content_type():
    message = to_http(CloudEvent(**BASE, time=None))
    assert message.headers == HEADERS
    assert message.body == b""


def test_a_structured_message_has_all_of_it_in_the_body():
    event = CloudEvent(**BASE, time=None, data={"hello": "world"})
    message = to_http(event, "structured")
    assert message.headers == {"content-type": "application/cloudevents+json"}
    assert json.loads(message.body) == {**BASE, "specversion": "1.0", "data": {"hello": "world"}}


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="batch"):
        to_http(CloudEvent(**BASE), "batch")


# The scenarios of the specification's conformance suite, features/http-protocol-binding.feature.
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_conformance_binary_content_mode(content_type):
    headers = {**HEADERS, "ce-time": "2018-04-05T03:56:24Z", "Content-Type": content_type, "Host": "example.com"}
    event = from_http(headers, b'{\n    "message": "Hello World!"\n}\n')
    assert event.attributes == {
        "specversion": "1.0",
        **BASE,
        "time": datetime(2018, 4, 5, 3, 56, 24, tzinfo=timezone.utc),
        "datacontenttype": content_type,
    }
    assert event.data == {"message": "Hello World!"}


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_conformance_structured_content_mode(content_type):
    body = {
        "specversion": "1.0",
        **BASE,
        "time": "2018-04-05T03:56:24Z",
        "datacontenttype": "application/json",
        "data": {"message": "Hello World!"},
    }
    event = from_http({"Content-Type": content_type}, json.dumps(body).encode())
    assert event.attributes == {
        **{name: value for name, value in body.items() if name != "data"},
        "time": datetime(2018, 4, 5, 3, 56, 24, tzinfo=timezone.utc),
    }
    assert event.data == {"message": "Hello World!"}


# The events of the specification's conformance suite, yaml/v1.0/v1_minimum.yaml and yaml/v1.yaml.
CONFORMANCE_EVENTS = [
    ("text/plain; charset=us-ascii", "Hello, World!\n", b"Hello, World!\n"),
    ("text/plain; charset=utf-8", "Hello, \U0001f30e!\n", "Hello, \U0001f30e!\n".encode()),
    ("application/json; charset=utf-8", "Hello, \U0001f30e!", '"Hello, \U0001f30e!"'.encode()),
    ("application/json; charset=utf-8", {"msg": "Hello, \U0001f30e!"}, '{"msg":"Hello, \U0001f30e!"}'.encode()),
    ("application/json; charset=utf-8", ["Hello", "\U0001f30e!"], '["Hello","\U0001f30e!"]'.encode()),
    (
        "application/xml; charset=utf-8",
        "<msg>Hello, \U0001f30e!</msg>\n",
        "<msg>Hello, \U0001f30e!</msg>\n".encode(),
    ),
]


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize(("content_type", "data", "body"), CONFORMANCE_EVENTS)
def test_the_minimum_events_of_the_conformance_suite_pass_in_both_modes(mode, content_type, data, body):
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "io.cloudevents.minimum",
        "ce-id": "conformance-0001",
        "ce-source": "//github.com/cloudevents/cloudeventsconformance/yaml/v1.yaml",
        "content-type": content_type,
    }
    event = from_http(headers, body)
    assert (event.data, event.datacontenttype) == (data, content_type)
    assert from_http(*to_http(event, mode)) == event
    assert to_http(from_http(*to_http(event, mode))) == (headers, body)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_the_extensions_of_the_conformance_suite_pass_in_both_modes(mode):
    headers = {
        **HEADERS,
        "ce-time": "2018-04-05T03:56:24Z",
        "ce-comexampleextension1": "value",
        "ce-comexampleextension2": "%7B%22othervalue%22:%205%7D",
        "user-agent": "foo",
        "content-type": "application/json",
    }
    event = from_http(headers, b'{"world":"hello"}')
    assert event.extensions == {"comexampleextension1": "value", "comexampleextension2": '{"othervalue": 5}'}
    assert from_http(*to_http(event, mode)) == event


def test_header_names_have_no_case():
    event = from_http({name.upper(): value for name, value in {**HEADERS, "ce-tenant": "Blue"}.items()}, b"")
    assert event.extensions == {"tenant": "Blue"}


def test_a_body_without_content_type_is_opaque():
    event = from_http(HEADERS, b'{"a":1}')
    assert (event.data, event.datacontenttype) == (b'{"a":1}', None)


def test_raw_data_is_checked_and_left_as_it_came():
    headers = {**HEADERS, "content-type": "application/json"}
    assert from_http(headers, b' {"a": 1.10}', raw=True).data == b' {"a": 1.10}'
    for raw in (True, False):
        with pytest.raises(DecodeError, match="application/json"):
            from_http(headers, b"I'm just a string", raw=raw)


def test_the_example_of_the_specification_is_encoded_as_it_says():
    text = "Euro € \U0001f600"
    event = CloudEvent(**BASE, subject=text)
    assert to_http(event).headers["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert from_http(*to_http(event)).subject == text


def test_what_must_not_be_encoded_stays():
    printable = "".join(chr(code) for code in range(0x21, 0x7F))
    encoded = to_http(CloudEvent(**BASE, text=printable)).headers["ce-text"]
    assert encoded == printable.replace("%", "%25").replace('"', "%22")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("%41%c3%a4", "Aä"),
        ("%2541", "%41"),
        ('"in quotes"', "in quotes"),
        (r'"a \"b\" \\ c%20d"', r'a "b" \ c d'),
        ('"%22"', '"'),
        ('a"b', 'a"b'),
        ("  padded\t", "padded"),
        ("a b", "a b"),
        ("+", "+"),
    ],
)
def test_quoted_strings_are_resolved_and_percents_decoded_once(value, text):
    assert from_http({**HEADERS, "ce-text": value}, b"").extensions == {"text": text}


@pytest.mark.parametrize(
    "value",
    ["%C0%A0", "%ff", "%e2%82", "%ed%a0%80", "%", "%2", "%zz", "a%2x", "é", "\x00", "a\r\nb", "\ud800", '"open', '"a"b"', "%0A", "%7F",
     "%EF%BF%BE"],
)  # fmt: skip
def test_bad_percent_encoding_is_refused_with_the_header_it_stands_in(value):
    with pytest.raises(InvalidCloudEventError, match="text") as caught:
        from_http({**HEADERS, "ce-text": value}, b"")
    assert caught.value.attribute == "text"


def test_no_attribute_can_inject_a_header():
    for mode in ("binary", "structured"):
        message = to_http(CloudEvent(**BASE, blob=b"\r\nx-evil: 1"), mode)
        assert not any("\r" in text or "\n" in text for pair in message.headers.items() for text in pair)
    # A key of a listener's own making can hold anything; no String may hold line ends.
    with pytest.raises(ValueError, match="String"):
        CloudEvent(**BASE, subject="a\r\nx-evil: 1")
    with pytest.raises(ValueError, match="media type"):
        CloudEvent(**BASE, datacontenttype="text/plain\r\nx-evil: 1")


@pytest.mark.parametrize("name", ["ce-specversion", "ce-id", "ce-source", "ce-type"])
def test_a_required_header_that_is_missing_or_blank_is_named(name):
    for headers in (
        {key: value for key, value in HEADERS.items() if key != name},
        {**HEADERS, name: ""},
        {**HEADERS, name: "%20"},
    ):
        with pytest.raises(InvalidCloudEventError, match=name.removeprefix("ce-")) as caught:
            from_http(headers, b"")
        assert caught.value.attribute == name.removeprefix("ce-")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"ce-my-ext": "x"}, "my-ext"),
        ({"ce-my_ext": "x"}, "my_ext"),
        ({"ce-": "x"}, ""),
        ({"ce-data": "x"}, "data"),
        ({"ce-datacontenttype": "text/plain"}, "datacontenttype"),
        ({"ce-time": "2020-01-01T00:00:00"}, "time"),
        ({"ce-subject": ""}, "subject"),
        ({"ce-specversion": "0.3"}, "specversion"),
        ({"content-type": "nonsense"}, "datacontenttype"),
    ],
)
def test_a_malformed_header_is_refused_and_named(headers, name):
    with pytest.raises(InvalidCloudEventError) as caught:
        from_http({**HEADERS, **headers}, b"x")
    assert caught.value.attribute == name


def test_an_attribute_that_stands_twice_is_refused():
    with pytest.raises(InvalidCloudEventError, match="twice"):
        from_http([*HEADERS.items(), ("CE-ID", "2")], b"")


def test_the_content_type_tells_the_mode():
    structured = json.dumps({**BASE, "specversion": "1.0", "id": "body"}).encode()
    for content_type in ("application/cloudevents+json", "APPLICATION/CloudEvents+JSON; charset=UTF-8"):
        # The headers of an event in binary mode may stand beside; those in the body count.
        assert from_http({**HEADERS, "Content-Type": content_type}, structured).id == "body"
    assert from_http(HEADERS, b"").id == BASE["id"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents",
        "application/cloudevents+avro",
        "application/cloudevents+xml",
        "application/cloudevents+",
    ],
)
def test_an_unknown_structured_format_is_an_error_of_its_own(content_type):
    with pytest.raises(UnknownFormatError, match="application/cloudevents"):
        from_http({**HEADERS, "Content-Type": content_type}, b"{}")


def test_a_batch_has_its_own_pair_of_functions():
    events = [CloudEvent(**{**BASE, "id": str(number)}, data=number) for number in range(3)]
    message = to_http_batch(events)
    assert message.headers == {"content-type": "application/cloudevents-batch+json"}
    assert from_http_batch(*message) == events
    assert from_http_batch({"Content-Type": "application/CloudEvents-Batch+json; charset=utf-8"}, b"[]") == []
    with pytest.raises(UnknownFormatError, match="from_http_batch"):
        from_http(*message)
    with pytest.raises(UnknownFormatError, match="from_http"):
        from_http_batch(*to_http(events[0], "structured"))
    with pytest.raises(UnknownFormatError):
        from_http_batch({"Content-Type": "application/cloudevents-batch+avro"}, b"")


def test_what_is_made_can_be_posted_by_an_http_client():
    got = []

    def answer(request):
        got.append(from_http(request.headers, request.content))
        return httpx.Response(202)

    event = CloudEvent(**BASE, subject="Größe 5", data={"a": 1})
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        for mode in ("binary", "structured"):
            message = to_http(event, mode)
            client.post("http://example.org", headers=message.headers, content=message.body)
    assert got == [event, event]


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1).filter(str.strip)
_EXTENSION = st.one_of(
    st.booleans(), st.integers(-(2**31), 2**31 - 1), _TEXT, st.binary(), st.datetimes(timezones=st.just(timezone.utc))
)
_JSON_DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _TEXT),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(_TEXT, inner)),
    max_leaves=8,
)
_DATA = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"data": st.binary(min_size=1)}),
    st.fixed_dictionaries({"data": _JSON_DATA, "datacontenttype": st.just("application/json")}),
    st.fixed_dictionaries({"data": _TEXT, "datacontenttype": st.sampled_from(["text/plain", "application/xml"])}),
)


@given(
    core=st.fixed_dictionaries({"id": _TEXT, "type": _TEXT, "source": st.just("/s")}, optional={"subject": _TEXT}),
    extensions=st.dictionaries(st.from_regex(r"ext[a-z0-9]{1,10}", fullmatch=True), _EXTENSION, max_size=3),
    data=_DATA,
    mode=st.sampled_from(["binary", "structured", "batch"]),
)
def test_every_event_survives_the_way_in_every_mode(core, extensions, data, mode):
    event = CloudEvent(**core, **extensions, **data)
    if mode == "batch":
        assert from_http_batch(*to_http_batch([event])) == [event]
    else:
        message = to_http(event, mode)
        assert all(value.isascii() and value.isprintable() for value in message.headers.values())
        assert from_http(*message) == event


@given(
    st.dictionaries(st.sampled_from([*HEADERS, "content-type", "ce-x"]), st.text(max_size=8)), st.binary(max_size=30)
)
def test_whatever_comes_in_the_only_errors_are_decode_errors(headers, body):
    with contextlib.suppress(DecodeError):
        from_http({**HEADERS, **headers}, body)
