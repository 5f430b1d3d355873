"""What a layer store holds, and what is answered about it.

Paths are those of the machine whose store it is (``/var/lib/docker/overlay2/…``): where the store was copied off, they
stand below ``Store.root``. Names of files are as Python has them: a byte that is no UTF-8 is a lone surrogate
(``os.fsdecode``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.containers import Container
from netfs.model.gaps import Gap

OWNERS = "owners"
"""``Gap.what`` where records are missing that could name an owner.

Of no directory may be said then that it has none.
"""


@dataclass(frozen=True, slots=True)
class MountOptions:
    """How an overlay is mounted, as far as it decides what is seen (Documentation/filesystems/overlayfs.rst)."""

    userxattr: bool = False
    """The layers' marks are ``user.overlay.*`` instead of ``trusted.overlay.*``."""
    redirect_dir: str = "follow"
    """``on``, ``follow``, ``nofollow`` or ``off``; ``off`` follows redirects unless the module says otherwise."""
    metacopy: bool = False
    index: bool = False
    xino: str = ""
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """An overlay that is mounted, as mountinfo shows it (proc_pid_mountinfo(5))."""

    mountpoint: str
    lower: tuple[str, ...]
    """Uppermost first, as they were given: a relative path stays relative."""
    data: tuple[str, ...] = ()
    """Data-only layers, below all others."""
    upper: str | None = None
    work: str | None = None
    options: MountOptions = field(default_factory=MountOptions)
    read_only: bool = False
    id: int = 0
    device: str = ""
    """``MAJOR:MINOR`` of the overlay: mounts of equal device are one overlay, seen at several places."""
    pid: int = 0
    """A process that has it mounted: its root is ``/proc/PID/root``."""
    kind: str = "overlay"
    """The file system: ``overlay``, ``fuse.fuse-overlayfs``."""
    root: str = "/"
    """The directory of the overlay that is mounted there; another than ``/``: a bind mount of a part of it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a store: the directory that its engine made for it, whoever uses it."""

    id: str
    """The engine's name for the directory: 64 hex digits, with ``-init`` or not (Docker, containers-storage), a number
    (containerd)."""
    path: str
    """The directory itself: ``/var/lib/docker/overlay2/3f9a…``."""
    trees: tuple[str, ...] = ()
    """Where its files are, uppermost first: ``…/diff``; containers-storage may have ``diff1`` and more."""
    lower: tuple[str, ...] | None = ()
    """The ``id`` of every layer below it, uppermost first. None: it could not be told."""
    role: str = "unknown"
    """``image``, ``init``, ``container``, ``snapshot`` (held by something that is neither), ``build`` (a builder's
    cache), ``removing`` (its engine was deleting it), ``temporary``, ``unknown`` (nobody knows it)."""
    short: str = ""
    """The name of its link in ``l/``."""
    names: tuple[str, ...] = ()
    """Other names: a snapshot's keys, a storage layer's names."""
    chain_id: str = ""
    """``sha256:…`` of the layers up to this one (OCI image-spec, config.md, ChainID)."""
    diff_id: str = ""
    """``sha256:…`` of its uncompressed tar."""
    recorded_size: int | None = None
    """Bytes, as its engine wrote it down."""
    created_at: str = ""
    """RFC 3339."""
    writable: bool = False
    """Something may still write to it: it has a work directory of its own, or its snapshot is active."""
    missing: bool = False
    """Its engine names it, and there is no such directory."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A line of an image's history (OCI image-spec, config.md, ``history``)."""

    created_by: str = ""
    created_at: str = ""
    comment: str = ""
    author: str = ""
    layer: str | None = None
    """``Layer.id`` that it made; None: it made none (``empty_layer``), or history and layers do not fit."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a store."""

    id: str
    """``sha256:…`` of its configuration."""
    names: tuple[str, ...] = ()
    """``docker.io/library/busybox:latest``, and those with a digest, as the engine has them."""
    layers: tuple[str, ...] = ()
    """``Layer.id``, uppermost first."""
    history: tuple[HistoryLine, ...] = ()
    """Oldest first."""
    created_at: str = ""
    missing: tuple[str, ...] = ()
    """What it needs and is not there: a ChainID, a digest."""


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that one engine's files say of its layers."""

    engine: str
    """``docker``, ``containerd``, ``containers-storage``; ``mounts`` for overlays that are in no store."""
    path: str
    """The engine's folder: ``/var/lib/docker``."""
    root: str = "/"
    """What its paths are below, on this host."""
    node: str = ""
    driver: str = ""
    """``overlay2``, ``overlayfs``, ``overlay``."""
    options: MountOptions = field(default_factory=MountOptions)
    """How its engine mounts, where no mount says it."""
    layers: tuple[Layer, ...] = ()
    images: tuple[Image, ...] = ()
    containers: tuple[Container, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """What the links of ``l/`` say, by their name: ``../3f9a…/diff``."""
    notes: tuple[str, ...] = ()
    """What a reader should know: ``written by a newer version``, ``BuildKit's cache was read from …``."""
    gaps: tuple[Gap, ...] = ()
    """What could not be read."""
    others: tuple[str, ...] = ()
    """Engines whose files this store shares: Docker 29 keeps its images in containerd's."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much something is."""

    files: int = 0
    """Everything that is no directory and no mark of overlayfs; a hard link is counted by its names."""
    directories: int = 0
    bytes: int = 0
    """Allocated on disk (``st_blocks``): a hard link once, a hole never."""
    size: int = 0
    """As readers count it (``st_size`` of regular files): a hard link once."""


@dataclass(frozen=True, slots=True)
class Account:
    """What one layer of a chain does to those below it."""

    layer: int
    """Its place in the chain; 0 is the uppermost."""
    own: Extent = field(default_factory=Extent)
    """Everything that is in it."""
    added: Extent = field(default_factory=Extent)
    """What nothing below has at that path."""
    changed: Extent = field(default_factory=Extent)
    """What takes the place of something, or (a directory) is merged with it."""
    whiteouts: int = 0
    opaque: int = 0
    """Opaque directories."""
    idle: int = 0
    """Whiteouts and opaque directories that hide nothing."""
    hides: Mapping[int, Extent] = field(default_factory=dict)
    """What it is the first to hide, by the place of the layer that holds it.

    Bytes that are still seen by another name, or read through a metacopy, are not hidden.
    """


@dataclass(frozen=True, slots=True)
class Change:
    """What a layer changed in those below it, as ``docker diff`` tells it."""

    kind: str
    """``A`` added, ``C`` changed, ``D`` deleted."""
    path: str
    """From the root of the container: ``/etc/hosts``."""
    type: str = "file"
    """``file``, ``directory``, ``symlink``, ``char``, ``block``, ``fifo``, ``socket``: of what is there now; or was,
    where it was deleted."""
    size: int = 0
    """Bytes now; of what was deleted, then. A directory: 0, or all it held where it was deleted."""
