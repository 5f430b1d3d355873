"""Of several drops that the kernel tells of, the one that the packet itself met."""

from __future__ import annotations

from netfs.model.trace import KernelDrop
from tests.unit.live_worlds import START_NS, broken, dropped_at
from tests.unit.test_datapath_faults import retype


def test_the_drop_of_a_copy_is_told_only_where_the_packets_own_is_not() -> None:
    """A copy of the flooded frame was ignored elsewhere, and earlier; the kernel has no name for a blackhole."""
    world = broken(node2=retype("10.244.2.0/24", "blackhole"))
    sightings = world.seen(world.there)
    flooded = next(one for one in sightings if one.tap.name == "node1/veth1x1")
    copy = world.at("node1/pod-c/eth0", "in", flooded, at_us=1.0)
    ignored = dropped_at(copy.tap, "OTHERHOST", "ip_rcv_core")
    own = dropped_at(world.tap("node2/flannel.1"), "NOT_SPECIFIED", "ip_error")
    assert ignored.at_ns == own.at_ns > START_NS
    for drops, expected in (((ignored, own), own), ((ignored,), ignored)):
        answer = world.compared([*sightings, copy], drops=drops)
        assert answer.live is not None
        assert answer.live.forward.verdict == "agrees"
        assert answer.forward.drop is not None
        assert answer.forward.drop.kernel == KernelDrop(expected.reason, expected.location)
