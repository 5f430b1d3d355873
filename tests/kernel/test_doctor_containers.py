"""``netfs doctor`` of live nodes tells what their containers lack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import netfs
from netfs.lab import cgroups


@pytest.fixture
def name() -> Iterator[str]:
    made = f"doc-{uuid4().hex[:8]}"
    netfs.lab.up(made, nodes=1, pods=1)
    yield made
    netfs.lab.down(made)


def test_a_limit_that_is_not_what_was_promised_is_found(name: str) -> None:
    groups = [
        group / file
        for base in cgroups.bases(name, os.geteuid() == 0)
        for group in Path(base).glob("kubepods/pod*/*/")
        for file in ("memory.limit_in_bytes", "memory.max")
    ]
    limits = [file for file in groups if file.exists()]
    for file in limits:
        file.write_text(str(64 << 20))
    held = netfs.load(f"lab:{name}").containers()
    assert held is not None
    found, _ = held.findings()
    assert [each.slug for each in found] == ["cgroup-limit-differs"] * bool(limits)
    for each in found:
        assert (each.node, "64.0 MiB" in each.evidence, "128 MiB" in each.evidence) == ("node1", True, True)
        assert each.fix.startswith("delete pod default/pod-a")


def test_of_saved_snapshots_nothing_is_asked(tmp_path: Path, name: str) -> None:
    netfs.save(netfs.load(f"lab:{name}").snapshots, tmp_path / "lab.json")
    assert netfs.load(f"file:{tmp_path}/lab.json").containers() is None
