"""Whether a packet is in an ipset, by the text of ``ipset save``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.datapath.netfilter import run_hook
from netfs.model.packet import Packet
from tests.unit.iptables_views import AHEAD, PING, TCP, TCP6, UDP, VERDICTS, namespace, table

SETS = """\
create ips hash:ip family inet hashsize 1024 maxelem 65536 timeout 0 bucketsize 12 initval 0xb4ea1dbe
add ips 10.244.1.2 timeout 300
create nets hash:net family inet hashsize 1024 maxelem 65536 comment
add nets 10.0.0.0/8 comment "not nomatch"
add nets 10.244.1.0/24 nomatch comment "a b"
add nets 10.244.1.2 comment "host"
create masked hash:ip family inet hashsize 1024 maxelem 65536 netmask 24
add masked 10.244.1.0
create services hash:ip,port family inet hashsize 1024 maxelem 65536
add services 10.96.0.1,tcp:80
add services 10.244.2.2,icmp:8/0
create loop hash:ip,port,ip family inet hashsize 1024 maxelem 65536
add loop 10.96.0.1,tcp:80,10.96.0.1
create loopnet hash:ip,port,net family inet hashsize 1024 maxelem 65536
add loopnet 10.96.0.1,tcp:80,10.244.0.0/16
create netport hash:net,port family inet hashsize 1024 maxelem 65536
add netport 10.96.0.0/16,udp:53
create netnet hash:net,net family inet hashsize 1024 maxelem 65536
add netnet 10.244.0.0/16,10.96.0.0/16
add netnet 10.244.1.0/24,10.96.0.1 nomatch
create netiface hash:net,iface family inet hashsize 1024 maxelem 65536
add netiface 10.244.0.0/16,cni0
add netiface 10.0.0.0/8,eth wildcard
create range bitmap:ip range 10.244.1.0-10.244.1.255
add range 10.244.1.2
create ports bitmap:port range 0-1024
add ports 80
create six hash:net family inet6 hashsize 1024 maxelem 65536
add six fd00:96::/64
create marks hash:ip,mark family inet markmask 0x000000ff hashsize 1024 maxelem 65536
add marks 10.244.1.2,0x00000005
create any list:set size 8
add any six
add any services
add any ips
create strange hash:unheardof family inet
create garbled hash:ip family inet hashsize 1024 maxelem 65536
add garbled 10.244.1.256
"""


def holds(match: str, packet: Packet) -> bool | None:
    made = namespace(table("filter", f"-A FORWARD -m set {match} -j DROP"), family=packet.family, ipset=SETS)
    return VERDICTS[run_hook(made, "forward", packet, AHEAD).verdict]


@pytest.mark.parametrize(
    ("match", "packet", "expected"),
    [
        ("--match-set ips src", TCP, True),
        ("--match-set ips dst", TCP, False),
        ("! --match-set ips src", TCP, False),
        ("! --match-set ips dst", TCP, True),
        ("--match-set nets src", TCP, True),
        ("--match-set nets src", replace(TCP, src="10.244.1.3"), False),
        ("--match-set nets src", replace(TCP, src="10.9.1.3"), True),
        ("--match-set nets src", replace(TCP, src="11.9.1.3"), False),
        ("--match-set masked src", replace(TCP, src="10.244.1.77"), True),
        ("--match-set services dst,dst", TCP, True),
        ("--match-set services dst,src", TCP, False),
        ("--match-set services dst,dst", replace(TCP, proto="udp", tcp_flags=None), False),
        ("--match-set services dst,dst", PING, True),
        ("--match-set services dst", TCP, False),
        ("! --match-set services dst", TCP, True),
        ("--match-set loop dst,dst,src", TCP, False),
        ("--match-set loop dst,dst,src", replace(TCP, src="10.96.0.1"), True),
        ("--match-set loopnet dst,dst,src", TCP, True),
        ("--match-set netport dst,dst", UDP, True),
        ("--match-set netport dst,dst", TCP, False),
        ("--match-set netnet src,dst", TCP, False),
        ("--match-set netnet src,dst", replace(TCP, dst="10.96.0.2"), True),
        ("--match-set netiface src,src", TCP, True),
        ("--match-set netiface src,dst", TCP, False),
        ("--match-set netiface src,dst", replace(TCP, src="10.9.1.3"), True),
        ("--match-set netiface dst,src", TCP, False),
        ("--match-set range src", TCP, True),
        ("--match-set range dst", TCP, False),
        ("--match-set ports dst", TCP, True),
        ("--match-set ports src", TCP, False),
        ("--match-set ports dst", PING, False),
        ("--match-set six dst", TCP6, True),
        ("--match-set six dst", TCP, False),
        ("--match-set marks src,src", replace(TCP, mark=0x105), True),
        ("--match-set marks src,src", TCP, False),
        ("--match-set any src,src", TCP, True),
        ("--match-set any dst,dst", TCP, True),
        ("--match-set any dst,dst", UDP, False),
        ("--match-set any src,dst", TCP6, False),
        ("--match-set strange src", TCP, None),
        ("--match-set garbled src", TCP, None),
        ("--match-set absent src", TCP, None),
        ("--match-set services dst,dst", replace(TCP, dport=None), None),
        ("--match-set services src,dst", replace(TCP, dport=None), False),
        ("--match-set ips src --return-nomatch", TCP, None),
        ("--match-set ips src ! --update-counters", TCP, True),
        ("--match-set ips sideways", TCP, None),
    ],
)
def test_membership(match: str, packet: Packet, expected: bool | None) -> None:
    assert holds(match, packet) is expected


def test_sets_that_were_not_read_are_in_doubt() -> None:
    made = namespace(table("filter", "-A FORWARD -m set --match-set ips src -j DROP"))
    answer = run_hook(made, "forward", TCP, AHEAD)
    assert answer.verdict == "unknown"
    assert "set ips was not read" in answer.why
