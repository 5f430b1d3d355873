"""The roots of a source's nodes: whose files are read, and which sources have none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netfs.errors import LabError, SourceError, SourceUriError
from netfs.model.places import NodeRoot
from netfs.sources import roots as module
from netfs.sources.roots import roots


def test_this_host_is_its_own_root_with_every_process() -> None:
    (root,) = roots(["local"])
    assert (root.path, root.pid, root.docker) == ("/", None, None)
    assert roots(["local", "local"]) == (root,)


def test_a_name_before_the_source_is_the_nodes() -> None:
    assert roots(["node7=local"])[0].node == "node7"


def test_a_process_is_a_node_with_its_own_mounts() -> None:
    pid = os.getpid()
    (root,) = roots([f"pid:{pid}"])
    assert (root.path, root.pid) == (f"/proc/{pid}/root", pid)


@pytest.mark.parametrize(
    ("uri", "error", "says"),
    [
        ("file:cluster.json", SourceError, r"a snapshot holds neither files nor processes .*--root"),
        ("netns:blue", SourceError, "a network namespace has no files and no processes of its own"),
        ("pid:1073741823", SourceError, "no process 1073741823"),
        ("lab:there-is-no-such-lab", LabError, "there-is-no-such-lab"),
        ("nosuch:x", SourceUriError, "no source of the form"),
    ],
)
def test_sources_without_files_say_so(uri: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        roots([uri])


def test_a_process_whose_files_may_not_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SourceError, match=r"its files may not be seen .*CAP_SYS_PTRACE"):
        roots([f"pid:{os.getpid()}"])


def test_without_a_source_the_usual_one_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "default_uri", lambda: "local")
    assert [root.path for root in roots([])] == ["/"]


def test_a_node_root_is_a_node_of_the_readers(tmp_path: Path) -> None:
    from netfs.overlay.reading import of_nodes

    with pytest.raises(SourceError, match="node1: no layer store is there"):
        of_nodes([NodeRoot("node1", str(tmp_path), os.getpid())])
