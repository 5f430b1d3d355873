"""The cache of the BuildKit that dockerd embeds: which directories of the graph driver it holds.

``buildkit/snapshots.db`` is a bbolt database with a bucket for each snapshot (moby
``daemon/internal/builder-next/adapters/snapshot/snapshot.go``)::

    KEY {parent, iscommitted}      a directory of that name; committed ones are written to no more
    NAME {committed: KEY}          another name of the snapshot KEY, once it was committed
    NAME {chainid: sha256:…}       the snapshot is that image layer now, or was one from the beginning
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.gaps import Gap
from netfs.model.layers import OWNERS
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import bolt, documents
from netfs.overlay.stores.overlay_directories import component

NAME = re.compile(r"[0-9a-z]{25}")
"""Its directories are named like this (BuildKit ``identity/randomid.go``)."""


@dataclass(frozen=True, slots=True)
class BuildCache:
    """What BuildKit holds."""

    directories: Mapping[str, bool] = field(default_factory=dict)
    """Directories, by their name, and whether it may still write to them."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other names of a snapshot, by directory."""
    chain_ids: frozenset[str] = frozenset()
    """Image layers."""
    gaps: tuple[Gap, ...] = ()
    present: bool = True
    """There is such a database."""


def read(root: Root, path: str) -> BuildCache:
    """Read the cache's database at ``path``: empty where there is none, a gap where it cannot be read."""
    try:
        return _cache(bolt.load(root, path).root)
    except FileNotFoundError:
        return BuildCache(present=False)
    except bolt.BoltError as error:
        return BuildCache(gaps=(Gap(path, OWNERS, str(error)),))
    except OSError as error:
        return BuildCache(gaps=(documents.refused(path, error, OWNERS),))


def _cache(snapshots: bolt.Bucket) -> BuildCache:
    directories: dict[str, bool] = {}
    names: dict[str, tuple[str, ...]] = {}
    chains = set()
    for key, bucket in snapshots.items():
        if isinstance(bucket, bytes):
            continue
        name, directory = key.decode("utf-8", "replace"), (bucket.get(b"committed") or b"").decode("utf-8", "replace")
        chain = bucket.get(b"chainid")
        if chain:
            chains.add(chain.decode("utf-8", "replace"))
        if name.startswith("sha256:"):
            chains.add(name)
        elif component(directory):
            names[directory] = (*names.get(directory, ()), name)
        elif bucket.get(b"parent") is not None and component(name):
            directories[name] = bucket.get(b"iscommitted") is None
    return BuildCache(directories, names, frozenset(chains))
