"""The process that holds a lab together, and what it builds.

::

    launcher ─ new user namespace (rootless), new PID and mount namespace; records the supervisor; ends
    └── supervisor ─ first process of the lab's PID namespace, and the underlay
        └── node ─ first process of a PID namespace within the lab's
            └── pod ─ likewise within the node's; answers TCP and UDP

When a first process dies, the kernel kills every process of its PID namespace: a lab ends whole with its
supervisor, a node takes its pods with it, and namespaces and mounts go with the last process in them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from netfs.errors import LabError
from netfs.lab import cgroups, commands, linux, member, plan, responder, rules, services, state, store
from netfs.lab.member import Child, Parent
from netfs.lab.state import start_time
from netfs.model.kubernetes import Kubernetes

_SWITCHES = (
    ("user.max_user_namespaces", "0", "10000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""(sysctl, the value that forbids user namespaces, one that allows them): mainline, Debian, Ubuntu."""


def main() -> NoReturn:
    """Standard input: one JSON object.

    It has name, folder, nodes, pods, ipv6, proxy, kubernetes, enforce, root, cgroups, and three file descriptors.
    """
    order: dict[str, Any] = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    parent = Parent(f"lab {order['name']}", order["reports"], order["go"])
    os.umask(0o022)
    os.environ["XTABLES_LOCKFILE"] = str(Path(order["folder"], state.XTABLES_LOCK))
    try:
        if not order["root"]:
            _enter_user_namespace()
        linux.unshare(linux.CLONE_NEWPID | linux.CLONE_NEWNS)
    except OSError as error:
        parent.fail(_refused(error))
        os._exit(1)
    recorded, record = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(record)
        if not os.read(recorded, 1):
            os._exit(1)
        _supervise(parent, order)
    try:
        target = Path(order["folder"], "supervisor.json")
        target.write_text(json.dumps({"pid": pid, "start": start_time(pid), "cgroups": order["cgroups"]}))
        os.write(record, b"!")
    except OSError as error:
        parent.fail(error)
    os._exit(0)


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    linux.allow_inspection()


def _refused(error: OSError) -> LabError:
    """What forbids namespaces to an ordinary user, where one of the known switches does."""
    for name, forbids, allow in _SWITCHES:
        with contextlib.suppress(OSError):
            if Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip() == forbids:
                hint = f"sudo sysctl -w {name}={allow}, or run it as root"
                return LabError(f"{name}={forbids} forbids namespaces to ordinary users", hint=hint)
    return LabError(f"this machine refuses new namespaces: {error.strerror}", hint="run it as root")


def _supervise(parent: Parent, order: dict[str, Any]) -> NoReturn:
    """Build; report; wait until the caller has written the state down; then live on."""
    try:
        host_proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            notes = list(member.enter(plan.FABRIC))
        except OSError as error:
            raise _refused(error) from None
        whole = plan.make(order["nodes"], order["pods"], order["ipv6"])
        objects = state.objects(order["kubernetes"])
        pids = _build(whole, objects, order, host_proc, notes)
        parent.tell("up", pids=pids, notes=sorted(set(notes)))
        parent.wait()
    except BaseException as error:  # noqa: BLE001 (a first process has nobody above it: the starter hears)
        parent.fail(error)
        os._exit(1)
    os.close(order["lock"])
    _close(parent, [])
    member.rest()


def _host_pid(host_proc: int) -> int:
    """The caller's pid where the lab was started, whatever PID namespaces it is in by now."""
    return int(os.readlink("self", dir_fd=host_proc))


