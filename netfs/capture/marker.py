"""What a probe is recognised by, at any tap, after any translation, inside any tunnel.

ICMP echo and UDP carry a word of 8 bytes, repeated to the end of their payload: 6 bytes of token, 2 of the probe's
number. A header of 8 bytes stands before the payload, and fragments begin at multiples of 8 (RFC 791), so every
fragment begins with the word as well, and an ICMP error's quotation holds it. A SYN has no room: its sequence number
is the token's first 22 bits, then 10 bits of number. NAT leaves it, and the answer acknowledges it plus one.
"""

from __future__ import annotations

from dataclasses import dataclass

WORD = 8
"""Bytes of the word that payloads repeat."""
MOST = 1000
"""Probes one marker can tell apart."""

TUNNELS = (4789, 6081, 8472)
"""UDP ports of tunnels: VXLAN's by RFC 7348, Geneve's by RFC 8926, VXLAN's of Linux and flannel."""


@dataclass(frozen=True, slots=True)
class Marker:
    """One live trace's mark."""

    token: bytes
    """6 bytes."""
    proto: str
    """``icmp``, ``tcp`` or ``udp``."""
    family: int
    sport: int | None = None
    """As it leaves the sender."""
    dport: int | None = None
    ports: frozenset[tuple[int, int]] = frozenset()
    """UDP's (source port, destination port) wherever it is predicted to pass, there and back: an answer need not
    repeat the payload."""
    targets: frozenset[int] = frozenset()
    """Destination ports that UDP's probe may have on its way there: what goes to one of them is no answer."""
    tunnels: tuple[int, ...] = TUNNELS
    """UDP ports behind which VXLAN or Geneve (6081) is looked for."""

    @property
    def identifier(self) -> int:
        """ICMP's identifier, before any translation."""
        return int.from_bytes(self.token[:2])

    def word(self, number: int) -> bytes:
        """The word of a probe."""
        return self.token + number.to_bytes(2)

    def payload(self, number: int, size: int) -> bytes:
        """``size`` bytes of the word, repeated."""
        return (self.word(number) * (size // WORD + 1))[:size]

    def sequence(self, number: int) -> int:
        """A SYN's sequence number."""
        return int.from_bytes(self.token[:4]) >> 10 << 10 | number
