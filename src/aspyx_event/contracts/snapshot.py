"""Reads and writes recorded contracts: a folder with the JSON Schema and example payloads of each event and version.

::

    shop.order-placed/
        v1.schema.json
        v1.payload.json
        v1.payload-from-production.json     any number of further payloads
        v2.schema.json
        v2.payload.json
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from ..exceptions import SnapshotError

_FILE = re.compile(r"v([1-9]\d{0,8})\.(?:schema|payload(?:-.+)?)\.json")


@dataclass(slots=True)
class RecordedContract:
    """The recorded schema and payloads of a version of an event.

    Attributes:
        event: Name of the event.
        version: Version of the payload.
        schema: JSON Schema; None if no schema file exists.
        payloads: Bodies by file name, relative to the folder.
    """

    event: str
    version: int
    schema: dict[str, Any] | None = None
    payloads: dict[str, bytes] = field(default_factory=dict)


def read_snapshot(directory: Path) -> list[RecordedContract]:
    """Return all recorded contracts in *directory*, sorted by event name and version.

    Raises:
        SnapshotError: the folder does not exist, or a file is not JSON.
    """
    if not directory.is_dir():
        raise SnapshotError(f"there is no folder {directory}; `aspyx-event contract snapshot` creates it")
    contracts: dict[tuple[str, int], RecordedContract] = {}
    try:
        for path in sorted(directory.glob("*/v*.json")):
            match = _FILE.fullmatch(path.name)
            if match is None:
                continue
            event, version = unquote(path.parent.name), int(match[1])
            contract = contracts.setdefault((event, version), RecordedContract(event, version))
            body = path.read_bytes()
            content = json.loads(body)
            if not path.name.endswith(".schema.json"):
                contract.payloads[str(path.relative_to(directory))] = body
            elif isinstance(content, dict):
                contract.schema = content
            else:
                raise SnapshotError(f"{path} is not a JSON Schema")
    except OSError as error:
        raise SnapshotError(f"cannot read {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise SnapshotError(f"{path} is not JSON: {error}") from error
    return [contracts[key] for key in sorted(contracts)]


def write_schema(directory: Path, event: str, version: int, schema: dict[str, Any]) -> Path:
    """Write a schema and return its file, relative to *directory*.

    Raises:
        SnapshotError: the file cannot be written.
    """
    return _write(directory, Path(_folder(event)) / f"v{version}.schema.json", schema)


def write_payload(directory: Path, event: str, version: int, payload: Any, existing: int) -> Path:
    """Write a payload to a new file and return the file, relative to *directory*.

    Args:
        existing: Number of payloads that are already recorded; none of them is overwritten.

    Raises:
        SnapshotError: the file cannot be written.
    """
    folder = Path(_folder(event))
    number = existing + 1
    while True:
        name = folder / (f"v{version}.payload.json" if number == 1 else f"v{version}.payload-{number}.json")
        if not (directory / name).exists():
            return _write(directory, name, payload)
        number += 1


def _folder(event: str) -> str:
    # Event names may contain what file systems do not allow: "..", slashes, colons.
    name = quote(event, safe="")
    return "%2E" + name[1:] if name.startswith(".") else name


def _write(directory: Path, name: Path, content: Any) -> Path:
    path = directory / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise SnapshotError(f"cannot write {path}: {error.strerror}") from error
    return name
