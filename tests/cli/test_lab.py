"""``netfs lab``: what it asks of the library and how it shows a lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

import netfs.lab
from netfs.errors import LabError
from netfs.lab import plan, services
from netfs.lab.state import LabState, Member
from tests.cli.conftest import Result

Run = Callable[..., Result]

FABRIC = Member("fabric", "fabric", None, 100, 1, "")
NODES = tuple(Member(f"node{n}", "node", f"node{n}", 100 + n, 1, f"192.168.52.1{n}") for n in (1, 2))
PODS = tuple(Member(f"pod-{p}", "pod", f"node{n}", 110 + n, 1, f"10.244.{n}.2") for p, n in (("a", 1), ("b", 2)))
LAB = LabState("default", False, 99, 98, 1, NODES, PODS, FABRIC)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Every call of ``netfs.lab``, which answers with a healthy lab."""
    made: list[tuple[Any, ...]] = []

    def record(name: str, answer: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            made.append((name, *arguments, *([named] if named else [])))
            return answer

        return call

    for name, answer in {
        "up": LAB,
        "status": LAB,
        "down": None,
        "execute": 7,
        "break_fault": ("node1: bridge fdb del 02:… dev flannel.1",),
        "repair": (),
    }.items():
        monkeypatch.setattr(netfs.lab, name, record(name, answer))
    return made


def test_up_shows_the_lab_and_what_to_try(run: Run, calls: list[Any], snapshot: SnapshotAssertion) -> None:
    result = run("lab", "up", "--nodes", "3", "--pods", "1", "--ipv6")
    assert (result.status, result.err) == (0, "")
    nothing: dict[str, Any] = {"proxy": None, "services": (), "policies": (), "enforce": False}
    assert calls == [("up", {"name": "default", "nodes": 3, "pods": 1, "ipv6": True, **nothing})]
    assert result.out == snapshot


def test_up_with_services_and_a_policy_shows_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    asked: dict[str, Any] = {}

    def up(**named: Any) -> LabState:
        asked.update(named)
        whole = plan.make(2, 1, ipv6=False)
        made = services.objects(whole, named["services"], named["policies"])
        return replace(LAB, proxy=named["proxy"], kubernetes=made)

    monkeypatch.setattr(netfs.lab, "up", up)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {}}\n"
    )
    web = "web=pod-a,pod-b:80:8080,type=NodePort,external-ip=203.0.113.5"
    wanted = ("--service", web, "--service", "dns=pod-b:53:8080/udp", "--service", "db=pod-b:80,headless")
    result = run("lab", "up", "--proxy", "iptables", *wanted, "--policy", str(policy))
    assert (result.status, result.err) == (0, "")
    assert asked["services"] == (web, "dns=pod-b:53:8080/udp", "db=pod-b:80,headless")
    assert [one.name for one in asked["policies"]] == ["deny"]
    assert result.out == snapshot


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: NetworkPolicy\nmetadata: {}", "NetworkPolicy: metadata.name is missing"),
        ("kind: [", "is not YAML"),
        (None, "cannot be read: No such file or directory"),
        ("kind: Service\nmetadata: {name: web}\nspec: {}", "holds no NetworkPolicy"),
        ("", "holds no NetworkPolicy"),
    ],
)
def test_a_policy_that_cannot_be_read_is_one_line(run: Run, tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "policy.yaml"
    if text is not None:
        file.write_text(text)
    result = run("lab", "up", "--policy", str(file))
    assert result.status == 3
    assert result.err.startswith(f"netfs: {file}: {said}")
    assert len(result.err.splitlines()) == 1


def test_next_commands_name_a_lab_that_is_not_the_default(
    run: Run, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netfs.lab, "up", lambda **_: replace(LAB, name="two"))
    out = run("lab", "up", "--name", "two").out
    assert "netfs trace pod-a pod-b --source lab:two" in out
    assert "netfs lab down --name two" in out


def test_status_of_a_half_dead_broken_lab(
    run: Run, calls: list[Any], monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    broken = replace(
        LAB,
        root=True,
        pods=(PODS[0], replace(PODS[1], alive=False)),
        broken=("vxlan-fdb-missing", "bridge-down"),
        notes=("no cgroup: /sys/fs/cgroup is read-only",),
    )
    monkeypatch.setattr(netfs.lab, "status", lambda name: broken)
    result = run("lab", "status")
    assert result.status == 3
    assert result.out == snapshot


def test_status_as_json(run: Run, calls: list[Any]) -> None:
    shown = json.loads(run("lab", "status", "--name", "two", "-o", "json").out)
    assert calls == [("status", "two")]
    assert shown["schema"] == "netfs.lab/v1"
    assert [member["name"] for member in shown["pods"]] == ["pod-a", "pod-b"]


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        (["pod-a", "--", "ip", "route"], ["ip", "route"]),
        (["pod-a", "ip", "-6", "route"], ["ip", "-6", "route"]),
        (["pod-a", "--", "sh", "-c", "echo -- $0", "--", "-v"], ["sh", "-c", "echo -- $0", "--", "-v"]),
        (["pod-a", "--", "netfs", "--help"], ["netfs", "--help"]),
    ],
)
def test_exec_hands_the_command_over_untouched(
    run: Run, calls: list[Any], arguments: list[str], argv: list[str]
) -> None:
    assert run("lab", "exec", *arguments).status == 7
    assert calls == [("execute", "default", "pod-a", argv)]


@pytest.mark.parametrize("arguments", [["pod-a"], ["pod-a", "--"], []])
def test_exec_without_a_command_is_a_usage_error(run: Run, calls: list[Any], arguments: list[str]) -> None:
    assert run("lab", "exec", *arguments).status == 2
    assert calls == []


def test_break_and_repair_tell_what_was_done(run: Run, calls: list[Any]) -> None:
    broken = run("lab", "break", "vxlan-fdb-missing", "--name", "two")
    assert broken.out.startswith("node1: bridge fdb del")
    assert "netfs doctor --source lab:two" in broken.out
    assert "nothing to do" in run("lab", "repair").out
    run("lab", "repair", "bridge-down")
    assert calls == [
        ("break_fault", "two", "vxlan-fdb-missing"),
        ("repair", "default", None),
        ("repair", "default", "bridge-down"),
    ]


def test_down(run: Run, calls: list[Any]) -> None:
    assert run("lab", "down", "--name", "two") == Result(0, "lab two is down\n", "")
    assert calls == [("down", "two")]


def test_a_lab_that_is_not_there_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> LabState:
        raise LabError("no lab of that name runs", where=name, hint="netfs lab up")

    monkeypatch.setattr(netfs.lab, "status", missing)
    assert run("lab", "status") == Result(3, "", "netfs: default: no lab of that name runs (netfs lab up)\n")
