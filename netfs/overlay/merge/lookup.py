"""How overlayfs finds a name in a merged directory: fs/overlayfs/namei.c of Linux 6.18, function by function.

``Lookup`` is ``struct ovl_lookup_data``: what is known so far, changed by each layer that is asked. Layers are asked
from the uppermost down, until one says stop: whatever is no directory, a whiteout, an opaque directory.

Left out is what needs more than the layers' files: ``index``, ``nfs_export``, file handles, fs-verity; and what depends
on what was looked up before: that one lower directory is found twice below an upper layer, through a redirect and by
its own name, for which the second look-up says ESTALE (ovl_get_inode).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from netfs.overlay.merge import marks
from netfs.overlay.merge.node import Node, Part
from netfs.overlay.merge.tree import Directory, Stack, Status

Directories = Sequence[tuple[int, Directory]]
"""What a merged directory is made of: layer and directory, uppermost first."""


@dataclass(frozen=True, slots=True)
class Inside:
    """A directory of a layer, entered: what is asked of it then costs less."""

    part: Part
    directory: Directory | None
    """None: it cannot be entered."""
    error: int = 0
    """Why."""

    @property
    def opaque(self) -> str:
        """``y``, ``x``, or empty."""
        return marks.opaque(*self._itself)

    @property
    def redirect(self) -> str | None:
        """Where the layers below have it. Raises OSError (EINVAL)."""
        return marks.redirect(*self._itself)

    def opened(self) -> Directory:
        """The directory. Raises OSError where it cannot be entered."""
        if self.directory is None:
            raise OSError(self.error, os.strerror(self.error))
        return self.directory

    @property
    def _itself(self) -> tuple[Directory, str]:
        return (self.directory, "") if self.directory else (self.part.directory, self.part.name)


def enter(part: Part) -> Inside:
    """A part that is a directory, entered."""
    try:
        return Inside(part, part.directory.enter(part.name))
    except OSError as error:
        return Inside(part, None, error.errno or errno.EIO)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a mount decides before any name is looked up (``struct ovl_fs``)."""

    roots: tuple[tuple[int, Directory], ...]
    """Of the lower layers."""
    data: tuple[Directory, ...]
    upper: bool
    bottom: int
    """The lowest layer that is no data-only one."""
    follow: bool
    """Redirects are followed (ovl_redirect_follow)."""
    metacopy: bool
    userxattr: bool

    @property
    def redirects(self) -> bool:
        """Whether marks matter in the last layer that has a directory (``check_redirect`` of ovl_lookup)."""
        return self.follow or bool(self.data)


def rules(stack: Stack) -> Rules:
    """The rules of a mount. ``userxattr`` switches redirects and metacopies off (ovl_fs_params_verify), and so does
    ``redirect_dir=nofollow`` for metacopies.
    """
    options = stack.options
    follow = options.redirect_dir != "nofollow" and not options.userxattr
    layers = tuple(enumerate(stack.layers))
    return Rules(
        roots=layers[1:] if stack.upper else layers,
        data=tuple(stack.data),
        upper=stack.upper,
        bottom=len(layers) - 1,
        follow=follow,
        metacopy=options.metacopy and follow,
        userxattr=options.userxattr,
    )


