"""Where a file of a merged view comes from: every layer's version of it, and what became of each."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterator, Sequence

from netfs.errors import UsageError
from netfs.model.layer_answers import Version, Which
from netfs.model.layers import Layer
from netfs.overlay.calendar import calendar
from netfs.overlay.chains import Chain
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.trail import Held, trail
from netfs.overlay.merge.view import View
from netfs.overlay.stack import Opened

EVERYWHERE = {
    "/proc": "proc",
    "/sys": "sysfs",
    "/dev": "tmpfs",
    "/dev/pts": "devpts",
    "/dev/shm": "tmpfs",  # noqa: S108  # a path in a container
    "/dev/mqueue": "mqueue",
}
"""What every container has mounted, whether its engine wrote it down or not (OCI runtime-spec, config-linux.md,
"Default Filesystems"; ``/dev`` and ``/dev/mqueue`` as runc and crun mount them)."""
Naming = Callable[[Layer], tuple[str, tuple[str, ...]]]
"""The line of history that made a layer, and who uses it."""


def whence(chain: Chain, trees: Opened, path: str, root: Root, naming: Naming) -> Which:
    """The layer that provides a path, and every layer that it shadows. Symlinks on the way are followed in the view;
    the last one is not: it is the answer. Raises UsageError for a path that is none.
    """
    if not path or "\0" in path:
        raise UsageError("an empty path leads nowhere" if not path else "no path has a zero byte in it")
    resolved = View(trees.stack).resolve(path, follow=False)
    where = resolved.path.removesuffix("/.") or "/"
    held = trail(trees.stack, resolved.path)
    versions = [_version(each, trees.layers, root, naming) for each in held]
    by_fate = {fate: tuple(one for one in versions if one.fate == fate) for fate in ("provides", "data", "merged")}
    hidden = tuple(one for one in versions if one.fate in ("hidden", "whiteout"))
    covered_at = _covered(chain, where)
    error = 0 if resolved.error == errno.ENOENT else resolved.error
    if resolved.node is not None:
        error = error or resolved.node.error or resolved.node.closed
    return Which(
        chain=chain.ref(),
        path=path,
        resolved=where,
        provider=next(iter(by_fate["provides"]), None),
        data=next(iter(by_fate["data"]), None),
        shadowed=hidden,
        merged=by_fate["merged"],
        via=tuple(resolved.via),
        error=errno.errorcode.get(error, str(error)) if error else "",
        covered_at=covered_at,
        covered_by=_mounts(chain).get(covered_at, ""),
        notes=tuple(_notes(chain, held)),
        gaps=tuple(trees.gaps),
    )


def _notes(chain: Chain, held: Sequence[Held]) -> Iterator[str]:
    provider = next((each for each in held if each.fate == "provides"), None)
    if provider is not None and provider.layer and chain.options.index and provider.status.st_nlink > 1:
        if not stat.S_ISDIR(provider.status.st_mode):
            yield "index=on: what was written by another of its hard links is in the work directory, and not looked for"


def _mounts(chain: Chain) -> dict[str, str]:
    return {} if chain.container is None else {**EVERYWHERE, **chain.container.mounts}


def _covered(chain: Chain, path: str) -> str:
    """The mount of the container that a path lies below; empty: none. The root is the overlay itself."""
    mounts = _mounts(chain)
    above = [place for place in mounts if place != "/" and (path == place or path.startswith(f"{place.rstrip('/')}/"))]
    return max(above, key=len, default="")


def _version(held: Held, layers: Sequence[Layer], root: Root, naming: Naming) -> Version:
    layer = layers[held.layer]
    created_by, used_by = naming(layer)
    status = held.status
    tree = layer.trees[0] if len(layer.trees) == 1 else _tree(layers, held.layer)
    return Version(
        id=layer.id,
        path=root.on_host(f"{tree}/{held.path.lstrip('/')}".rstrip("/")),
        fate=held.fate,
        type=held.type,
        size=status.st_size if stat.S_ISREG(status.st_mode) else 0,
        mode=stat.filemode(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        modified_at=calendar(status.st_mtime_ns),
        by=layers[held.by].id if held.by is not None else "",
        why=held.why,
        marks=held.marks,
        role=layer.role,
        created_by=created_by,
        used_by=used_by,
    )


def _tree(layers: Sequence[Layer], place: int) -> str:
    """The tree of a layer that has several: the one that stands at this place of the stack."""
    layer = layers[place]
    return layer.trees[place - layers.index(layer)]
