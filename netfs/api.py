"""The public face: load a cluster from its sources, then ask it.

What only some questions need (the joins, the datapath, the checks) is imported when the first of them is asked:
``netfs collect`` pays for none of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from netfs.errors import EndpointError
from netfs.model.snapshot import Gap, NodeSnapshot, Snapshots

if TYPE_CHECKING:
    import networkx

    from netfs.cluster.netns import NetNsView
    from netfs.cluster.services import ServiceView
    from netfs.cluster.topology import Topology
    from netfs.model.trace import Direction, Finding, Trace

BY_RULES = frozenset({"firewall-rule-drops", "firewall-forward-drop"})
"""What a drop by a rule is called where nobody knows what the rule is there for."""


class Cluster:
    """The nodes of one or several sources, joined. Everything it answers, it answers from its snapshots."""

    def __init__(self, snapshots: Snapshots) -> None:
        self.snapshots = snapshots

    @cached_property
    def topology(self) -> Topology:
        """The snapshots, joined and indexed."""
        from netfs.cluster.topology import Topology

        return Topology(self.snapshots.nodes, self.snapshots.kubernetes)

    @property
    def nodes(self) -> tuple[NodeSnapshot, ...]:
        """The nodes; namespaces that only carry packets between them are left out."""
        return tuple(node for node in self.snapshots.nodes if node.role == "node")

    @property
    def pods(self) -> tuple[NetNsView, ...]:
        """The pods of every node."""
        return tuple(view for views in self.topology.pods.values() for view in views)

    @property
    def services(self) -> tuple[ServiceView, ...]:
        """The Services: those of the cluster's API, else those that kube-proxy's rules on the nodes name."""
        from netfs.cluster import services

        return services.of(self.topology).all

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What the snapshots could not hold."""
        return self.topology.gaps

    def trace(
        self,
        source: str,
        destination: str,
        *,
        proto: str | None = None,
        port: int | None = None,
        sport: int | None = None,
        size: int | None = None,
        df: bool | None = None,
        family: int | None = None,
        namespace: str = "default",
    ) -> Trace:
        """Follow a packet from one endpoint to another and its answer back.

        ``proto`` is ``icmp``, ``tcp`` or ``udp``; None: as the port of the Service that is asked for, else tcp where a
        port is given, else icmp. ``port`` None: the Service's only one, else 80. ``size`` is the length of the IP
        packet in bytes. ``df``: True, the sender may not fragment either; False, Don't Fragment is not set; None, as
        TCP, UDP and ping do by default. ``family`` is 4 or 6; None takes IPv4 where both ends have it. Raises
        EndpointError where a name fits nothing or several things, or nobody of the cluster answers to it; UsageError
        where the request contradicts itself, or a Service has several ports and none is named.
        """
        from netfs import datapath, diagnose
        from netfs.cluster.endpoint import resolve
        from netfs.datapath import service

        start = resolve(self.topology, source, namespace)
        end = resolve(self.topology, destination, namespace)
        if start.view is None and start.service is not None:
            raise EndpointError(f"{start.name} sends nothing: it is a Service", hint="start at one of its pods")
        proto, port = service.aim(end, proto, port)
        proto = proto or ("icmp" if port is None and sport is None else "tcp")
        request = datapath.request(proto=proto, port=port, sport=sport, size=size, df=df, family=family)
        headless = end.service is not None and end.service.headless and end.address is None
        follow = service.trace_headless if headless else datapath.trace
        trace = follow(self.topology, start, end, request)
        trace = replace(trace, notes=service.notes(end, request))
        return _explained(replace(trace, findings=diagnose.examine_path(self.topology, trace)))

    def findings(self) -> tuple[Finding, ...]:
        """Every finding on every node."""
        return self._findings

    @cached_property
    def _findings(self) -> tuple[Finding, ...]:
        from netfs import diagnose

        return diagnose.examine(self.topology)

    def graph(self) -> networkx.MultiGraph[tuple[str, str, str]]:
        """The devices of every namespace and what connects them, as a networkx graph."""
        from netfs.cluster.graph import graph

        return graph(self.topology)


def _explained(trace: Trace) -> Trace:
    """The trace with each drop's fix taken from the finding it is evidence of."""
    return replace(
        trace,
        forward=_with_fix(trace.forward, trace.findings),
        reverse=_with_fix(trace.reverse, trace.findings),
    )


def _with_fix(way: Direction, findings: tuple[Finding, ...]) -> Direction:
    """The finding of the drop's own name; of a rule's drop, the one that says what the rule is there for; failing
    that, the only error there is. A fix that is run elsewhere stays with its finding, which says where.
    """
    way = replace(way, branches=tuple(_with_fix(branch, findings) for branch in way.branches))
    errors = [finding for finding in findings if finding.severity == "error"]
    if way.drop is None or not errors:
        return way
    here = [finding for finding in errors if (finding.node, finding.netns) == (way.drop.node, way.drop.netns)]
    same = [finding for finding in (*here, *errors) if finding.slug == way.drop.slug]
    by_rule = way.drop.slug in BY_RULES and not same
    if way.drop.fix is not None and not by_rule and not (same and same[0] in here):
        return way
    cause = next(iter(same or (here or errors if by_rule or len(errors) == 1 else [])), None)
    if cause is None:
        return way
    fix = cause.fix if cause in here else None
    return replace(way, drop=replace(way.drop, fix=fix, slug=cause.slug))


def load(*uris: str, timeout: float | None = None) -> Cluster:
    """Read the nodes of the given sources; with none, of a running lab, else of this host.

    ``timeout`` bounds, in seconds, how long a source may take. Raises SourceUriError, SourceError,
    SnapshotError, LabError.
    """
    from netfs import sources

    return Cluster(sources.load(uris, timeout=timeout))


def dumps(snapshots: Snapshots) -> bytes:
    """The snapshots as one JSON document (``netfs.snapshot/v1``)."""
    from netfs.sources import document

    return document.encode(snapshots)


def save(snapshots: Snapshots, path: str | Path) -> None:
    """Write the snapshots to ``path``, compressed where it ends in ``.zst``."""
    from netfs.sources import document

    document.write(snapshots, Path(path))
