"""``netfs explain``: one fault at length, all of them in a list."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cli.conftest import Result

Run = Callable[..., Result]

FAULTS = {
    fault.slug: fault
    for fault in (
        SimpleNamespace(
            slug="bridge-down",
            group="L",
            group_title="links and addresses",
            severity="error",
            evidence="cni0 down",
            effect="frames from ports dropped",
            repair="ip link set cni0 up",
            seen=None,
            in_lab=True,
            try_it=("netfs lab up", "netfs lab break vxlan-fdb-missing", "netfs trace pod-a pod-b", "netfs doctor"),
            found=True,
            found_by=None,
        ),
        SimpleNamespace(
            slug="vxlan-fdb-missing",
            group="V",
            group_title="VXLAN",
            severity="error",
            evidence="no FDB entry for the remote VTEP's MAC, no default entry",
            effect="NO_TX_TARGET",
            repair="bridge fdb append MAC dev flannel.1 dst NODE",
            seen="flannel-io/flannel#871",
            in_lab=True,
            try_it=("netfs lab up", "netfs lab break vxlan-fdb-missing", "netfs trace pod-a pod-b", "netfs doctor"),
            found=True,
            found_by=None,
        ),
        SimpleNamespace(
            slug="vxlan-tx-checksum",
            group="V",
            group_title="VXLAN",
            severity="warning",
            evidence="offload on with drivers known to corrupt",
            effect="far end drops bad checksums",
            repair="ethtool -K flannel.1 tx-checksum-ip-generic off",
            seen=None,
            in_lab=False,
            found=False,
            found_by=None,
        ),
    )
}


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("netfs.diagnose.catalogue")
    vars(module)["FAULTS"] = FAULTS
    monkeypatch.setitem(sys.modules, "netfs.diagnose.catalogue", module)


@pytest.mark.parametrize("slug", ["vxlan-fdb-missing", "vxlan-tx-checksum"])
def test_a_fault_reads_as_agreed(run: Run, slug: str, snapshot: SnapshotAssertion) -> None:
    result = run("explain", slug)
    assert (result.status, result.err) == (0, "")
    assert result.out == snapshot


def test_what_another_command_finds_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAULTS["vxlan-tx-checksum"], "found_by", "netfs layers orphans")
    assert "  found by  netfs layers orphans\n" in run("explain", "vxlan-tx-checksum").out
    assert "\n    vxlan-tx-checksum" in run("explain").out


def test_the_list_reads_as_agreed(run: Run, snapshot: SnapshotAssertion) -> None:
    assert run("explain").out == snapshot


def test_json_of_one_and_of_all(run: Run) -> None:
    one = json.loads(run("explain", "bridge-down", "-o", "json").out)
    assert (one["schema"], one["slug"], one["seen"]) == ("netfs.fault/v1", "bridge-down", None)
    every = json.loads(run("explain", "-o", "json").out)
    assert every["schema"] == "netfs.faults/v1"
    assert [fault["slug"] for fault in every["items"]] == list(FAULTS)


@pytest.mark.parametrize(
    ("slug", "hint"),
    [("vxlan-fdb-mising", "vxlan-fdb-missing"), ("fdb", "vxlan-fdb-missing"), ("zzz", "netfs explain")],
)
def test_an_unknown_fault_names_near_misses(run: Run, slug: str, hint: str) -> None:
    result = run("explain", slug)
    assert (result.status, result.out) == (2, "")
    assert hint in result.err
    assert result.err.count("\n") == 1
