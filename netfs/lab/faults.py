"""Injecting the faults of the catalogue into a running lab, and undoing them.

A fault is an entry of ``faults/*.toml``: lines ``MEMBER: command``, with the plan's own values in braces
(``{pod-b.hostveth}``, ``{node2.vtep_mac}``, ``{plan.pod_mtu}``). Commands are ip, bridge, sysctl, nft, and
four words of the lab's own, which say a part of the plan again:

- ``restore``: addresses, default route and link state of a node or pod;
- ``remotes``: a node's routes, neighbours and FDB entries for the other nodes;
- ``vxlan [WORD=VALUE …]``: the node's VXLAN device, made anew, with other words than flannel's if given;
- ``cable POD``, ``port POD``: a pod's veth pair made anew; its place on cni0.
"""

from __future__ import annotations

import contextlib
import shlex
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from netfs.errors import LabError, UsageError
from netfs.lab import commands, inside, lifecycle, member, plan, state
from netfs.lab.plan import NodePlan, Plan, PodPlan
from netfs.lab.state import LabState

_FIXTURES = "fixture_only.toml"


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet a fault is about."""

    src: str = "pod-a"
    dst: str = "pod-b"
    address: str | None = None
    """Where ``dst`` is reached while the fault lasts, if not at its planned address."""
    proto: str = "icmp"
    port: int | None = None
    size: int = 56
    """Bytes of payload; sent with DF."""
    family: int = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the catalogue that a lab can play."""

    slug: str
    breaks: tuple[str, ...]
    repairs: tuple[str, ...]
    probe: Probe = field(default_factory=Probe)
    lost: bool = True
    """Whether the probe goes unanswered while the fault lasts."""

    @property
    def tools(self) -> frozenset[str]:
        """The programs its lines need beyond iproute2: ``nft``."""
        words = {line.partition(": ")[2].split()[0] for line in (*self.breaks, *self.repairs)}
        return frozenset(words & {"nft"})


@cache
def catalogue() -> dict[str, Fault]:
    """Every fault a lab can play, by slug."""
    found: dict[str, Fault] = {}
    for file in _files():
        if file.name != _FIXTURES:
            for slug, entry in tomllib.loads(file.read_text(encoding="utf-8")).items():
                found[slug] = _fault(slug, entry)
    return found


@cache
def fixture_only() -> dict[str, str]:
    """The entries of the catalogue that a lab cannot play, each with the reason."""
    texts = (file.read_text(encoding="utf-8") for file in _files() if file.name == _FIXTURES)
    return {slug: str(reason) for text in texts for slug, reason in tomllib.loads(text).items()}


def _files() -> list[Any]:
    folder = resources.files("netfs.lab") / "faults"
    return sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)


def _fault(slug: str, entry: dict[str, Any]) -> Fault:
    return Fault(
        slug=slug,
        breaks=tuple(entry["break"]),
        repairs=tuple(entry["repair"]),
        probe=Probe(**entry.get("probe", {})),
        lost=entry.get("lost", True),
    )


def break_fault(name: str, slug: str) -> tuple[str, ...]:
    """Inject a fault; see ``netfs.lab.break_fault``."""
    state.find(name)
    with lifecycle.claim(name):
        lab = state.find(name)
        fault = _known(slug)
        if slug in lab.broken:
            raise LabError(
                f"{slug} is broken already", where=f"lab {name}", hint=f"netfs lab repair {slug} --name {name}"
            )
        if fault.probe.family == 6 and not lab.ipv6:
            raise LabError(f"{slug} needs IPv6", where=f"lab {name}", hint="netfs lab up --ipv6")
        whole = _plan(lab)
        steps = [_resolve(whole, lab, line) for line in fault.breaks]
        state.save(replace(lab, broken=(*lab.broken, slug)))
        try:
            return _play(lab, whole, steps)
        except LabError:
            for line in fault.repairs:
                with contextlib.suppress(LabError):
                    _play(lab, whole, [_resolve(whole, lab, line)])
            state.save(lab)
            raise


def repair(name: str, slug: str | None = None) -> tuple[str, ...]:
    """Undo one fault or all; see ``netfs.lab.repair``."""
    state.find(name)
    with lifecycle.claim(name):
        lab = state.find(name)
        if slug is not None and slug not in lab.broken:
            _known(slug)
            raise LabError(f"{slug} is not broken", where=f"lab {name}")
        whole = _plan(lab)
        done: list[str] = []
        for one in [slug] if slug is not None else reversed(lab.broken):
            done += _play(lab, whole, [_resolve(whole, lab, line) for line in _known(one).repairs])
            lab = replace(lab, broken=tuple(other for other in lab.broken if other != one))
            state.save(lab)
        return tuple(done)


