"""The public face: load a cluster from its sources, then ask it.

What only some questions need (the joins, the datapath, the checks) is imported when the first of them is asked:
``netfs collect`` pays for none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from netfs.errors import EndpointError, NetfsError

if TYPE_CHECKING:
    from pathlib import Path

    import networkx

    from netfs.capture.wish import Wish
    from netfs.cluster.netns import NetNsView
    from netfs.cluster.services import ServiceView
    from netfs.cluster.topology import Topology
    from netfs.container.containers import Containers
    from netfs.datapath.request import Request
    from netfs.model.findings import Finding
    from netfs.model.flows import Decoded
    from netfs.model.gaps import Gap
    from netfs.model.snapshot import NodeSnapshot, Snapshots
    from netfs.model.trace import Direction, Trace
    from netfs.overlay.layer_stores import LayerStores

BY_RULES = frozenset({"firewall-rule-drops", "firewall-forward-drop"})
"""What a drop by a rule is called where nobody knows what the rule is there for."""


class Cluster:
    """The nodes of one or several sources, joined. Everything it answers, it answers from its snapshots."""

    def __init__(self, snapshots: Snapshots, uris: Sequence[str] = (), running: Containers | None = None) -> None:
        self.snapshots = snapshots
        self.uris = tuple(uris)
        """The sources they were read from, as they were named; none: not known."""
        self._running = running

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
        live: Wish | None = None,
    ) -> Trace:
        """Follow a packet from one endpoint to another and its answer back.

        ``proto`` is ``icmp``, ``tcp`` or ``udp``; None: as the port of the Service that is asked for, else tcp where a
        port is given, else icmp. ``port`` None: the Service's only one, else 80. ``size`` is the length of the IP
        packet in bytes. ``df``: True, the sender may not fragment either; False, Don't Fragment is not set; None, as
        TCP, UDP and ping do by default. ``family`` is 4 or 6; None takes IPv4 where both ends have it. With ``live``
        the packet is sent as well, and what was seen of it laid beside the prediction (``Trace.live``). Raises
        EndpointError where a name fits nothing or several things, or nobody of the cluster answers to it; UsageError
        where the request contradicts itself, or a Service has several ports and none is named; with ``live``,
        SourceError where the source's namespace cannot be entered, OSError where the file cannot be written.
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
        if live is not None and proto != "icmp" and sport is None:
            from netfs.capture.wish import source_port

            sport = source_port()
        request = datapath.request(proto=proto, port=port, sport=sport, size=size, df=df, family=family)
        headless = end.service is not None and end.service.headless and end.address is None
        follow = service.trace_headless if headless else datapath.trace
        trace = follow(self.topology, start, end, request)
        trace = replace(trace, notes=service.notes(end, request))
        if live is not None:
            trace = self._watched(trace, request, start.address or "", live)
        trace = replace(trace, findings=diagnose.examine_path(self.topology, trace))
        return _explained(trace if live is None else self._proved(trace, live))

    def _watched(self, trace: Trace, request: Request, bound: str, wish: Wish) -> Trace:
        """The trace with what was seen of a real packet. ``bound``: the source address that was named, if one was."""
        from netfs.capture import journey, live
        from netfs.sources.reach import reach

        ends = next(((hop.packet.src, hop.packet.dst) for hop in trace.forward.hops), ("", trace.destination.ip))
        asked = request.packet(ends[0] or trace.source.ip, ends[1])
        reaches = reach(self.snapshots, self.uris)

        def watch() -> live.Watched:
            return live.run(self.topology, reaches, trace, asked, wish, bound=bound, df=request.df)

        if wish.write is None:
            return watch().trace
        with journey.opened(wish.write) as file:  # before anything is sent
            watched = watch()
            journey.write(file, self.topology, watched)
        return watched.trace

    def _proved(self, trace: Trace, wish: Wish) -> Trace:
        """The finding that what lies between two nodes drops their tunnel, put to the proof: a plain ping from one to
        the other, watched as well.
        """
        from netfs.capture.wish import Wish
        from netfs.diagnose import lost_between

        ends = lost_between(trace)
        if ends is None or not all(end in self.topology.nodes for end in ends):
            return trace
        here, there = ends
        plain = self.trace(f"node/{here}", f"node/{there}", live=Wish(wait_s=wish.wait_s))
        arrives = plain.live is not None and plain.live.forward.arrived > 0
        told = f"a plain ping from {here} to {there} {'arrives' if arrives else 'does not arrive either'}"
        findings = tuple(
            replace(one, evidence=f"{one.evidence}; {told}") if one.slug == "underlay-drops-vxlan" else one
            for one in trace.findings
        )
        return replace(trace, findings=findings)

    def findings(self) -> tuple[Finding, ...]:
        """Every finding on every node."""
        return self._findings

    @cached_property
    def _findings(self) -> tuple[Finding, ...]:
        from netfs import diagnose

        return diagnose.examine(self.topology)

    def containers(self) -> Containers | None:
        """What runs on its nodes now; None: none of them is live on this host, or may be looked at there."""
        if self._running is None:
            self._running = _running(self.uris, None)
        return self._running

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
    from netfs.sources.load import load as snapshots
    from netfs.sources.registry import default_uri

    wanted = uris or (default_uri(),)
    read = snapshots(wanted, timeout=timeout)
    return _named(read, wanted, _running(wanted, timeout) if _of_containers(read, wanted) else None)


