"""libpod's SQLite database, read from a copy of its bytes: no lock is taken, no file is opened by SQLite."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents
from netfs.overlay.stores.containers_storage import sqlite_wal

if TYPE_CHECKING:
    import sqlite3

LIMIT = 128 << 20
"""Bytes of the largest database that is read."""
QUERIES = {
    "ContainerConfig": "SELECT ID, JSON FROM ContainerConfig",
    "ContainerState": "SELECT ID, JSON FROM ContainerState",
    "PodConfig": "SELECT ID, JSON FROM PodConfig",
    "PodState": "SELECT ID, JSON FROM PodState",
    "DBConfig": "SELECT 'graph-root', GraphRoot FROM DBConfig UNION ALL SELECT 'run-root', RunRoot FROM DBConfig"
    " UNION ALL SELECT 'volume-path', VolumeDir FROM DBConfig",
}
"""By table (podman ``libpod/sqlite_state_internal.go``, ``createSQLiteTables``)."""
_LOG_BYTES = 16 << 20
"""Of the longest write-ahead log that is read: SQLite empties it at 1,000 pages, where nobody holds it up."""
_STEPS = 50_000_000
"""Instructions of SQLite's machine, after which a query is given up: a view may never end."""
_STRIDE = 10_000
_VALUE_BYTES = 16 << 20
_TRIES = 8
_PAUSE_S = 0.01


def read(root: Root, path: str, gaps: list[Gap]) -> dict[str, dict[str, bytes]]:
    """The rows of every table of ``QUERIES``, by id; without any where the file is not there, or is no such database.

    A database that is being changed is waited for, for a moment. The first Podman with SQLite chose a write-ahead log,
    and a database keeps that: what is in there is read with it. What cannot be read is added to ``gaps``.
    """
    data = _still(root, path)
    if isinstance(data, Gap) or not data:
        gaps += [] if not isinstance(data, Gap) or documents.absent(data) else [data]
        return {}
    try:
        import sqlite3
    except ImportError:
        gaps.append(Gap(path, "pods", "this Python is built without SQLite"))
        return {}
    connection = sqlite3.connect(":memory:")
    try:
        return _tables(connection, data)
    except AttributeError:
        gaps.append(Gap(path, "pods", "this Python's SQLite reads no database from memory"))
        return {}
    except UnicodeDecodeError:  # an error's own text may hold bytes of the file
        gaps.append(Gap(path, "pods", "SQLite: database disk image is malformed"))
        return {}
    except (sqlite3.Error, MemoryError, OverflowError) as error:
        gaps.append(Gap(path, "pods", f"SQLite: {error}"))
        return {}
    finally:
        connection.close()


def _still(root: Root, path: str) -> bytes | Gap:
    """The database as it was while nobody changed it: a rollback journal is there only as long as somebody does."""
    try:
        data = _with_log(root, path)
        for attempt in range(_TRIES):
            again = _with_log(root, path)
            if again == data and not _has_bytes(root, f"{path}-journal"):
                return sqlite_wal.applied(*data) if data[0] else b""
            data = again
            time.sleep(_PAUSE_S * attempt)
    except OSError as error:
        return documents.refused(path, error)
    return Gap(path, "pods", "it is being changed, or a change to it was broken off")


def _with_log(root: Root, path: str) -> tuple[bytes, bytes]:
    """The database's file, and its write-ahead log, if it has one."""
    data = root.read(path, LIMIT)
    try:
        return data, root.read(f"{path}-wal", _LOG_BYTES) if sqlite_wal.is_written_with_log(data) else b""
    except FileNotFoundError:
        return data, b""


def _has_bytes(root: Root, path: str) -> bool:
    try:
        return root.status(path).st_size > 0
    except OSError:
        return False


def _tables(connection: sqlite3.Connection, data: bytes) -> dict[str, dict[str, bytes]]:
    """Nothing of what the file may hold beside tables is trusted: no view, no function, no long value."""
    import sqlite3

    connection.text_factory = bytes
    connection.deserialize(data)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES)
    remaining = iter(range(_STEPS // _STRIDE))
    connection.set_progress_handler(lambda: next(remaining, None) is None, _STRIDE)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%'")}
    tables: dict[str, dict[str, bytes]] = {}
    room = LIMIT
    for table, query in QUERIES.items():
        rows = tables.setdefault(table, {})
        for identity, value in connection.execute(query) if table.encode() in names else ():
            if isinstance(value, bytes):
                rows[_text(identity)] = value
                room -= len(value)
            if room < 0:
                raise sqlite3.DataError("it holds more than its file is long")
    return tables


def _text(identity: object) -> str:
    return identity.decode("utf-8", "replace") if isinstance(identity, bytes) else str(identity)