class Lookup:
    """One look-up of one name (ovl_lookup)."""

    def __init__(self, rules: Rules, parent: Directories, name: str) -> None:
        self._rules = rules
        self._parent = parent
        self._asked = name
        self._name = name
        """What is looked for in the next layer: a name in the parent's directory there, or a path from the root."""
        self._is_dir = self._stop = self._metacopy = self._absolute = False
        self._redirect = self._upper_redirect = False
        self._last = False
        self._parts: list[Part] = []
        self._looking: Part | None = None
        """The last that was found, whatever came of it."""
        self._entered: Inside | None = None
        """It, where it is a directory."""
        self._inside: list[Inside] = []
        self.turns: list[tuple[int, str]] = []
        """Each redirect: the layer that carries it, and what is looked for in those below."""

    def node(self) -> Node | None:
        """What the merged view has there; None: nothing."""
        try:
            error, stored = self._lookup()
        except OSError as failure:
            error, stored = failure.errno or errno.EIO, 0
        if error:
            looking = [self._looking] if self._looking and self._looking not in self._parts else []
            return Node(self._asked, (*self._parts, *looking), error=error)
        if not self._parts:
            return None
        if self._is_dir:
            return merged(self._asked, self._inside)
        first = self._parts[0]
        if stored and self._metacopy:
            return self._with_data_layer()
        data = self._parts[-1] if stat.S_ISREG(first.status.st_mode) else None
        return Node(self._asked, tuple(self._parts), data=data)

    def _lookup(self) -> tuple[int, int]:
        """(errno, lower objects that count: ``ctr``) (ovl_lookup, do_ovl_lookup)."""
        rules = self._rules
        lowers = self._parent
        upper_metacopy = False
        if rules.upper and lowers and lowers[0][0] == 0:
            upper, lowers = lowers[0][1], lowers[1:]
            self._last = not rules.redirects and not lowers
            found = self._in_layer(0, upper)
            if found:
                self._take(found)
                upper_metacopy = self._metacopy
            self._upper_redirect = self._redirect
            if self._name.startswith("/"):
                lowers = rules.roots
        stored, position = 0, 0
        while not self._stop and position < len(lowers):
            if self._refused():
                return errno.EPERM, stored
            layer, directory = lowers[position]
            position += 1
            if not rules.redirects:
                self._last = position == len(lowers)
            elif self._is_dir or not rules.data:
                self._last = layer == rules.bottom
            found = self._in_layer(layer, directory)
            if not found:
                continue
            self._take(found)
            if not (self._metacopy and stored):
                stored += 1
            if self._name.startswith("/") and lowers is not rules.roots:
                lowers, position = rules.roots, layer + (not rules.upper)
        if self._metacopy and stored and rules.data and self._absolute:
            return 0, stored
        if self._refused():
            return errno.EPERM, stored
        if self._metacopy or (upper_metacopy and not stored):
            return errno.EIO, stored
        return 0, stored

    def _take(self, found: Part) -> None:
        self._parts.append(found)
        if self._entered:
            self._inside.append(self._entered)

    def _refused(self) -> bool:
        """Whether the mount does not follow what was found (ovl_check_follow_redirect)."""
        if self._metacopy and not self._rules.metacopy:
            return True
        return (self._redirect or self._upper_redirect) and not self._rules.follow

    def _in_layer(self, layer: int, base: Directory) -> Part | None:
        """The object in one layer, by name or by path from the root (ovl_lookup_layer)."""
        if not self._name.startswith("/"):
            return self._single(layer, base, 0, len(self._name))
        rest = len(self._name) - 1
        while True:
            # Counted from the end: a redirect on the way may change what is before.
            start = len(self._name) - rest
            end = self._name.find("/", start)
            if end < 0:
                return self._single(layer, base, start, len(self._name))
            rest -= end + 1 - start
            if not self._single(layer, base, start, end) or not self._entered:
                return None
            base = self._entered.opened()

    def _single(self, layer: int, base: Directory, start: int, end: int) -> Part | None:
        """One component in one directory, and what it says of the layers below (ovl_lookup_single).

        ``start`` and ``end``: where the component is in what is looked for.
        """
        name = self._name[start:end]
        last_element = end == len(self._name)
        if name in ("", ".", ".."):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))  # lookup_noperm_common
        status = _status(base, name)
        if not status:
            return None
        self._looking = found = Part(layer, base, name, status)
        self._entered = None
        if marks.is_whiteout(base, name, status):
            self._stop = True
            return None
        if last_element and self._metacopy and not stat.S_ISREG(status.st_mode):
            self._stop = True
            return None
        if not stat.S_ISDIR(status.st_mode):
            if self._is_dir or not last_element:
                self._stop = True
                return None
            regular = stat.S_ISREG(status.st_mode)
            self._metacopy = regular and marks.is_metacopy(base, name, userxattr=self._rules.userxattr)
            self._stop = not self._metacopy
            if not self._stop and not self._last:
                self._follow(layer, marks.redirect(base, name), start, end)
            return found
        self._is_dir = self._is_dir or last_element
        self._entered = enter(found)
        if not self._last:
            if self._entered.opaque == "y":
                self._stop = True
            else:
                self._follow(layer, self._entered.redirect, start, end)
        return found

    def _follow(self, layer: int, target: str | None, start: int, end: int) -> None:
        """Take a redirect into account (ovl_check_redirect)."""
        self._absolute = False
        if target is None:
            return
        if target.startswith("/"):
            self._absolute = True
            self._stop = False  # an opaque directory on the way to it does not count
        else:
            target = self._name[:start] + target
        self._name = target + self._name[end:]
        self._redirect = True
        self.turns.append((layer, self._name))

    def _with_data_layer(self) -> Node:
        """A metacopy whose bytes are in a data-only layer (ovl_lookup_data_layers): in the first that has them.

        The kernel looks when the file is first opened, so that a failure hides nothing.
        """
        failure = errno.ENOENT
        for number, root in enumerate(self._rules.data, self._rules.bottom + 1):
            try:
                data = _regular(number, root, self._name)
            except OSError as error:
                failure = error.errno or errno.EIO
                continue
            return Node(self._asked, (*self._parts, data), data=data)
        return Node(self._asked, tuple(self._parts), closed=failure)


def merged(name: str, inside: Sequence[Inside]) -> Node:
    """A directory of these parts; ``error`` is set where one of them cannot be entered."""
    return Node(
        name,
        tuple(each.part for each in inside),
        tuple((each.part.layer, each.directory) for each in inside if each.directory),
        error=next((each.error for each in inside if each.error), 0),
    )


def _status(base: Directory, name: str) -> Status | None:
    try:
        return base.status(name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None
        raise


def _regular(layer: int, root: Directory, path: str) -> Part:
    """A regular file of a data-only layer, through no symlink (ovl_lookup_data_layer). Raises OSError.

    Unlike any other redirect this is a path for the VFS: ``..`` leads up, but not out.
    """
    way = [root]
    *above, name = path.strip("/").split("/")
    for component in above:
        if component == "..":
            way.pop()
            if not way:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        elif component != ".":
            if stat.S_ISLNK(_present(way[-1], component).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            way.append(way[-1].enter(component))
    if name in (".", "..") or not stat.S_ISREG(_present(way[-1], name).st_mode):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    return Part(layer, way[-1], name, _present(way[-1], name))


def _present(base: Directory, name: str) -> Status:
    status = base.status(name)
    if status is None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    return status
