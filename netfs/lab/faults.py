"""Injecting the faults of the catalogue into a running lab, and undoing them.

A fault is an entry of ``faults/*.toml``: lines ``MEMBER: command``, with the plan's own values in braces
(``{pod-b.hostveth}``, ``{node2.vtep_mac}``, ``{plan.pod_mtu}``) and those of Services by their name
(``{web.cluster_ips[0]}``). ``break-iptables`` has the lines for a lab whose rules are iptables's, where those of
``break`` would harm nothing; ``{iptables}`` is the program that wrote them. Commands are programs, ``sysctl``, and
words of the lab's own, which say a part of the plan again:

- ``restore``: addresses, default route and link state of a node or pod;
- ``remotes``: a node's routes, neighbours and FDB entries for the other nodes;
- ``vxlan [WORD=VALUE …]``: the node's VXLAN device, made anew, with other words than flannel's if given;
- ``cable POD``, ``port POD``: a pod's veth pair made anew; its place on cni0;
- ``proxy``, ``proxy flush``, ``proxy without=NAME``: kube-proxy's rules on a node programmed from the API's objects
  as they are by now; removed; programmed by a kube-proxy that never heard of a Service;
- ``firewall``: every rule of a node taken away, and those loaded again that the lab came with;
- ``policies``: the policies of the API as they are by now, enforced on a node.

The member ``cluster`` is the API: its commands change objects, and no rules until a node's ``proxy`` follows:

- ``service NAME=…``: that Service and its endpoints, as in ``netfs.lab.wanted``; addresses it has it keeps;
- ``service delete NAME``; ``policy NAME``, one of the fault's own ``policies``; ``policy delete NAME``;
- ``restore``: every object as it was when the lab was built.

A fault says which lab it needs: ``proxy = "iptables"``, ``services = ["web=pod-b:80"]``.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from netfs.errors import LabError, UsageError
from netfs.lab import commands, inside, lifecycle, member, plan, rules, services, state
from netfs.lab.catalogue import Fault, Probe, catalogue, fixture_only
from netfs.lab.plan import NodePlan, Plan, PodPlan
from netfs.lab.state import LabState
from netfs.model.kubernetes import Kubernetes

_CLUSTER = "cluster"
_ALREADY = (
    "Address already assigned",
    "Address not found",
    "Cannot assign requested address",
    "File exists",
    "No such file or directory",
    "No such process",
)
"""What the tools say of something that is there, or gone, already."""

__all__ = ["Fault", "Probe", "break_fault", "catalogue", "fixture_only", "repair"]


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
        _suits(lab, fault)
        whole = _plan(lab)
        steps = [_resolve(whole, lab, line) for line in fault.breaks_in(lab.proxy)]
        state.save(replace(lab, broken=(*lab.broken, slug)))
        try:
            broken = _play(lab, whole, fault, steps)
        except (LabError, UsageError):
            mended = lab
            for line in fault.repairs:
                with contextlib.suppress(LabError):
                    mended = _play(mended, whole, fault, [_resolve(whole, mended, line)])
            state.save(lab)
            raise
        state.save(replace(broken, broken=(*lab.broken, slug)))
        return _told(steps)


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
            fault = _known(one)
            steps = [_resolve(whole, lab, line) for line in fault.repairs]
            for step in steps:
                lab = _undone(lab, whole, fault, step)
            lab = replace(lab, broken=tuple(other for other in lab.broken if other != one))
            state.save(lab)
            done += _told(steps)
        return tuple(done)


def _suits(lab: LabState, fault: Fault) -> None:
    """Raise LabError, with the command that builds the right one, for a lab that the fault cannot be played in."""
    there = {service.name for service in lab.kubernetes.services}
    missing = [text for text in fault.services if text.partition("=")[0] not in there]
    unserved = bool(fault.services) and lab.proxy == "none"
    if not missing and not unserved and fault.proxy in (None, lab.proxy):
        return
    what = f"Service {missing[0].partition('=')[0]}" if missing else f"kube-proxy on {fault.proxy or 'iptables'}"
    raise LabError(f"{fault.slug} needs {what}", where=f"lab {lab.name}", hint=f"netfs lab up {fault.needs}")


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
    program = "iptables-legacy" if lab.proxy == "iptables-legacy" else "iptables-nft"
    named: dict[str, Any] = {"plan": whole, "iptables": program}
    named |= {one.name: one for one in lab.planned.services} | whole.members
    try:
        target, _, command = line.format_map(named).partition(": ")
    except KeyError as error:
        raise LabError(
            f"the fault needs {error.args[0]}", where=f"lab {lab.name}", hint="a lab of 2 nodes, 2 pods each"
        ) from None
    if target != _CLUSTER:
        lab.member(target)
    return target, command


def _play(lab: LabState, whole: Plan, fault: Fault, steps: Iterable[tuple[str, str]]) -> LabState:
    """Do it; the lab with the API's objects as they are afterwards."""
    for target, command in steps:
        words = shlex.split(command)
        if target == _CLUSTER:
            lab = replace(lab, kubernetes=_objects(lab, whole, fault, words))
        else:
            inside.capture(lab, lab.member(target), _work(lab, whole, target, words))
    return lab


