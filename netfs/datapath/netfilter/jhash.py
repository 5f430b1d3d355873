"""Bob Jenkins' hash as the kernel has it (include/linux/jhash.h), and what netfilter hashes with it.

Words are read as a little-endian kernel reads them (x86, arm64, riscv); s390x would answer otherwise.
"""

from __future__ import annotations

INITIAL = 0xDEADBEEF
BITS = 0xFFFFFFFF

MIX = ((0, 2, 4, 1), (1, 0, 6, 2), (2, 1, 8, 0), (0, 2, 16, 1), (1, 0, 19, 2), (2, 1, 4, 0))
"""``__jhash_mix``: word x loses y, is mixed with y turned by so many bits; then z is added to y."""

FINAL = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))
"""``__jhash_final``: word x is mixed with y and loses y turned by so many bits."""

WIDTHS = {"ipv4_addr": 4, "ipv6_addr": 16, "inet_service": 2, "inet_proto": 1, "ether_addr": 6, "ether_type": 2}
"""Bytes of the types that a register holds in network order."""


def jhash(data: bytes, seed: int) -> int:
    """``jhash``; of whole words also ``jhash2``."""
    words = [(INITIAL + len(data) + seed) & BITS] * 3
    while len(data) > 12:
        _add(words, data[:12])
        for x, y, turn, z in MIX:
            words[x] = (words[x] - words[y]) & BITS ^ _turned(words[y], turn)
            words[y] = (words[y] + words[z]) & BITS
        data = data[12:]
    if data:
        _add(words, data.ljust(12, b"\0"))
        for x, y, turn in FINAL:
            words[x] = ((words[x] ^ words[y]) - _turned(words[y], turn)) & BITS
    return words[2]


def _add(words: list[int], block: bytes) -> None:
    for index in range(3):
        words[index] = (words[index] + int.from_bytes(block[index * 4 : index * 4 + 4], "little")) & BITS


def _turned(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & BITS


def scaled(hashed: int, count: int) -> int:
    """One of ``count`` values (``reciprocal_scale``)."""
    return hashed * count >> 32


def register(value: int | str, kind: str) -> bytes | None:
    """A value as nftables' registers hold it; None where its form is not known."""
    if isinstance(value, str):
        return value.encode().ljust(16, b"\0") if kind == "ifname" else None
    if kind == "mark":
        return value.to_bytes(4, "little")
    width = WIDTHS.get(kind)
    return value.to_bytes(width, "big") if width is not None and value >> (8 * width) == 0 else None


def registers(values: tuple[int | str, ...], kinds: tuple[str, ...]) -> bytes | None:
    """A concatenation: every part begins at a word of its own. A single value is not filled up."""
    parts = [register(value, kind) for value, kind in zip(values, kinds, strict=True)]
    if len(parts) == 1:
        return parts[0]
    found = b""
    for part in parts:
        if part is None:
            return None
        found += part.ljust(-(-len(part) // 4) * 4, b"\0")
    return found


def chosen_address(
    family: int, source: int, target: int, ends: tuple[int, int], *, of_source: bool, persistent: bool
) -> int:
    """The address that a translation takes from a range (``find_best_ips_proto``, net/netfilter/nf_nat_core.c).

    ``source`` and ``target`` are the packet's addresses; ``of_source``: it is the source that is translated.
    """
    size = 16 if family == 6 else 4
    key = source.to_bytes(size, "big").ljust(16, b"\0")
    words = [_words(value, size) for value in (target, *ends)]
    native = [_swapped(word) for word in words[0]]
    hashed = jhash(key, 0 if persistent else native[-1])
    found, full = 0, False
    for index, (low, high) in enumerate(zip(words[1], words[2], strict=True)):
        first, distance = (0, BITS) if full else (low, (high - low + 1) & BITS)
        word = (first + scaled(hashed, distance)) & BITS
        found = found << 32 | word
        full = full or word != high
        if not persistent:
            # The kernel mixes in the destination as it stands by then: its own choice, if that is what it translates.
            hashed ^= native[index] if of_source else _swapped(word)
    return found


def _swapped(word: int) -> int:
    return int.from_bytes(word.to_bytes(4, "big"), "little")


def _words(value: int, size: int) -> list[int]:
    data = value.to_bytes(size, "big")
    return [int.from_bytes(data[at : at + 4], "big") for at in range(0, size, 4)]
