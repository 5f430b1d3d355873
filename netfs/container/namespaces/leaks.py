"""Namespaces that only a pin keeps, as findings with the commands that remove them."""

from __future__ import annotations

import posixpath
import re
import string
from collections.abc import Sequence
from shlex import quote

from netfs.container.namespaces.pins import paths
from netfs.model.findings import Finding
from netfs.model.namespaces import Namespace, Pin

LEAKED = "namespace-leaked"
IP_NETNS = "/run/netns"
"""Where ip-netns(8) and CNI keep theirs."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MADE_BY = (
    (rf"/netns/cni-{_UUID}\Z", "as CNI runtimes (containerd, CRI-O) name theirs"),
    (rf"/netns/netns-{_UUID}\Z", "as Podman names its own"),
    (rf"/(?:net|ipc|uts|user|pid)ns/{_UUID}\Z", "as CRI-O's pinns names its own"),
    (r"(?<!\A/run)/netns/[0-9a-f]{12}\Z", "as Docker names a container's"),
)
"""How engines name what they pin: containernetworking/plugins pkg/ns and containers/common pkg/netns (``NewNS``),
cri-o pinns, moby libnetwork (``GenerateKey``: the first 12 digits of the sandbox's id)."""


def findings(namespaces: Sequence[Namespace]) -> tuple[Finding, ...]:
    """Namespaces that leaked. All of the node's are wanted: its own mount namespace is told from them."""
    home = {each.node: each.id for each in namespaces if each.initial and each.type == "mnt"}
    return tuple(_finding(each, home.get(each.node)) for each in namespaces if each.leaked)


def subject(namespace: Namespace) -> str:
    """What a finding calls it: ``node1/net:[4026532281]``."""
    name = f"{namespace.type}:[{namespace.id}]"
    return f"{namespace.node}/{name}" if namespace.node else name


def _finding(namespace: Namespace, home: int | None) -> Finding:
    pinned = paths(namespace)
    made_by = next((who for path in pinned for form, who in _MADE_BY if re.search(form, path)), "")
    here = home is None or any(pin.mount_namespace == home for pin in namespace.pins)
    where = f"pinned at {pinned[0]}" + (f" and {len(pinned) - 1} more" if len(pinned) > 1 else "")
    evidence = f"{where}{', ' + made_by if made_by else ''}; no process is in it, and no engine says that it is its own"
    if not made_by:
        evidence += "; somebody may have made it on purpose"
    if not here:
        evidence += (
            f"; that is in another mount namespace, mnt:[{namespace.pins[0].mount_namespace}]: an engine in there "
        )
        evidence += "was not asked"
    severity = "warning" if made_by and here else "info"
    return Finding(LEAKED, severity, subject(namespace), evidence, _fix(namespace, home), node=namespace.node)


def _fix(namespace: Namespace, home: int | None) -> str:
    """Commands that remove its pins: those of the node's own mount namespace, whose removal spreads to its copies."""
    here = [pin for pin in namespace.pins if pin.mount_namespace == home]
    steps = [_removal(namespace, pin) for pin in here] or [_removal_elsewhere(pin) for pin in namespace.pins]
    return " && ".join(dict.fromkeys(step for step in steps if step)) or (
        "end what holds the mount namespace of the pin: no process is in it"
    )


def _removal(namespace: Namespace, pin: Pin) -> str:
    folder, name = posixpath.split(pin.path)
    if namespace.type == "net" and folder == IP_NETNS and not name.startswith("-"):
        return f"ip netns delete {_quoted(name)}"
    return f"umount {_quoted(pin.path)} && rm {_quoted(pin.path)}"


def _removal_elsewhere(pin: Pin) -> str:
    if pin.pid is None:
        return ""
    enter, path = f"nsenter -t {pin.pid} -m", _quoted(pin.path)
    return f"{enter} umount {path} && {enter} rm {path}"


def _quoted(name: str) -> str:
    """As a shell reads it; where a terminal would not show it as it is, as bash, ksh and zsh read it (``$'…'``)."""
    if name.isascii() and name.isprintable():
        return quote(name)
    plain = string.ascii_letters + string.digits + string.punctuation.translate({ord("\\"): None, ord("'"): None}) + " "

    def escaped(char: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))

    return "$'" + "".join(char if char in plain else escaped(char) for char in name) + "'"
