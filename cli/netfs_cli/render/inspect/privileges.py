"""What a container's first process may do: who it is, its capabilities, what confines it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from netfs.collect.facts.capabilities import NAMES
from netfs.model.inspected import InspectedContainer
from netfs.model.process_facts import IdMap, Privileges, ProcessFacts
from netfs.model.text import printable
from netfs_cli.render.inspect.block import Style

LISTED = 4
"""So many capabilities are named; of more it is told how many there are."""
FEW = frozenset(
    {
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_NET_BIND_SERVICE",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SETUID",
    }
)
PODMAN = FEW | {"CAP_SETFCAP", "CAP_SYS_CHROOT"}
MANY = PODMAN | {"CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW"}
DEFAULTS = {"cri-o": (FEW, FEW | {"CAP_NET_RAW", "CAP_SYS_CHROOT"}), "podman": (PODMAN, MANY)}
"""What a runtime gives a container that asks for nothing, and what its older versions gave (CRI-O's
internal/config/capabilities, containers/common pkg/config/default.go); the others: ``MANY`` (moby oci/caps/defaults.go,
containerd pkg/oci/spec.go)."""


def lines(each: InspectedContainer, style: Style) -> Iterator[str]:
    """Who it is and what confines it; its capabilities."""
    if each.facts is None:
        return
    held = each.facts.privileges
    told = [*_user(held), *_confined(held)]
    if told:
        yield style.told(", ".join(told))
    if held.capabilities or held.all_capabilities:
        text = style.told(f"capabilities: {capabilities(held, each.container.runtime)}")
        yield style.ink.doubtful(text) if "CAP_SYS_ADMIN" in held.capabilities.get("effective", ()) else text
    if style.wide:
        yield from _in_full(each.facts)


def _in_full(facts: ProcessFacts) -> Iterator[str]:
    held = facts.privileges
    for name in sorted(held.capabilities):
        yield printable(f"{name}: {', '.join(held.capabilities[name]) or 'none'}")
    yield f"groups: {', '.join(map(str, held.groups)) or 'none'}"
    if held.seccomp_filters is not None:
        yield f"seccomp filters: {held.seccomp_filters}"
    for name, parts in (("uids", held.uid_map), ("gids", held.gid_map)):
        yield from (f"{name} {_span(part)}" for part in parts)
    if facts.oom_score_adjust is not None:
        yield f"oom_score_adj: {facts.oom_score_adjust}"
    if facts.open_files is not None:
        yield f"open files: {facts.open_files} of {facts.open_files_limit or 'any number'}"


def _user(held: Privileges) -> Iterator[str]:
    if held.uid is not None:
        yield f"uid {held.uid}"
    if held.gid is not None:
        yield f"gid {held.gid}"
    moved = [part for part in held.uid_map if part.inside != part.outside]
    if moved:
        yield f"uids {_span(moved[0])}" + (f" and {len(moved) - 1} more ranges" if len(moved) > 1 else "")


def _span(part: IdMap) -> str:
    """``0-65535 are 100000-165535 outside``."""
    if part.count == 1:
        return f"{part.inside} is {part.outside} outside"
    last = part.count - 1
    return f"{part.inside}-{part.inside + last} are {part.outside}-{part.outside + last} outside"


def _confined(held: Privileges) -> Iterator[str]:
    if held.no_new_privileges:
        yield "no new privileges"
    if held.seccomp:
        yield "no seccomp" if held.seccomp == "disabled" else f"seccomp {held.seccomp}"
    if held.apparmor:
        yield f"AppArmor {held.apparmor}"
    if held.selinux:
        yield f"SELinux {held.selinux}"


def capabilities(held: Privileges, runtime: str) -> str:
    """``default set plus CAP_NET_ADMIN``, ``all``, ``none``; of one that has none, what a program of root's may get."""
    if held.all_capabilities:
        return "all"
    effective, bounding = held.capabilities.get("effective", ()), held.capabilities.get("bounding", ())
    told = _set(effective, runtime)
    if not effective and bounding:
        return f"{told}; a set-user-ID program may get {_set(bounding, runtime)}"
    return told


def _set(found: Sequence[str], runtime: str) -> str:
    if not found:
        return "none"
    default = min(DEFAULTS.get(runtime, (MANY,)), key=lambda names: len(names ^ set(found)))
    more, less = sorted(set(found) - default), sorted(default - set(found))
    if not more and not less:
        return "default set"
    lacking = [name for name in NAMES if name not in found]
    if len(lacking) <= LISTED:
        return f"all but {', '.join(lacking)}" if lacking else "all"
    if len(more) <= LISTED and len(less) <= LISTED and len(less) < len(default) // 2:
        plus = f" plus {', '.join(more)}" if more else ""
        without = f" without {', '.join(less)}" if less else ""
        return f"default set{plus}{without}"
    return ", ".join(sorted(found)) if len(found) <= LISTED else _many(found, default)


def _many(found: Collection[str], default: frozenset[str]) -> str:
    """``38, among them CAP_SYS_ADMIN, CAP_SYS_PTRACE``: the ones that make the node one's own, first."""
    strong = [name for name in ("CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_NET_ADMIN") if name in found]
    named = strong or sorted(set(found) - default)[:LISTED] or sorted(found)[:LISTED]
    return f"{len(found)}, among them {', '.join(named)}"
