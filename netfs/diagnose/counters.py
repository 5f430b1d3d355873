"""What only two snapshots of one cluster show: counters that rise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.diagnose.commands import finding
from netfs.diagnose.examination import told
from netfs.model.findings import Finding
from netfs.model.link import Link, LinkStats

LOSSES = tuple(field.name for field in fields(LinkStats) if "error" in field.name or "dropped" in field.name)
"""Counters of a device that rise when it loses packets."""
FLAPS = 2
"""Losing the carrier and getting it back counts twice (``netif_carrier_off``, ``netif_carrier_on``)."""


def examine_between(before: Topology, after: Topology) -> tuple[Finding, ...]:
    """`link-flapping` and `link-errors`: devices of the same namespace and index in both snapshots."""
    return told(_rising(before, after))


def _rising(before: Topology, after: Topology) -> Iterator[Finding]:
    for key, view in after.views.items():
        known = before.views.get(key)
        if known is None:
            continue
        for link in view.netns.links:
            old = known.links.get(link.index)
            if old is not None and old.name == link.name and not link.loopback:
                yield from _of_link(view, old, link)


def _of_link(view: NetNsView, old: Link, new: Link) -> Iterator[Finding]:
    changes = new.carrier_changes - old.carrier_changes
    if changes >= FLAPS:
        yield finding(
            "link-flapping",
            view,
            new,
            f"the carrier of {new.name} changed {changes} times between the snapshots",
            f"# check cable, switch port and driver; the kernel's view: ip -s link show dev {quote(new.name)}",
            "warning",
        )
    if old.stats is None or new.stats is None:
        return
    risen = {name: getattr(new.stats, name) - getattr(old.stats, name) for name in LOSSES}
    risen = {name: count for name, count in risen.items() if count > 0}
    if risen:
        yield finding(
            "link-errors",
            view,
            new,
            f"{new.name} lost packets between the snapshots: "
            + ", ".join(f"{name} +{count}" for name, count in risen.items()),
            f"# look at the driver and its ring sizes: ethtool -S {quote(new.name)} ; ethtool -g {quote(new.name)}",
            "warning",
        )
