"""Group F: findings of rules in either language, and fixes in the language and of the program that they need."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from netfs.datapath.netfilter import chains_on
from netfs.datapath.netfilter.answer import RuleRef
from netfs.datapath.netfilter.remedy import removal
from netfs.diagnose.rules import met, remove
from netfs.model.findings import Finding
from netfs.model.packet import Packet
from netfs.model.route import Rule
from netfs.model.snapshot import Firewall
from tests.unit.clusters import Edit, add, new_address, route
from tests.unit.proxied_clusters import clustered, rules, saved

MASQUERADE = "-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE"

ROUTED = add(routes=[route("0.0.0.0/0", 2, "192.168.52.1")])


def found(slug: str, **changes: Edit | list[Edit]) -> list[Finding]:
    return [each for each in clustered(None, None, **changes).findings() if each.slug == slug]


@pytest.mark.parametrize(("legacy", "program"), [(False, "iptables-nft"), (True, "iptables-legacy")])
def test_a_forward_policy_of_drop_is_found_and_undone_with_its_own_program(legacy: bool, program: str) -> None:
    dropping = rules({"FORWARD": "DROP"}, filter=["-A FORWARD -s 172.17.0.0/16 -j ACCEPT"], legacy=legacy)
    told = found("firewall-forward-drop", node2=dropping)
    assert [(each.object, each.severity, each.fix) for each in told] == [
        ("node2", "error", f"{program} -t filter -P FORWARD ACCEPT")
    ]


def test_a_forward_policy_of_drop_with_rules_for_the_pods_is_no_fault() -> None:
    accepting = ["-A FORWARD -s 10.244.0.0/16 -j ACCEPT", "-A FORWARD -d 10.244.0.0/16 -j ACCEPT"]
    assert clustered(node2=rules({"FORWARD": "DROP"}, filter=accepting)).findings() == ()


def test_a_rule_that_drops_is_taken_away_word_for_word_and_nothing_in_it_is_run() -> None:
    rule = '-A FORWARD -d 10.244.2.2/32 -p icmp -m comment --comment "$(reboot) \\"x\\" `id`" -j DROP'
    answer = clustered(node2=rules(filter=[rule])).trace("pod-a", "pod-b")
    told = [each for each in answer.findings if each.slug == "firewall-rule-drops"]
    assert (answer.verdict, len(told)) == ("dropped", 1)
    words = shlex.split(told[0].fix)
    assert words[:5] == ["iptables-nft", "-t", "filter", "-D", "FORWARD"]
    assert '$(reboot) "x" `id`' in words
    assert "'$(reboot)" in told[0].fix


def test_a_rule_without_a_handle_is_named_for_a_person() -> None:
    view = clustered(node2=rules(filter=["-A FORWARD -p udp -j DROP"])).topology.nodes["node2"]
    answer = met(view, "forward", Packet("10.244.1.2", "10.244.2.2", "udp", 1, 2))
    assert answer is not None
    assert removal(answer.matched[-1]) == "iptables-nft -t filter -D FORWARD -p udp -j DROP"


def test_rules_that_cannot_be_typed_are_deleted_by_number_and_the_last_first() -> None:
    lines = ["-p udp -j ACCEPT", *(f'-m comment --comment "{each}" -j DROP' for each in ("\x1b[2J", "a\nb")), "-j DROP"]
    edit = rules(filter=[f"-A FORWARD {line}" for line in lines])
    (chain,) = chains_on(clustered(node2=edit).topology.nodes["node2"], "ip", "forward")
    removed = remove(RuleRef(chain, rule) for rule in chain.rules[1:])
    assert removed == " && ".join(f"iptables-nft -t filter -D FORWARD {which}" for which in ("3", "2", "-j DROP"))


def test_two_backends_are_told_and_the_lesser_is_emptied() -> None:
    both = [
        rules(filter=["-A FORWARD -j ACCEPT", "-A FORWARD -p udp -j ACCEPT"]),
        rules({"INPUT": "DROP"}, filter=["-A INPUT -j ACCEPT"], legacy=True),
    ]
    told = found("firewall-two-backends", node1=both)
    assert [(each.object, each.severity) for each in told] == [("node1", "warning")]
    assert told[0].fix.startswith("iptables-legacy -t filter -P INPUT ACCEPT && iptables-legacy -t filter -F && ")
    assert told[0].evidence.startswith("iptables-legacy holds 2 rules and iptables-nft 2: ")


def test_one_backend_and_empty_tables_of_the_other_are_no_fault() -> None:
    assert (
        found("firewall-two-backends", node1=[rules(filter=["-A FORWARD -j ACCEPT"]), rules(nat=[], legacy=True)]) == []
    )


def test_a_node_that_does_not_masquerade_while_others_do_is_told() -> None:
    told = found("masquerade-missing", node1=[rules(nat=[MASQUERADE]), ROUTED], node2=ROUTED)
    assert [(each.object, each.severity) for each in told] == [("node2", "error")]
    assert told[0].fix.startswith("nft add table ip netfs-masquerade && ")
    assert told[0].fix.endswith("ip saddr 10.244.2.0/24 ip daddr != 10.244.0.0/22 masquerade")


def test_masquerading_is_added_in_the_language_of_the_node() -> None:
    for legacy, program in ((False, "iptables-nft"), (True, "iptables-legacy")):
        other = rules(filter=["-A FORWARD -j ACCEPT"], legacy=legacy)
        told = found("masquerade-missing", node1=[rules(nat=[MASQUERADE]), ROUTED], node2=[other, ROUTED])
        assert [each.fix for each in told] == [
            f"{program} -t nat -A POSTROUTING -s 10.244.2.0/24 ! -d 10.244.0.0/22 -j MASQUERADE"
        ]


def test_where_nobody_masquerades_none_is_missing() -> None:
    assert clustered().findings() == ()
    assert found("masquerade-missing", node1=[rules(filter=[]), ROUTED], node2=[rules(filter=[]), ROUTED]) == []


def test_a_pods_own_address_that_leaves_the_cluster_is_told_where_no_answer_comes() -> None:
    outside = new_address("br0", "192.168.52.1/24")
    answer = clustered(fabric=outside).trace("pod-a", "192.168.52.1")
    assert answer.verdict == "dropped"
    assert [each.slug for each in answer.findings] == ["masquerade-missing"]
    both = rules(nat=[MASQUERADE])
    healthy = clustered(fabric=outside, node1=both, node2=both).trace("pod-a", "192.168.52.1")
    assert (healthy.verdict, healthy.findings) == ("delivered", ())


def test_masquerading_between_pods_is_told_with_a_rule_before_it() -> None:
    told = found("masquerade-pod-to-pod", node1=rules(nat=["-A POSTROUTING -o flannel.1 -j MASQUERADE"]))
    assert [(each.object, each.severity, each.fix) for each in told] == [
        ("node1", "warning", "iptables-nft -t nat -I POSTROUTING 1 -s 10.244.1.0/24 -d 10.244.2.0/24 -j ACCEPT")
    ]


def test_rules_of_iptables_that_stop_the_tunnel_are_found_by_asking_them() -> None:
    stops = rules(
        filter=[
            "-A INPUT -i eth0 -j GUARD",
            "-A GUARD -s 10.0.0.0/8 -j RETURN",
            "-A GUARD -p udp --dport 8000:9000 -j DROP",
        ]
    )
    told = found("vxlan-outer-blocked", node2=stops)
    assert [(each.object, each.fix) for each in told] == [
        ("node2", "iptables-nft -t filter -D GUARD -p udp --dport 8000:9000 -j DROP")
    ]


@pytest.mark.parametrize(
    "stops",
    [
        rules({"INPUT": "DROP"}, filter=["-A INPUT -p tcp -j ACCEPT"]),
        rules(filter=["-A INPUT -p tcp -j ACCEPT", "-A INPUT -j REJECT --reject-with icmp-host-prohibited"]),
    ],
)
def test_a_firewall_that_stops_everything_is_opened_for_the_tunnel_alone(stops: Edit) -> None:
    told = found("vxlan-outer-blocked", node2=stops)
    assert [each.fix for each in told] == ["iptables-nft -t filter -I INPUT 1 -p udp -m udp --dport 8472 -j ACCEPT"]


def test_a_rule_for_another_sender_does_not_stop_the_tunnel() -> None:
    other = rules(filter=["-A INPUT -s 192.168.52.99/32 -p udp --dport 8472 -j DROP"])
    assert clustered(node2=other).findings() == ()


def test_a_rule_that_hides_the_word_on_sizes_is_found() -> None:
    hides = rules(filter=["-A OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP"])
    told = found("pmtu-icmp-blocked", node1=hides)
    assert [(each.object, each.fix) for each in told] == [
        ("node1", "iptables-nft -t filter -D OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP")
    ]


def test_the_word_on_sizes_comes_from_the_other_end_of_the_tunnel_and_not_from_this_one() -> None:
    assert found("pmtu-icmp-blocked", node1=rules(filter=["-A FORWARD -s 10.244.1.0/24 -j DROP"])) == []
    assert found("pmtu-icmp-blocked", node1=rules(filter=["-A FORWARD -s 10.244.2.0/24 -j DROP"])) != []


def test_a_ttl_that_a_rule_sets_is_no_loop() -> None:
    short = "-A PREROUTING -s 10.244.1.2/32 -p tcp -j TTL --ttl-set 1"
    after = "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.2.3:80"
    answer = clustered(node1=rules(mangle=[short], nat=[after])).trace("pod-a", "pod-b", proto="tcp", port=80)
    assert [each.slug for each in answer.findings] == ["firewall-rule-drops"]
    assert f"mangle PREROUTING: {short}: leaves the packet a TTL of 1" in answer.findings[0].evidence
    assert answer.forward.drop is not None
    assert answer.forward.drop.slug == "firewall-rule-drops"


@pytest.mark.parametrize(("mark", "told"), [(7, ["rule-shadows-main"]), (8, [])])
def test_a_mark_that_leads_a_packet_to_another_table_is_told_with_the_rule_that_minds_it(
    mark: int, told: list[str]
) -> None:
    marked = rules(mangle=[f"-A PREROUTING -s 10.244.1.2/32 -p tcp -j MARK --set-xmark {mark:#x}/0xffffffff"])
    away = add(routes=[route("0.0.0.0/0", 2, "192.168.52.1", table=77)], rules=[Rule(4, 100, table=77, fwmark=7)])
    cluster = clustered(node1=[marked, away])
    assert cluster.findings() == ()
    answer = cluster.trace("pod-a", "pod-b", proto="tcp", port=80)
    assert [each.slug for each in answer.findings if each.slug == "rule-shadows-main"] == told
    if told:
        assert answer.findings[0].fix == "ip rule del priority 100"
        assert "packets for 10.244.2.2 with mark 0x7 to table 77" in answer.findings[0].evidence


def test_a_match_that_cannot_be_known_is_told_by_the_trace() -> None:
    text = json.dumps(
        {
            "nftables": [
                {"table": {"family": "ip", "name": "t", "handle": 1}},
                {
                    "chain": {
                        "family": "ip", "table": "t", "name": "f", "handle": 1,
                        "type": "filter", "hook": "forward", "prio": 0, "policy": "accept",
                    }
                },
                {
                    "rule": {
                        "family": "ip", "table": "t", "chain": "f", "handle": 2,
                        "expr": [
                            {"match": {"op": "==", "left": {"meta": {"key": "cpu"}}, "right": 3}},
                            {"drop": None},
                        ],
                    }
                },
            ]
        }
    )  # fmt: skip
    answer = clustered(node2=lambda netns: replace(netns, firewall=Firewall(nft=text))).trace("pod-a", "pod-b")
    assert answer.verdict == "unknown"
    assert [(each.slug, each.severity) for each in answer.findings] == [("firewall-unknown-match", "info")]
    assert "meta cpu" in answer.findings[0].evidence


def test_the_text_of_these_tests_is_what_iptables_save_prints() -> None:
    assert saved(filter=["-A GUARD -j DROP"]).splitlines()[-4:] == [
        ":OUTPUT ACCEPT [0:0]",
        ":GUARD - [0:0]",
        "-A GUARD -j DROP",
        "COMMIT",
    ]
