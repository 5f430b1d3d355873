"""Services as kube-proxy's rules on a node name them, where nobody asked the API.

iptables mode: comments. ``"default/web:http cluster IP"`` stands beside ``-d`` and ``--dport`` in KUBE-SERVICES,
``"default/web:http"`` beside the node port in KUBE-NODEPORTS and beside the DNAT in KUBE-SEP-… (pkg/proxy/iptables).
nftables mode: the maps and the names of chains of table kube-proxy (pkg/proxy/nftables):
``10.96.0.10 . tcp . 80 : goto service-ULMVA6XW-default/web/tcp/http``.
IPVS: addresses and backends; no names.

The text is scanned, not evaluated: which backend a packet meets is the datapath's answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from netfs.model import ip
from netfs.model.kubernetes import Service, ServicePort
from netfs.model.snapshot import Firewall

CLUSTER_IP, EXTERNAL_IP, LOAD_BALANCER_IP = "cluster IP", "external IP", "loadbalancer IP"
PROTOCOLS = {"tcp": "tcp", "udp": "udp", "sctp": "sctp", "6": "tcp", "17": "udp", "132": "sctp"}

_LINE = re.compile(
    r"^(?:\[[0-9]+:[0-9]+\] )?-A (KUBE-(?:SERVICES|EXTERNAL-SERVICES|NODEPORTS|SEP-[A-Z2-7]+)) (.*)$", re.MULTILINE
)
_COMMENT = re.compile(r'--comment (?:"([^"]*)"|(\S+))')
_PORT_NAME = re.compile(r"([^/\s]+)/([^:\s]+)(?::(\S+))?(?: (.*))?")
"""``default/web:http cluster IP``."""
_DESTINATION = re.compile(r"(?:^| )-d ([0-9a-f.:]+)(?:/32|/128)?(?: |$)")
_PROTOCOL = re.compile(r"(?:^| )-p (\w+)")
_DPORT = re.compile(r" --dport ([0-9]{1,5})(?: |$)")
_DNAT = re.compile(r"-j DNAT --to-destination (\S+)")
_CHAIN = re.compile(r"(?:service|external|local|firewall|endpoint)-[A-Z2-7]+-([^/]+)/([^/]+)/(\w+)/([^/]*?)(?:__.*)?")
_IPVS = re.compile(r"^-([Aa]) -([tu]) (\S+)(?: -r (\S+))?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Discovered:
    """A Service as rules name it."""

    service: Service
    backends: tuple[tuple[str, int, str, str], ...]
    """(address, port, protocol, name of the Service's port)."""


@dataclass(slots=True)
class _Draft:
    """What was found of one Service so far; dicts keep order and forget what is told twice."""

    addresses: dict[str, dict[str, None]] = field(default_factory=dict)
    ports: dict[tuple[str, str], int] = field(default_factory=dict)
    """Port by (its name, protocol)."""
    node_ports: dict[tuple[str, str], int] = field(default_factory=dict)
    backends: dict[tuple[str, int, str, str], None] = field(default_factory=dict)

    def serve(self, kind: str, address: str, protocol: str, port: int, name: str) -> None:
        """It is served at an address and port."""
        self.addresses.setdefault(kind, {})[address] = None
        self.ports.setdefault((name, protocol), port)


_Drafts = dict[tuple[str, str], _Draft]


def discover(firewalls: Iterable[Firewall], only: str = "") -> tuple[Discovered, ...]:
    """The Services that the rules of any of the nodes name. Text that is none of kube-proxy's says nothing.

    ``only``: of rules in lines, those alone that hold this text (``can_select`` says whether that is all there are).
    """
    drafts: _Drafts = {}
    for kind, text in dict.fromkeys((kind, text) for each in firewalls for _, kind, text in _texts(each)):
        _READERS[kind](_lines_with(text, only) if only and kind != "nftables" else text, drafts)
    return tuple(_discovered(*key, draft) for key, draft in drafts.items() if draft.ports)


def of_proxy(firewall: Firewall) -> Firewall:
    """The texts that kube-proxy has a part in: large ones that name no Service are searched once."""
    return Firewall(**{name: text for name, _, text in _texts(firewall)})


def can_select(firewalls: Iterable[Firewall]) -> bool:
    """Whether there are rules, and all of them are iptables' lines, of which some can be read alone."""
    kinds = {kind for each in firewalls for _, kind, _ in _texts(each)}
    return kinds == {"iptables"}


def has_node_port(firewalls: Iterable[Firewall], port: int) -> bool:
    """Whether a rule of iptables takes packets to this port of the node for a Service."""
    texts = (text for each in firewalls for _, _, text in _texts(each))
    return any("-A KUBE-NODEPORTS " in _lines_with(text, f" --dport {port} ") for text in texts)


def _lines_with(text: str, literal: str) -> str:
    """The lines of a text that hold a literal; a search for the literal is much faster than one for lines."""
    lines = []
    at = text.find(literal)
    while at >= 0:
        begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        end = len(text) if end < 0 else end
        lines.append(text[begin:end])
        at = text.find(literal, end)
    return "\n".join(lines)


def _texts(firewall: Firewall) -> Iterator[tuple[str, str, str]]:
    """(field of the firewall, kind of reader, text)."""
    for name in ("iptables", "ip6tables", "iptables_legacy", "ip6tables_legacy"):
        text = getattr(firewall, name)
        if text and "KUBE-" in text:
            yield name, "iptables", text
    if firewall.nft and '"kube-proxy"' in firewall.nft:
        yield "nft", "nftables", firewall.nft
    if firewall.ipvs:
        yield "ipvs", "ipvs", firewall.ipvs


def _discovered(namespace: str, name: str, draft: _Draft) -> Discovered:
    load_balancer, node_port = draft.addresses.get(LOAD_BALANCER_IP), draft.node_ports
    service = Service(
        name,
        namespace,
        "LoadBalancer" if load_balancer else "NodePort" if node_port else "ClusterIP",
        cluster_ips=tuple(sorted(draft.addresses.get(CLUSTER_IP, {}), key=ip.family_of)),
        ports=tuple(
            ServicePort(port, protocol, own, node_port=node_port.get((own, protocol)))
            for port, protocol, own in sorted((port, *key[::-1]) for key, port in draft.ports.items())
        ),
        external_ips=tuple(draft.addresses.get(EXTERNAL_IP, ())),
        load_balancer_ips=tuple(load_balancer or ()),
    )
    return Discovered(service, tuple(sorted(draft.backends)))


def _read_iptables(text: str, drafts: _Drafts) -> None:
    for line in _LINE.finditer(text):
        chain, rest = line.groups()
        said, protocol = _COMMENT.search(rest), _PROTOCOL.search(rest)
        named = _PORT_NAME.fullmatch(said[1] or said[2] or "") if said is not None else None
        if named is None or protocol is None:
            continue
        namespace, name, port_name, what = named.groups()
        proto = PROTOCOLS.get(protocol[1])
        if proto is None:
            continue
        draft = drafts.setdefault((namespace, name), _Draft())
        if chain.startswith("KUBE-SEP-"):
            _backend(draft, rest, proto, port_name or "")
        elif (port := _DPORT.search(rest)) is not None and _is_port(int(port[1])):
            _front(draft, chain, rest, proto, port_name or "", what or "", int(port[1]))


def _front(draft: _Draft, chain: str, rest: str, proto: str, port_name: str, what: str, port: int) -> None:
    """A rule that takes packets for a Service: by its address, else by a port of the node."""
    unserved = what in ("has no endpoints", "has no local endpoints")
    to = _DESTINATION.search(rest)
    if to is not None and _address(to[1]) is not None:
        kind = (CLUSTER_IP if chain == "KUBE-SERVICES" else EXTERNAL_IP) if unserved else what
        if kind in (CLUSTER_IP, EXTERNAL_IP, LOAD_BALANCER_IP):
            draft.serve(kind, to[1], proto, port, port_name)
    elif to is None and (unserved or not what) and chain != "KUBE-SERVICES":
        draft.node_ports[port_name, proto] = port


def _backend(draft: _Draft, rest: str, proto: str, port_name: str) -> None:
    target = _DNAT.search(rest)
    pair = _pair(target[1]) if target is not None else None
    if pair is not None:
        draft.backends[*pair, proto, port_name] = None


def _read_nftables(text: str, drafts: _Drafts) -> None:
    try:
        listing = json.loads(text)
        objects = listing["nftables"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    for each in objects if isinstance(objects, list) else ():
        for kind, read in (("map", _read_map), ("rule", _read_rule)):
            record = each.get(kind) if isinstance(each, dict) else None
            if isinstance(record, dict) and record.get("table") == "kube-proxy":
                read(record, drafts)


def _read_map(record: dict[str, Any], drafts: _Drafts) -> None:
    """``service-ips``, ``service-nodeports`` and their kin for Services without endpoints."""
    elements = record.get("elem")
    for element in elements if isinstance(elements, list) else ():
        if not isinstance(element, list) or len(element) != 2:
            continue
        key, verdict = element
        comment = ""
        if isinstance(key, dict) and isinstance(key.get("elem"), dict):
            comment, key = str(key["elem"].get("comment") or ""), key["elem"].get("val")
        parts = key.get("concat") if isinstance(key, dict) else None
        target = verdict.get("goto") if isinstance(verdict, dict) else None
        chain = str(target.get("target")) if isinstance(target, dict) else ""
        if isinstance(parts, list) and len(parts) in (2, 3):
            _element(str(record.get("name")), parts, chain, comment, drafts)


def _element(kind: str, parts: list[Any], chain: str, comment: str, drafts: _Drafts) -> None:
    named = _CHAIN.fullmatch(chain)
    proto, port = PROTOCOLS.get(str(parts[-2])), parts[-1]
    if proto is None or not _is_port(port):
        return
    if named is not None:
        namespace, name, _, port_name = named.groups()
    elif (said := _PORT_NAME.fullmatch(comment)) is not None:
        namespace, name, port_name = said[1], said[2], said[3] or ""
    else:
        return
    draft = drafts.setdefault((namespace, name), _Draft())
    if kind in ("service-nodeports", "no-endpoint-nodeports"):
        draft.node_ports[port_name, proto] = port
    elif kind in ("service-ips", "no-endpoint-services") and (address := _address(str(parts[0]))) is not None:
        known = draft.addresses.get(CLUSTER_IP)
        inner = not chain.startswith("external-") if named is not None else known is None or address in known
        draft.serve(CLUSTER_IP if inner else EXTERNAL_IP, address, proto, port, port_name)


def _read_rule(record: dict[str, Any], drafts: _Drafts) -> None:
    """The rule of an endpoint's chain that translates."""
    named = _CHAIN.fullmatch(str(record.get("chain")))
    statements = record.get("expr")
    if named is None or not str(record["chain"]).startswith("endpoint-") or not isinstance(statements, list):
        return
    namespace, name, proto, port_name = named.groups()
    for statement in statements:
        target = statement.get("dnat") if isinstance(statement, dict) else None
        if not isinstance(target, dict) or not _is_port(target.get("port")) or proto not in PROTOCOLS:
            continue
        address = _address(str(target.get("addr")))
        if address is not None:
            draft = drafts.setdefault((namespace, name), _Draft())
            draft.backends[address, target["port"], PROTOCOLS[proto], port_name] = None


def _read_ipvs(text: str, drafts: _Drafts) -> None:
    """``-A -t 10.96.0.10:80 -s rr`` and ``-a -t 10.96.0.10:80 -r 10.244.1.2:80 -m -w 1``."""
    for line in _IPVS.finditer(text):
        what, protocol, service, target = line.groups()
        front = _pair(service)
        if front is None:
            continue
        proto = "tcp" if protocol == "t" else "udp"
        draft = drafts.setdefault(("", front[0]), _Draft())
        name = f"{proto}-{front[1]}"
        if what == "A":
            draft.serve(CLUSTER_IP, front[0], proto, front[1], name)
        elif target is not None and (back := _pair(target)) is not None:
            draft.backends[*back, proto, name] = None


_READERS = {"iptables": _read_iptables, "nftables": _read_nftables, "ipvs": _read_ipvs}


def _pair(text: str) -> tuple[str, int] | None:
    """``10.244.1.2:80`` or ``[fd00::2]:80``; None: neither."""
    host, colon, port = text.rpartition(":")
    address = _address(host.removeprefix("[").removesuffix("]"))
    if not colon or address is None or not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    return (address, int(port)) if _is_port(int(port)) else None


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _address(text: str) -> str | None:
    try:
        return ip.to_text(ip.to_int(text), ip.family_of(text))
    except ValueError:
        return None
