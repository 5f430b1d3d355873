"""Mount namespaces that no process has, and what is pinned in them.

A pin or a descriptor keeps them alive. They are looked at from within, by a thread that ends thereafter: whoever may
list them may enter them. That thread runs nothing that could be imported from there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from errno import ENOENT, EPERM

from netfs.collect import nsfs
from netfs.collect.namespaces import ioctls
from netfs.collect.namespaces.found import Found, Search
from netfs.collect.namespaces.mountinfo import nsfs_mounts
from netfs.collect.namespaces.pins import add_pin
from netfs.collect.namespaces.relations import READ, Relations, at_pin
from netfs.model.namespaces import Pin


def add_unseen(search: Search, relations: Relations) -> None:
    """Add the mount namespaces that the kernel lists and no process has, with their pins."""
    looked: set[int] = set()
    for fd in _listed(search):
        found = search.get("mnt", os.fstat(fd).st_ino)
        found.listed = True
        if not found.known:
            relations.learn(found, fd)
        if not found.pids and not found.threads and found.id not in looked:
            looked.add(found.id)
            _look_inside(search, relations, found, fd)


def _listed(search: Search) -> Iterator[int]:
    """A descriptor of each mount namespace that may be seen, closed when the next one is asked for."""
    for request in (ioctls.NS_MNT_GET_NEXT, ioctls.NS_MNT_GET_PREV):
        try:
            fd = os.open(f"{search.proc}/thread-self/ns/mnt", READ)
        except OSError:
            search.refuse("unseen", "")
            return
        try:
            while True:
                try:
                    following = ioctls.mount_namespace(fd, request)
                except OSError as failure:
                    if failure.errno != ENOENT:
                        search.refuse("unseen" if failure.errno == EPERM else "unlisted", "")
                    break
                os.close(fd)
                fd = following
                yield fd
        finally:
            os.close(fd)


def _look_inside(search: Search, relations: Relations, mounts: Found, fd: int) -> None:
    try:
        text, looked_at = nsfs.apart(lambda: _inside(fd))
    except OSError:
        search.refuse("mounts", f"mnt:[{mounts.id}]")
        return
    try:
        for (type, id, point), at in zip(nsfs_mounts(text), looked_at, strict=True):
            found = search.get(type, id)
            add_pin(found, Pin(os.fsdecode(point), mounts.id))
            if not found.known and at is not None:
                relations.learn_at(found, at)
    finally:
        for at in looked_at:
            if at is not None:
                os.close(at)


def _inside(fd: int) -> tuple[bytes, list[int | None]]:
    """The mountinfo as a thread in there sees it, and each pin of it, opened to be looked at. Raises OSError."""
    own = os.open("/proc/thread-self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        nsfs.enter_mounts(fd)
        mountinfo = os.open("mountinfo", READ, dir_fd=own)
    finally:
        os.close(own)
    with open(mountinfo, "rb", 0) as file:
        text = file.read()
    return text, [_at(point) for _, _, point in nsfs_mounts(text)]


def _at(point: bytes) -> int | None:
    try:
        return at_pin(point)
    except OSError:
        return None
