"""Today's code against what was promised: recorded payloads are decoded, recorded schemas compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..codecs.json import JsonCodec
from ..codecs.upcasters import VersionedDecoding, declared_steps
from ..codecs.validation import SchemaValidation
from ..events import EventDescriptor
from ..exceptions import CodecError, DeclarationError, SnapshotError
from ..schemas.examples import ExampleError, example_of
from .compatibility import refusals
from .snapshot import Recorded, read_snapshot, write_payload, write_schema


class Compatibility(Enum):
    """Which programs must go on reading."""

    #: Today's code reads what was written before.
    BACKWARD = "backward"
    #: Code of before reads what is written today.
    FORWARD = "forward"
    #: Both, as it takes while a system is brought up to date piece by piece.
    FULL = "full"


class FindingKind(Enum):
    """What a finding means."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFinding:
    """One thing that differs from what was recorded.

    Attributes:
        kind: Whether it breaks somebody.
        event: Name of the event.
        version: Of the payload.
        field: Path of the field; "" for the whole.
        reason: What is wrong, or new.
        listeners: Names of the listeners that it breaks.
        file: The recorded payload that shows it; "" where schemas do.
    """

    kind: FindingKind
    event: str
    version: int
    field: str = ""
    reason: str = ""
    listeners: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class ContractReport:
    """What a check has found.

    Attributes:
        findings: Breaking ones first.
        events: Events looked at.
        payloads: Recorded payloads that were decoded.
    """

    findings: Sequence[ContractFinding] = ()
    events: int = 0
    payloads: int = 0

    @property
    def breaking(self) -> list[ContractFinding]:
        return [one for one in self.findings if one.kind is FindingKind.BREAKING]

    @property
    def ok(self) -> bool:
        """True if nothing breaks."""
        return not self.breaking

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        findings = [{**asdict(one), "kind": one.kind.value, "listeners": list(one.listeners)} for one in self.findings]
        return {"ok": self.ok, "events": self.events, "payloads": self.payloads, "findings": findings}


