"""What is known of a lab on this machine: who runs it, and what its members are.

Cheap to import. One folder per lab, owned by the user and readable by nobody else::

    /run/netfs/lab/NAME             root
    $XDG_RUNTIME_DIR/netfs/lab/NAME everybody else
    /tmp/netfs-UID/lab/NAME         where there is no XDG_RUNTIME_DIR

``supervisor.json`` names the process that holds the lab together; it is written before anything is built.
``state.json`` appears when the lab is complete. A process is identified by pid and start time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from netfs.errors import LabError, UsageError
from netfs.lab.home import home as of_labs
from netfs.model.kubernetes import Kubernetes

SCHEMA = "netfs.lab/v1"
XTABLES_LOCK = "xtables.lock"
"""In the lab's folder: iptables' lock, whose usual place an ordinary user may not write to."""

NOTHING = Kubernetes(namespaces={"default": {"kubernetes.io/metadata.name": "default"}})
"""The API of a lab that was asked for neither Services nor policies."""
_NOTHING_TOLD = json.loads(json.dumps(asdict(NOTHING)))

_PF_EXITING = 0x4
_NAME = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class Member:
    """A node, a pod, or the fabric between the nodes."""

    name: str
    kind: str
    """``node``, ``pod`` or ``fabric``."""
    node: str | None
    """The node a pod runs on; a node's own name; None for the fabric."""
    pid: int
    """Its first process, as this machine's PID namespace numbers it."""
    start: int
    """That process's start time in clock ticks since boot."""
    ip: str
    ip6: str | None = None
    alive: bool = True
    """Whether the first process still runs (found out when the state is read)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """A pod's, as the API has them."""


@dataclass(frozen=True, slots=True)
class LabState:
    """One running lab."""

    name: str
    root: bool
    """Built with the caller's privileges; otherwise in a user namespace of its own."""
    userns_pid: int | None
    """A process in that user namespace."""
    supervisor_pid: int
    supervisor_start: int
    nodes: tuple[Member, ...]
    pods: tuple[Member, ...]
    fabric: Member
    broken: tuple[str, ...] = ()
    """Faults injected and not repaired, oldest first."""
    ipv6: bool = False
    notes: tuple[str, ...] = ()
    """What this machine did not let the lab have, one line each."""
    proxy: str = "nftables"
    """How kube-proxy runs: ``iptables``, ``iptables-legacy``, ``nftables`` or ``none``."""
    enforce: bool = False
    """Whether an agent enforces the API's policies."""
    kubernetes: Kubernetes = NOTHING
    """The objects of its API by now."""
    planned: Kubernetes = NOTHING
    """The objects of its API when it was built."""

    @property
    def members(self) -> tuple[Member, ...]:
        """Nodes, pods, fabric."""
        return (*self.nodes, *self.pods, self.fabric)

    @property
    def pods_per_node(self) -> int:
        """How many pods each node has."""
        return len(self.pods) // len(self.nodes)

    def member(self, name: str) -> Member:
        """A member by name. Raises LabError naming those there are."""
        for member in self.members:
            if member.name == name:
                return member
        known = ", ".join(member.name for member in self.members[:12])
        raise LabError(f"no node or pod {name!r}", where=f"lab {self.name}", hint=f"there are {known}")


def check_name(name: str) -> None:
    """Raise UsageError unless ``name`` can be a lab's: 1 to 32 of a–z, 0–9 and ``-``."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a lab's name", hint="1 to 32 of a-z, 0-9 and -")


def start_time(pid: int, *, dying: bool = False) -> int | None:
    """A process's start in clock ticks since boot (proc(5), ``/proc/PID/stat``, field 22).

    None where there is no such process; nor, unless ``dying``, one that has been killed and is not reaped yet.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    ended = fields[0] in (b"Z", b"X") or int(fields[6]) & _PF_EXITING
    return None if ended and not dying else int(fields[19])


def home() -> Path:
    """The folder of all labs of this user; it need not exist. Raises LabError where it cannot be trusted."""
    return Path(of_labs())


def folder(name: str) -> Path:
    """The folder of one lab; it need not exist. Raises UsageError for a bad name."""
    check_name(name)
    return home() / name


def names() -> list[str]:
    """The labs that run, sorted."""
    try:
        entries = sorted(os.listdir(home()))
    except OSError:
        return []
    found = []
    for entry in entries:
        if _NAME.fullmatch(entry):
            with contextlib.suppress(LabError):
                found.append(find(entry).name)
    return found


def supervisor(name: str) -> tuple[int, int] | None:
    """(pid, start time) of the process that holds a lab together, built or half built; None: none was recorded."""
    try:
        record = json.loads((folder(name) / "supervisor.json").read_text(encoding="utf-8"))
        return int(record["pid"]), int(record["start"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find(name: str) -> LabState:
    """A running lab.

    Raises UsageError for a bad name, LabError where no lab of that name runs: never built, taken down,
    half built, or its supervisor has died.
    """
    where = f"lab {name}"
    again = f"netfs lab up --name {name}"
    try:
        with open(folder(name) / "state.json", encoding="utf-8", opener=_untouched) as file:
            record = json.load(file)
    except FileNotFoundError:
        raise LabError("is not running", where=where, hint=again) from None
    except (OSError, ValueError) as error:
        raise LabError(
            f"its state cannot be read: {error}", where=where, hint=f"netfs lab down --name {name}"
        ) from None
    try:
        state = decode(record)
    except (KeyError, TypeError):
        raise LabError("its state is of another version", where=where, hint=f"netfs lab down --name {name}") from None
    if start_time(state.supervisor_pid) != state.supervisor_start:
        raise LabError("has died", where=where, hint=f"{again} builds it anew")
    return state


def _untouched(path: str, flags: int) -> int:
    """Open a file without a trace: whoever asks a lab changes nothing of it, not even when it was last read."""
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # it takes the owner, or CAP_FOWNER
        return os.open(path, flags)


def decode(record: object) -> LabState:
    """A lab's state from its JSON document; ``alive`` is found out here. Raises KeyError, TypeError."""
    if not isinstance(record, dict):
        raise TypeError("not an object")
    fields: dict[str, object] = dict(record)
    if fields.pop("schema") != SCHEMA:
        raise KeyError("schema")
    for key in ("nodes", "pods"):
        fields[key] = tuple(_member(entry) for entry in _entries(record[key]))
    fields["fabric"] = _member(record["fabric"])
    for key in ("broken", "notes"):
        fields[key] = tuple(_entries(record[key]))
    for key in ("kubernetes", "planned"):
        fields[key] = objects(record[key])
    return LabState(**fields)  # type: ignore[arg-type]


def objects(record: object) -> Kubernetes:
    """API objects from their JSON document. Raises TypeError for what is none."""
    if record == _NOTHING_TOLD:
        return NOTHING
    from netfs.lab import records

    return records.decode(Kubernetes, record)


def _entries(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _member(entry: object) -> Member:
    if not isinstance(entry, dict):
        raise TypeError("not an object")
    member = Member(**entry)
    return replace(member, alive=start_time(member.pid) == member.start)


def save(state: LabState) -> None:
    """Write a lab's state, whole or not at all."""
    target = folder(state.name) / "state.json"
    draft = target.with_suffix(".new")
    draft.write_text(json.dumps({"schema": SCHEMA, **asdict(state)}, indent=1), encoding="utf-8")
    os.replace(draft, target)
