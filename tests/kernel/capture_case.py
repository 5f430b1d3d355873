"""What tests of stations do with a place: send from pod1, hear everything, name what was heard."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from netfs.capture.station.order import Datagram, Sender
from netfs.capture.stations import Frame, Sent, Stations
from tests.kernel.capture_place import Place

OUT = 4
"""PACKET_OUTGOING."""
RIGHTS = ["own rights", "user namespace"] if os.geteuid() == 0 else ["user namespace"]


def to_pod2(*datagrams: Datagram, **more: Any) -> Sender:
    """A sender for pod1, which is the first post."""
    plain = Sender(0, 4, socket.IPPROTO_ICMP, "", "10.7.0.2", datagrams, 0.0, None)
    return plain._replace(**more)


def listen(stations: Stations, seconds: float = 0.3) -> tuple[list[Frame], list[Sent]]:
    """Everything until the end."""
    stations.go()
    records = [*stations.frames(seconds)]
    for ended in stations.stop():
        assert ended.lost is None
    records += stations.frames(0)
    frames = [record for record in records if isinstance(record, Frame)]
    return frames, [record for record in records if isinstance(record, Sent)]


def run(place: Place, *names: str, seconds: float = 0.3, **more: object) -> tuple[list[Frame], list[Sent]]:
    """One station for all names."""
    with Stations({"n": place.order(*names, **more)}) as stations:
        (opened,) = stations.open()
        assert (opened.lost, opened.deaf, opened.sender) == (None, {}, None)
        return listen(stations, seconds)


def devices(place: Place, *names: str) -> dict[tuple[int, int], str]:
    """``pod1/eth0`` by (namespace, index)."""
    return {
        (place.post(name).inode, link["ifindex"]): f"{name}/{link['ifname']}"
        for name in names
        for link in json.loads(place.run(name, "ip -j link show"))
    }
