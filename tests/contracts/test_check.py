"""Recorded events, and what is found when today's code is held against them."""

from __future__ import annotations

import json
from dataclasses import make_dataclass

import pytest
from pydantic import BaseModel, field_validator

from aspyx_event import DeclarationError, EventManager, LocalProvider, event, event_handler, upcaster
from aspyx_event.codecs import JsonCodec
from aspyx_event.contracts import Compatibility, FindingKind
from aspyx_event.exceptions import SnapshotError


def release(name="check.order", *, listeners=("billing", "mailer"), **keywords):
    """Return an event class of one release, ``fields=`` its fields, and the manager of a program that listens to it."""
    fields = keywords.pop("fields", {"order_id": int, "customer": str})
    parts = [(key, *value) if isinstance(value, tuple) else (key, value) for key, value in fields.items()]
    cls = event(name=name, **keywords)(make_dataclass("Order", parts))
    handlers = [event_handler(cls, name=one)(lambda event: None) for one in listeners]
    manager = EventManager(LocalProvider(), listeners=handlers)
    manager.events.add(cls)
    return cls, manager


def found(report):
    return [(one.kind.value, one.version, one.field, one.reason) for one in report.findings]


@pytest.fixture
def folder(tmp_path):
    """A folder in which the first release is recorded."""
    _, manager = release()
    assert manager.contracts.snapshot(tmp_path) == ["check.order/v1.schema.json", "check.order/v1.payload.json"]
    return tmp_path


def test_a_snapshot_has_schema_and_payload_of_every_event(folder):
    assert json.loads((folder / "check.order/v1.payload.json").read_text()) == {"order_id": 1, "customer": "customer"}
    schema = json.loads((folder / "check.order/v1.schema.json").read_text())
    assert schema["required"] == ["order_id", "customer"]


def test_an_unchanged_program_is_compatible_and_writes_nothing(folder):
    _, manager = release()
    report = manager.contracts.check(folder)
    assert (report.ok, report.findings, report.events, report.payloads) == (True, [], 1, 1)
    assert manager.contracts.snapshot(folder) == []


def test_a_field_that_old_payloads_lack_breaks_the_listeners(folder):
    _, manager = release(fields={"order_id": int, "customer": str, "currency": str})
    report = manager.contracts.check(folder)
    assert not report.ok
    (finding,) = report.breaking
    assert (finding.event, finding.version, finding.field) == ("check.order", 1, "currency")
    assert finding.listeners == ("billing", "mailer")
    assert finding.file == "check.order/v1.payload.json"
    assert "required" in finding.reason


def test_a_field_with_another_type_is_named_once(folder):
    _, manager = release(fields={"order_id": int, "customer": int})
    assert found(manager.contracts.check(folder)) == [
        ("breaking", 1, "customer", "Input should be a valid integer, unable to parse string as an integer")
    ]


def test_what_the_payload_does_not_show_is_found_in_the_schema(folder):
    _, manager = release(fields={"order_id": str, "customer": (str, "")})
    # pydantic reads a text as a number, so the payload itself would still be read in the other direction.
    reasons = {one.field: one.reason for one in manager.contracts.check(folder).breaking}
    assert reasons == {"order_id": "Input should be a valid string"}
    _, manager = release(fields={"order_id": int | str, "customer": str})
    assert manager.contracts.check(folder, compatibility="backward").ok
    assert found(manager.contracts.check(folder, compatibility=Compatibility.FORWARD)) == [
        ("breaking", 1, "order_id", "read by older code: expects an integer, gets a string")
    ]


def test_a_field_with_a_default_is_compatible_and_can_be_recorded(folder):
    _, manager = release(fields={"order_id": int, "customer": str, "note": (str, "none")})
    (finding,) = manager.contracts.check(folder).findings
    assert finding.kind is FindingKind.COMPATIBLE
    assert manager.contracts.snapshot(folder) == ["check.order/v1.schema.json", "check.order/v1.payload-2.json"]
    # The payload of before stays: it shows that a missing note is read.
    report = manager.contracts.check(folder)
    assert (report.findings, report.payloads) == ([], 2)


def test_a_break_is_not_recorded_under_the_same_version(folder):
    _, manager = release(fields={"order_id": int, "customer": str, "currency": str})
    before = (folder / "check.order/v1.schema.json").read_text()
    with pytest.raises(SnapshotError, match=r"'check.order', version 1: field 'currency'.*raise version="):
        manager.contracts.snapshot(folder)
    assert (folder / "check.order/v1.schema.json").read_text() == before
    assert manager.contracts.snapshot(folder, force=True) != []


def test_a_new_version_with_an_upcaster_reads_what_was_recorded(folder):
    cls, manager = release(version=2, fields={"order_id": int, "buyer": str})
    (finding, new) = manager.contracts.check(folder).findings
    assert (finding.kind, finding.field, finding.listeners) == (FindingKind.BREAKING, "buyer", ("billing", "mailer"))
    assert "an @upcaster(Order, from_version=1) would convert it" in finding.reason
    assert (new.kind, new.version) == (FindingKind.NEW, 2)

    @upcaster(cls, from_version=1)
    def renamed(payload):
        return {"order_id": payload["order_id"], "buyer": payload["customer"]}

    assert manager.contracts.check(folder).ok
    assert manager.contracts.snapshot(folder) == ["check.order/v2.schema.json", "check.order/v2.payload.json"]
    report = manager.contracts.check(folder)
    assert (report.ok, report.findings, report.payloads) == (True, [], 2)


