"""Checks today's event classes against recorded contracts: decodes recorded payloads and compares recorded schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..codecs.json import JsonCodec
from ..codecs.upcasters import VersionedDecoding, declared_upcasters
from ..codecs.validation import SchemaValidation
from ..events import EventDescriptor
from ..exceptions import CodecError, DeclarationError, SnapshotError
from ..schemas.examples import ExampleError, example_of
from .compatibility import refusals
from .snapshot import RecordedContract, read_snapshot, write_payload, write_schema


class Compatibility(Enum):
    """Which programs must still be able to read events."""

    #: Today's code reads events of older code.
    BACKWARD = "backward"
    #: Older code reads events of today's code.
    FORWARD = "forward"
    #: Both directions, as required during a rolling update.
    FULL = "full"


class FindingKind(Enum):
    """Severity of a finding."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFinding:
    """One difference from the recorded contracts.

    Attributes:
        kind: Whether it is a breaking change.
        event: Name of the event.
        version: Version of the payload.
        field: Path of the field; "" for the whole payload.
        reason: What is wrong, or new.
        listeners: Names of the listeners that break.
        file: The recorded payload that cannot be read; "" if the schemas differ.
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
    """Result of a check.

    Attributes:
        findings: All differences, breaking ones first.
        events: Number of checked events.
        payloads: Number of recorded payloads that were decoded.
    """

    findings: Sequence[ContractFinding] = ()
    events: int = 0
    payloads: int = 0

    @property
    def breaking(self) -> list[ContractFinding]:
        return [finding for finding in self.findings if finding.kind is FindingKind.BREAKING]

    @property
    def ok(self) -> bool:
        """True if nothing breaks."""
        return not self.breaking

    def as_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON can express."""
        findings = [
            {**asdict(finding), "kind": finding.kind.value, "listeners": list(finding.listeners)}
            for finding in self.findings
        ]
        return {"ok": self.ok, "events": self.events, "payloads": self.payloads, "findings": findings}


