"""mountinfo (proc_pid_mountinfo(5)): the mounts that a process sees, as records."""

from __future__ import annotations

import re

from netfs.collect.octal import unescaped
from netfs.collect.procfs import text
from netfs.model.process_facts import MountPoint

MOST_BYTES = 64 << 20
"""Of one mountinfo that is read: somebody in a user namespace may mount 100,000 times."""

_NUMBER = re.compile(rb"[0-9]{1,10}")
_DEVICE = re.compile(rb"[0-9]{1,8}:[0-9]{1,8}")


def parse(data: bytes) -> tuple[MountPoint, ...]:
    """Every mount, in the order of the file: a later one may cover an earlier one.

    A line that has not the form of proc_pid_mountinfo(5) is left out.
    """
    mounts = (_mount(line) for line in data.split(b"\n"))
    return tuple(mount for mount in mounts if mount is not None)


def _mount(line: bytes) -> MountPoint | None:
    before, parted, after = line.partition(b" - ")
    fields = before.split(b" ")
    last = after.split(b" ", 2)
    if not parted or len(fields) < 6 or len(last) != 3:
        return None
    if not (_NUMBER.fullmatch(fields[0]) and _NUMBER.fullmatch(fields[1]) and _DEVICE.fullmatch(fields[2])):
        return None
    return MountPoint(
        id=int(fields[0]),
        parent=int(fields[1]),
        device=fields[2].decode("ascii"),
        root=text(unescaped(fields[3])),
        path=text(unescaped(fields[4])),
        options=text(fields[5]),
        type=text(unescaped(last[0])),
        source=text(unescaped(last[1])),
        # A comma within an option is escaped, one between two is not: who parts them decodes them.
        super_options=text(last[2]),
        propagation=tuple(text(field) for field in fields[6:]),
    )
