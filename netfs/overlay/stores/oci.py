"""What an engine asks of an OCI runtime, from the configuration that it writes for it (OCI runtime-spec).

``config.json`` beside a container, ``spec`` in containerd's and libpod's databases, ``runtimeSpec`` in CRI's answers:
one form. Every function takes the decoded document, or the part of it that is named, and raises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.containers import Limits
from netfs.overlay.stores import documents

_OF_PROCESSES = "/proc/"
"""A namespace given so is that of a process: nobody keeps it there."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a container is to be run: of the fields of ``Container`` those that a specification has."""

    command: tuple[str, ...] = ()
    cgroup: str = ""
    limits: Limits | None = None
    netns: str = ""


def runtime(spec: object) -> Runtime:
    """What a whole specification says (config.md, config-linux.md)."""
    if not documents.mapping(spec):
        return Runtime()
    return Runtime(
        command=documents.texts(spec, "process", "args"),
        cgroup=documents.text(spec, "linux", "cgroupsPath"),
        limits=limits(documents.value(spec, "linux", "resources")),
        netns=network_namespace(spec),
    )


def limits(resources: object) -> Limits:
    """What ``linux.resources`` limits (config-linux.md, "Control groups"): 0 and -1 are no limit."""
    return Limits(
        cpu_quota_us=limit(resources, "cpu", "quota"),
        cpu_period_us=limit(resources, "cpu", "period"),
        cpu_shares=limit(resources, "cpu", "shares"),
        cpuset=documents.text(resources, "cpu", "cpus") or None,
        memory=limit(resources, "memory", "limit"),
        memory_swap=limit(resources, "memory", "swap"),
        pids=limit(resources, "pids", "limit"),
    )


def limit(document: object, *keys: str) -> int | None:
    """The number above zero that the keys lead to: engines write 0 where nothing was asked, and -1 for no limit."""
    number = documents.number(document, *keys)
    return number if number is not None and number > 0 else None


def network_namespace(spec: object) -> str:
    """The file that its network namespace is kept at; empty where it gets one of its own, or a process's."""
    for namespace in documents.items(spec, "linux", "namespaces"):
        if documents.text(namespace, "type") == "network":
            path = documents.text(namespace, "path")
            return "" if path.startswith(_OF_PROCESSES) else path
    return ""
