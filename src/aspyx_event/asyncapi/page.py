"""One HTML file that shows an AsyncAPI document: without a network, and without scripts too."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any
from urllib.parse import quote, unquote

from ..schemas.references import resolve
from .fields import Field, fields_of, followed
from .markup import escaped, inline, json_block, prose

Document = Mapping[str, Any]
_LOGINS = {"plain": "SASL PLAIN", "userPassword": "user and password", "X509": "certificate"}
# Nothing is loaded from anywhere, and the browser is told to see to it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def page_of(document: Document) -> str:
    """Return the page of a document that `document_of` has made."""
    files = resources.files(__package__)
    css = files.joinpath("page.css").read_text(encoding="utf-8")
    script = files.joinpath("page.js").read_text(encoding="utf-8")
    info = document["info"]
    messages = document.get("components", {}).get("messages", {})
    events = [_Event(document, key, message) for key, message in messages.items()]
    shared = [_Shared(document, name, one) for name, one in document.get("channels", {}).items() if one.get("x-kind")]
    download = base64.b64encode(json.dumps(document, indent=2).encode()).decode()
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="generator" content="aspyx_event">',
            f"<title>{escaped(info['title'])} - events</title>",
            f"<style>\n{css}</style>",
            "</head>",
            "<body>",
            '<header class="top">',
            f"<h1>{escaped(info['title'])}</h1>",
            f'<span class="badge accent">{escaped(info["version"])}</span>',
            f'<span class="badge spec">AsyncAPI {escaped(document["asyncapi"])}</span>',
            '<span class="space"></span>',
            f'<a class="button" download="asyncapi.json" href="data:application/json;base64,{download}">asyncapi.json</a>',
            '<button class="button" id="theme" type="button" hidden>Dark</button>',
            "</header>",
            '<div class="layout">',
            _navigation(events, shared),
            "<main>",
            _overview(document, events),
            *(event.section() for event in events),
            *(one.section(events) for one in shared),
            _attributes(document),
            "<footer>Made by aspyx_event from the application's classes.</footer>",
            "</main>",
            "</div>",
            f"<script>\n{script}</script>",
            "</body>",
            "</html>",
            "",
        )
    )


class _Event:
    """A message with the operations that take or make it, to be shown.

    Args:
        document: That it belongs to.
        key: Of the message.
        message: The message.
    """

    def __init__(self, document: Document, key: str, message: Document) -> None:
        self._document, self._message, self.key = document, message, key
        self.name = str(message.get("name") or key)
        self.id = f"event-{quote(self.name, safe='')}"
        self._channel: Document = document.get("channels", {}).get(self.name, {})
        self.title = str(message.get("title") or self.name)
        operations = [one for one in document.get("operations", {}).values() if key in _messages_of(one)]
        self.sends = [one for one in operations if one["action"] == "send"]
        self.receives = [one for one in operations if one["action"] == "receive"]

    def section(self) -> str:
        message = self._message
        root, schema = self._payload()
        fields = fields_of(root, schema)
        examples = message.get("examples", ())
        parts = [
            f'<section id="{escaped(self.id)}" data-event="{escaped(self.name)}">',
            f'<header><h2>{escaped(self.title)}</h2><span class="address">{escaped(self.name)}</span></header>',
            self._badges(),
            prose(str(message.get("description", ""))),
            self._flow(),
            f"<h3>Payload</h3>{_table(fields)}"
            if fields
            else f"<h3>Payload</h3><p>{escaped(_plain(root, schema))}</p>",
        ]
        parts += [
            *(f'<h3>Example</h3><div class="copied">{json_block(one["payload"])}</div>' for one in examples),
            f'<details><summary>JSON Schema</summary><div class="copied">{json_block(schema)}</div></details>',
            "</section>",
        ]
        return "\n".join(parts)

    def _payload(self) -> tuple[Any, Any]:
        """Return what references begin in, and the schema."""
        reference = self._message.get("payload", {}).get("$ref", "")
        found = resolve(self._document, reference) or {}
        if "schemaFormat" in found:
            return found["schema"], found["schema"]
        return self._document, found

    def _badges(self) -> str:
        message, channel = self._message, self._channel
        badges = [_badge(f"version {message.get('x-version', 1)}", "accent")]
        badges.append(_badge("durable") if channel.get("x-durable") else _badge("not durable", "warn"))
        if channel.get("x-broadcast"):
            badges.append(_badge("every process gets it"))
        if message.get("x-owner"):
            badges.append(_badge(f"owner {message['x-owner']}"))
        if message.get("x-key"):
            badges.append(_badge(f"in order by {message['x-key']}"))
        badges += [_badge(f"#{one['name']}") for one in message.get("tags", ())]
        return f'<div class="badges">{"".join(badges)}</div>'

    def _flow(self) -> str:
        senders = [name for one in self.sends for name in one.get("x-senders", ())]
        if self.sends and not senders:
            senders = ["this application"]
        return _flow(senders, "".join(_receiver(one, self.name) for one in self.receives))


class _Shared:
    """A channel that is no event's own: a topic, a pattern, or a name without a class."""

    def __init__(self, document: Document, name: str, channel: Document) -> None:
        self._document, self._channel, self.name = document, channel, name
        self.kind = str(channel["x-kind"])
        self.id = f"channel-{quote(name, safe='')}"
        operations = [one for one in document.get("operations", {}).values() if _channel_of(one) == name]
        self._sent = any(one["action"] == "send" for one in operations)
        self._receives = [one for one in operations if one["action"] == "receive"]

    def section(self, events: Sequence[_Event]) -> str:
        channel = self._channel
        keys = set(channel.get("messages", {}))
        links = "".join(
            f'<li><a href="#{escaped(quote(one.id))}">{escaped(one.title)}</a></li>'
            for one in events
            if one.key in keys
        )
        badges = [_badge(self.kind, "accent")]
        if channel.get("x-durable"):
            badges.append(_badge("durable"))
        if channel.get("x-owner"):
            badges.append(_badge(f"owner {channel['x-owner']}"))
        badges += [_badge(f"#{one['name']}") for one in channel.get("tags", ())]
        return "\n".join(
            (
                f'<section id="{escaped(self.id)}" data-channel="{escaped(self.name)}">',
                f"<header><h2>{escaped(self.name)}</h2></header>",
                f'<div class="badges">{"".join(badges)}</div>',
                prose(str(channel.get("description", ""))),
                _flow(["this application"] if self._sent else [], "".join(_receiver(one) for one in self._receives)),
                f"<h3>Events</h3><ul>{links}</ul>",
                "</section>",
            )
        )


