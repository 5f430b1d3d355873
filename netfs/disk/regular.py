"""Reading regular files, and nothing else: a device is never opened, a FIFO never waited for."""

from __future__ import annotations

import errno
import os
import stat

from netfs.disk.names import refused

_CHUNK = 1 << 20


def open_regular(found: int) -> int:
    """Open for reading what an O_PATH descriptor refers to.

    Opening by the descriptor, not by the name, leaves no moment in which the file could become another. Its atime stays
    as it is where O_NOATIME is allowed (open(2): the owner, CAP_FOWNER). Raises OSError: EINVAL for anything but a
    regular file.
    """
    if not stat.S_ISREG(os.fstat(found).st_mode):
        raise refused(errno.EINVAL)
    path, flags = f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        return os.open(path, flags)


def read_regular(found: int, offset: int, length: int) -> bytes:
    """At most ``length`` bytes from ``offset`` on of the regular file that an O_PATH descriptor refers to.

    Fewer only where the file ends. Raises OSError: EINVAL for anything but a regular file, and for numbers that are no
    place in a file.
    """
    if not 0 <= offset < 1 << 63 or length < 0:
        raise refused(errno.EINVAL)
    fd = open_regular(found)
    try:
        data = b""
        chunks = []
        while length > 0 and (data := os.pread(fd, min(length, _CHUNK), offset)):
            chunks.append(data)
            offset += len(data)
            length -= len(data)
        return data if len(chunks) == 1 and not length else b"".join(chunks)
    finally:
        os.close(fd)
