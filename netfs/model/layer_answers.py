"""What ``netfs layers`` answers: one document for each of its commands.

Paths of layers and files are those of this host: what a store was copied below stands before them. Sizes are bytes
that are allocated on disk, unless it is said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.layers import Account, Change, Extent

LS = "netfs.layers/v1"
SHOW = "netfs.chain/v1"
WHICH = "netfs.which/v1"
DIFF = "netfs.diff/v1"
USAGE = "netfs.usage/v1"
ORPHANS = "netfs.orphans/v1"


@dataclass(frozen=True, slots=True)
class ChainRef:
    """A chain of layers, by whom it belongs to."""

    kind: str
    """``container``, ``image``, ``build``, ``snapshot``, ``mount``, ``layer`` (nobody's)."""
    name: str
    """What people call it: ``default/pod-a/app``, ``web``, ``busybox:latest``; else the id."""
    id: str
    """Of the container or image; else of the uppermost layer."""
    engine: str
    store: str
    """The engine's folder."""
    node: str = ""
    layers: tuple[str, ...] = ()
    """Ids, uppermost first."""
    pod: str = ""
    namespace: str = ""
    container: str = ""
    """Its name, or its name within the pod."""
    state: str = ""
    image: str = ""
    """Id."""
    image_names: tuple[str, ...] = ()
    mountpoint: str = ""
    """Where the kernel has it mounted."""
    missing: tuple[str, ...] = ()
    """Layers that it needs and are not there."""
    own: int | None = None
    """Bytes in layers that no other chain has; None: not measured."""
    shared: int | None = None
    """Bytes in layers that other chains have as well."""


@dataclass(frozen=True, slots=True)
class Layers:
    """Every chain of every store."""

    chains: tuple[ChainRef, ...]
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = LS


@dataclass(frozen=True, slots=True)
class LayerShown:
    """A layer of a chain, and what it does to those below it."""

    id: str
    path: str
    """The directory that its engine made."""
    role: str
    short: str = ""
    chain_id: str = ""
    diff_id: str = ""
    created_at: str = ""
    created_by: str = ""
    """The line of the image's history that made it."""
    used_by: tuple[str, ...] = ()
    """Names of all chains that it is part of."""
    account: Account | None = None
    """None: it is missing, or could not be read."""


@dataclass(frozen=True, slots=True)
class ChainShown:
    """One chain, top to bottom."""

    chain: ChainRef
    layers: tuple[LayerShown, ...]
    target: LayerShown | None = None
    """The layer that was asked for, where a layer was."""
    owners: tuple[ChainRef, ...] = ()
    """The chains that the target is part of."""
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = SHOW


@dataclass(frozen=True, slots=True)
class Version:
    """What one layer has at a path, and what became of it."""

    id: str
    """The layer's."""
    path: str
    """The file itself, on disk."""
    fate: str
    """``provides``, ``merged``, ``data``, ``hidden``, ``whiteout``."""
    type: str
    size: int = 0
    mode: str = ""
    """As ls(1) shows it: ``-rw-r--r--``."""
    uid: int = 0
    gid: int = 0
    modified_at: str = ""
    by: str = ""
    """The layer that hides it."""
    why: str = ""
    marks: tuple[str, ...] = ()
    role: str = ""
    created_by: str = ""
    """The line of the image's history that made the layer."""
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Which:
    """The layer that provides a file, and every layer that it shadows."""

    chain: ChainRef
    path: str
    """As it was asked for."""
    resolved: str
    """Behind the symlinks of the merged view."""
    provider: Version | None
    """None: the merged view has no such path."""
    data: Version | None = None
    """Whose bytes are read, where that is another layer (metacopy)."""
    shadowed: tuple[Version, ...] = ()
    merged: tuple[Version, ...] = ()
    """Of a directory: the layers below the provider that are merged into it."""
    via: tuple[tuple[str, str], ...] = ()
    """Symlinks that were followed, with their targets."""
    error: str = ""
    """What the kernel answers instead: ``EPERM``."""
    covered_at: str = ""
    """Where in the container something else is mounted over it: its processes see that instead."""
    covered_by: str = ""
    """What is mounted there: a path on the node, or a kind of file system."""
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = WHICH


@dataclass(frozen=True, slots=True)
class Diff:
    """What a container changed."""

    chain: ChainRef
    layer: str
    changes: tuple[Change, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = DIFF


@dataclass(frozen=True, slots=True)
class LayerUsage:
    """A layer, and what is in it."""

    id: str
    path: str
    role: str
    node: str = ""
    store: str = ""
    own: Extent = field(default_factory=Extent)
    used_by: tuple[str, ...] = ()
    created_by: str = ""
    recorded_size: int | None = None
    """What its engine wrote down, in bytes as readers count them."""


@dataclass(frozen=True, slots=True)
class ChainUsage:
    """What a chain costs, and how much of it is seen."""

    chain: ChainRef
    bytes: int = 0
    """Of all its layers."""
    wasted: int = 0
    """Of it, bytes that a later layer hides."""
    efficiency: float = 1.0
    """The share that is seen, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Where the disk went."""

    layers: tuple[LayerUsage, ...]
    """Most bytes first."""
    chains: tuple[ChainUsage, ...]
    bytes: int = 0
    """Of all layers, each once."""
    orphaned: int = 0
    """Bytes in layers that nobody knows."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = USAGE


@dataclass(frozen=True, slots=True)
class Orphan:
    """A directory of a store that no image and no container owns."""

    id: str
    path: str
    why: str
    node: str = ""
    role: str = "unknown"
    own: Extent = field(default_factory=Extent)
    modified_at: str = ""


@dataclass(frozen=True, slots=True)
class Orphans:
    """What nobody owns, and what is broken."""

    orphans: tuple[Orphan, ...] = ()
    bytes: int = 0
    findings: tuple[Finding, ...] = ()
    undecided: tuple[str, ...] = ()
    """Stores whose owners could not be told, with the reason: nothing in them is called an orphan."""
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = ORPHANS


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the merged view and the kernel's disagree."""

    path: str
    what: str
    """``name``, ``type``, ``mode``, ``owner``, ``size``, ``target``, ``device``, ``content``, ``layers``."""
    ours: str
    kernel: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Our merged view beside the kernel's."""

    chain: ChainRef
    entries: int = 0
    """Compared."""
    differences: tuple[Difference, ...] = ()
    more: int = 0
    """Differences beyond those told."""
    skipped: tuple[str, ...] = ()
    """Paths that could not be compared, with the reason."""
    gaps: tuple[Gap, ...] = ()