def test_an_upcaster_that_breaks_later_is_found(folder):
    cls, manager = release(version=2, fields={"order_id": int, "buyer": str})
    upcaster(cls, from_version=1)(lambda payload: {"order_id": payload["order_id"], "buyer": payload["name"]})
    (finding,) = manager.contracts.check(folder).breaking
    assert "KeyError: 'name'" in finding.reason
    assert finding.listeners == ("billing", "mailer")


def test_a_version_that_went_back_and_an_event_that_is_gone_are_breaks(folder):
    cls, manager = release(version=2)
    upcaster(cls, from_version=1)(lambda payload: payload)
    manager.contracts.snapshot(folder)
    _, manager = release()
    (finding,) = manager.contracts.check(folder).breaking
    assert finding.version == 2
    assert "this program knows versions up to 1" in finding.reason
    _, manager = release("check.renamed", listeners=())
    report = manager.contracts.check(folder)
    assert [(one.kind.value, one.event, one.version) for one in report.findings] == [
        ("breaking", "check.order", 1),
        ("breaking", "check.order", 2),
        ("new", "check.renamed", 1),
    ]


def test_payloads_of_ones_own_are_decoded_too(folder):
    (folder / "check.order/v1.payload-from-production.json").write_text('{"order_id": "many", "customer": "Ada"}')
    (folder / "check.order/notes.txt").write_text("no payload")
    _, manager = release()
    (finding,) = manager.contracts.check(folder).breaking
    assert (finding.field, finding.file) == ("order_id", "check.order/v1.payload-from-production.json")


def test_a_declared_schema_is_compared_too(tmp_path):
    def manager_with(minimum):
        schema = {"type": "object", "properties": {"order_id": {"type": "integer", "minimum": minimum}}}
        return release(schema=schema, fields={"order_id": int})[1]

    manager_with(1).contracts.snapshot(tmp_path)
    assert manager_with(1).contracts.check(tmp_path).ok
    assert found(manager_with(0).contracts.check(tmp_path)) == [
        ("breaking", 1, "order_id", "read by older code: expects numbers >= 1, may get smaller ones")
    ]
    assert found(manager_with(5).contracts.check(tmp_path)) == [
        ("breaking", 1, "order_id", "read by today's code: expects numbers >= 5, may get smaller ones")
    ]


def test_names_that_file_systems_dislike_stay_inside_the_folder(tmp_path):
    names = ["..", "a/../../b", ".hidden", "c:d", "é", "con"]
    handlers = []
    for number, name in enumerate(names):
        cls = event(name=name)(make_dataclass(f"E{number}", [("n", int)]))
        handlers.append(event_handler(cls, name=f"h{number}")(lambda event: None))
    manager = EventManager(LocalProvider(), listeners=handlers)
    written = manager.contracts.snapshot(tmp_path / "contracts")
    assert [path.name for path in tmp_path.iterdir()] == ["contracts"]
    assert all((tmp_path / "contracts" / name).resolve().parent.parent == tmp_path / "contracts" for name in written)
    report = manager.contracts.check(tmp_path / "contracts")
    assert (report.findings, report.events) == ([], len(names))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("v1.payload.json", "{", "v1.payload.json is not JSON"),
        ("v1.schema.json", "[1]", "v1.schema.json is not a JSON Schema"),
        ("v1.payload.json", b"\xff", "is not JSON"),
    ],
)
def test_a_broken_file_is_named(folder, name, content, words):
    (folder / "check.order" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SnapshotError, match=words):
        release()[1].contracts.check(folder)


def test_a_missing_folder_and_an_unknown_compatibility_are_named(tmp_path):
    _, manager = release()
    with pytest.raises(SnapshotError, match=r"no folder .*contract snapshot"):
        manager.contracts.check(tmp_path / "gone")
    with pytest.raises(DeclarationError, match="'full'"):
        manager.contracts.check(tmp_path, compatibility="sideways")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "check.order").write_text("a file where the folder should be")
    with pytest.raises(SnapshotError, match=r"cannot write .*check\.order"):
        release()[1].contracts.snapshot(tmp_path)


@event(name="check.even")
class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def is_even(cls, value):
        if value % 2:
            raise ValueError("is odd")
        return value


def test_an_event_no_example_can_be_guessed_for_names_the_cure(tmp_path):
    manager = EventManager(LocalProvider())
    manager.events.add(Even)
    with pytest.raises(DeclarationError, match=r"'check.even'.*is odd.*examples"):
        manager.contracts.snapshot(tmp_path)


class Upside:
    """A codec that writes no JSON."""

    content_type = "application/x-upside"

    def __init__(self):
        self._json = JsonCodec()
        self.prepare = self._json.prepare

    def encode(self, event, descriptor):
        return self._json.encode(event, descriptor)[::-1]

    def decode(self, body, descriptor):
        return self._json.decode(body[::-1], descriptor)


def test_contracts_are_kept_in_json_whatever_the_codec(tmp_path):
    cls, _ = release()
    manager = EventManager(LocalProvider(), codec=Upside())
    manager.events.add(cls)
    manager.contracts.snapshot(tmp_path)
    assert manager.contracts.check(tmp_path).ok


def test_a_report_can_be_written_as_json(folder):
    _, manager = release(fields={"order_id": int})
    report = manager.contracts.check(folder).as_dict()
    assert json.loads(json.dumps(report)) == report
    assert report["ok"] is False
    assert report["findings"][0] == {
        "kind": "breaking",
        "event": "check.order",
        "version": 1,
        "field": "customer",
        "reason": "read by older code: is required, but is not there",
        "listeners": ["billing", "mailer"],
        "file": "",
    }
