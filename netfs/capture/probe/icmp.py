"""ICMP's types in words, and what an error says (RFC 792, RFC 1191, RFC 1812 section 5.2.7, RFC 4443)."""

from __future__ import annotations

ECHO = {4: {8: "echo-request", 0: "echo-reply"}, 6: {128: "echo-request", 129: "echo-reply"}}
"""By IP version and type."""
ERRORS = {
    4: {
        3: "destination-unreachable",
        4: "source-quench",
        5: "redirect",
        11: "time-exceeded",
        12: "parameter-problem",
    },
    6: {1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 4: "parameter-problem"},
}
"""Messages that quote the packet they are about; a redirect is one as well."""

_WORDS = {
    (4, 3, 0): "network unreachable",
    (4, 3, 1): "host unreachable",
    (4, 3, 2): "protocol unreachable",
    (4, 3, 3): "port unreachable",
    (4, 3, 4): "fragmentation needed",
    (4, 3, 9): "network administratively prohibited",
    (4, 3, 10): "host administratively prohibited",
    (4, 3, 13): "administratively prohibited",
    (4, 11, 0): "time to live exceeded",
    (4, 11, 1): "fragments missing for too long",
    (6, 1, 0): "no route",
    (6, 1, 1): "administratively prohibited",
    (6, 1, 3): "address unreachable",
    (6, 1, 4): "port unreachable",
    (6, 1, 5): "source address refused by policy",
    (6, 1, 6): "route rejects",
    (6, 2, 0): "packet too big",
    (6, 3, 0): "hop limit exceeded",
    (6, 3, 1): "fragments missing for too long",
}


def error_words(version: int, header: bytes) -> str:
    """What an ICMP error says; ``header`` is its first 8 bytes."""
    kind, code = header[0], header[1]
    words = _WORDS.get((version, kind, code)) or f"{ERRORS[version][kind].replace('-', ' ')}, code {code}"
    if (version, kind, code) == (4, 3, 4):
        return f"{words}, MTU {int.from_bytes(header[6:8])}"
    if (version, kind) == (6, 2):
        return f"{words}, MTU {int.from_bytes(header[4:8])}"
    return words