def _flow(senders: Sequence[str], receivers: str) -> str:
    from_ = "".join(f"<li><b>{escaped(one)}</b></li>" for one in senders)
    nobody = '<p class="nobody">nobody here</p>'
    return (
        f'<div class="flow"><div class="from"><h3>Sent by</h3>{f"<ul>{from_}</ul>" if from_ else nobody}</div>'
        '<div class="arrow" aria-hidden="true">→</div>'
        f'<div class="to"><h3>Received by</h3>{f"<ul>{receivers}</ul>" if receivers else nobody}</div></div>'
    )


def _receiver(operation: Document, own: str | None = None) -> str:
    about = [inline(str(operation["summary"]))] if operation.get("summary") else []
    facts = []
    channel = _channel_of(operation)
    if own is not None and channel != own:
        facts.append(f"from <code>{escaped(channel)}</code>")
    if operation.get("x-queue"):
        facts.append(f"queue <code>{escaped(operation['x-queue'])}</code>")
    if operation.get("x-per-process"):
        facts.append("in every process")
    if operation.get("x-concurrency"):
        facts.append(f"{escaped(operation['x-concurrency'])} at once")
    if operation.get("x-order-by"):
        facts.append(f"in order by {escaped(operation['x-order-by'])}")
    small = "".join(f"<small>{line}</small>" for line in (*about, ", ".join(facts)) if line)
    return f"<li><b>{escaped(operation.get('title', ''))}</b>{small}</li>"


def _messages_of(operation: Document) -> set[str]:
    return {str(one.get("$ref", "")).rpartition("/")[2] for one in operation.get("messages", ())}


def _channel_of(operation: Document) -> str:
    reference = str(operation.get("channel", {}).get("$ref", ""))
    return unquote(reference.removeprefix("#/channels/")).replace("~1", "/").replace("~0", "~")