@dataclass(slots=True)
class Contracts:
    """Records and checks the events of an application. Payloads are recorded as JSON, whatever codec is used.

    Attributes:
        events: Events that the application knows, by name.
        listeners: Names of the listeners, by event.
    """

    events: Mapping[str, EventDescriptor]
    listeners: Mapping[str, Sequence[str]]
    _decoding: VersionedDecoding = field(default_factory=lambda: VersionedDecoding(JsonCodec()))
    _validation: SchemaValidation = field(default_factory=SchemaValidation)

    def snapshot(self, directory: str | Path, *, force: bool = False) -> list[str]:
        """Record today's version of every event, and return the files that were written.

        Older versions and payloads are not changed. A payload that differs from the recorded ones is added to them.

        Args:
            directory: Is created if it does not exist.
            force: Record schemas that break the recorded schema of the same version.

        Raises:
            SnapshotError: a schema breaks the recorded schema of the same version, or a file cannot be read or written.
            DeclarationError: no example can be built for an event, or its class has no schema.
        """
        folder = Path(directory)
        contracts = read_snapshot(folder) if folder.exists() else ()
        by_version = {(contract.event, contract.version): contract for contract in contracts}
        planned = []
        for name in sorted(self.events):
            descriptor = self.events[name]
            recorded = by_version.get((name, descriptor.version), RecordedContract(name, descriptor.version))
            schema, payload = descriptor.schema, self.example(descriptor)
            breaks = () if force else tuple(_compare(recorded, schema, Compatibility.FULL))
            if breaks:
                raise SnapshotError(
                    f"event {name!r}, version {descriptor.version}: field {breaks[0][0]!r}: {breaks[0][1]}: this breaks "
                    "the recorded contract; raise version= and write an @upcaster, or record it with force"
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
            directory: Folder that `snapshot` wrote.
            compatibility: Which programs must still read the events when the schema of a version changes.

        Raises:
            SnapshotError: a file cannot be read.
            DeclarationError: the upcasters of an event do not lead to its version, or a class has no schema.
        """
        try:
            mode = Compatibility(compatibility)
        except ValueError as error:
            known = ", ".join(repr(mode.value) for mode in Compatibility)
            raise DeclarationError(f"compatibility={compatibility!r} must be one of {known}") from error
        contracts = read_snapshot(Path(directory))
        findings = [finding for recorded in contracts for finding in self._findings(recorded, mode)]
        recorded_versions = {(recorded.event, recorded.version) for recorded in contracts}
        for name, descriptor in sorted(self.events.items()):
            if (name, descriptor.version) not in recorded_versions:
                reason = "not recorded yet; run `aspyx-event contract snapshot`"
                findings.append(
                    ContractFinding(kind=FindingKind.NEW, event=name, version=descriptor.version, reason=reason)
                )
        severity = list(FindingKind)
        findings.sort(key=lambda finding: (severity.index(finding.kind), finding.event, finding.version, finding.field))
        events = len({recorded.event for recorded in contracts} | set(self.events))
        return ContractReport(findings, events, sum(len(recorded.payloads) for recorded in contracts))

    def example(self, descriptor: EventDescriptor) -> Any:
        """Return a payload of today's version that the event's class and its schema accept.

        Raises:
            DeclarationError: no payload could be built.
        """
        self._decoding.prepare(descriptor)
        remedy = "give the class examples, in its json_schema_extra or with Field(examples=[...])"
        try:
            payload = example_of(descriptor.schema)
            self._decoding.decode(json.dumps(payload).encode(), descriptor.wire_version, descriptor)
        except ExampleError as error:
            raise ExampleError(f"event {descriptor.name!r}: {error}") from error
        except CodecError as error:
            raise ExampleError(f"{error}: no example could be guessed; {remedy}") from error
        errors = self._validation.errors(payload, descriptor) if descriptor.declared_schema is not None else []
        if errors:
            raise ExampleError(f"event {descriptor.name!r}: {errors[0]}: no example could be guessed; {remedy}")
        return payload

    def _findings(self, recorded: RecordedContract, mode: Compatibility) -> Iterator[ContractFinding]:
        descriptor = self.events.get(recorded.event)
        if descriptor is None:
            reason = "the application has no class with this name; if the event was removed, delete its folder"
            yield ContractFinding(
                kind=FindingKind.BREAKING, event=recorded.event, version=recorded.version, reason=reason
            )
            return
        self._decoding.prepare(descriptor)
        refused_fields = set()
        for file, body in recorded.payloads.items():
            for path, reason in self._decode_errors(body, recorded.version, descriptor):
                refused_fields.add(path)
                yield self._breaking(recorded, path, reason, file)
        if recorded.schema is None or recorded.version != descriptor.version:
            return
        breaks = list(_compare(recorded, descriptor.schema, mode))
        for path, reason in breaks:
            if path not in refused_fields:
                yield self._breaking(recorded, path, reason, "")
        if not breaks and not refused_fields and recorded.schema != descriptor.schema:
            reason = "the schema has changed compatibly; run `aspyx-event contract snapshot` to record it"
            yield ContractFinding(
                kind=FindingKind.COMPATIBLE, event=recorded.event, version=recorded.version, reason=reason
            )

    def _breaking(self, recorded: RecordedContract, path: str, reason: str, file: str) -> ContractFinding:
        return ContractFinding(
            kind=FindingKind.BREAKING,
            event=recorded.event,
            version=recorded.version,
            field=path,
            reason=reason,
            listeners=tuple(self.listeners.get(recorded.event, ())),
            file=file,
        )

    def _decode_errors(self, body: bytes, version: int, descriptor: EventDescriptor) -> Iterator[tuple[str, str]]:
        """Decode a recorded payload; yield path and reason of each field that cannot be read."""
        try:
            self._decoding.decode(body, str(version), descriptor)
        except CodecError as error:
            remedy = ""
            if version < descriptor.version and not declared_upcasters(descriptor.type):
                remedy = f"; an @upcaster({descriptor.type.__name__}, from_version={version}) would convert it"
            cause = _validation_error(error)
            if cause is None:
                yield "", f"{error}{remedy}"
                return
            for problem in cause.errors(include_url=False, include_input=False, include_context=False):
                yield ".".join(str(part) for part in problem["loc"]), f"{problem['msg']}{remedy}"


def contracts_of(events: Sequence[EventDescriptor], listening: Sequence[tuple[str, str]]) -> Contracts:
    """Return the contracts of *events*; *listening* has pairs of an event's and a listener's name."""
    listeners: dict[str, list[str]] = {}
    for event, listener in listening:
        if listener not in listeners.setdefault(event, []):
            listeners[event].append(listener)
    return Contracts({event.name: event for event in events}, listeners)


def _compare(recorded: RecordedContract, today: dict[str, Any], mode: Compatibility) -> Iterator[tuple[str, str]]:
    if recorded.schema is None:
        return
    if mode is not Compatibility.FORWARD:
        for difference in refusals(today, recorded.schema):
            yield difference.field, f"read by today's code: {difference.reason}"
    if mode is not Compatibility.BACKWARD:
        for difference in refusals(recorded.schema, today, writes_all=True):
            yield difference.field, f"read by older code: {difference.reason}"


def _validation_error(error: BaseException | None) -> ValidationError | None:
    while error is not None and not isinstance(error, ValidationError):
        error = error.__cause__
    return error
