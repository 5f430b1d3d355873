"""A lab's state: where it lies, who is believed, and what bad names and documents come to."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from netfs.errors import LabError, UsageError
from netfs.lab import plan, services, state
from netfs.lab.home import is_private
from netfs.lab.state import LabState, Member
from netfs.model.kubernetes import LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule, Requirement


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "home", lambda: tmp_path)
    return tmp_path


def _lab() -> LabState:
    start = state.start_time(os.getpid())
    assert start is not None
    fabric = Member("underlay", "fabric", None, os.getpid(), start, "192.168.52.1")
    node = Member("node1", "node", "node1", os.getpid(), start, "192.168.52.11", "fd00:192:168:52::11")
    pod = Member("pod-a", "pod", "node1", os.getpid(), start, "10.244.1.2")
    return LabState("x", True, None, os.getpid(), start, (node,), (pod,), fabric, ("pod-link-down",), notes=("a note",))


def _save(home: Path, lab: LabState) -> None:
    (home / lab.name).mkdir(exist_ok=True)
    state.save(lab)


def test_a_state_comes_back_as_it_was_saved(home: Path) -> None:
    _save(home, _lab())
    assert state.find("x") == _lab()
    assert state.names() == ["x"]


def test_a_reused_pid_is_not_the_supervisor(home: Path) -> None:
    lab = _lab()
    _save(home, replace(lab, supervisor_start=lab.supervisor_start + 1))
    with pytest.raises(LabError, match="has died"):
        state.find("x")
    assert state.names() == []


def test_a_member_with_another_start_time_is_dead(home: Path) -> None:
    lab = _lab()
    _save(home, replace(lab, pods=(replace(lab.pods[0], start=1),)))
    assert [member.name for member in state.find("x").members if not member.alive] == ["pod-a"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', "{}", '{"schema": "netfs.lab/v2"}', '{"schema": "netfs.lab/v1", "nodes": 3}']
)
def test_a_broken_document_is_one_error(home: Path, text: str) -> None:
    (home / "x").mkdir()
    (home / "x" / "state.json").write_text(text)
    with pytest.raises(LabError, match=r"lab x: its state .*netfs lab down"):
        state.find("x")


def test_a_labs_api_comes_back_with_it(home: Path) -> None:
    web = ["web=pod-a,pod-b:80:8080/udp+53,affinity=60,lb-ip=203.0.113.1,lb-from=10.0.0.0/8", "none=:80,headless"]
    peer = PolicyPeer(LabelSelector({"a": "b"}, (Requirement("c", "In", ("d",)),)), None)
    rule = PolicyRule((peer, PolicyPeer(cidr="10.0.0.0/8")), (PolicyPort("tcp", "http"), PolicyPort("udp", 1, 2)))
    made = services.objects(plan.make(2, 2, ipv6=True), web, (NetworkPolicy("deny", ingress=(rule,)),))
    lab = replace(_lab(), proxy="iptables", kubernetes=made, planned=made, enforce=True)
    _save(home, lab)
    assert state.find("x") == lab


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"services": 3},
        {"services": [{"name": 3}]},
        {"services": [{"name": "web", "colour": "red"}]},
        {"services": [{}]},
        {"services": [{"name": "web", "ports": [{"port": True}]}]},
        {"namespaces": {"default": []}},
    ],
)
def test_objects_of_another_shape_are_refused(record: object) -> None:
    with pytest.raises(TypeError):
        state.objects(record)


def test_an_absent_lab_says_how_to_get_one(home: Path) -> None:
    with pytest.raises(LabError, match=r"is not running .netfs lab up --name absent"):
        state.find("absent")
    assert home.is_dir()


@pytest.mark.parametrize("name", ["", "a" * 33, "A", "a_b", "../x", "a/b", "a b", "é", "x\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a lab's name"):
        state.folder(name)


def test_a_folder_that_others_may_write_to_is_not_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert not is_private(str(tmp_path))
    tmp_path.chmod(0o700)
    assert is_private(str(tmp_path))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not is_private(str(link))


def test_a_member_unknown_lists_those_there_are() -> None:
    with pytest.raises(LabError, match=r"no node or pod 'pod-z'.*node1, pod-a, underlay"):
        _lab().member("pod-z")