def _undone(lab: LabState, whole: Plan, fault: Fault, step: tuple[str, str]) -> LabState:
    """The same for one step of a repair: somebody, by the finding's own fix, may have done it already."""
    try:
        return _play(lab, whole, fault, [step])
    except LabError as error:
        if not any(word in error.what for word in _ALREADY):
            raise
        return lab


def _told(steps: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{target}: {command}" for target, command in steps)


def _objects(lab: LabState, whole: Plan, fault: Fault, words: list[str]) -> Kubernetes:
    """The API's objects after one command of the member ``cluster``."""
    found = lab.kubernetes
    match words:
        case ["restore"]:
            return lab.planned
        case ["service", "delete", name]:
            return services.removed(found, name)
        case ["service", text]:
            return services.changed(found, whole, text)
        case ["policy", "delete", name]:
            kept = tuple(one for one in found.network_policies if one.name != name)
            return replace(found, network_policies=kept)
        case ["policy", name]:
            added = tuple(one for one in fault.policies if one.name == name)
            return replace(found, network_policies=(*found.network_policies, *added))
    raise LabError(f"the API has no command {' '.join(words)!r}", where=f"lab {lab.name}")


def _work(lab: LabState, whole: Plan, target: str, words: list[str]) -> Callable[[], str]:
    """What to do inside the member for one command."""
    verb, arguments = words[0], words[1:]
    this = whole.members.get(target)
    if verb == "sysctl":
        name, _, value = arguments[-1].partition("=")
        return lambda: _sysctl(name, value)
    if verb == "restore" and isinstance(this, PodPlan):
        return lambda: _batch(commands.pod(whole, this))
    if isinstance(this, NodePlan) and verb == "firewall":
        return lambda: _firewall(lab, whole, this)
    if isinstance(this, NodePlan) and verb == "policies":
        return lambda: _enforce(lab, whole, this)
    if isinstance(this, NodePlan) and verb == "proxy":
        return lambda: _proxy(lab, whole, this, arguments)
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


def _firewall(lab: LabState, whole: Plan, this: NodePlan) -> str:
    rules.anew(whole, this, lab.proxy, lab.kubernetes)
    return _enforce(lab, whole, this) if lab.enforce else ""


def _enforce(lab: LabState, whole: Plan, this: NodePlan) -> str:
    rules.enforce(whole, this, lab.kubernetes, {pod.name: pod.labels for pod in lab.pods})
    return ""


def _proxy(lab: LabState, whole: Plan, this: NodePlan, arguments: list[str]) -> str:
    objects = lab.kubernetes
    for argument in arguments:
        objects = services.removed(objects, argument.removeprefix("without="))
    if arguments == ["flush"]:
        rules.flush(whole, this, lab.proxy)
    else:
        rules.again(whole, this, lab.proxy, objects)
    return ""


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
