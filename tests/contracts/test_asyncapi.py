"""The AsyncAPI document of an application: valid by the official schema, complete, and without secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import referencing
from jsonschema import Draft7Validator
from pydantic import BaseModel

from aspyx_event import (
    ANY,
    AMQPProvider,
    DeclarationError,
    EventManager,
    LocalProvider,
    StompProvider,
    Topic,
    event,
    event_handler,
    sends,
)

OFFICIAL = json.loads((Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.schema.json").read_text(encoding="utf-8"))


def problems(document):
    """What the official schema says against a document."""
    validator = Draft7Validator(
        OFFICIAL, registry=referencing.Registry(), format_checker=Draft7Validator.FORMAT_CHECKER
    )
    return [f"{list(error.absolute_path)}: {error.message[:300]}" for error in validator.iter_errors(document)]


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            elif key not in ("examples", "schema"):
                yield from references(value)
    elif isinstance(node, list):
        for one in node:
            yield from references(one)


def follow(document, reference):
    from urllib.parse import unquote

    found = document
    for part in unquote(reference).removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


@pytest.mark.parametrize("kind", ["local", "amqp", "stomp"])
def test_the_document_is_valid_by_the_official_schema(bookshop_manager, kind):
    document = bookshop_manager(kind).contracts.asyncapi()
    assert problems(document) == []
    assert json.loads(json.dumps(document)) == document
    for reference in references(document):
        follow(document, reference)


def test_the_official_schema_would_tell(bookshop_manager):
    for break_it in (
        lambda document: document["operations"]["receive.books.order-placed.billing"].update(action="eat"),
        lambda document: document["channels"]["books.order-placed"].update(owner="me"),
        lambda document: document["components"]["schemas"]["books.order-placed"].update(required="all"),
        lambda document: document.pop("info"),
    ):
        document = bookshop_manager().contracts.asyncapi()
        break_it(document)
        assert problems(document)


def test_no_document_has_credentials(bookshop_manager):
    for kind in ("amqp", "stomp"):
        text = json.dumps(bookshop_manager(kind).contracts.asyncapi())
        assert "not-for-documents" not in text
        assert '"books"' not in text, "the user's name"


def test_servers_name_all_brokers_and_how_to_log_in(bookshop_manager):
    servers = bookshop_manager("amqp").contracts.asyncapi()["servers"]
    assert [one["host"] for one in servers.values()] == ["broker.example.com:5671", "second.example.com:5671"]
    assert {(one["protocol"], one["protocolVersion"], *one["bindings"]) for one in servers.values()} == {
        ("amqps", "1.0", "amqp1")
    }
    document = bookshop_manager("stomp").contracts.asyncapi()
    server = document["servers"]["broker"]
    assert (server["host"], server["protocol"], server["protocolVersion"]) == ("[::1]:61613", "stomp", "1.2")
    assert follow(document, server["security"][0]["$ref"]) == {"type": "userPassword"}
    assert "servers" not in bookshop_manager("local").contracts.asyncapi()


@pytest.mark.parametrize(
    ("provider", "security"),
    [
        (AMQPProvider("s"), None),
        (AMQPProvider("s", mechanism="EXTERNAL", ssl=True), "X509"),
        (AMQPProvider("s", user="u"), "plain"),
        (StompProvider(), None),
        (StompProvider(user="u", ssl=True), "userPassword"),
    ],
    ids=str,
)
def test_every_way_to_log_in_is_valid(provider, security):
    manager = EventManager(provider)
    manager.events.add(Plain)
    document = manager.contracts.asyncapi()
    assert problems(document) == []
    assert list(document["components"].get("securitySchemes", {})) == ([security] if security else [])


def test_who_receives_is_told_with_queue_and_docstring(bookshop_manager):
    operations = bookshop_manager().contracts.asyncapi()["operations"]
    receiving = {name: one for name, one in operations.items() if one["action"] == "receive"}
    assert sorted(receiving) == [
        "receive.books.order-paid.warehouse",
        "receive.books.order-placed.billing",
        "receive.books.order-placed.warehouse",
        "receive.books.parcel-sent.mails",
        "receive.books.prices-changed.prices",
    ]
    billing = receiving["receive.books.order-placed.billing"]
    assert billing["summary"] == "Books what was ordered and waits for the money."
    assert (billing["x-queue"], billing["x-concurrency"], billing["x-order-by"]) == ("billing", 4, "customer")
    # The decorator nearest the class keeps the plain queue name.
    assert receiving["receive.books.order-paid.warehouse"]["x-queue"] == "books.order-paid.warehouse"
    assert receiving["receive.books.prices-changed.prices"]["x-per-process"] is True
    assert receiving["receive.books.parcel-sent.mails"]["summary"] == "Tells the customer where the parcel is."


def test_who_sends_is_told_by_sends(bookshop_manager):
    operations = bookshop_manager().contracts.asyncapi()["operations"]
    sending = {name: one["x-senders"] for name, one in operations.items() if one["action"] == "send"}
    assert sending == {
        "send.books.order-paid": ["Billing"],
        "send.books.order-placed": ["BookshopModule"],
        "send.books.parcel-sent": ["Warehouse"],
        "send.books.prices-changed": ["BookshopModule"],
        "send.books.review-written": ["BookshopModule"],
    }


def test_messages_tell_what_their_classes_declare(bookshop_manager):
    document = bookshop_manager().contracts.asyncapi(title="Books", version="2.3.0", description="*All*")
    assert document["info"] == {
        "title": "Books",
        "version": "2.3.0",
        "description": "*All*",
        "tags": [{"name": "community"}, {"name": "money"}, {"name": "orders"}],
    }
    message = document["components"]["messages"]["books.order-placed"]
    assert message["title"] == "OrderPlaced"
    assert message["summary"] == "A customer has **confirmed** an order."
    assert message["description"].splitlines()[-1] == "* the warehouse packs it.", "indentation is gone"
    assert message["tags"] == [{"name": "money"}, {"name": "orders"}]
    assert (message["x-owner"], message["x-version"], message["x-key"]) == ("team-orders", 3, "order_id")
    assert message["correlationId"]["location"] == "$message.header#/cloudEvents_correlationid"
    assert message["headers"]["properties"] == {
        "cloudEvents_type": {"type": "string", "const": "books.order-placed"},
        "cloudEvents_schemaversion": {"type": "string", "const": "3"},
    }
    assert message["examples"][0]["payload"]["customer"] == "Ada Lovelace"


def test_title_and_description_come_from_the_module_class(bookshop_manager):
    info = bookshop_manager().contracts.asyncapi()["info"]
    assert info["title"] == "Bookshop"
    assert info["description"].splitlines()[0] == "Sells books."


def test_headers_of_a_real_message_are_what_the_document_says(bookshop_manager):
    document = bookshop_manager().contracts.asyncapi()
    seen = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Plain, lambda event, context: seen.append(dict(context.headers)), name="reader")
    manager.send_event(Plain(1), key="a", ttl=60.0)
    attributes = document["components"]["schemas"]["CloudEventAttributes"]
    Draft7Validator(attributes).validate(seen[0])
    unknown = set(seen[0]) - set(attributes["properties"]) - {"content-type"}
    assert not unknown


@event(name="plain")
@dataclass
class Plain:
    number: int


@event(
    name="odd/name with ~tilde%25",
    schema={
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/a",
        "definitions": {"a": {"type": "object"}},
    },
)
@dataclass
class Odd:
    number: int


@event(name="odd_name with ~tilde_25", schema={"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"})
@dataclass
class Twin:
    number: int


@event(name="nested.pairs")
class Pairs(BaseModel):
    pair: tuple[int, str]
    inner: Odd | None = None


def test_odd_names_and_foreign_drafts_make_valid_documents():
    document = EventManager(LocalProvider()).contracts.asyncapi(sends=[Odd, Twin, Pairs])
    assert problems(document) == []
    for reference in references(document):
        follow(document, reference)
    schemas = document["components"]["schemas"]
    assert len(schemas) == 4, "names that only differ in such characters stay apart"
    assert {
        "schemaFormat": "application/schema+json;version=draft-04",
        "schema": Twin.__dict__["__aspyx_event__"].schema,
    } in (list(schemas.values()))
    pair = schemas["nested.pairs"]["properties"]["pair"]
    assert pair["items"] == [{"type": "integer"}, {"type": "string"}]
    assert pair["additionalItems"] is False


def test_without_a_container_what_is_sent_and_subscribed_is_told():
    @event_handler(Plain, name="reader")
    @sends(Pairs)
    async def reads(event):
        """Reads."""

    manager = EventManager(LocalProvider(), listeners=[reads])
    manager.send_event(Odd(1), ttl=1)
    manager.subscribe(Twin, lambda event: None, name="other")
    document = manager.contracts.asyncapi()
    assert problems(document) == []
    assert sorted(document["operations"]) == [
        "receive.odd_name with ~tilde_25.other",
        "receive.plain.reader",
        "send.nested.pairs",
        "send.odd/name with ~tilde%25",
    ]
    assert document["operations"]["send.odd/name with ~tilde%25"]["title"] == "Sends Odd"


async def test_a_document_is_the_same_before_and_after_the_start(bookshop):
    handler = event_handler(Plain, name="reader")(lambda event: None)
    manager = EventManager(LocalProvider(), listeners=[handler])
    before = manager.contracts.asyncapi()
    async with manager:
        assert manager.contracts.asyncapi() == before


def test_two_listeners_of_one_name_are_both_told():
    handlers = [event_handler(Plain, name="same")(lambda event: None) for _ in range(3)]
    document = EventManager(LocalProvider(), listeners=handlers).contracts.asyncapi()
    assert sorted(document["operations"]) == ["receive.plain.same", "receive.plain.same-2", "receive.plain.same-3"]


def test_sends_refuses_what_is_no_event():
    with pytest.raises(DeclarationError, match="give event classes"):
        sends()
    with pytest.raises(DeclarationError, match="int"):
        sends(Plain, int)
    with pytest.raises(DeclarationError, match="class or a function"):
        sends(Plain)(7)


def test_stacked_sends_add_up_and_are_not_inherited():
    from aspyx_event.senders import sent_by

    base = sends(Plain)(sends(Odd, Plain)(type("Base", (), {})))
    assert sent_by(base) == (Odd, Plain)
    assert sent_by(type("Derived", (base,), {})) == ()


def test_topics_patterns_and_names_without_a_class_are_channels():
    shared = Topic("news", (Plain, Pairs), description="What is *new*.", owner="desk", tags=frozenset({"all"}))
    handlers = [
        event_handler(shared, name="reader")(lambda event: None),
        event_handler("nested.*", name="watcher")(lambda event: None),
        event_handler("no.class", name="loose")(lambda event: None),
        event_handler(Odd, Twin, name="both")(lambda event: None),
    ]
    manager = EventManager(LocalProvider(), listeners=handlers)
    manager.topics.new("quiet", [Plain])
    document = manager.contracts.asyncapi(sends=[Pairs])
    assert problems(document) == []
    for reference in references(document):
        follow(document, reference)
    channels = {name: (one.get("x-kind"), sorted(one["messages"])) for name, one in document["channels"].items()}
    assert channels == {
        "nested.*": ("pattern", ["nested.pairs"]),
        "nested.pairs": (None, ["nested.pairs"]),
        "news": ("topic", ["nested.pairs", "plain"]),
        "no.class": ("name", ["no.class"]),
        "odd/name with ~tilde%25": (None, ["odd_name_with__tilde_25"]),
        "odd_name with ~tilde_25": (None, ["odd_name_with__tilde_25-2"]),
        "quiet": ("topic", ["plain"]),
    }
    assert document["channels"]["news"]["description"] == "What is *new*."
    assert sorted(document["operations"]) == [
        "receive.nested.*.watcher",
        "receive.news.reader",
        "receive.no.class.loose",
        "receive.odd/name with ~tilde%25.both",
        "receive.odd_name with ~tilde_25.both",
        "send.nested.pairs",
        "send.quiet",
    ]
    assert manager.contracts.listeners == {
        "plain": ["reader"],
        "nested.pairs": ["reader", "watcher"],
        "odd/name with ~tilde%25": ["both"],
        "odd_name with ~tilde_25": ["both"],
    }


def test_a_listener_to_everything_is_told_for_what_is_known():
    handler = event_handler(ANY, name="audit")(lambda event: None)
    document = EventManager(LocalProvider(), listeners=[handler]).contracts.asyncapi(sends=[Plain])
    assert problems(document) == []
    assert document["operations"]["receive.#.audit"]["messages"] == [{"$ref": "#/channels/%23/messages/plain"}]


def test_what_stands_beside_a_reference_is_not_lost(bookshop_manager):
    schema = bookshop_manager().contracts.asyncapi()["components"]["schemas"]["books.order-placed"]
    # Draft 07 lets a reference hide its neighbours.
    assert schema["properties"]["channel"] == {
        "allOf": [{"$ref": "#/components/schemas/books.order-placed/definitions/Channel"}],
        "default": "web",
    }
