"""The lists of ``-m recent`` (net/netfilter/xt_recent.c): addresses that were seen before, by the name of a list.

kube-proxy keeps a client with its backend by them. Who is on a list is in /proc/net/xt_recent; for how long, and how
often, is not followed: whether a rule still holds for an address that is there cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from netfs.datapath.netfilter.elements import Unknown
from netfs.model import ip


class RecentLists:
    """The lists of one namespace, as ``Firewall.recent`` has them; read when a rule first asks."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    @cached_property
    def _addresses(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for line in (self._text or "").splitlines():
            name, _, entry = line.partition(" ")
            held = found.setdefault(name, set())
            try:
                address = entry.split(" ", 1)[0].removeprefix("src=")
                held.add(ip.to_text(ip.to_int(address), ip.family_of(address)))
            except ValueError:
                continue
        return {name: frozenset(addresses) for name, addresses in found.items()}

    def test(self, name: str, address: str) -> int | Unknown:
        """0: the address is not on the list. Unknown: it is, or nobody read the list."""
        held = self._addresses.get(name)
        if held is None:
            return Unknown("match recent depends on the traffic before")
        if address not in held:
            return 0
        return Unknown(f"match recent: {address} is on the list {name[:60]}, since when is not known")
