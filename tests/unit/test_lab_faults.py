"""The lab's faults, as files: complete, and only lines that the plan can fill in."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from netfs.lab import faults, plan, rules, services

GROUPS = frozenset("LRNVBSMFPC")
TOOLS = {"ip", "bridge", "sysctl", "nft", "iptables-nft", "iptables-legacy", "conntrack"}
VERBS = TOOLS | {"restore", "remotes", "vxlan", "cable", "port", "proxy", "firewall", "policies"}
OBJECT_VERBS = {"service", "policy", "restore"}


def _told_of() -> dict[str, bool]:
    """Slugs of the catalogue, and whether it says that a lab plays them."""
    found: dict[str, bool] = {}
    for file in (resources.files("netfs.diagnose") / "faults").iterdir():
        if file.name.endswith(".toml"):
            document = tomllib.loads(file.read_text(encoding="utf-8"))
            if document.get("group") in GROUPS:
                for slug, entry in document["fault"].items():
                    found[slug] = entry.get("in_lab", document["in_lab"])
    return found


def test_every_fault_of_the_catalogue_is_played_or_told_why_not() -> None:
    played, told = set(faults.catalogue()), set(faults.fixture_only())
    assert played.isdisjoint(told)
    assert {slug for slug, in_lab in _told_of().items() if in_lab} == played
    assert {slug for slug, in_lab in _told_of().items() if not in_lab} == told


@pytest.mark.parametrize("slug", sorted(faults.catalogue()))
def test_a_fault_speaks_of_members_and_values_there_are(slug: str) -> None:
    whole = plan.make(2, 2, ipv6=True)
    fault = faults.catalogue()[slug]
    members = {*whole.members, plan.FABRIC}
    made = services.objects(whole, fault.services)
    named = {one.name: one for one in made.services}
    assert fault.proxy in (None, *rules.MODES)
    assert fault.breaks
    assert fault.repairs
    values = {"plan": whole, "iptables": "iptables-nft", **named, **whole.members}
    for line in (*fault.breaks, *fault.iptables_breaks, *fault.repairs):
        target, colon, command = line.format_map(values).partition(": ")
        assert colon
        assert target in (*members, "cluster")
        assert command.split()[0] in (OBJECT_VERBS if target == "cluster" else VERBS)
    assert {fault.probe.src, fault.probe.dst} <= members | {f"svc/{name}" for name in named}
