"""IP addresses and prefixes as integers, for look-ups, and back to canonical text."""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

BITS = {4: 32, 6: 128}
"""Width of an address by family."""


def family_of(text: str) -> int:
    """4 or 6, by the address's or prefix's form alone."""
    return 6 if ":" in text else 4


@lru_cache(maxsize=65536)
def to_int(text: str) -> int:
    """The address as an unsigned integer. Raises ValueError where it is not an IP address."""
    try:
        return int.from_bytes(inet_pton(AF_INET6 if ":" in text else AF_INET, text), "big")
    except OSError:
        raise ValueError(f"not an IP address: {text!r}") from None


@lru_cache(maxsize=65536)
def to_text(value: int, family: int) -> str:
    """The canonical text (RFC 5952 for IPv6) of an integer address."""
    if family == 6:
        return inet_ntop(AF_INET6, value.to_bytes(16, "big"))
    return inet_ntop(AF_INET, value.to_bytes(4, "big"))


@lru_cache(maxsize=65536)
def prefix(text: str) -> tuple[int, int]:
    """(network address as integer, prefix length) of ``10.244.0.0/16``; a bare address is a host prefix.

    Host bits are cleared. Raises ValueError where it is no prefix.
    """
    address, _, length_text = text.partition("/")
    bits = BITS[family_of(address)]
    length = int(length_text) if length_text else bits
    if not 0 <= length <= bits:
        raise ValueError(f"prefix length out of range: {text!r}")
    return to_int(address) >> (bits - length) << (bits - length), length


def contains(text: str, address: str) -> bool:
    """Whether prefix ``text`` holds ``address``; never across families."""
    if family_of(text) != family_of(address):
        return False
    network, length = prefix(text)
    shift = BITS[family_of(text)] - length
    return to_int(address) >> shift == network >> shift


def is_multicast(address: str) -> bool:
    """224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291)."""
    value = to_int(address)
    return value >> 120 == 0xFF if ":" in address else value >> 28 == 0xE


def is_loopback(address: str) -> bool:
    """127.0.0.0/8 or ::1."""
    value = to_int(address)
    return value == 1 if ":" in address else value >> 24 == 127


def is_link_local(address: str) -> bool:
    """169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291)."""
    value = to_int(address)
    return value >> 118 == 0x3FA if ":" in address else value >> 16 == 0xA9FE
