"""The containers of a store alone: what every store's ``members`` reads, without its images and layers."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.containers import Container
from netfs.model.gaps import Gap


@dataclass(frozen=True, slots=True)
class Members:
    """Containers without what only layers and images could tell (``layer``, ``image``)."""

    containers: tuple[Container, ...] = ()
    gaps: tuple[Gap, ...] = ()
