"""What the commands print of a container, beside what its engine and the kernel say of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netfs_cli.main import main
from tests.conformance.stores.machine import Machine

Netfs = Callable[..., str]
"""``netfs(machine, "inspect", "web")``: what it prints."""
FIELD = re.compile(r"  (\S[^:]*): +(.*)")
READ, NOT_ALL_READ = 0, 3


@dataclass(frozen=True)
class Said:
    """What an engine says of one container of its own."""

    called: str
    """By netfs; an engine may have several words for it."""
    id: str
    state: str
    runtime: str
    image: str
    command: Sequence[str]
    pid: int = 0
    """As the engine numbers it; 0: it does not run."""
    started: str = ""
    memory: int = 0
    pids: int = 0
    cpus: float = 0
    addresses: Sequence[str] = ()
    top: Sequence[str] = ()
    """Command lines."""


def asking(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Netfs:
    """The commands on a machine's containers."""
    monkeypatch.delenv("NETFS_SOURCE", raising=False)

    def call(machine: Machine, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["netfs", *words, "--source", f"m=pid:{machine.pid}", "--no-color"])
        status = main()
        captured = capfd.readouterr()
        assert status in {READ, NOT_ALL_READ}, captured.err
        assert captured.out, captured.err
        return captured.out

    return call


def agree(netfs: Netfs, machine: Machine, told: Iterable[Said]) -> None:
    """Whether everything that is printed of containers is what is said of them, and what the kernel has."""
    spaces = json.loads(netfs(machine, "namespaces", "-o", "json"))["namespaces"]
    trees = json.loads(netfs(machine, "cgroups", "-o", "json"))["trees"]
    for said in told:
        found = _inspected(netfs, machine, said)
        if said.pid:
            _spaces(spaces, found)
            _groups(trees, said, found)


def _inspected(netfs: Netfs, machine: Machine, said: Said) -> dict[str, Any]:
    target = (f"container/{said.called}",)
    found: dict[str, Any]
    (found,) = json.loads(netfs(machine, "inspect", *target, "-o", "json"))["containers"]
    container = found["container"]
    expected = (said.id, said.state, said.runtime, said.image, list(said.command))
    names = ("id", "state", "runtime", "image_name", "command")
    assert tuple(container[name] for name in names) == expected, said.called
    assert container["started_at"] == said.started
    assert set(said.addresses) == set(container["addresses"])
    _text(netfs(machine, "inspect", *target), said, found["init"])
    if not said.pid:
        assert (found["init"], found["processes"], found["facts"]) == (None, [], None)
        return found
    assert _inner(found["init"]) == said.pid
    assert found["by"] == "cgroup"
    assert [" ".join(each["command"]) for each in found["processes"]] == list(said.top)
    return found


def _text(text: str, said: Said, init: int | None) -> None:
    head, *_ = text.splitlines()
    assert head == f"container {said.called} on m"
    fields: dict[str, str] = {}
    for line in text.splitlines():
        match = FIELD.match(line)
        if match is not None:
            fields.setdefault(match[1], match[2])
    assert fields["ID"] == said.id[:12]
    assert fields["Image"].split(" (")[0] == said.image
    assert fields["Command"] == shlex.join(said.command)
    state = fields["State"].split(", ")
    if said.pid:
        assert state == [f"{said.state} since {said.started[:19]}Z", said.runtime, f"pid {init}"]
    else:
        assert state[0] == said.state
        assert said.runtime in state
    lines = {" ".join(line.split()) for line in text.splitlines()}
    for each in said.top:
        assert any(each in line for line in lines)
    if said.pid and said.memory:
        assert any(re.fullmatch(rf"memory .* of {said.memory / 2**20:.1f} MiB.*", line) for line in lines)
    if said.pid and said.pids:
        assert any(re.fullmatch(rf"pids {len(said.top)} of {said.pids}\b.*", line) for line in lines)
    for address in said.addresses if said.pid else ():
        assert any(address in line for line in lines if line.startswith("Interfaces:"))


def _inner(pid: int) -> int:
    """A process as its machine numbers it."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:"))
    return int(line.split()[2])


def _spaces(printed: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> None:
    """Every namespace of its first process, and all those in it that are its own."""
    folder = f"/proc/{found['init']}/ns"
    kernels = {kind: os.stat(f"{folder}/{kind}").st_ino for kind in os.listdir(folder) if not kind.endswith("children")}
    assert {each["type"]: each["id"] for each in found["namespaces"]} == kernels
    told = {each["id"]: each for each in printed}
    assert set(kernels.values()) <= told.keys()
    for each in found["namespaces"]:
        if each["own"]:
            assert set(told[each["id"]]["pids"]) <= {process["pid"] for process in found["processes"]}
        assert found["init"] in told[each["id"]]["pids"]


def _groups(trees: Sequence[Mapping[str, Any]], said: Said, found: Mapping[str, Any]) -> None:
    """Its group, with the limits that it was promised and that the kernel has."""
    (tree,) = trees
    (group,) = (each for each in tree["groups"] if each["path"] == found["cgroup"]["path"])
    assert (group["container"], group["kind"]) == (said.called, "container")
    assert group["path"] in Path(f"/proc/{found['init']}/cgroup").read_text()
    assert (group["memory"]["limit"] or 0, group["processes"]["limit"] or 0) == (said.memory, said.pids)
    cpu = group["cpu"]
    assert (cpu["quota_us"] or 0) / cpu["period_us"] == said.cpus
    kernels = Path("/sys/fs/cgroup/memory" + group["path"], "memory.max_usage_in_bytes")
    if kernels.exists():
        assert group["memory"]["peak"] == int(kernels.read_text())
        used = Path("/sys/fs/cgroup/cpuacct" + group["path"], "cpuacct.usage")
        assert group["cpu"]["usage_us"] <= int(used.read_text()) // 1000