def _navigation(events: Sequence[_Event], shared: Sequence[_Shared]) -> str:
    links = "".join(_link(one.id, one.title, one.name) for one in events)
    channels = "".join(_link(one.id, one.name, one.kind) for one in shared)
    return (
        '<nav aria-label="Contents"><div hidden>'
        '<input id="search" type="search" placeholder="Search  ( / )" aria-label="Search events and fields">'
        '<p class="found" id="found" aria-live="polite"></p></div>'
        '<ul><li><a href="#overview">Overview</a></li></ul>'
        f"<h2>Events</h2><ul>{links}</ul>"
        f"{f'<h2>Channels</h2><ul>{channels}</ul>' if channels else ''}"
        '<h2>Headers</h2><ul><li><a href="#attributes">CloudEvents attributes</a></li></ul></nav>'
    )


def _link(target: str, title: str, small: str) -> str:
    return f'<li><a href="#{escaped(quote(target))}">{escaped(title)}<small>{escaped(small)}</small></a></li>'


def _overview(document: Document, events: Sequence[_Event]) -> str:
    info = document["info"]
    numbers = (
        (len(events), "events"),
        (sum(bool(one.sends) for one in events), "sent"),
        (sum(bool(one.receives) for one in events), "received"),
        (sum(len(one.receives) for one in events), "listeners"),
    )
    shown = "".join(f"<div><b>{number}</b><span>{word}</span></div>" for number, word in numbers)
    servers = document.get("servers", {})
    rows = "".join(_server(name, one) for name, one in servers.items())
    table = (
        '<h3>Brokers</h3><div class="scroll"><table><thead><tr><th>Name</th><th>Host</th><th>Protocol</th><th>Login</th>'
        f"<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        if rows
        else "<p>All events stay in one process: there is no broker.</p>"
    )
    return (
        f'<section id="overview"><header><h2>{escaped(info["title"])}</h2></header>'
        f'{prose(str(info.get("description", "")))}<div class="numbers">{shown}</div>{table}</section>'
    )


def _server(name: str, server: Document) -> str:
    security = [str(one.get("$ref", "")).rpartition("/")[2] for one in server.get("security", ())]
    login = ", ".join(_LOGINS.get(one, one) for one in security) or "none"
    protocol = f"{server['protocol']} {server.get('protocolVersion', '')}".strip()
    return (
        f'<tr><td class="name"><b>{escaped(name)}</b></td><td><code>{escaped(server["host"])}</code></td>'
        f"<td>{escaped(protocol)}</td><td>{escaped(login)}</td><td class='wide'>{inline(str(server.get('description', '')))}</td></tr>"
    )


def _attributes(document: Document) -> str:
    schema = resolve(document, "#/components/schemas/CloudEventAttributes")
    if not isinstance(schema, dict):
        return ""
    return (
        '<section id="attributes"><header><h2>CloudEvents attributes</h2></header>'
        f"{prose(str(schema.get('description', '')))}<h3>Headers of every message</h3>{_table(fields_of(document, schema))}</section>"
    )


def _table(fields: Iterable[Field]) -> str:
    rows = "".join(_row(one) for one in fields)
    return (
        '<div class="scroll"><table class="fields"><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(one: Field) -> str:
    indent = f' style="padding-left:{one.depth * 1.25:g}rem"' if one.depth else ""
    name = f"{'└ ' if one.depth else ''}<b>{escaped(one.name)}</b>"
    inner = " inner" if one.depth else ""
    must = ' <span class="must">required</span>' if one.required else ""
    limits = [f"<code>{escaped(value)}</code>" for value in one.values]
    limits_text = f"one of {', '.join(limits)}" if len(limits) > 1 else "".join(f"always {limit}" for limit in limits)
    notes = "; ".join(filter(None, (limits_text, *map(escaped, one.notes))))
    meaning = f"{prose(one.description)}{f'<span class=limits>{notes}</span>' if notes else ''}"
    return (
        f'<tr><td class="name{inner}"{indent}>{name}</td><td class="type">{escaped(one.type)}{must}</td>'
        f"<td>{meaning}</td></tr>"
    )


def _plain(root: Any, schema: Any) -> str:
    return str(followed(root, schema).get("type", "anything"))


def _badge(text: str, kind: str = "") -> str:
    return f'<span class="badge{f" {kind}" if kind else ""}">{escaped(text)}</span>'
