"""The device of a chain is known, whether nft tells it in its JSON or not: rules, collected, read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.collect_place import inside

BUILD = """
ip netns add one; ip netns add two
for name in one two; do ip -n $name link add v0 type veth peer name v1; done
ip netns exec one nft -f - <<'RULES'
table netdev here {
  chain in { type filter hook ingress device v0 priority 0; policy drop; }
  chain both { type filter hook ingress devices = { v0, v1 } priority 5; }
  chain plain { }
}
table inet there {
  chain in { type filter hook ingress device v1 priority 7; }
}
RULES
ip netns exec two nft -f - <<'RULES'
table inet there {
  chain in { type filter hook forward priority 0; policy drop; }
}
RULES
"""
ANSWER = """
import json
from netfs.api import Cluster
from netfs.collect import Target, collect
from netfs.datapath.netfilter import chains_on
from netfs.model.snapshot import Snapshots

nodes = collect([Target(name, f"/run/netns/{name}") for name in ("one", "two")])
views = Cluster(Snapshots(tuple(nodes))).topology.nodes
found = {chain.priority: sorted(chain.devices) for chain in chains_on(views["one"], "netdev", "ingress")}
text = {name: view.netns.firewall.nft_devices is not None for name, view in views.items()}
listed = '"dev":' in views["one"].netns.firewall.nft
gaps = [gap.what for node in nodes for gap in node.gaps]
print(json.dumps({"found": found, "text": text, "listed": listed, "gaps": gaps}))
"""

pytestmark = pytest.mark.kernel


def test_chains_of_devices_are_read_with_their_devices(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    said = inside(BUILD, ANSWER)
    assert said["found"] == {"0": ["v0"], "5": ["v0", "v1"], "7": ["v1"]}
    assert said["text"] == {"one": not said["listed"], "two": False}
    assert "nft_devices" not in said["gaps"]
