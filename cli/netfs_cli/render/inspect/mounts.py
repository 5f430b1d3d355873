"""Where a container's files come from: its root, and what is mounted over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netfs.model.inspected import InspectedContainer
from netfs.model.process_facts import MountPoint
from netfs.model.text import printable
from netfs_cli.render.inspect.block import Style, aligned
from netfs_cli.render.layers.words import brief, size
from netfs_cli.render.prose import count
from netfs_cli.render.table import cells_wide

SHOWN = 5
"""Mounts that are told one by one."""
LEAST = 8
"""Cells of where a mount comes from."""
STANDARD = frozenset(
    {
        "/",
        "/dev",
        "/dev/console",
        "/dev/mqueue",
        "/dev/pts",
        "/dev/shm",  # noqa: S108 (a place in the container; nothing is written there)
        "/dev/termination-log",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/proc",
        "/run/.containerenv",
        "/run/secrets",
        "/sys",
        "/var/run/secrets/kubernetes.io/serviceaccount",
        "/run/secrets/kubernetes.io/serviceaccount",
    }
)
"""What runtimes mount into every container (OCI runtime-spec, config-linux.md, "Default Filesystems"; the engines'
and the kubelet's own files)."""
BELOW = ("/proc/", "/sys/")
"""Below these, paths are masked or made read-only (OCI runtime-spec, ``maskedPaths``, ``readonlyPaths``)."""
LAYERED = ("overlay", "fuse")
"""Types of a root that is made of layers: the kernel's, and fuse-overlayfs."""
DEVICES = "devtmpfs"
"""At /dev it is the node's own: no runtime mounts that unasked."""


def root(each: InspectedContainer, style: Style) -> Iterator[str]:
    """``overlay, 5 layers, 56.0 KiB of it its own``; else what is mounted there."""
    chain, mount = each.chain, each.root
    if chain is not None:
        own = f", {size(chain.own)} of it its own" if chain.own is not None else ""
        lost = f", {len(chain.missing)} missing" if chain.missing else ""
        told = f"overlay, {count(len(chain.layers), 'layer')}{own}{lost} (netfs layers show {chain.name})"
        yield style.ink.bad(style.told(told)) if lost else style.told(told)
        if style.wide and chain.mountpoint:
            yield printable(chain.mountpoint)
        if mount is not None and not mount.type.startswith(LAYERED):
            yield style.ink.doubtful(
                style.told(f"but its processes' root is {mount.type}, {_origin(mount, each, style)}")
            )
    elif mount is not None and mount.type == "overlay":
        yield "overlay"
    elif mount is not None:
        yield style.told(f"{mount.type}, {_origin(mount, each, style)}")


def lines(each: InspectedContainer, style: Style, *, kind: str = "container") -> Iterator[str]:
    """Volumes and what else is not in every container; those that are in every one are counted.

    ``kind``: of what is inspected. A node and a process of nobody have no runtime that mounted them.
    """
    if each.facts is None:
        yield from _configured(each, style)
        return
    mounts = each.facts.mounts
    notable = [mount for mount in mounts if mount.path != "/" and (style.wide or not _is_standard(mount))]
    shown = notable if style.wide or len(notable) <= SHOWN else notable[: SHOWN - 1]
    rows = [(mount.path, mount.type, _access(mount, style), _origin(mount, each, style)) for mount in shown]
    yield from _drawn(rows, style)
    rest = []
    if len(shown) < len(notable):
        rest.append(f"{len(notable) - len(shown)} more")
    standard = sum(_is_standard(mount) for mount in mounts if mount.path != "/")
    if standard and not style.wide:
        usual = "as every container has them" if kind in ("pod", "container") else "usual ones"
        rest.append(f"{standard} {usual}")
    if rest:
        yield style.ink.dim(f"{'and ' if shown else ''}{' and '.join(rest)} (-o wide)")


def _is_standard(mount: MountPoint) -> bool:
    if mount.path == "/dev" and mount.type == DEVICES:
        return False
    return _is_runtimes(mount.path)


def _is_runtimes(path: str) -> bool:
    return path in STANDARD or path.startswith(BELOW)


def _configured(each: InspectedContainer, style: Style) -> Iterator[str]:
    """What its engine wrote down of a container that does not run."""
    pairs: Sequence[tuple[str, str]] = sorted(each.container.mounts.items())
    told = [(path, source) for path, source in pairs if style.wide or not _is_runtimes(path)]
    shown = told if style.wide or len(told) <= SHOWN else told[: SHOWN - 1]
    yield from _drawn([(path, "", "", source) for path, source in shown], style)
    if len(shown) < len(told):
        yield style.ink.dim(f"and {len(told) - len(shown)} more (-o wide)")


def _access(mount: MountPoint, style: Style) -> str:
    """``ro`` where nothing can be written there: by the mount, or by the whole file system; wide: every option."""
    if style.wide:
        return ",".join((mount.options, *mount.propagation))
    options = (*mount.options.split(","), *mount.super_options.split(","))
    return "ro" if "ro" in options else ""


def _drawn(rows: Sequence[tuple[str, str, str, str]], style: Style) -> Iterator[str]:
    """A line for each mount: of where it comes from the end, where there is no room for all."""
    room = None if style.room is None else style.room // 2
    what = aligned([[style.ending(path, room), type, access, "."] for path, type, access, _ in rows])
    for (*_, origin), line in zip(rows, what, strict=True):
        start = line.removesuffix(".")
        left = None if style.room is None else max(style.room - cells_wide(start), LEAST)
        told = style.ending(origin if style.wide else brief(origin), left)
        yield style.cut(f"{start}{told}".rstrip(), style.room)


def _origin(mount: MountPoint, each: InspectedContainer, style: Style) -> str:
    """Where it comes from: as its engine says, else what of which file system it is."""
    told = each.container.mounts.get(mount.path, "")
    if told and told != mount.type:
        return told
    if mount.root not in ("", "/"):
        return f"{mount.root} of {mount.source}" if mount.source and style.wide else mount.root
    return "" if mount.source in (mount.type, "none", "") else mount.source
