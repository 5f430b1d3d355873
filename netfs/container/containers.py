"""What is asked of the containers of one or several nodes. Each answer imports what it needs when it is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from netfs.container.answers.sources import Sources
from netfs.container.node import Kernel, Node
from netfs.model.containers import Engine, Placed
from netfs.model.places import NodeRoot

if TYPE_CHECKING:
    from netfs.model.cgroups import Cgroups
    from netfs.model.findings import Finding
    from netfs.model.gaps import Gap
    from netfs.model.inspected import Inspected
    from netfs.model.namespaces import Namespaces

TIMEOUT = 2.0
"""Seconds an engine may take to answer."""


class Containers:
    """The containers of nodes. What a question needs is read when it is asked: processes and engines once."""

    def __init__(self, roots: Sequence[NodeRoot], sources: Sources, *, timeout: float | None = None) -> None:
        kernel = Kernel()
        self.nodes = tuple(Node(root, kernel, TIMEOUT if timeout is None else timeout) for root in roots)
        self._sources = sources

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Every container of every node, running or not, in its place."""
        return tuple(each for node in self.nodes for each in node.placed)

    @property
    def engines(self) -> tuple[Engine, ...]:
        """What was found that runs containers."""
        return tuple(engine for node in self.nodes for engine in node.engines)

    def namespaces(
        self,
        target: str = "",
        *,
        types: Collection[str] = (),
        open_files: bool = False,
        namespace: str = "",
        container: str = "",
    ) -> Namespaces:
        """The namespaces of every node; of ``target`` where one is named: also an inode, ``net:[…]``, or an nsfs file.

        ``types`` are those wanted; none: all. ``open_files``: descriptors are looked through as well. ``namespace`` is
        that of a pod named without one, ``container`` one of a pod's. Raises EndpointError where nothing is called so,
        UsageError for a type there is not.
        """
        from netfs.container.answers.namespaces import namespaces

        return namespaces(
            self.nodes,
            target,
            types=types,
            open_files=open_files,
            namespace=namespace,
            container=container,
            network=self._sources.network,
        )

    def cgroups(self, target: str = "", *, detail: bool = True, namespace: str = "", container: str = "") -> Cgroups:
        """The control groups of every node; of ``target``, and those below, where one is named: also a group's path.

        Without ``detail`` only what decides about findings is read: CPU, memory, processes. Raises EndpointError where
        nothing is called so, or it has no group.
        """
        from netfs.container.answers.cgroups import cgroups

        return cgroups(
            self.nodes,
            target,
            detail=detail,
            namespace=namespace,
            container=container,
            network=self._sources.network,
        )

    def findings(self) -> tuple[tuple[Finding, ...], tuple[Gap, ...]]:
        """Every finding about namespaces and control groups, and what could not be read for it."""
        spaces, groups = self.namespaces(), self.cgroups(detail=False)
        return (*groups.findings, *spaces.findings), tuple(dict.fromkeys((*groups.gaps, *spaces.gaps)))

    def inspect(self, target: str, *, namespace: str = "", container: str = "") -> Inspected:
        """Everything that makes a pod, or a container, what it is. Raises EndpointError where nothing is called so."""
        from netfs.container.answers.known import known
        from netfs.container.answers.subject import subject
        from netfs.container.inspected import inspected
        from netfs.container.targets import find

        meant = find(known(self.nodes, target, self._sources.network), target, namespace=namespace, container=container)
        node = next(node for node in self.nodes if node.name == meant.node)
        return inspected(subject(node, meant, self._sources))
