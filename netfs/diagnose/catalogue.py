"""The catalogue of faults: what each slug means, how it shows, what it does to a packet, how it is repaired.

The texts are data, in ``faults/*.toml``, one file for each group; they are read when first asked for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the catalogue."""

    slug: str
    group: str
    """One letter: L, R, N, V, B, S, M, F, P, C, O, G or X."""
    group_title: str
    severity: str
    """``error``, ``warning`` or ``info``: what a finding of it is at its worst."""
    evidence: str
    """What it is, and what the state shows."""
    effect: str
    """What happens to the packet, with the kernel's drop reason where it has one."""
    repair: str
    seen: str | None = None
    """Where operators meet it."""
    in_lab: bool = False
    """``netfs lab break`` can inject it."""
    found: bool = False
    """``netfs doctor`` or ``netfs trace`` can find it."""
    found_by: str | None = None
    """Another command that finds it."""


GROUPS = (
    "links",
    "routes",
    "neighbours",
    "vxlan",
    "bridge",
    "sysctls",
    "sizes",
    "firewall",
    "services",
    "conntrack",
    "layers",
    "cgroups",
    "namespaces",
)
"""The files, in the order of the catalogue."""


class _Catalogue(Mapping[str, Fault]):
    """Faults by slug, read on the first question."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] | None = None

    def _read(self) -> dict[str, Fault]:
        if self._faults is None:
            self._faults = {fault.slug: fault for group in GROUPS for fault in _group(group)}
        return self._faults

    def __getitem__(self, slug: str) -> Fault:
        return self._read()[slug]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def _group(name: str) -> Iterator[Fault]:
    text = files("netfs.diagnose").joinpath("faults", f"{name}.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    for slug, entry in document["fault"].items():
        known = {"in_lab": document["in_lab"], "found": document["found"], **entry}
        yield Fault(slug=slug, group=document["group"], group_title=document["title"], **known)


FAULTS: Mapping[str, Fault] = _Catalogue()
"""Every fault that netfs knows, by slug, in the order of the catalogue."""
