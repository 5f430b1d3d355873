"""Whether a namespace has IPsec policies (include/uapi/linux/xfrm.h). They are counted, not read.

A policy transforms or blocks what it matches (``xfrm_lookup``, ``xfrm_policy_check``), so where there is one, a
packet's fate is not known. A question that would load the part of the kernel is not asked.
"""

from __future__ import annotations

from errno import EINVAL, EPROTONOSUPPORT
from struct import Struct, error

from netfs.collect.netlink import (
    HEADER,
    NETLINK_XFRM,
    MalformedError,
    Netlink,
    attributes,
    messages,
    said,
)

XFRM_MSG_GETSPDINFO = 0x25
XFRM_MSG_GETDEFAULT = 0x28
XFRMA_SPD_INFO = 1
XFRM_USERPOLICY_BLOCK = 1
FLAGS = Struct("=I")
COUNTS = Struct("=3I")
"""The first half of ``xfrmu_spdinfo``: policies of in, out and fwd."""
DEFAULTS = Struct("=3B")
"""``xfrm_userpolicy_default``: what is done in in, fwd, out with packets that no policy matches (Linux 5.15)."""


def look(buffer: bytearray) -> str | None:
    """What of IPsec the calling thread's namespace has, in words; None where it has nothing of it."""
    try:
        with Netlink(NETLINK_XFRM, buffer) as xfrm:
            there = _counted(xfrm.ask(XFRM_MSG_GETSPDINFO, FLAGS.pack(0xFFFFFFFF)))
            blocks = _blocks(xfrm)
    except (OSError, MalformedError, error) as failure:
        absent = isinstance(failure, OSError) and failure.errno == EPROTONOSUPPORT
        return None if absent else said(failure)
    if there:
        what = "policy is there; what it does" if there == 1 else "policies are there; what they do"
        return f"{there} IPsec {what} to packets is not read"
    if blocks:
        return "packets that no IPsec policy matches are blocked; in which direction is not read"
    return None


def _counted(answer: bytes) -> int:
    """Those of sockets concern no packet but their socket's."""
    for _, start, end in messages(answer):
        counts = attributes(answer, start + FLAGS.size, end).get(XFRMA_SPD_INFO, b"")
        return sum(COUNTS.unpack_from(counts))
    raise MalformedError("no count of policies")


def _blocks(xfrm: Netlink) -> bool:
    try:
        answer = xfrm.ask(XFRM_MSG_GETDEFAULT, DEFAULTS.pack(0, 0, 0))
    except OSError as refused:
        if refused.errno == EINVAL:  # a kernel that has no such setting
            return False
        raise
    return XFRM_USERPOLICY_BLOCK in DEFAULTS.unpack_from(answer, HEADER.size)