def _known(slug: str) -> Fault:
    if (fault := catalogue().get(slug)) is not None:
        return fault
    if (reason := fixture_only().get(slug)) is not None:
        raise LabError(f"{slug} cannot be played in a lab: {reason}")
    from difflib import get_close_matches

    near = ", ".join(get_close_matches(slug, catalogue(), 3, 0.5))
    raise UsageError(f"no fault {slug!r}", hint=f"near: {near}" if near else "see netfs explain")


def _plan(lab: LabState) -> Plan:
    return plan.make(len(lab.nodes), lab.pods_per_node, lab.ipv6)


def _resolve(whole: Plan, lab: LabState, line: str) -> tuple[str, str]:
    """(member, command) of a line, with the plan's values. Raises LabError for a member this lab lacks."""
    named: dict[str, Any] = {"plan": whole, **whole.members}
    try:
        target, _, command = line.format_map(named).partition(": ")
    except KeyError as error:
        raise LabError(
            f"the fault needs {error.args[0]}", where=f"lab {lab.name}", hint="a lab of 2 nodes, 2 pods each"
        ) from None
    lab.member(target)
    return target, command


def _play(lab: LabState, whole: Plan, steps: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    for target, command in steps:
        inside.capture(lab, lab.member(target), _work(lab, whole, target, shlex.split(command)))
    return tuple(f"{target}: {command}" for target, command in steps)


def _work(lab: LabState, whole: Plan, target: str, words: list[str]) -> Callable[[], str]:
    """What to do inside the member for one command."""
    verb, arguments = words[0], words[1:]
    this = whole.members.get(target)
    if verb == "sysctl":
        name, _, value = arguments[-1].partition("=")
        return lambda: _sysctl(name, value)
    if verb == "restore" and isinstance(this, PodPlan):
        return lambda: _batch(commands.pod(whole, this))
    if isinstance(this, NodePlan) and verb in ("restore", "remotes", "vxlan", "cable", "port"):
        return _node_work(lab, whole, this, verb, arguments)
    return lambda: _tool(words)


def _node_work(lab: LabState, whole: Plan, this: NodePlan, verb: str, arguments: list[str]) -> Callable[[], str]:
    if verb == "restore":
        return lambda: _batch(commands.node_addresses(whole, this))
    if verb == "remotes":
        return lambda: _remotes(whole, this)
    if verb == "vxlan":
        return lambda: _vxlan(whole, this, dict(word.split("=", 1) for word in arguments))
    pod = next(one for one in whole.pods_of[this.name] if one.name == arguments[0])
    if verb == "port":
        return lambda: _batch(commands.port(pod))
    pid = _pid_in_node(lab.member(pod.name).pid)
    return lambda: _batch(commands.cable(whole, pod, pid))


def _batch(lines: Iterable[str]) -> str:
    member.batch("ip", lines)
    return ""


def _remotes(whole: Plan, this: NodePlan) -> str:
    member.batch("ip", commands.remotes(whole, this))
    member.batch("bridge", commands.node_fdb(whole, this))
    return ""


def _vxlan(whole: Plan, this: NodePlan, changes: dict[str, str]) -> str:
    member.run(["ip", "link", "delete", "flannel.1"], "")
    only_v4 = replace(whole, ipv6=False)
    member.batch("ip", commands.vxlan(only_v4, this, changes))
    return _remotes(whole, this)


def _sysctl(name: str, value: str) -> str:
    path = name if "/" in name else name.replace(".", "/")
    try:
        with open(f"/proc/sys/{path}", "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        raise LabError(f"sysctl {name}={value}: {error.strerror}") from None
    return ""


def _tool(words: list[str]) -> str:
    done = member.run(words, "")
    if done.returncode != 0:
        raise LabError(f"{' '.join(words)}: {' '.join(done.stderr.split()) or f'exit {done.returncode}'}")
    return done.stdout


def _pid_in_node(pid: int) -> int:
    """A pod's first process as its node numbers it: the last but one of ``NSpid`` (proc(5))."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        numbers = next((line.split()[1:] for line in file if line.startswith("NSpid:")), [])
    if len(numbers) < 2:
        raise LabError("this kernel does not tell NSpid")
    return int(numbers[-2])
