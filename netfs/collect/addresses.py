"""``RTM_NEWADDR`` to records (include/uapi/linux/if_addr.h)."""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct

from netfs.collect.netlink import MalformedError, attributes, messages, number, text
from netfs.model.address import Address

RTM_NEWADDR = 20
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_FLAGS, IFA_RT_PRIORITY = 1, 2, 3, 4, 8, 9
IFADDRMSG = Struct("=BBBBI")


@lru_cache(maxsize=65536)
def address_text(value: bytes) -> str:
    """An address of 4 or 16 bytes as canonical text. Raises MalformedError."""
    if len(value) == 4:
        return inet_ntop(AF_INET, value)
    if len(value) == 16:
        return inet_ntop(AF_INET6, value)
    raise MalformedError(f"an address of {len(value)} bytes")


def mac_text(value: bytes | None) -> str | None:
    """A 48-bit address as text; None where it is none."""
    return value.hex(":") if value is not None and len(value) == 6 else None


@lru_cache(maxsize=4096)
def decode_addresses(data: bytes) -> tuple[Address, ...]:
    """The addresses of a dump of every family. Raises MalformedError."""
    found: list[Address] = []
    for kind, start, end in messages(data):
        if kind != RTM_NEWADDR or end - start < 8:
            continue
        family, prefixlen, flags, scope, index = IFADDRMSG.unpack_from(data, start)
        if family not in (AF_INET, AF_INET6):
            continue
        attrs = attributes(data, start + 8, end)
        far = attrs.get(IFA_ADDRESS)
        local = attrs.get(IFA_LOCAL, far)
        if local is None:
            continue
        broadcast = attrs.get(IFA_BROADCAST)
        found.append(
            Address(
                index=index,
                family=4 if family == AF_INET else 6,
                local=address_text(local),
                prefixlen=prefixlen,
                peer=address_text(far) if far is not None and far != local else None,
                broadcast=None if broadcast is None else address_text(broadcast),
                scope=scope,
                flags=number(attrs.get(IFA_FLAGS), flags),
                label=text(attrs.get(IFA_LABEL)) or None,
                metric=number(attrs.get(IFA_RT_PRIORITY)),
            )
        )
    return tuple(found)
