"""What the options that stand before or after any command say."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from netfs_cli import terminal

if TYPE_CHECKING:
    from netfs.api import Cluster


@dataclass
class Settings:
    """Filled by the callbacks of ``netfs_cli.options``; handed to every command."""

    kubernetes: bool = False
    """Without a source, the cluster of the kubeconfig is meant (the kubectl plugin)."""
    sources: list[str] = field(default_factory=list)
    namespace: str | None = None
    all_namespaces: bool = False
    colour: str = "auto"
    verbose: bool = False
    timeout: float | None = None
    """Seconds a source may take."""

    def uris(self) -> list[str]:
        """The named sources, else those of ``NETFS_SOURCE`` (separated by blanks), else none."""
        return self.sources or os.environ.get("NETFS_SOURCE", "").split()

    def reachable(self) -> list[str]:
        """As ``uris``. Raises SourceError where the kubeconfig's are meant: this version does not reach them."""
        uris = self.uris()
        if not uris and self.kubernetes:
            from netfs.errors import SourceError

            raise SourceError(
                "reading a cluster through the Kubernetes API is not in this version",
                hint="name the nodes with --source, for instance --source file:cluster.json.zst",
            )
        return uris

    def load(self) -> Cluster:
        """Read the sources. With none the library decides: a running lab, else this host."""
        import netfs

        uris = self.reachable()
        started = perf_counter()
        cluster = netfs.load(*uris, timeout=self.timeout)
        if self.verbose:
            milliseconds = (perf_counter() - started) * 1000
            terminal.note(f"read {len(cluster.snapshots.nodes)} snapshots in {milliseconds:.0f} ms")
        return cluster
