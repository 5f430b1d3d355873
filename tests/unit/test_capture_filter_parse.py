"""Text becomes expressions as in pcap-filter(7); what does not is told with its column."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.capture.filter import words
from netfs.capture.filter.expression import (
    ARP,
    BOTH,
    DESTINATION,
    EITHER,
    EVERYTHING,
    IPV4,
    IPV6,
    SOURCE,
    And,
    EtherType,
    Expression,
    Inner,
    Length,
    Mac,
    Net,
    Not,
    Or,
    Outer,
    Ports,
    Protocol,
    Vlan,
    Vni,
    Within,
    of_addresses,
)
from netfs.capture.filter.parse import DEEPEST, parse
from netfs.capture.filter.program import for_expression
from netfs.errors import FilterError, UsageError
from tests.unit.filter_questions import expression

A, B = Net(0x0AF40102, 32, 4), Net(0x0AF40202, 32, 4)
SUBNET = Net(0x0AF40000, 16, 4)


def port(number: int, way: str = EITHER, proto: int | None = None) -> Ports:
    return Ports(number, number, way, proto)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EVERYTHING),
        ("  ", EVERYTHING),
        ("host 10.244.1.2", A),
        ("10.244.1.2", A),
        ("src 10.244.1.2", Net(0x0AF40102, 32, 4, SOURCE)),
        ("src or dst host 10.244.1.2", A),
        ("src and dst host 10.244.1.2", Net(0x0AF40102, 32, 4, BOTH)),
        ("ip host 10.244.1.2", Net(0x0AF40102, 32, 4, EITHER, IPV4)),
        ("arp dst host 10.244.1.2", Net(0x0AF40102, 32, 4, DESTINATION, ARP)),
        ("host fd00::1", Net(0xFD << 120 | 1, 128, 6)),
        ("ip6 src fd00::1", Net(0xFD << 120 | 1, 128, 6, SOURCE, IPV6)),
        ("net 10.244.0.0/16", SUBNET),
        ("10.244.0.0/16", SUBNET),
        ("net 10.244", SUBNET),
        ("net 10.244.0.0 mask 255.255.0.0", SUBNET),
        ("dst net fd00::/8", Net(0xFD << 120, 8, 6, DESTINATION)),
        ("net 0.0.0.0/0", Net(0, 0, 4)),
        ("port 80", port(80)),
        ("tcp src port 80", port(80, SOURCE, 6)),
        ("udp portrange 100-90", Ports(90, 100, EITHER, 17)),
        ("sctp dst port 5", port(5, DESTINATION, 132)),
        ("tcp", Protocol(6)),
        ("icmp", Protocol(1, 4)),
        ("icmp6", Protocol(58, 6)),
        ("ip", EtherType(IPV4)),
        ("proto 89", Protocol(89)),
        ("proto gre", Protocol(47)),
        (r"ip proto \tcp", Protocol(6, 4)),
        ("ip6 proto 6", Protocol(6, 6)),
        ("ether proto 0x88cc", EtherType(0x88CC)),
        (r"ether proto \arp", EtherType(ARP)),
        ("ether host 2:42:a:f4:1:2", Mac(0x02420AF40102)),
        ("ether src 02:42:0a:f4:01:02", Mac(0x02420AF40102, SOURCE)),
        ("vlan", Vlan()),
        ("vlan 5", Vlan(5)),
        ("vni 1", Vni(1)),
        ("vxlan", Within("vxlan")),
        ("geneve 7", And((Within("geneve"), Vni(7)))),
        ("greater 100", Length(100)),
        ("less 100", Length(0, 100)),
        ("host 10.244.1.2 or 10.244.2.2", Or((A, B))),
        ("host (10.244.1.2 or 10.244.2.2)", Or((A, B))),
        ("tcp port 80 or 443", Or((port(80, proto=6), port(443, proto=6)))),
        ("port (80 or 443) and tcp", And((Or((port(80), port(443))), Protocol(6)))),
        ("host 10.244.1.2 and not 10.244.2.2", And((A, Not(B)))),
        ("host not 10.244.1.2", Not(A)),
        ("not tcp and udp", And((Not(Protocol(6)), Protocol(17)))),
        ("! (tcp && udp)", Not(And((Protocol(6), Protocol(17))))),
        ("not not tcp", Not(Not(Protocol(6)))),
        ("tcp or udp and icmp", And((Or((Protocol(6), Protocol(17))), Protocol(1, 4)))),
        ("tcp or (udp and icmp)", Or((Protocol(6), And((Protocol(17), Protocol(1, 4)))))),
        ("tcp and (udp and icmp)", And((Protocol(6), Protocol(17), Protocol(1, 4)))),
        ("outer (tcp) and inner(udp)", And((Outer(Protocol(6)), Inner(Protocol(17))))),
    ],
)
def test_text_means(text: str, expected: Expression) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hots 10.0.0.1", "filter, column 1: hots: no IP address (did you mean host?)"),
        ("tcp prot 80", "filter, column 5: prot: an and or an or is missing before this (did you mean proto?)"),
        ("tcp port 80 prot 8", "filter, column 13: prot: an and or an or is missing before this (did you mean proto?)"),
        ("port 80 adn tcp", "filter, column 9: adn: an and or an or is missing before this (did you mean and?)"),
        ("port 80 and 10.0.0.1", "filter, column 13: 10.0.0.1: port takes a number (write host 10.0.0.1)"),
        ("host 80", "filter, column 6: 80: no IP address (write port 80 for a port)"),
        ("host example.org", "filter, column 6: example.org: no IP address (names are not looked up)"),
        ("host 10.0.0.0/8", "filter, column 6: 10.0.0.0/8: host takes one address (write net for a prefix)"),
        ("host 02:42:0a:f4:01:02", "(write ether host for a hardware address)"),
        ("net 10.244.1.2/16", "bits are set behind the prefix (the network is 10.244.0.0/16)"),
        ("net 10.244.0.0 mask 255.0.255.0", "column 21: 255.0.255.0: no mask"),
        ("net 10.0.0.0/33", "column 5: 10.0.0.0/33: no network"),
        ("net fd00::/129", "column 5: fd00::/129: no network"),
        ("port 65536", "column 6: 65536: a port is a number from 0 to 65535"),
        ("port -1", "column 6: -1:"),
        ("port 80-90", "port takes one number (write portrange for several)"),
        ("portrange 80", "portrange takes two numbers (as in 8000-8080)"),
        ("icmp port 5", "column 11: 5: icmp has no ports (only tcp, udp and sctp have)"),
        ("udp host 10.0.0.1", "udp has no host (write udp and host …)"),
        ("ip host fd00::1", "no address of ip"),
        ("src proto 6", "a protocol has no source or destination"),
        ("vlan 4096", "a VLAN is a number from 0 to 4095"),
        ("vni", "filter, column 4: something is missing at the end"),
        ("vni 16777216", "a VNI is a number from 0 to 16777215"),
        ("ether proto 0", "an ethertype is a number from 1 to 65535"),
        ("ether", "column 6: host, src, dst or proto is missing behind ether at the end"),
        ("(tcp", "column 5: the parenthesis of column 1 is not closed at the end"),
        ("tcp)", "column 4: ): no parenthesis is open here"),
        ("outer tcp", "column 7: tcp: a parenthesis is missing (as in outer ( host 10.0.0.1 ))"),
        ("tcp and", "column 8: something is missing at the end"),
        ("and tcp", "column 1: and: something is missing"),
        ("tcp & udp", "column 5: &: an and or an or is missing before this (did you mean &&?)"),
        ("tcp[13] & 2 != 0", "column 1: tcp[13]: byte offsets are not understood"),
        ("host \x1b[2J", r"column 6: \x1b[2J: no IP address"),
        ("host " + "x" * 500, "x…: no IP address"),
        ("not " * 65 + "tcp", f"more than {DEEPEST} parts within each other"),
        ("tcp and udp or " * 80 + "tcp", f"more than {DEEPEST} parts within each other"),
        (" " * 100_001, "more than 100000 characters"),
    ],
)
def test_what_is_no_filter_is_told(text: str, says: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(text)
    assert says in str(refused.value)
    assert isinstance(refused.value, UsageError)
    assert len(str(refused.value)) < 200


def test_pods_are_captured_by_their_addresses() -> None:
    assert of_addresses(["10.244.1.2"]) == A
    assert of_addresses(["10.244.1.2", "10.244.2.2", "10.244.1.2"]) == Or((A, B))
    for addresses in ([], ["pod-a"]):
        with pytest.raises(FilterError):
            of_addresses(addresses)


def test_many_addresses_are_understood_quickly_and_refused_where_they_are_too_many() -> None:
    text = " or ".join(f"10.{number >> 8}.{number & 255}.1" for number in range(6000))
    with pytest.raises(FilterError, match="more than 4096 instructions"):
        for_expression(parse(text))
    assert len(for_expression(parse(text[: 16 * 200].rpartition(" or ")[0]))) < 8 * 4096


def test_negations_within_each_other_do_not_take_forever() -> None:
    """At three levels each, 3**20 parts."""
    text = "tcp"
    for _ in range(20):
        text = f"udp and (icmp or not ({text}))"
    with pytest.raises(FilterError, match="more than 4096 instructions"):
        for_expression(parse(text))


def understood(text: str) -> bool:
    said = ""
    try:
        for_expression(parse(text))
    except FilterError as error:
        said = str(error)
    assert said.isprintable()
    return not said


@given(
    st.lists(
        st.one_of(
            st.sampled_from(words.ALL),
            st.sampled_from(["(", ")", "!", "&&", "||", "80", "10.0.0.1", "fd00::1/64", "1:2:3:4:5:6", "5-9"]),
            st.text(max_size=8),
        ),
        max_size=12,
    )
)
def test_any_words_make_a_program_or_an_error(parts: list[str]) -> None:
    understood(" ".join(parts))


def test_damaged_expressions_make_a_program_or_an_error() -> None:
    rng = Random(2)
    found = {True: 0, False: 0}
    for _ in range(600):
        text = list(expression(rng, 3))
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(text))
            text[at : at + rng.randrange(3)] = rng.choice(["", " ", "(", "x", "/", "9999999999999", "\0", "٣", "²"])
        found[understood("".join(text))] += 1
    assert min(found.values()) > 100
