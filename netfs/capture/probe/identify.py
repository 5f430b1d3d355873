"""Whether a packet is of a marker's probes, and what: by its payload's word, a SYN's sequence number, its ports."""

from __future__ import annotations

from typing import NamedTuple

from netfs.capture.marker import MOST, WORD, Marker
from netfs.capture.probe import dissect
from netfs.capture.probe.dissect import Level
from netfs.capture.probe.icmp import ECHO, ERRORS, error_words

PROBE, ANSWER, ERROR, RESET = "probe", "answer", "error", "reset"
SYN, RST, ACK = 0x02, 0x04, 0x10


class Met(NamedTuple):
    """What of a probe a packet is."""

    number: int | None
    """None: an answer or error that does not say of which."""
    role: str
    error: str = ""


def met(marker: Marker, level: Level) -> Met | None:
    """Whether a packet is of the marker's probes, or an ICMP error about one, and what."""
    if level.offset == 0 and level.protocol == level.icmp and len(level.payload) >= 8:
        version = level.version
        if level.payload[0] in ERRORS[version]:
            quoted = _quoted(marker, level.payload[8:])
            words = f"{error_words(version, level.payload)} (from {level.src})"
            return None if quoted is None else Met(quoted.number, ERROR, words)
    return _met_itself(marker, level)


def _quoted(marker: Marker, data: bytes) -> Met | None:
    """What the packet is that an error quotes, tunnels included. It is no error itself (RFC 1122 section 3.2.2)."""
    for level, _ in dissect.levels(data, None, marker.tunnels):
        found = _met_itself(marker, level) or _met_short(marker, level)
        if found is not None:
            return found
    return None


def _met_itself(marker: Marker, level: Level) -> Met | None:
    if level.offset:
        number = _word_within(marker, level.payload[: 2 * WORD])
        return None if number is None else Met(number, PROBE)
    known = {"tcp": dissect.TCP, "udp": dissect.UDP, "icmp": level.icmp}[marker.proto]
    if level.protocol != known:
        return None
    if marker.proto == "tcp":
        return _met_tcp(marker, level.payload)
    return _met_udp(marker, level.payload) if marker.proto == "udp" else _met_echo(marker, level)


def _met_tcp(marker: Marker, data: bytes) -> Met | None:
    """A SYN by its sequence number; what answers acknowledges the next one; the sender's reset stands at the next one
    (RFC 9293 section 3.5).
    """
    if len(data) < 14:
        return None
    flags = data[13] & (SYN | RST | ACK)
    if flags == SYN:
        role, sequence = PROBE, data[4:8]
    elif flags & ACK and flags & (SYN | RST):
        role, sequence = ANSWER, data[8:12]
    elif flags == RST:
        role, sequence = RESET, data[4:8]
    else:
        return None
    number = _number_of(marker, int.from_bytes(sequence) - (role != PROBE))
    return None if number is None else Met(number, role)


def _met_udp(marker: Marker, data: bytes) -> Met | None:
    """By the payload's first word; an answer that does not repeat it, by its ports."""
    ports = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
    number = _word_at(marker, data[8:])
    if number is None:
        asked = ports == (marker.sport, marker.dport)
        return Met(None, ANSWER) if ports in marker.ports and not asked else None
    targets = marker.targets | {marker.dport}
    there = ports[0] == marker.sport or ports[1] in targets
    back = ports[0] in targets or ports[1] == marker.sport
    return Met(number, ANSWER if back and not there else PROBE)


def _met_echo(marker: Marker, level: Level) -> Met | None:
    number = _word_at(marker, level.payload[8:])
    kind = ECHO[level.version].get(level.payload[0]) if number is not None else None
    return None if kind is None else Met(number, PROBE if kind == "echo-request" else ANSWER)


def _met_short(marker: Marker, level: Level) -> Met | None:
    """As ``met``, of a quotation that ends 8 bytes behind the IP header (RFC 792): a SYN's sequence number lies
    within, of ICMP echo the identifier and number, of UDP the ports.
    """
    data = level.payload
    if level.offset or len(data) < 8:
        return None
    number: int | None = None
    if level.protocol == dissect.TCP and marker.proto == "tcp":
        number = _number_of(marker, int.from_bytes(data[4:8]))
    elif level.protocol == dissect.UDP and marker.proto == "udp":
        ports = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
        return Met(None, PROBE) if ports in {*marker.ports, (marker.sport, marker.dport)} else None
    elif level.protocol in (dissect.ICMP, dissect.ICMPV6) and marker.proto == "icmp":
        if data[0] in ECHO[level.version] and int.from_bytes(data[4:6]) == marker.identifier:
            number = int.from_bytes(data[6:8]) - 1
    return Met(number, PROBE) if number is not None and 0 <= number < MOST else None


def _word_at(marker: Marker, data: bytes) -> int | None:
    """The number in the word that ``data`` begins with."""
    return _word_within(marker, data[:WORD])


def _word_within(marker: Marker, data: bytes) -> int | None:
    """The number in the first whole word within ``data``: the fragments of a tunnel's packet begin anywhere in one."""
    at = data.find(marker.token)
    if at < 0 or at + WORD > len(data):
        return None
    number = int.from_bytes(data[at + 6 : at + WORD])
    return number if number < MOST else None


def _number_of(marker: Marker, sequence: int) -> int | None:
    """Which probe a SYN's sequence number stands for."""
    sequence &= 0xFFFFFFFF
    number = sequence & 0x3FF
    return number if number < MOST and marker.sequence(number) == sequence else None
