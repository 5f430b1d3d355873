"""What a file of nsfs answers (ioctl_nsfs(2), include/uapi/linux/nsfs.h)."""

from __future__ import annotations

import fcntl
from struct import Struct

NS_GET_USERNS = 0xB701
NS_GET_PARENT = 0xB702
NS_GET_NSTYPE = 0xB703
NS_GET_OWNER_UID = 0xB704
NS_MNT_GET_NEXT = 0x8010B70B
NS_MNT_GET_PREV = 0x8010B70C

TYPES = {
    0x80: "time",
    0x20000: "mnt",
    0x2000000: "cgroup",
    0x4000000: "uts",
    0x8000000: "ipc",
    0x10000000: "user",
    0x20000000: "pid",
    0x40000000: "net",
}
"""Names by CLONE_NEW* (include/uapi/linux/sched.h)."""
_MNT_NS_INFO = 16
"""Bytes of struct mnt_ns_info."""
_UID = Struct("=I")


def related(fd: int, request: int) -> int:
    """NS_GET_USERNS, NS_GET_PARENT: a descriptor of that namespace, which the caller closes. Raises OSError.

    EPERM: it is not to be seen from here, or there is none above.
    """
    return fcntl.ioctl(fd, request)


def kind(fd: int) -> str:
    """The type of the namespace. Raises OSError."""
    return TYPES.get(fcntl.ioctl(fd, NS_GET_NSTYPE), "")


def owner_uid(fd: int) -> int:
    """Who made a user namespace, in the caller's user namespace. Raises OSError."""
    return int(_UID.unpack(fcntl.ioctl(fd, NS_GET_OWNER_UID, bytes(_UID.size)))[0])


def mount_namespace(fd: int, request: int) -> int:
    """NS_MNT_GET_NEXT, NS_MNT_GET_PREV: a descriptor of the next mount namespace that may be seen. Raises OSError.

    ENOENT: that was the last one; ENOTTY: Linux before 6.12.
    """
    following: int = fcntl.ioctl(fd, request, bytearray(_MNT_NS_INFO), True)
    return following
