"""The catalogue of faults that a lab can play: ``faults/*.toml``, as records. What their lines say: ``faults.py``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from netfs.errors import LabError
from netfs.lab import records
from netfs.lab.state import LabState
from netfs.model.kubernetes import NetworkPolicy

_FIXTURES = "fixture_only.toml"
_HEADERS = {"icmp": 8, "tcp": 20, "udp": 8}
"""Bytes of transport header."""
_PROGRAMS = ("nft", "iptables", "ip6tables", "ipset", "conntrack")


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet a fault is about."""

    src: str = "pod-a"
    dst: str = "pod-b"
    """A member, or ``svc/NAME`` for a Service's cluster IP."""
    address: str | None = None
    """Where ``dst`` is reached while the fault lasts, if not at its planned address."""
    proto: str = "icmp"
    port: int | None = None
    sport: int | None = None
    """The port it is sent from; None: any."""
    size: int = 56
    """Bytes of payload; sent with DF."""
    family: int = 4

    @property
    def question(self) -> str:
        """The ``netfs trace`` that asks the same."""
        words = ["netfs trace", self.src, self.address or self.dst]
        if self.proto == "udp":
            words.append("--proto udp")
        words += [f"--port {self.port}"] if self.port is not None else []
        words += [f"--sport {self.sport}"] if self.sport is not None else []
        if self.size != Probe().size:
            words.append(f"--size {self.size + _HEADERS[self.proto] + (40 if self.family == 6 else 20)}")
        words += ["-6"] if self.family == 6 else []
        return " ".join(words)

    def planned(self, lab: LabState) -> str:
        """Where ``dst`` is reached in a healthy lab. Raises LabError where the lab has it not."""
        kind, _, name = self.dst.partition("svc/")
        if kind:
            found = lab.member(self.dst)
            return (found.ip6 if self.family == 6 else found.ip) or ""
        addresses = [one for service in lab.planned.services if service.name == name for one in service.cluster_ips]
        wanted = [one for one in addresses if (":" in one) is (self.family == 6)]
        if not wanted:
            raise LabError(f"no Service {name!r} with an IPv{self.family} address", where=f"lab {lab.name}")
        return wanted[0]


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the catalogue that a lab can play."""

    slug: str
    breaks: tuple[str, ...]
    repairs: tuple[str, ...]
    probe: Probe = field(default_factory=Probe)
    lost: bool = True
    """Whether the probe goes unanswered while the fault lasts."""
    iptables_breaks: tuple[str, ...] = ()
    """What breaks a lab whose rules are iptables's, where that is something else; ``{iptables}`` is its program."""
    proxy: str | None = None
    """The mode of kube-proxy it needs; None: any."""
    services: tuple[str, ...] = ()
    """The Services it needs."""
    policies: tuple[NetworkPolicy, ...] = ()
    """The policies that its lines put into the API."""

    def breaks_in(self, mode: str) -> tuple[str, ...]:
        """The lines that break a lab whose kube-proxy, and flannel, run in this mode."""
        return self.iptables_breaks if self.iptables_breaks and mode.startswith("iptables") else self.breaks

    @property
    def tools(self) -> frozenset[str]:
        """The programs that its lines and its lab need beyond iproute2."""
        words = {line.partition(": ")[2].split()[0] for line in (*self.breaks, *self.repairs)}
        proxy = {"nftables": "nft"}.get(self.proxy or "", self.proxy or "")
        return frozenset(word for word in (*words, proxy) if word.partition("-")[0] in _PROGRAMS)

    @property
    def needs(self) -> str:
        """The options of ``netfs lab up`` that make a lab it can be played in; empty: any lab will do."""
        words = [f"--proxy {self.proxy}"] if self.proxy is not None else []
        words += [f"--service {text}" for text in self.services]
        words += ["--ipv6"] if self.probe.family == 6 else []
        return " ".join(words)

    @property
    def lab(self) -> dict[str, Any]:
        """What ``netfs.lab.up`` is to be asked for beside a name and IPv6."""
        return {"proxy": self.proxy, "services": self.services}


@cache
def catalogue() -> dict[str, Fault]:
    """Every fault a lab can play, by slug."""
    found: dict[str, Fault] = {}
    for file in _files():
        if file.name != _FIXTURES:
            for slug, entry in tomllib.loads(file.read_text(encoding="utf-8")).items():
                found[slug] = _fault(slug, entry)
    return found


@cache
def fixture_only() -> dict[str, str]:
    """The entries of the catalogue that a lab cannot play, each with the reason."""
    texts = (file.read_text(encoding="utf-8") for file in _files() if file.name == _FIXTURES)
    return {slug: str(reason) for text in texts for slug, reason in tomllib.loads(text).items()}


def _files() -> list[Any]:
    folder = resources.files("netfs.lab") / "faults"
    return sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)


def _fault(slug: str, entry: dict[str, Any]) -> Fault:
    return Fault(
        slug=slug,
        breaks=tuple(entry["break"]),
        repairs=tuple(entry["repair"]),
        probe=Probe(**entry.get("probe", {})),
        lost=entry.get("lost", True),
        iptables_breaks=tuple(entry.get("break-iptables", ())),
        proxy=entry.get("proxy"),
        services=tuple(entry.get("services", ())),
        policies=_policies(entry.get("policies", ())),
    )


def _policies(entries: list[dict[str, Any]]) -> tuple[NetworkPolicy, ...]:
    """Written as the model's records are."""
    return tuple(records.decode(NetworkPolicy, entry) for entry in entries)
