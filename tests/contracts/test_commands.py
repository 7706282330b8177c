"""``aspyx-event docs`` and ``aspyx-event contract``, as a user or a CI job calls them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "from aspyx_event.cli import main; main()"]
TARGET = "bookshop:BookshopModule"
SHOP = """
from dataclasses import dataclass

from aspyx.di import create, module

from aspyx_event import EventListener, EventManager, LocalProvider, event, event_listener


@event(name="shop.placed", version=1)
@dataclass
class Placed:
    number: int
    customer: str


@event_listener(Placed, name="billing")
class Billing(EventListener[Placed]):
    def on(self, event):
        raise AssertionError


@module()
class ShopModule:
    @create()
    def manager(self) -> EventManager:
        return EventManager(LocalProvider())
"""


@pytest.fixture
def run(commands):
    def call(*arguments, cwd=HERE, code=0):
        done = commands.run(*map(str, arguments), cwd=cwd, environ=os.environ, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return call


def test_the_document_is_written_as_json_and_as_yaml(run, tmp_path):
    by_json = json.loads(run("docs", "asyncapi", TARGET, "--title", "Books", "--app-version", "2.3.0"))
    assert by_json["info"]["title"] == "Books"
    assert by_json["info"]["version"] == "2.3.0"
    file = tmp_path / "asyncapi.yaml"
    assert str(file) in run("docs", "asyncapi", TARGET, "--title", "Books", "--app-version", "2.3.0", "--output", file)
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == by_json
    assert "&id" not in file.read_text(encoding="utf-8")


def test_the_page_is_written(run, tmp_path):
    file = tmp_path / "events.html"
    run("docs", "html", TARGET, "-o", file)
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "error: cannot write" in run("docs", "html", TARGET, "-o", tmp_path, code=1)


def test_the_page_is_served_until_a_signal(tmp_path):
    with (tmp_path / "log").open("w") as log:
        serving = subprocess.Popen(
            [*COMMAND, "docs", "serve", TARGET, "--port", "0"], cwd=HERE, stderr=subprocess.PIPE, stdout=log, text=True
        )
    try:
        said = serving.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", said)[0]
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert b"OrderPlaced" in answer.read()
        with urllib.request.urlopen(f"{address}asyncapi.yaml", timeout=20) as answer:
            document = yaml.safe_load(answer.read())
        with urllib.request.urlopen(f"{address}asyncapi.json", timeout=20) as answer:
            assert json.load(answer) == document
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}favicon.ico", timeout=20)
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(urllib.request.Request(address, data=b"x", method="POST"), timeout=20)
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 0
    finally:
        serving.kill()
        serving.stderr.close()
        serving.wait()


def test_a_ci_job_is_told_who_breaks(run, tmp_path):
    shop = tmp_path / "shop.py"
    shop.write_text(SHOP)
    said = run("contract", "snapshot", "contracts", "shop:ShopModule", cwd=tmp_path)
    assert "contracts/shop.placed/v1.payload.json" in said
    assert "1 event recorded" in said
    assert "nothing has changed" in run("contract", "snapshot", "contracts", "shop:ShopModule", cwd=tmp_path)
    assert "compatible  1 event, 1 payload decoded" in run(
        "contract", "check", "contracts", "shop:ShopModule", cwd=tmp_path
    )

    shop.write_text(SHOP.replace("customer: str", "customer: str\n    currency: str"))
    said = run("contract", "check", "contracts", "shop:ShopModule", cwd=tmp_path, code=1)
    assert "breaking   shop.placed v1  currency: Field required  (shop.placed/v1.payload.json)" in said
    assert "breaks billing" in said
    assert "1 breaking change" in said
    report = json.loads(run("contract", "check", "contracts", "shop:ShopModule", "--json", cwd=tmp_path, code=1))
    assert (report["ok"], report["findings"][0]["listeners"]) == (False, ["billing"])
    said = run("contract", "snapshot", "contracts", "shop:ShopModule", cwd=tmp_path, code=1)
    assert said.startswith("error: event 'shop.placed', version 1: field 'currency'")
    written = json.loads(run("contract", "snapshot", "contracts", "shop:ShopModule", "--force", "--json", cwd=tmp_path))
    assert written["events"] == 1
    assert "shop.placed/v1.payload-2.json" in written["written"]

    shop.write_text(SHOP.replace("number: int", "number: str"))
    forward = ("contract", "check", "contracts", "shop:ShopModule", "--compatibility", "forward")
    assert "number" in run(*forward, cwd=tmp_path, code=1)


def test_what_is_wrong_is_one_line(run, tmp_path):
    assert "error: there is no folder gone" in run("contract", "check", "gone", TARGET, code=1)
    (tmp_path / "shop.py").write_text(SHOP.replace("number: int", "number: int\n    call: type(print)"))
    said = run("docs", "asyncapi", "shop:ShopModule", cwd=tmp_path, code=1)
    assert said.startswith("error: event 'shop.placed'")
    assert len(said.splitlines()) == 1


async def answers(app, path, method="GET", **scope):
    """What an ASGI application answers."""
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "http", "path": path, "method": method, **scope}, None, send)
    return sent[0]["status"], sent[1]["body"]


async def test_the_application_can_be_mounted(bookshop_manager):
    from aspyx_event.asyncapi import DocumentApp

    app = DocumentApp(bookshop_manager().contracts.asyncapi())
    for path, root in (("/", ""), ("", ""), ("/events/", "/events"), ("/events", "/events")):
        status, body = await answers(app, path, root_path=root)
        assert (status, body[:9]) == (200, b"<!DOCTYPE")
    assert (await answers(app, "/events/asyncapi.json", root_path="/events"))[0] == 200
    assert await answers(app, "/", "HEAD") == (200, b"")
    sent = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(RuntimeError, match="websocket"):
        await app({"type": "websocket"}, receive, send)