def _build(
    whole: plan.Plan, objects: Kubernetes, order: dict[str, Any], host_proc: int, notes: list[str]
) -> dict[str, int]:
    member.write_sysctls(commands.sysctls("fabric"))
    body = partial(_node, whole=whole, objects=objects, order=order, host_proc=host_proc)
    nodes = [member.spawn(node.name, partial(body, this=node)) for node in whole.nodes]
    for child in nodes:
        child.expect("born")
    cables = {child.name: child.pid for child in nodes}
    member.batch("ip", commands.fabric(whole, cables, services.published(objects)))
    for child in nodes:
        child.start()
    pids = {plan.FABRIC: _host_pid(host_proc)}
    for child in nodes:
        report = child.expect("up")
        pids |= report["pids"]
        notes += report["notes"]
    return pids


def _node(
    parent: Parent,
    whole: plan.Plan,
    this: plan.NodePlan,
    objects: Kubernetes,
    order: dict[str, Any],
    host_proc: int,
) -> NoReturn:
    os.close(order["lock"])
    pids = {this.name: _host_pid(host_proc)}
    notes = list(member.enter(this.name))
    parent.tell("born")
    member.write_sysctls(commands.sysctls("node"))
    docker, merged = _mount_layers(whole, this, order, notes)
    pods = [
        member.spawn(pod.name, partial(_pod, whole=whole, this=pod, order=order, host_proc=host_proc, merged=merged))
        for pod in whole.pods_of[this.name]
    ]
    for child in pods:
        child.expect("born")
    parent.wait()
    member.batch("ip", commands.node(whole, this, {child.name: child.pid for child in pods}))
    for child in pods:
        child.start()
    member.batch("bridge", commands.node_fdb(whole, this))
    notes += rules.load(whole, this, order["proxy"], objects)
    if order["enforce"]:
        rules.enforce(whole, this, objects, {pod.name: services.labels(objects, pod.name) for pod in whole.pods})
    for child, pod in zip(pods, whole.pods_of[this.name], strict=True):
        report = child.expect("up")
        pids |= report["pids"]
        notes += report["notes"]
        store.start_container(docker, pod, report["pids"][pod.name])
    parent.tell("up", pids=pids, notes=notes)
    _close(parent, pods)
    member.rest()


def _close(parent: Parent, children: list[Child]) -> None:
    for child in children:
        child.reports.close()
        os.close(child.go)
    os.close(parent.reports)
    os.close(parent.go)


def _mount_layers(
    whole: plan.Plan, this: plan.NodePlan, order: dict[str, Any], notes: list[str]
) -> tuple[store.Store, dict[str, str]]:
    """Make the node's store, and mount each pod's layers; the store, and the mount points by pod."""
    docker = store.make(str(Path(order["folder"], this.name, "docker")), this.name, rootless=not order["root"])
    merged: dict[str, str] = {}
    refused = False
    for pod in whole.pods_of[this.name]:
        layers = store.make_container(docker, pod)
        if refused:
            continue
        try:
            linux.mount("overlay", layers.target, "overlay", 0, layers.options)
        except OSError as error:
            notes.append(f"no overlay mounts ({os.strerror(error.errno or 0)})")
            refused = True
        else:
            merged[pod.name] = layers.target
    return docker, merged


def _pod(
    parent: Parent,
    whole: plan.Plan,
    this: plan.PodPlan,
    order: dict[str, Any],
    host_proc: int,
    merged: dict[str, str],
) -> NoReturn:
    pids = {this.name: _host_pid(host_proc)}
    notes: list[str] = []
    if not order["cgroups"]:
        notes.append("no control groups: this host lets the caller make none")
    for base in order["cgroups"]:
        try:
            cgroups.join(base, this.uid, this.container)
        except OSError as error:
            notes.append(f"no control group in {Path(base).parent} ({error.strerror})")
    notes += member.enter(this.name)
    for sibling, target in merged.items():
        if sibling != this.name:
            linux.detach(target)
    member.write_sysctls(commands.sysctls("pod"))
    parent.tell("born")
    parent.wait()
    member.batch("ip", commands.pod(whole, this))
    ports = responder.listen()
    parent.tell("up", pids=pids, notes=notes)
    _close(parent, [])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    responder.serve(ports)
