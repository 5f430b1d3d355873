"""What is said of a namespace: whose it is, what keeps it alive."""

from __future__ import annotations

import pwd
from collections.abc import Iterable, Sequence
from functools import cache

from netfs.model.containers import SANDBOX
from netfs.model.namespaces import Namespace, Pin
from netfs.model.text import printable
from netfs_cli.render.layers.words import brief, names
from netfs_cli.render.prose import count

MOST = 3
"""Of a list in the table."""


@cache
def user(uid: int | None) -> str:
    """A user's name here, else the number."""
    if uid is None:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def processes(number: int) -> str:
    """``1 process``, ``2 processes``."""
    return f"{number} process{'' if number == 1 else 'es'}"


def whose(namespace: Namespace) -> str:
    """The pod, where all containers are of one and there are several; else the containers, the first few."""
    if len(namespace.pods) == 1 and len(namespace.containers) != 1 and _of_pod(namespace):
        return brief(namespace.pods[0])
    return brief(names(namespace.containers or namespace.pods, MOST))


def _of_pod(namespace: Namespace) -> bool:
    return all(name.startswith(f"{namespace.pods[0]}/") for name in namespace.containers)


def state(namespace: Namespace) -> str:
    """What is particular about it; nothing about one that a container's processes are in."""
    if namespace.leaked:
        return "leaked"
    if namespace.shared:
        return shared(namespace)
    return "" if namespace.pids else kept(namespace)


def shared(namespace: Namespace) -> str:
    """How many have it: pods, where every container is of one and there are several. Sandboxes do not count."""
    working = [name for name in namespace.containers if not name.endswith(f"/{SANDBOX}")]
    plain = any(not name.startswith(tuple(f"{pod}/" for pod in namespace.pods)) for name in namespace.containers)
    if len(namespace.pods) > 1 and not plain:
        return f"shared by {count(len(namespace.pods), 'pod')}"
    return f"shared by {count(len(working), 'container')}"


def kept(namespace: Namespace) -> str:
    """What keeps one alive that no process is in."""
    said = {
        "threads": f"{count(len(namespace.threads), 'thread')} ({numbers(namespace.threads)})",
        "children": f"for children of pid {numbers(namespace.children_of)}",
        "pin": f"pinned by {namespace.engine}" if namespace.engine else "pinned",
        "file": f"open in pid {numbers(dict.fromkeys(file.pid for file in namespace.open_files))}",
        "child": "parent of others",
        "owned": "owner of others",
        "mount": "kept by what was not seen",
    }
    return printable(", ".join(said[word] for word in namespace.kept_by if word in said))


def numbers(found: Iterable[int]) -> str:
    """Some numbers, and how many more there are."""
    listed = list(found)
    more = f" and {len(listed) - MOST} more" if len(listed) > MOST else ""
    return ", ".join(map(str, listed[:MOST])) + more


def pins(found: Sequence[Pin]) -> str:
    """The first pin, and how many more there are."""
    return names([pin.path for pin in found], 1)
