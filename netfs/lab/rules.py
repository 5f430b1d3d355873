"""A node's firewall: flannel's rules and kube-proxy's, in the mode asked for, and the programs that load them.

Pure but for ``load``, ``anew``, ``again``, ``flush`` and ``enforce``, which run inside the node.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netfs.errors import LabError, UsageError
from netfs.lab import enforcement, flannel, member
from netfs.lab.plan import CLUSTER_CIDR, CLUSTER_CIDR6, SERVICE_CIDR, SERVICE_CIDR6, NodePlan, Plan
from netfs.lab.proxy import iptables, nftables
from netfs.lab.proxy.frontend import Site
from netfs.model.kubernetes import Kubernetes

MODES = ("iptables", "iptables-legacy", "nftables", "none")
"""How kube-proxy runs in a lab: on iptables (its nftables variant or its older one), on nftables, or not at all."""

LOCALHOST_NODE_PORTS = {"net.ipv4.conf.all.route_localnet": "1"}
"""What kube-proxy sets in iptables mode (``--iptables-localhost-nodeports``)."""


_TRANSACTION = 32768
"""Characters of rules that nft is given at once."""
_TABLES = ("mangle", "filter", "nat")


@dataclass(frozen=True, slots=True)
class Program:
    """One run of a tool, with its input."""

    argv: tuple[str, ...]
    text: str


def default_mode(services: bool) -> str:
    """The mode where nobody says: iptables where there are Services and it is installed, else nftables."""
    installed = shutil.which(_tool("iptables", 4, "restore"), path=member.PATH)
    return "iptables" if services and installed else "nftables"


def check_mode(mode: str) -> None:
    """Raise UsageError for a mode there is not, LabError where its program is not installed."""
    if mode not in MODES:
        raise UsageError(f"no proxy mode {mode!r}", hint=f"one of {', '.join(MODES)}")
    if mode.startswith("iptables") and shutil.which(_tool(mode, 4, "restore"), path=member.PATH) is None:
        raise LabError(f"{_tool(mode, 4, 'restore')} is not installed", hint="apt-get install iptables")


def programs(whole: Plan, this: NodePlan, mode: str, objects: Kubernetes) -> Iterator[Program]:
    """What loads a node's rules into an empty namespace."""
    if mode.startswith("iptables"):
        for family in _families(whole):
            text = iptables.text(objects, site(this, family)) + flannel.iptables(this, family)
            yield from _restores(_tool(mode, family, "restore"), text)
        return
    pieces = [flannel.nftables(this, family) for family in _families(whole)]
    if mode == "nftables":
        pieces += _kube_proxy(whole, this, objects)
    yield from _transactions(pieces)


def anew(whole: Plan, this: NodePlan, mode: str, objects: Kubernetes) -> None:
    """Take every rule of the node away, whosever it is, and load flannel's and kube-proxy's. Raises LabError."""
    _run(Program(("nft", "flush", "ruleset"), ""))
    if mode == "iptables-legacy":
        for family in _families(whole):
            _run(Program((_tool(mode, family, "restore"),), "".join(f"*{table}\nCOMMIT\n" for table in _TABLES)))
    for program in programs(whole, this, mode, objects):
        _run(program)


def again(whole: Plan, this: NodePlan, mode: str, objects: Kubernetes) -> None:
    """Program kube-proxy's rules anew, as its next sync would. Raises LabError."""
    if mode == "nftables":
        for program in _transactions(_kube_proxy(whole, this, objects)):
            _run(program)
    elif mode != "none":
        for family in _families(whole):
            text = iptables.text(objects, site(this, family), _saved(mode, family))
            for program in _restores(_tool(mode, family, "restore"), text):
                _run(program)


def flush(whole: Plan, this: NodePlan, mode: str) -> None:
    """Remove kube-proxy's rules, as ``kube-proxy --cleanup`` does. Raises LabError."""
    if mode == "nftables":
        _run(Program(("nft", "-f", "-"), "".join(nftables.removal(site(this, f)) for f in _families(whole))))
    elif mode != "none":
        for family in _families(whole):
            text = iptables.removal(_saved(mode, family))
            _run(Program((_tool(mode, family, "restore"), "--noflush"), text))


def enforce(whole: Plan, this: NodePlan, objects: Kubernetes, labels: Mapping[str, Mapping[str, str]]) -> None:
    """Program what the API's policies allow the node's pods; ``labels`` are those of every pod. Raises LabError."""
    _run(Program(("nft", "-f", "-"), enforcement.text(whole, this, objects, labels)))


def load(whole: Plan, this: NodePlan, mode: str, objects: Kubernetes) -> list[str]:
    """Load a node's rules; what this machine does not let the lab have, one line each.

    Raises LabError where rules that somebody asked for cannot be loaded.
    """
    if mode.startswith("iptables"):
        member.write_sysctls(LOCALHOST_NODE_PORTS)
    try:
        for program in programs(whole, this, mode, objects):
            _run(program)
    except LabError as error:
        if mode.startswith("iptables") or objects.services:
            raise
        return [f"no firewall rules: {error.what}{f' ({error.hint})' if error.hint else ''}"]
    return []


def site(this: NodePlan, family: int) -> Site:
    """A node as its kube-proxy knows it."""
    if family == 6:
        return Site(this.name, this.ip6, CLUSTER_CIDR6, SERVICE_CIDR6, 6)
    return Site(this.name, this.ip, CLUSTER_CIDR, SERVICE_CIDR, 4)


def _families(whole: Plan) -> tuple[int, ...]:
    return (4, 6) if whole.ipv6 else (4,)


def _kube_proxy(whole: Plan, this: NodePlan, objects: Kubernetes) -> list[str]:
    return [piece for family in _families(whole) for piece in nftables.parts(objects, site(this, family))]


def _transactions(pieces: Iterable[str]) -> Iterator[Program]:
    """Runs of nft that a socket's buffer holds: an ordinary user may not ask for a larger one (``EMSGSIZE``)."""
    text = ""
    for piece in pieces:
        if text and len(text) + len(piece) > _TRANSACTION:
            yield Program(("nft", "-f", "-"), text)
            text = ""
        text += piece
    yield Program(("nft", "-f", "-"), text)


def _restores(tool: str, text: str) -> Iterator[Program]:
    """The same for iptables-restore: a table's chains are declared, and emptied, in the first run that names them."""
    lines: list[str] = []
    table, size = "", 0
    for line in text.splitlines():
        if size > _TRANSACTION and line != "COMMIT":
            yield Program((tool, "--noflush"), "\n".join([*lines, *(["COMMIT"] if table else []), ""]))
            lines, size = [table] if table else [], 0
        lines.append(line)
        size += len(line)
        table = line if line.startswith("*") else "" if line == "COMMIT" else table
    yield Program((tool, "--noflush"), "\n".join([*lines, ""]))


def _tool(mode: str, family: int, verb: str) -> str:
    """The program of the mode's own variant: plain ``iptables-restore`` is whichever the machine prefers."""
    variant = "-legacy" if mode == "iptables-legacy" else "-nft"
    return f"{'ip6tables' if family == 6 else 'iptables'}{variant}-{verb}"


def _saved(mode: str, family: int) -> str:
    return _run(Program((_tool(mode, family, "save"),), ""))


def _run(program: Program) -> str:
    done = member.run(list(program.argv), program.text)
    if done.returncode != 0:
        said = " ".join(done.stderr.split()[:40])
        raise LabError(f"{program.argv[0]}: {said or f'exit {done.returncode}'}")
    return done.stdout
