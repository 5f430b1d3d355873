"""IPVS: the table of virtual services, as ``ipvsadm -Sn`` prints it.

    -A -t 10.96.0.10:53 -s rr -p 10800
    -a -t 10.96.0.10:53 -r 10.244.1.3:53 -m -w 1

Mirrors ``ip_vs_service_find`` (net/netfilter/ipvs/ip_vs_ctl.c) and what the schedulers (ip_vs_rr.c, ip_vs_wrr.c, …)
make of weights. A snapshot holds no connection of IPVS: every packet is scheduled anew, persistence or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.model import ip

EVEN = frozenset(("rr", "lc"))
"""Schedulers that give every real server the same."""
WEIGHTED = frozenset(("wrr", "wlc", "sed", "nq"))
"""Schedulers that give by weight."""
HIGHEST = frozenset(("fo", "ovf"))
"""Schedulers that give to the server of the highest weight, as long as there is room."""

METHODS = {
    "-m": "masquerading",
    "--masquerading": "masquerading",
    "-g": "direct routing",
    "--gatewaying": "direct routing",
    "-i": "tunnelling",
    "--ipip": "tunnelling",
}
KINDS = {
    "-t": "tcp",
    "--tcp-service": "tcp",
    "-u": "udp",
    "--udp-service": "udp",
    "--sctp-service": "sctp",
    "-f": "fwmark",
    "--fwmark-service": "fwmark",
}
ALONE = frozenset(("-o", "--ops", "-6", "--ipv6", "--tun-nocsum", "--tun-csum", "--tun-remcsum"))
"""Options without a value that change nothing here."""
VALUED = {
    "-s": "scheduler",
    "--scheduler": "scheduler",
    "-p": "persistent",
    "--persistent": "persistent",
    "-w": "weight",
    "--weight": "weight",
    "-r": "server",
    "--real-server": "server",
    "-M": "netmask",
    "--netmask": "netmask",
    "--pe": "engine",
    "-b": "flags",
    "--sched-flags": "flags",
    "-x": "upper",
    "--u-threshold": "upper",
    "-y": "lower",
    "--l-threshold": "lower",
    "--tun-type": "tunnel",
    "--tun-port": "tunnel-port",
}

Key = tuple[str, str, int]
"""(``tcp`` | ``udp`` | ``sctp``, address, port), or (``fwmark``, "", mark)."""


@dataclass(frozen=True, slots=True)
class RealServer:
    """One backend of a virtual service."""

    address: str
    port: int
    """0 in a service by mark: the port stays."""
    method: str
    """``masquerading``, ``direct routing`` or ``tunnelling``."""
    weight: int = 1
    """0: it gets no new connection."""
    text: str = ""


@dataclass(slots=True)
class VirtualService:
    """One virtual service."""

    key: Key
    scheduler: str
    persistent: int | None = None
    """Seconds for which a client keeps its server."""
    text: str = ""
    servers: list[RealServer] = field(default_factory=list)

    def shares(self) -> list[tuple[RealServer, float | None]]:
        """The servers that a new connection may get, each with its share; None: not known."""
        able = [server for server in self.servers if server.weight > 0]
        if not able or self.scheduler in EVEN:
            return [(server, 1 / len(able)) for server in able]
        if self.scheduler in WEIGHTED:
            total = sum(server.weight for server in able)
            return [(server, server.weight / total) for server in able]
        if self.scheduler in HIGHEST:
            return [(max(able, key=lambda server: server.weight), 1.0)]
        return [(server, 1.0 if len(able) == 1 else None) for server in able]


@dataclass(slots=True)
class Table:
    """The virtual services of a namespace."""

    services: dict[Key, VirtualService] = field(default_factory=dict)

    def find(self, proto: str, address: str, port: int | None, mark: int) -> VirtualService | None:
        """The service a packet is for: by mark, by address and port, or by an address with all its ports."""
        marked = self.services.get(("fwmark", "", mark)) if mark else None
        if marked is not None or port is None:
            return marked
        return self.services.get((proto, address, port)) or self.services.get((proto, address, 0))


def table(view: NetNsView) -> Table | NotUnderstoodError | None:
    """The virtual services of a namespace, read once; an error where the text cannot be read."""
    firewall = view.netns.firewall
    if firewall is None or not firewall.ipvs:
        return None
    known = view.compiled.get("ipvs")
    if not isinstance(known, Table | NotUnderstoodError):
        try:
            known = parse(firewall.ipvs)
        except NotUnderstoodError as error:
            known = error
        view.compiled["ipvs"] = known
    return known


def parse(text: str) -> Table:
    """Read what ``ipvsadm -Sn`` printed. Raises NotUnderstoodError with line and column."""
    found = Table()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            _Line(number, line).into(found)
    return found


class _Line:
    """One rule of the text, word by word."""

    def __init__(self, number: int, line: str) -> None:
        self.number = number
        self.text = line.strip()
        self.words = [(match.group(), match.start() + 1) for match in re.finditer(r"\S+", line)]

    def wrong(self, what: str, column: int) -> NotUnderstoodError:
        message = f"ipvsadm, line {self.number}, column {column}: {what}"
        return NotUnderstoodError(message, line=self.number, column=column)

    def into(self, found: Table) -> None:
        command, column = self.words[0]
        if command not in ("-A", "--add-service", "-a", "--add-server"):
            raise self.wrong(f"no command {command[:40]!r}", column)
        key: Key | None = None
        method = "direct routing"
        values: dict[str, tuple[str, int]] = {}
        rest = iter(self.words[1:])
        for word, place in rest:
            if word in KINDS:
                key = self._key(KINDS[word], *self._value(rest, word, place))
            elif word in METHODS:
                method = METHODS[word]
            elif word in VALUED:
                values[VALUED[word]] = self._value(rest, word, place)
            elif word not in ALONE:
                raise self.wrong(f"no option {word[:40]!r}", place)
        if key is None:
            raise self.wrong("names no service", column)
        if command in ("-A", "--add-service"):
            self._service(found, key, values)
        else:
            self._server(found, key, method, values)

    def _service(self, found: Table, key: Key, values: dict[str, tuple[str, int]]) -> None:
        persistent = self._number(*values["persistent"]) if "persistent" in values else None
        scheduler = values.get("scheduler", ("wlc", 0))[0]
        found.services[key] = VirtualService(key, scheduler, persistent, self.text)

    def _server(self, found: Table, key: Key, method: str, values: dict[str, tuple[str, int]]) -> None:
        service = found.services.get(key)
        if service is None:
            raise self.wrong("a server of a service that was not listed", self.words[0][1])
        if "server" not in values:
            raise self.wrong("names no server", self.words[0][1])
        address, port = self._end(*values["server"])
        weight = self._number(*values["weight"]) if "weight" in values else 1
        service.servers.append(RealServer(address, port, method, weight, self.text))

    def _value(self, rest: Iterator[tuple[str, int]], option: str, column: int) -> tuple[str, int]:
        found = next(rest, None)
        if found is None:
            raise self.wrong(f"{option} has no value", column)
        return found

    def _key(self, kind: str, value: str, column: int) -> Key:
        if kind == "fwmark":
            return kind, "", self._number(value, column)
        return kind, *self._end(value, column)

    def _end(self, value: str, column: int) -> tuple[str, int]:
        """``10.0.0.1:80``, ``[fd00::1]:80``; a server of a service by mark may lack its port."""
        match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::(\d{1,5}))?", value, re.ASCII)
        if match is None or int(match[3] or 0) > 65535:
            raise self.wrong(f"no address and port {value[:60]!r}", column)
        text = match[1] or match[2]
        try:
            address = ip.to_text(ip.to_int(text), ip.family_of(text))
        except ValueError:
            raise self.wrong(f"no address {text[:60]!r}", column) from None
        return address, int(match[3] or 0)

    def _number(self, value: str, column: int) -> int:
        if not re.fullmatch(r"\d{1,10}|0x[0-9a-fA-F]{1,8}", value, re.ASCII):
            raise self.wrong(f"no number {value[:40]!r}", column)
        return int(value, 0) if value.startswith("0x") else int(value)
