"""Who a process is and what it may do: /proc/PID/status, attr, uid_map and gid_map."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping

from netfs.collect.facts.attempts import Attempts
from netfs.collect.facts.capabilities import NAMES, names
from netfs.collect.procfs import read, read_all, text
from netfs.model.process_facts import IdMap, Privileges

_SETS = {
    "effective": b"CapEff",
    "permitted": b"CapPrm",
    "inheritable": b"CapInh",
    "bounding": b"CapBnd",
    "ambient": b"CapAmb",
}
_SECCOMP = {b"0": "disabled", b"1": "strict", b"2": "filter"}
"""SECCOMP_MODE_* (include/uapi/linux/seccomp.h)."""
_MOST_BYTES = 1 << 16
_NO_MODULE = frozenset((errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.EOPNOTSUPP))
_APPARMOR = re.compile(r"unconfined|.+ \((?:enforce|complain|kill|prompt|user|mixed|unconfined)\)", re.DOTALL)
"""``aa_getprocattr`` (security/apparmor/procattr.c): a label and its mode."""
_SELINUX = re.compile(r"[^:\s()]+:[^:\s()]+:[^:\s()]+(?::[^\s()]+)?")
"""``user:role:type``, and a level where there are levels (selinux(8))."""


def privileges(folder: int, proc: str, attempts: Attempts) -> Privileges:
    """Of the process whose folder is given; ``proc`` is its procfs. Raises OSError where status cannot be read.

    ``attempts`` takes what of the rest is refused.
    """
    fields = status(read(folder, "status"))
    effective = _mask(fields, b"CapEff")
    uids, gids = _numbers(fields.get(b"Uid")), _numbers(fields.get(b"Gid"))
    no_new = _number(fields, b"NoNewPrivs")
    apparmor, selinux = attempts.of("security label", lambda: _labels(folder), ("", ""))
    return Privileges(
        uid=uids[1] if len(uids) > 1 else None,
        gid=gids[1] if len(gids) > 1 else None,
        groups=_numbers(fields.get(b"Groups")),
        capabilities={name: names(mask) for name, field in _SETS.items() if (mask := _mask(fields, field)) is not None},
        all_capabilities=effective is not None and _all(proc) & ~effective == 0,
        no_new_privileges=None if no_new is None else no_new != 0,
        seccomp=_SECCOMP.get(fields.get(b"Seccomp", b""), ""),
        seccomp_filters=_number(fields, b"Seccomp_filters"),
        apparmor=apparmor,
        selinux=selinux,
        uid_map=attempts.of("uid_map", lambda: id_map(read_all(folder, "uid_map", _MOST_BYTES)), ()),
        gid_map=attempts.of("gid_map", lambda: id_map(read_all(folder, "gid_map", _MOST_BYTES)), ()),
    )


def status(data: bytes) -> Mapping[bytes, bytes]:
    """The fields of /proc/PID/status. The name of the process holds no newline there."""
    lines = (line.partition(b":") for line in data.split(b"\n"))
    return {name: value.strip() for name, colon, value in lines if colon}


def id_map(data: bytes) -> tuple[IdMap, ...]:
    """The lines of /proc/PID/uid_map (user_namespaces(7))."""
    rows = (_numbers(line) for line in data.split(b"\n"))
    return tuple(IdMap(*row) for row in rows if len(row) == 3)


def labels(own: str, current: str) -> tuple[str, str]:
    """AppArmor's and SELinux's, from attr/apparmor/current and attr/current (which belongs to whoever came first).

    That is told by the form: ``docker-default (enforce)`` or ``system_u:system_r:container_t:s0``.
    """
    apparmor = own if _APPARMOR.fullmatch(own) else ""
    if not apparmor and _APPARMOR.fullmatch(current):
        apparmor = current
    return apparmor, current if _SELINUX.fullmatch(current) else ""


def _labels(folder: int) -> tuple[str, str]:
    own, current = (
        text(_or_nothing(folder, name).rstrip(b"\0\n")) for name in ("attr/apparmor/current", "attr/current")
    )
    return labels(own, current)


def _or_nothing(folder: int, name: str) -> bytes:
    """A file that not every kernel has, or that answers EINVAL where its security module is not there."""
    try:
        return read_all(folder, name, _MOST_BYTES)
    except OSError as error:
        if error.errno not in _NO_MODULE:
            raise
        return b""


def _all(proc: str) -> int:
    """Every capability that this kernel has."""
    try:
        with open(f"{proc}/sys/kernel/cap_last_cap", "rb") as file:
            last = int(file.read())
    except (OSError, ValueError):
        last = len(NAMES) - 1
    return (2 << last) - 1


def _mask(fields: Mapping[bytes, bytes], name: bytes) -> int | None:
    try:
        return int(fields[name], 16)
    except (KeyError, ValueError):
        return None


def _number(fields: Mapping[bytes, bytes], name: bytes) -> int | None:
    found = _numbers(fields.get(name))
    return found[0] if len(found) == 1 else None


def _numbers(value: bytes | None) -> tuple[int, ...]:
    words = (value or b"").split()
    return tuple(int(word) for word in words) if all(word.isdigit() for word in words) else ()
