"""A folder of what was promised: for each event and version its JSON Schema and payloads that must stay readable.

::

    shop.order-placed/
        v1.schema.json
        v1.payload.json
        v1.payload-from-production.json     as many more as you like
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
class Recorded:
    """One version of one event, as it was recorded.

    Attributes:
        event: Name of the event.
        version: Of the payload.
        schema: JSON Schema; None if there is no file of it.
        payloads: Bodies by the name of their file, relative to the folder.
    """

    event: str
    version: int
    schema: dict[str, Any] | None = None
    payloads: dict[str, bytes] = field(default_factory=dict)


def read_snapshot(directory: Path) -> list[Recorded]:
    """Return all that is recorded in *directory*, by name and version.

    Raises:
        SnapshotError: there is no such folder, or a file is no JSON.
    """
    if not directory.is_dir():
        raise SnapshotError(f"there is no folder {directory}; `aspyx-event contract snapshot` makes it")
    found: dict[tuple[str, int], Recorded] = {}
    try:
        for path in sorted(directory.glob("*/v*.json")):
            match = _FILE.fullmatch(path.name)
            if match is None:
                continue
            event, version = unquote(path.parent.name), int(match[1])
            recorded = found.setdefault((event, version), Recorded(event, version))
            body = path.read_bytes()
            content = json.loads(body)
            if not path.name.endswith(".schema.json"):
                recorded.payloads[str(path.relative_to(directory))] = body
            elif isinstance(content, dict):
                recorded.schema = content
            else:
                raise SnapshotError(f"{path} is no JSON Schema")
    except OSError as error:
        raise SnapshotError(f"cannot read {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise SnapshotError(f"{path} is no JSON: {error}") from error
    return [found[key] for key in sorted(found)]


def write_schema(directory: Path, event: str, version: int, schema: dict[str, Any]) -> Path:
    """Write a schema and return its file, relative to *directory*.

    Raises:
        SnapshotError: it cannot be written.
    """
    return _write(directory, Path(_folder(event)) / f"v{version}.schema.json", schema)


def write_payload(directory: Path, event: str, version: int, payload: Any, taken: int) -> Path:
    """Write a payload and return its file, relative to *directory*.

    Args:
        taken: Number of payloads that there are; none of them is touched.

    Raises:
        SnapshotError: it cannot be written.
    """
    folder = Path(_folder(event))
    number = taken + 1
    while True:
        name = folder / (f"v{version}.payload.json" if number == 1 else f"v{version}.payload-{number}.json")
        if not (directory / name).exists():
            return _write(directory, name, payload)
        number += 1


def _folder(event: str) -> str:
    # Names of events are not made for file systems: "..", slashes, colons.
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
