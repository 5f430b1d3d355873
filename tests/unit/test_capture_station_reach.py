"""Which nodes can be entered, and what is said of the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netfs.errors import SourceError
from netfs.model.snapshot import NetNs, NodeSnapshot, Snapshots
from netfs.sources import document
from netfs.sources.reach import reach

KERNEL = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
OWN = os.stat("/proc/self/ns/net").st_ino


def node(name: str = "here", *, kernel: str = KERNEL, source: str = "local", **more: object) -> Snapshots:
    own = NetNs(OWN, name)
    gone = NetNs(7, "gone", pids=(2**22 - 1, os.getpid()), pins=("/run/netns/no-such",))
    return Snapshots((NodeSnapshot(name, kernel, OWN, (own, gone), source=source, **more),))  # type: ignore[arg-type]


def test_a_namespace_is_found_by_what_leads_to_it_now() -> None:
    way = reach(node())["here"]
    assert dict(way.paths) == {OWN: f"/proc/{os.getpid()}/ns/net"}
    with pytest.raises(SourceError, match="no way into its namespace 7"):
        way.path(7)


def test_a_process_leads_to_a_namespace_that_no_target_names() -> None:
    pid = Snapshots((NodeSnapshot("n", KERNEL, OWN, (NetNs(OWN, "n", pids=(os.getpid(),)),), source="pid:1"),))
    assert reach(pid)["n"].path(OWN) in {f"/proc/{os.getpid()}/ns/net", "/proc/1/ns/net"}


def test_a_node_of_another_kernel_is_a_saved_one() -> None:
    with pytest.raises(SourceError, match="cannot be probed: it is a saved snapshot") as wrong:
        reach(node(kernel="another"))["here"].path(OWN)
    assert "read it live" in wrong.value.hint


def test_a_node_of_a_file_is_a_saved_one_whatever_still_runs(tmp_path: Path) -> None:
    file = tmp_path / "here.json"
    document.write(node(taken_at=12.5), file)
    assert reach(node(taken_at=12.5))["here"].why_not is None
    assert reach(node(taken_at=12.5), [f"file:{file}"])["here"].why_not is not None
    assert reach(node(taken_at=12.6), [f"file:{file}", "local"])["here"].why_not is None


@pytest.mark.parametrize("source", ["", "nonsense:", "docker:x", "lab:no-such-lab", "netns:no-such", "file:/no-such"])
def test_a_source_that_is_not_there_is_a_reason_and_no_error(source: str) -> None:
    why_not = reach(node(source=source))["here"].why_not
    assert why_not is not None
    assert why_not.startswith("cannot be probed: ")


def test_a_uri_that_is_none_is_for_load_to_refuse() -> None:
    assert reach(node(), ["", "file:/no-such"])["here"].why_not is None
