"""Tracked connections that decide over packets to come (include/uapi/linux/netfilter/nfnetlink_conntrack.h).

They are those that translate, and those of UDP that do not and were never answered: the client goes on sending by
one, and no rule that was written since translates it (``nf_nat_setup_info`` leaves a confirmed connection alone).

Of many, the kernel chooses by their status where it knows how (Linux 5.19, ``ctnetlink_filter_match``); of few, and by
an older kernel, every connection is handed out. Others are left out here. Both families come in one dump.
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
UDP = b"\x11"

SEEN_REPLY, SNAT, DNAT = 1 << 1, 1 << 4, 1 << 5
STATUS = (
    (1 << 0, "expected"),
    (SEEN_REPLY, "seen-reply"),
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


CHOSEN = (_choose(SNAT, SNAT), _choose(DNAT, SNAT | DNAT), _choose(0, SNAT | DNAT | SEEN_REPLY))
"""Those whose source is translated, those whose destination alone is, then those of neither that nobody answered.

By protocol the kernel chooses within one family only: two more walks, to spare what little of TCP is unanswered."""
ALL = (NFGENMSG.pack(0, 0, 0),)
FEW = 2048
"""So many are asked for at once: a question costs a walk over the kernel's one table for all namespaces."""


def read_connections(netfilter: Netlink, tracked: int, gaps: list[tuple[str, str]]) -> bytes:
    """Those connections of the calling thread's namespace, which tracks so many; failures go to ``gaps``.

    The socket is of no use afterwards.
    """
    data = b""
    for body in ALL if tracked <= FEW else CHOSEN:
        left = MOST - sum(1 for _ in messages(data))
        try:
            data += netfilter.dump(CT_MSG_GET, body, left)
            if body is CHOSEN[0] and not all(_status(data, at) & SNAT for at in messages(data)):
                return data  # of a kernel that does not choose: it is everything
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


def _status(data: bytes, at: tuple[int, int, int]) -> int:
    return int.from_bytes(attributes(data, at[1] + NFGENMSG.size, at[2]).get(CTA_STATUS, b""), "big")


def decode_connections(data: bytes) -> tuple[Connection, ...]:
    """Those that translate, and those of UDP that nobody answered, each once. Raises MalformedError."""
    found: dict[bytes, Connection] = {}
    for _, start, end in messages(data):
        attrs = attributes(data, start + NFGENMSG.size, end)
        status = int.from_bytes(attrs.get(CTA_STATUS, b""), "big")
        original = attrs.get(CTA_TUPLE_ORIG)
        if original is None or (status & SEEN_REPLY and not status & (SNAT | DNAT)):
            continue
        flow = nested(original)
        if status & (SNAT | DNAT) or nested(flow.get(CTA_TUPLE_PROTO, b"")).get(CTA_PROTO_NUM) == UDP:
            found.setdefault(original + attrs.get(CTA_ZONE, b""), _connection(attrs, status, flow))
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
