"""The marks of overlayfs on one object, as fs/overlayfs/util.c reads them (Linux 6.18).

A mark is an xattr ``overlay.…`` in the namespace that the mount uses; ``Directory.mark`` knows which.
"""

from __future__ import annotations

import errno
import os
import stat

from netfs.overlay.merge.tree import Directory, Status

SMALLEST_METACOPY = 4
"""OVL_METACOPY_MIN_SIZE: version, length, flags, algorithm of ``struct ovl_metacopy``."""


def is_whiteout(directory: Directory, name: str, status: Status) -> bool:
    """Whether an entry says that the name is gone (ovl_path_is_whiteout).

    A character device 0:0, or an empty regular file with the mark ``whiteout``, whatever its value.
    """
    if stat.S_ISCHR(status.st_mode):
        return status.st_rdev == 0
    if not stat.S_ISREG(status.st_mode) or status.st_size:
        return False
    try:
        return directory.mark(name, "whiteout") is not None
    except OSError:
        return False  # the kernel takes any failure for "no such xattr"


def opaque(directory: Directory, name: str) -> str:
    """The mark ``opaque`` of a directory: ``y`` (nothing below it is merged), ``x`` (it has xattr whiteouts), or empty.

    A value that is not one byte long counts as none (ovl_get_dir_xattr_val), and so does a failure.
    """
    try:
        value = directory.mark(name, "opaque")
    except OSError:
        return ""
    return {b"y": "y", b"x": "x"}.get(value or b"", "")


def is_metacopy(directory: Directory, name: str, *, userxattr: bool = False) -> bool:
    """Whether a regular file has its bytes in a layer below (ovl_check_metacopy_xattr).

    Raises OSError: EIO for a value shorter than ``struct ovl_metacopy``. Version and digest are looked at only by
    fs-verity, when the file is opened.
    """
    try:
        value = directory.mark(name, "metacopy")
    except OSError as error:
        if userxattr and error.errno == errno.EACCES:
            return False
        raise
    if value and len(value) < SMALLEST_METACOPY:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return value is not None


def redirect(directory: Directory, name: str) -> str | None:
    """Where the layers below have this object (ovl_get_redirect_xattr): a name beside it, or a path from the root.

    Raises OSError: EINVAL for a value that is neither: empty, with ``//``, ending in ``/``, or a relative path.
    """
    value = directory.mark(name, "redirect")
    if value is None:
        return None
    text = value.partition(b"\0")[0]
    components = text.split(b"/")
    valid = all(components[1:]) if text.startswith(b"/") else len(components) == 1
    if not value or not valid:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return os.fsdecode(text)
