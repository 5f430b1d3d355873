"""Which of the kernel's events are of a probe: those at the device and moment at which a tap saw it.

Before a device takes a packet, ``dev_queue_xmit_nit`` gives it to the taps; then comes ``net_dev_start_xmit``. A packet
that is received gets its timestamp first (``net_timestamp_check``), waits in a processor's backlog, and comes to
``netif_receive_skb`` and to the taps. So of packets alike the first event after a sighting is the one; unless a packet
that is known already goes on. TCP's own packets bear the time they were to leave at, which is taken for a timestamp's:
theirs is made right behind the event (``skb_clear_delivery_time``).
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from netfs.capture.compare.heard import Event, Heard
from netfs.model.live import Sighting

_BEFORE = 1_000
"""Nanoseconds by which an event may seem to be before its sighting: how well the two clocks are known."""
_BEHIND = 20_000
"""Nanoseconds that a received packet's timestamp may be behind its event."""
_WITHIN = {"in": 20_000_000, "out": 5_000_000}
"""Nanoseconds from a sighting to its event: the wait in a backlog, or that of a task that lost its processor."""
_HEADERS = {"in": (14, 0, 18), "out": (0, 4, -4)}
"""Bytes that a tap sees and the event does not count: Ethernet, none (a tunnel's device), and a VLAN tag."""

Group = tuple[int, str]
"""A probe's number, and the role."""


@dataclass(slots=True)
class Followed:
    """Events and sightings that are of one another."""

    lives: dict[int, list[Event]]
    """By packet, in order of time."""
    passed: dict[Event, int]
    """When the packet of a drop was last at a device; of one that never was, nothing."""
    sighting: dict[Event, Sighting] = field(default_factory=dict)
    """What a tap saw at an event."""
    silent: list[Sighting] = field(default_factory=list)
    """Sightings without an event: a VLAN's or macvlan's device (__netif_receive_skb_core goes another round)."""


def follow(heard: Heard, sightings: Sequence[Sighting]) -> Followed:
    """Give each sighting its event.

    What the sender's own call hands to a device is the probe, whatever else leaves in that moment. Where events were
    left out, a sighting has only that of a packet which is known already: another that looks alike may be anybody's.
    """
    followed = Followed(defaultdict(list), {})
    places: dict[tuple[str, str], list[Event]] = defaultdict(list)
    own: dict[str, list[Event]] = defaultdict(list)
    senders = {mark.pid for mark in heard.marks}
    onwards: dict[Event, Event] = {}
    passed: dict[int, int] = {}
    for event in heard.events:
        life = followed.lives[event.packet]
        if life and life[-1].kind != "free":
            onwards[life[-1]] = event
        life.append(event)
        if event.kind != "free":
            passed[event.packet] = event.at
            places[event.kind, event.name].append(event)
            if event.kind == "out" and event.called and event.pid in senders:
                own[event.name].append(event)
        elif event.packet in passed:
            followed.passed[event] = passed[event.packet]
    awaited: dict[Group, list[Event]] = defaultdict(list)
    ordered = sorted(sightings, key=lambda one: one.at_ns)
    alike: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for sighting in ordered:
        alike[sighting.way, sighting.tap.device].append(sighting)
    for sighting in ordered:
        group = sighting.number, sighting.role
        # What is past now fits no later sighting: of an answer that comes in floods it would soon be thousands.
        ahead = awaited[group] = [event for event in awaited[group] if event.at >= sighting.at_ns - _BEHIND]
        its = _first(ahead, sighting, followed, _BEHIND)
        if its is not None and _elsewhere(its, sighting, alike[sighting.way, sighting.tap.device]):
            its = None
        if its is None:
            if not any(begin <= sighting.at_ns < end for begin, end in heard.whole):
                continue
            place = places.get((sighting.way, sighting.tap.device), [])
            sent = own.get(sighting.tap.device, []) if sighting.role == "probe" else []
            its = (
                _first(sent, sighting, followed, _BEFORE)
                or _first(place, sighting, followed, _BEFORE)
                or _first(place, sighting, followed, _BEHIND)
            )
        if its is None:
            followed.silent.append(sighting)
            continue
        followed.sighting[its] = sighting
        if its in onwards:
            bisect.insort(ahead, onwards[its])
    return followed


def _elsewhere(event: Event, sighting: Sighting, alike: Sequence[Sighting]) -> bool:
    """Whether a tap of another namespace, at a device of the same name, saw a packet as long between a sighting and an
    event: an address that is used again.
    """
    begin = bisect.bisect_right(alike, sighting.at_ns, key=lambda one: one.at_ns)
    end = bisect.bisect_right(alike, event.at, key=lambda one: one.at_ns)
    return any(one.tap.netns_id != sighting.tap.netns_id and one.length == sighting.length for one in alike[begin:end])


def _first(events: Sequence[Event], sighting: Sighting, followed: Followed, before: int) -> Event | None:
    """The first event that is at this device and moment, of a packet as long, and of no other sighting."""
    earliest = sighting.at_ns - (before if sighting.way == "in" else _BEFORE)
    begin = bisect.bisect_left(events, earliest, key=lambda event: event.at)
    for index in range(begin, len(events)):
        event = events[index]
        if event.at > sighting.at_ns + _WITHIN.get(sighting.way, 0):
            break
        if (
            (event.kind, event.name) == (sighting.way, sighting.tap.device)
            and sighting.length - event.number in _HEADERS[event.kind]
            and event not in followed.sighting
        ):
            return event
    return None
