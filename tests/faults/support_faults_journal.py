"""Puts a record into Artemis' message journal that keeps the broker from starting, as was seen to happen by itself."""

from __future__ import annotations

import struct
from pathlib import Path

#: Record types of `JournalImpl` and `JournalRecordIds` (Artemis 2.44): an added record, and a kind that nobody knows.
_ADD_RECORD, _UNKNOWN_KIND = 11, 99
#: Of the file's header: format version, user version, and the id that every record of the file repeats.
_HEADER = struct.Struct(">iiq")
#: Of a record: type, file id, compact count, record id, size of the body, kind.
_RECORD = struct.Struct(">biBqiB")


def add_unknown_record(data: Path) -> None:
    """Append the record to the first journal file of a broker that does not run.

    Args:
        data: The broker's data directory.
    """
    path = min((data / "journal").glob("activemq-data-*.amq"))
    content = bytearray(path.read_bytes())
    _, _, file_id = _HEADER.unpack_from(content)
    # The AMQP module takes the last four bytes for the length of what would follow.
    body = bytes(17) + struct.pack(">i", 31781)
    record = _RECORD.pack(_ADD_RECORD, file_id, 0, 999_999_999_999, len(body), _UNKNOWN_KIND) + body
    record += struct.pack(">i", len(record) + 4)
    end = len(bytes(content).rstrip(bytes(content)[-1:]))
    content[end + 512 : end + 512 + len(record)] = record
    path.write_bytes(content)
