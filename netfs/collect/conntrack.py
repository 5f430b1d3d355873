"""Tracked connections that translate (include/uapi/linux/netfilter/nfnetlink_conntrack.h, ``ctnetlink_dump_table``).

Of many, the kernel chooses by their status where it knows how (Linux 5.19); of few, and by an older kernel, every
connection is handed out. Those without a translation are left out here. Both families come in one dump.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct

from netfs.collect.netlink import (
    InterruptedDumpError,
    LongDumpError,
    MalformedError,
    Netlink,
    attribute,
    attributes,
    messages,
    nested,
    said,
)
from netfs.model.snapshot import Connection

CT_MSG_GET = 1 << 8 | 1
NFGENMSG = Struct("=BBH")
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_TIMEOUT, CTA_MARK, CTA_ZONE, CTA_STATUS_MASK = 1, 2, 3, 7, 8, 18, 26
CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_TUPLE_ZONE = 1, 2, 3
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3
ADDRESSES = ((1, 2, 4, AF_INET), (3, 4, 16, AF_INET6))
"""(attribute of the source, of the destination, bytes of an address, family)."""
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
"""As ``Packet.proto`` has them; others keep their number."""

SNAT, DNAT = 1 << 4, 1 << 5
STATUS = (
    (1 << 0, "expected"),
    (1 << 1, "seen-reply"),
    (1 << 2, "assured"),
    (1 << 3, "confirmed"),
    (SNAT, "snat"),
    (DNAT, "dnat"),
    (1 << 9, "dying"),
)
"""Bits of ``enum ip_conntrack_status`` that nftables has names for."""
MOST = 1 << 16
"""Connections read of one namespace."""


def _choose(status: int, mask: int) -> bytes:
    return (
        NFGENMSG.pack(0, 0, 0)
        + attribute(CTA_STATUS, status.to_bytes(4, "big"))
        + attribute(CTA_STATUS_MASK, mask.to_bytes(4, "big"))
    )


CHOSEN = (_choose(SNAT, SNAT), _choose(DNAT, SNAT | DNAT))
"""Those whose source is translated, then those whose destination alone is."""
ALL = (NFGENMSG.pack(0, 0, 0),)
FEW = 2048
"""So many are asked for at once: a question costs a walk over the kernel's one table for all namespaces."""


def read_connections(netfilter: Netlink, tracked: int, gaps: list[tuple[str, str]]) -> bytes:
    """The translated connections of the calling thread's namespace, which tracks so many; failures go to ``gaps``.

    The socket is of no use afterwards.
    """
    data = b""
    for body in ALL if tracked <= FEW else CHOSEN:
        left = MOST - sum(1 for _ in messages(data))
        try:
            data += netfilter.dump(CT_MSG_GET, body, left)
        except LongDumpError as more:
            gaps.append(("connections", f"more than {MOST} are tracked; the rest was not read"))
            return data + more.data
        except InterruptedDumpError as interrupted:
            gaps.append(("connections", str(interrupted)))
            data += interrupted.data
        except (OSError, MalformedError) as failure:
            gaps.append(("connections", said(failure)))
            return data
    return data


def decode_connections(data: bytes) -> tuple[Connection, ...]:
    """Those that translate, each once. Raises MalformedError."""
    found: dict[bytes, Connection] = {}
    for _, start, end in messages(data):
        attrs = attributes(data, start + NFGENMSG.size, end)
        status = int.from_bytes(attrs.get(CTA_STATUS, b""), "big")
        original = attrs.get(CTA_TUPLE_ORIG)
        if status & (SNAT | DNAT) and original is not None:
            found.setdefault(original + attrs.get(CTA_ZONE, b""), _connection(attrs, status, nested(original)))
    return tuple(found.values())


def _connection(attrs: dict[int, bytes], status: int, original: dict[int, bytes]) -> Connection:
    reply = nested(attrs.get(CTA_TUPLE_REPLY, b""))
    proto = nested(original.get(CTA_TUPLE_PROTO, b""))
    answer = nested(reply.get(CTA_TUPLE_PROTO, b""))
    src, dst = _addresses(original)
    reply_src, reply_dst = _addresses(reply)
    code = int.from_bytes(proto.get(CTA_PROTO_NUM, b""), "big")
    return Connection(
        proto=PROTOCOLS.get(code, str(code)),
        src=src,
        dst=dst,
        reply_src=reply_src,
        reply_dst=reply_dst,
        sport=_port(proto, CTA_PROTO_SRC_PORT),
        dport=_port(proto, CTA_PROTO_DST_PORT),
        reply_sport=_port(answer, CTA_PROTO_SRC_PORT),
        reply_dport=_port(answer, CTA_PROTO_DST_PORT),
        status=tuple(name for bit, name in STATUS if status & bit),
        mark=int.from_bytes(attrs.get(CTA_MARK, b""), "big"),
        zone=int.from_bytes(attrs.get(CTA_ZONE) or original.get(CTA_TUPLE_ZONE, b""), "big"),
        timeout=int.from_bytes(attrs.get(CTA_TIMEOUT, b""), "big"),
    )


def _addresses(tuple_: dict[int, bytes]) -> tuple[str, str]:
    """(source, destination). Raises MalformedError where they are no two addresses of one family."""
    parts = nested(tuple_.get(CTA_TUPLE_IP, b""))
    for source, destination, size, family in ADDRESSES:
        src, dst = parts.get(source, b""), parts.get(destination, b"")
        if len(src) == len(dst) == size:
            return inet_ntop(family, src), inet_ntop(family, dst)
    raise MalformedError("a tracked connection without addresses")


def _port(proto: dict[int, bytes], kind: int) -> int | None:
    value = proto.get(kind)
    return None if value is None else int.from_bytes(value, "big")
