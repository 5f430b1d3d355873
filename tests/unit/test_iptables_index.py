"""The index of a long chain answers what a look at every rule would."""

from __future__ import annotations

import time
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.datapath.netfilter import HookContext, ruleset, run_hook
from netfs.datapath.netfilter.index import LONG, RuleIndex, Rules
from netfs.model.packet import Packet
from tests.unit.iptables_views import AHEAD, PING, TCP, UDP, namespace, table
from tests.unit.kube_proxy_text import kube_proxy, vip
from tests.unit.netfilter_views import CNI0

HOSTS = ("10.0.0.1", "10.0.0.2", "10.96.0.1")
ADDRESSES = (*(f"{host}/32" for host in HOSTS), "10.0.0.0/8", "300.0.0.1/32", "10.0.0.01/32", "10.0.0.1")
PORTS = ("80", "53", "080", "79:81", "99999")

sources = st.sampled_from(("", *(f"{no}-s {address} " for no in ("", "! ") for address in ADDRESSES)))
destinations = st.sampled_from(("", *(f"{no}-d {address} " for no in ("", "! ") for address in ADDRESSES)))
devices = st.sampled_from(("", "-i cni0 ", "! -i cni0 ", "-o eth0 ", "-i cni0 -o eth+ "))
protocols = st.sampled_from(("", "-p tcp ", "! -p tcp ", "-p udp ", "-p icmp "))
comments = st.sampled_from(("", '-m comment --comment "a -d 10.0.0.9/32" ', "-m comment --comment x "))
headers = st.one_of(
    st.just(""),
    st.builds(
        "-p {0} {3}-m {0} {1}--dport {2} ".format,
        st.sampled_from(("tcp", "udp")),
        st.sampled_from(("", "! ", "--sport 40000 ")),
        st.sampled_from(PORTS),
        comments,
    ),
    st.builds("{}{}".format, protocols, comments),
)
targets = st.sampled_from(("-j DROP", "-j ACCEPT", "-j MARK --set-xmark 0x1/0x1", "-j RETURN", "-j UNHEARDOF", ""))
rules = st.builds("[0:0] -A FORWARD {}{}{}{}{}".format, sources, destinations, devices, headers, targets)
packets = st.builds(
    lambda packet, src, dst, dport: replace(packet, src=src, dst=dst, dport=dport if packet.dport else None),
    st.sampled_from((TCP, UDP, PING, Packet("10.0.0.1", "10.0.0.2", "gre"))),
    st.sampled_from(HOSTS),
    st.sampled_from((*HOSTS, "10.244.1.2")),
    st.sampled_from((80, 53, 8080, None)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(rules, min_size=LONG, max_size=40), st.lists(packets, min_size=1, max_size=6))
def test_indexed_chains_answer_as_others(lines: list[str], sent: list[Packet]) -> None:
    made = namespace(table("filter", *lines, FORWARD="DROP"))
    compiled = ruleset(made)
    assert compiled is not None
    chain = compiled.hooks["ip", "forward"][0]
    assert isinstance(chain.index, RuleIndex)
    plain = namespace()
    scanned = replace(chain, rules=tuple(chain.rules), index=None)
    plain.compiled["netfilter"] = replace(compiled, hooks={("ip", "forward"): (scanned,)})
    for packet in sent:
        one, other = run_hook(made, "forward", packet, AHEAD), run_hook(plain, "forward", packet, AHEAD)
        assert (one.verdict, one.packet, one.why) == (other.verdict, other.packet, other.why)
        assert [met.rule.text for met in one.met] == [met.rule.text for met in other.met]


def test_a_packet_reads_only_the_rules_that_it_may_fulfil() -> None:
    many = [f"-A FORWARD -d 10.1.{n >> 8}.{n & 255}/32 -j DROP" for n in range(1000)]
    made = namespace(table("filter", *many, "-A FORWARD -p tcp -j ACCEPT"))
    compiled = ruleset(made)
    assert compiled is not None
    chain = compiled.hooks["ip", "forward"][0]
    assert chain.next_after(0, TCP) == 1000
    assert chain.next_after(0, replace(TCP, dst="10.1.1.4")) == 260
    assert chain.next_after(261, replace(TCP, dst="10.1.1.4")) == 1000
    assert chain.next_after(1001, TCP) == 1001


def test_ten_thousand_rules_cost_a_packet_a_few() -> None:
    made = namespace(kube_proxy(5000, "10.244.2.2", backed=(7, 4999)))
    compiled = ruleset(made)
    assert compiled is not None
    spent: list[float] = []
    for number in (7, 4999):
        start = time.thread_time()
        answer = run_hook(made, "prerouting", replace(TCP, dst=vip(number)), HookContext(iif=CNI0))
        spent.append(time.thread_time() - start)
        assert (answer.packet.dst, answer.packet.dport, len(answer.met)) == ("10.244.2.2", 8080, 4)
    assert min(spent) < 0.005
    services = compiled.legacy["ip", "nat"].chains["KUBE-SERVICES"].rules
    assert len(services) == 5001
    assert isinstance(services, Rules)
    assert len(services._rules) == 2


def test_addresses_are_found_in_their_canonical_form() -> None:
    lines = [f"-A FORWARD -d {text}/128 -j DROP" for text in ("FD00:0::1", "fd00::0002", "fd00::3")] * 5
    lines += ["-A FORWARD -s fd00::9/128 -j REJECT", "-A FORWARD -d fd00::/64 -j ACCEPT"]
    made = namespace(table("filter", *lines), family=6)
    compiled = ruleset(made)
    assert compiled is not None
    chain = compiled.hooks["ip6", "forward"][0]
    one = Packet("fd00::9", "fd00::1", "tcp", 40000, 80)
    assert [chain.next_after(at, one) for at in (0, 1, 13, 16, 17)] == [0, 3, 15, 16, 17]
    assert chain.next_after(0, replace(one, src="fd00::8", dst="fd00::5")) == 16