@dataclass(slots=True)
class Contracts:
    """The events of one application, to be recorded and checked. Payloads are taken as JSON, whatever codec is used.

    Attributes:
        events: What the application knows, by name.
        listeners: Names of those who listen, by event.
    """

    events: Mapping[str, EventDescriptor]
    listeners: Mapping[str, Sequence[str]]
    _decoding: VersionedDecoding = field(default_factory=lambda: VersionedDecoding(JsonCodec()))
    _validation: SchemaValidation = field(default_factory=SchemaValidation)

    def snapshot(self, directory: str | Path, *, force: bool = False) -> list[str]:
        """Record today's version of every event, and return the files that were written.

        Older versions and payloads stay as they are. A payload that is not like the recorded ones is added to them.

        Args:
            directory: Is made if it is not there.
            force: Record schemas that break what was recorded under the same version.

        Raises:
            SnapshotError: a schema breaks what was recorded under the same version; or a file cannot be read or written.
            DeclarationError: no example can be made of an event, or its class has no schema.
        """
        folder = Path(directory)
        known = {(one.event, one.version): one for one in (read_snapshot(folder) if folder.exists() else ())}
        planned = []
        for name in sorted(self.events):
            descriptor = self.events[name]
            recorded = known.get((name, descriptor.version), Recorded(name, descriptor.version))
            schema, payload = descriptor.schema, self.example(descriptor)
            broken = () if force else tuple(_compare(recorded, schema, Compatibility.FULL))
            if broken:
                raise SnapshotError(
                    f"event {name!r}, version {descriptor.version}: field {broken[0][0]!r}: {broken[0][1]}: this breaks "
                    "what was recorded; raise version= and write an @upcaster, or record it with force"
                )
            planned.append((recorded, schema, payload))
        written = []
        for recorded, schema, payload in planned:
            place = (folder, recorded.event, recorded.version)
            if recorded.schema != schema:
                written.append(str(write_schema(*place, schema)))
            if payload not in [json.loads(body) for body in recorded.payloads.values()]:
                written.append(str(write_payload(*place, payload, len(recorded.payloads))))
        return written

    def check(
        self, directory: str | Path, *, compatibility: Compatibility | str = Compatibility.FULL
    ) -> ContractReport:
        """Decode every recorded payload with today's code and compare today's schemas with the recorded ones.

        Args:
            directory: What `snapshot` wrote.
            compatibility: Which programs must go on reading when the schema of a version is changed.

        Raises:
            SnapshotError: a file cannot be read.
            DeclarationError: upcasters do not lead to an event's version, or a class has no schema.
        """
        try:
            wanted = Compatibility(compatibility)
        except ValueError as error:
            known = ", ".join(repr(one.value) for one in Compatibility)
            raise DeclarationError(f"compatibility={compatibility!r} is none of {known}") from error
        recorded = read_snapshot(Path(directory))
        findings: list[ContractFinding] = []
        for one in recorded:
            findings += self._findings(one, wanted)
        seen = {(one.event, one.version) for one in recorded}
        for name, descriptor in sorted(self.events.items()):
            if (name, descriptor.version) not in seen:
                reason = "not recorded yet; `aspyx-event contract snapshot` does it"
                findings.append(
                    ContractFinding(kind=FindingKind.NEW, event=name, version=descriptor.version, reason=reason)
                )
        findings.sort(key=lambda one: (list(FindingKind).index(one.kind), one.event, one.version, one.field))
        events = len({one.event for one in recorded} | set(self.events))
        return ContractReport(findings, events, sum(len(one.payloads) for one in recorded))

    def example(self, descriptor: EventDescriptor) -> Any:
        """Return a payload of today's version that the event's class and its schema take.

        Raises:
            DeclarationError: none could be made.
        """
        self._decoding.prepare(descriptor)
        cure = "give the class examples, in its json_schema_extra or with Field(examples=[...])"
        try:
            payload = example_of(descriptor.schema)
            self._decoding.decode(json.dumps(payload).encode(), descriptor.wire_version, descriptor)
        except ExampleError as error:
            raise ExampleError(f"event {descriptor.name!r}: {error}") from error
        except CodecError as error:
            raise ExampleError(f"{error}: no example could be guessed; {cure}") from error
        wrong = self._validation.errors(payload, descriptor) if descriptor.declared_schema is not None else []
        if wrong:
            raise ExampleError(f"event {descriptor.name!r}: {wrong[0]}: no example could be guessed; {cure}")
        return payload

    def _findings(self, recorded: Recorded, wanted: Compatibility) -> Iterator[ContractFinding]:
        descriptor = self.events.get(recorded.event)
        if descriptor is None:
            reason = "no class of the application has this name; if it is gone for good, delete its folder"
            yield ContractFinding(
                kind=FindingKind.BREAKING, event=recorded.event, version=recorded.version, reason=reason
            )
            return
        self._decoding.prepare(descriptor)
        refused = set()
        for file, body in recorded.payloads.items():
            for where, reason in self._refused(body, recorded.version, descriptor):
                refused.add(where)
                yield self._breaking(recorded, where, reason, file)
        if recorded.schema is None or recorded.version != descriptor.version:
            return
        broken = False
        for where, reason in _compare(recorded, descriptor.schema, wanted):
            broken = True
            if where not in refused:
                yield self._breaking(recorded, where, reason, "")
        if not broken and not refused and recorded.schema != descriptor.schema:
            reason = "the schema has changed; everybody can read it. `aspyx-event contract snapshot` records it"
            yield ContractFinding(
                kind=FindingKind.COMPATIBLE, event=recorded.event, version=recorded.version, reason=reason
            )

    def _breaking(self, recorded: Recorded, where: str, reason: str, file: str) -> ContractFinding:
        return ContractFinding(
            kind=FindingKind.BREAKING,
            event=recorded.event,
            version=recorded.version,
            field=where,
            reason=reason,
            listeners=tuple(self.listeners.get(recorded.event, ())),
            file=file,
        )

    def _refused(self, body: bytes, version: int, descriptor: EventDescriptor) -> Iterator[tuple[str, str]]:
        try:
            self._decoding.decode(body, str(version), descriptor)
        except CodecError as error:
            cure = ""
            if version < descriptor.version and not declared_steps(descriptor.type):
                cure = f"; an @upcaster({descriptor.type.__name__}, from_version={version}) would read it"
            cause = _validation_error(error)
            if cause is None:
                yield "", f"{error}{cure}"
                return
            for problem in cause.errors(include_url=False, include_input=False, include_context=False):
                yield ".".join(str(part) for part in problem["loc"]), f"{problem['msg']}{cure}"


def contracts_of(events: Sequence[EventDescriptor], listening: Sequence[tuple[str, str]]) -> Contracts:
    """Return the contracts of *events*; *listening* has pairs of an event's and a listener's name."""
    listeners: dict[str, list[str]] = {}
    for event, listener in listening:
        if listener not in listeners.setdefault(event, []):
            listeners[event].append(listener)
    return Contracts({one.name: one for one in events}, listeners)


def _compare(recorded: Recorded, today: dict[str, Any], wanted: Compatibility) -> Iterator[tuple[str, str]]:
    if recorded.schema is None:
        return
    if wanted is not Compatibility.FORWARD:
        for one in refusals(today, recorded.schema):
            yield one.field, f"read by today's code: {one.reason}"
    if wanted is not Compatibility.BACKWARD:
        for one in refusals(recorded.schema, today, writes_all=True):
            yield one.field, f"read by code of before: {one.reason}"


def _validation_error(error: BaseException | None) -> ValidationError | None:
    while error is not None and not isinstance(error, ValidationError):
        error = error.__cause__
    return error