def _of_containers(snapshots: Snapshots, uris: Sequence[str]) -> bool:
    """Whether there are pods whose names their engines know, and they alone: those that control groups tell of.

    Other sources know the names of their pods.
    """
    from netfs.sources.uri import parse

    unnamed = [uri for uri in uris if parse(uri).scheme in ("local", "pid")]
    return any(pod.containers for node in snapshots.nodes if node.source in unnamed for pod in node.pods)


def _running(uris: Sequence[str], timeout: float | None) -> Containers | None:
    """What runs on those of the sources that are live; None: on none, or its processes may not be looked at."""
    from netfs.sources.roots import live

    here = live(uris)
    try:
        return containers(*here, timeout=timeout) if here else None
    except NetfsError:
        return None


def _named(snapshots: Snapshots, uris: Sequence[str], running: Containers | None) -> Cluster:
    """The cluster, with its pods called as their engines call them, which are asked only where there are such pods."""
    if running is None or not _of_containers(snapshots, uris):
        return Cluster(snapshots, uris, running)
    from netfs.container.pods import named

    held = {node.name: node for node in running.nodes}
    nodes = tuple(
        named(node, held[node.name].placed, held[node.name].by_pid)
        if node.source in uris and node.name in held
        else node
        for node in snapshots.nodes
    )
    return Cluster(replace(snapshots, nodes=nodes), uris, running)


def decode(
    path: str | Path,
    *,
    cluster: Cluster | None = None,
    ports: Sequence[int] = (),
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Decoded:
    """The flows of a capture file, pcap or pcapng, also compressed, and what is suspicious about them.

    ``path`` ``-`` is stdin. ``cluster`` names pods, nodes and Services, tells the ports of its VXLAN devices, and lets
    tunnels be compared with the devices at their ends. ``ports`` are UDP ports of VXLAN beside 8472 and 4789.
    ``on_progress`` is called with the bytes read, and with their total or None. A file that is damaged is decoded as
    far as it can be read (``Decoded.warnings``). Raises CaptureError where nothing of it can be.
    """
    from netfs.capture.flows.decode import decode as flows_of
    from netfs.capture.flows.suspicions import suspicions

    topology = cluster.topology if cluster is not None else None
    if topology is not None:
        from netfs.capture.flows.names import named, tunnel_ports

        decoded = flows_of(str(path), ports=(*ports, *tunnel_ports(topology)), on_progress=on_progress)
        decoded = named(decoded, topology)
    else:
        decoded = flows_of(str(path), ports=tuple(ports), on_progress=on_progress)
    return replace(decoded, suspicions=suspicions(decoded, topology))


def dumps(snapshots: Snapshots) -> bytes:
    """The snapshots as one JSON document (``netfs.snapshot/v1``)."""
    from netfs.sources import document

    return document.encode(snapshots)


def save(snapshots: Snapshots, path: str | Path) -> None:
    """Write the snapshots to ``path``, compressed where it ends in ``.zst``."""
    import pathlib

    from netfs.sources import document

    document.write(snapshots, pathlib.Path(path))


def layers(*uris: str, root: str | None = None, progress: Callable[[int], None] | None = None) -> LayerStores:
    """The layer stores of the nodes of one or several sources, as ``load`` takes them; of ``root`` where it is given.

    ``progress`` is called with the number of directory entries read so far. Raises SourceUriError, LabError as ``load``
    does, and SourceError where no store is there, or a source has no files of layers.
    """
    from netfs import overlay

    if root is not None:
        return overlay.open(root, progress=progress)
    from netfs.overlay.reading import of_nodes
    from netfs.sources.roots import roots

    return of_nodes(roots(uris), progress)


def containers(*uris: str, timeout: float | None = None) -> Containers:
    """What runs on the nodes of one or several sources, as ``load`` takes them: containers, namespaces, control groups.

    Nothing is read yet. ``timeout`` bounds, in seconds, how long an engine may take to answer. Raises SourceUriError,
    LabError as ``load`` does, and SourceError where a source is not a live node of this host.
    """
    from netfs.container.answers.sources import Network, Sources
    from netfs.container.containers import Containers
    from netfs.sources.registry import default_uri
    from netfs.sources.roots import roots

    wanted = uris or (default_uri(),)

    def network() -> Network:
        from netfs.sources.load import load as snapshots

        cluster = _named(snapshots(wanted, timeout=timeout), wanted, held)
        return Network(cluster.topology, cluster.findings())

    held = Containers(roots(wanted), Sources(network, lambda: layers(*wanted)), timeout=timeout)
    return held
