"""The kernel's word on a drop (``skb:kfree_skb``), tied to a packet of the probe. Pure.

A drop names the address of an ``sk_buff``. The taps saw the probe at devices and moments, where events name that
address too (``follow``); what is dropped was last at the device of the last event before. A packet that is dropped
before any tap sees it is known by who dropped it: the very thread that was sending it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from netfs.capture.compare import heard as hearing
from netfs.capture.compare.follow import Followed, follow
from netfs.capture.compare.heard import Event, Heard, Mark
from netfs.model.live import KernelWord, Sighting, TapRef
from netfs.model.packet import Packet

_STRAIGHT = 20_000_000
"""Nanoseconds from a packet's last event to its drop, where it waits for nothing. Later, the address is another's."""
_CALL = 5_000_000
"""Nanoseconds that handing a packet to the kernel takes at most."""
_REPORT = 1_000_000
"""Nanoseconds from an ICMP error that the sender's own kernel makes to the drop it is about."""
_WAITS = re.compile(r"NEIGH_|FRAG_|QDISC_|QUEUE_PURGE")
_WAITING = re.compile(r"_*(neigh|arp|ndisc|ip_?(v?6)?_?(frag|expire)|inet_frag|qdisc)")
"""Reasons and functions of packets that waited: for a neighbour (3 s), the other fragments (30 s), their turn."""
_LEAVES = re.compile(r"NEIGH_|TC_EGRESS|QDISC_")
_LEAVING = re.compile(r"_*(neigh|arp_error|ndisc_error|dev_queue|dev_direct|dev_hard|sch_|qdisc|validate_xmit)")
"""Of packets that are handed to a device, and that no tap has seen yet."""
_TAKEN = re.compile(r"_*(tcp|udp|icmp|ping|raw|sock|sk|skb_queue|inet|packet|ipv6_raw|ip6?_(proto|local))")
"""Functions behind local delivery."""
_RECEIVES = re.compile(r"_*ipv?6?_rcv")
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_NEVER = frozenset({"NOT_DROPPED_YET", "CONSUMED"})


def lost(heard: bytes) -> int:
    """Events that the kernel had no room for."""
    return hearing.read(heard).lost


def tie(
    heard: bytes, sightings: Sequence[Sighting], taps: Sequence[TapRef], family: int | None = None
) -> tuple[KernelWord, ...]:
    """The drops of the probe's packets among what one kernel told (``Tracer.read``), by time.

    ``sightings`` are those of the same kernel's taps, ``taps`` all of them, ``family`` is the probe's (4 or 6). Drops
    that are no loss are left out: of copies that were flooded to others, of what reached its socket.
    """
    told = hearing.read(heard)
    followed = follow(told, sightings)
    ethertypes = {ethertype for one in sightings for ethertype in _ethertypes(one.packet)}
    tied = [
        (KernelWord(tap, event.reason, event.name, event.at, sighting.number, sighting.role), sighting)
        for event, sighting, tap in _dropped(followed, {tap.device for tap in taps}, ethertypes)
    ]
    words = list(_losses(tied, sightings))
    words += _unseen(told, followed, sightings, family)
    return tuple(sorted(words, key=lambda word: (word.at_ns, word.location)))


def _dropped(
    followed: Followed, devices: set[str], ethertypes: set[int]
) -> Iterator[tuple[Event, Sighting, TapRef | None]]:
    """Each drop of a packet that a tap had seen, its last sighting, and where it was then."""
    for life in followed.lives.values():
        for at, event in enumerate(life):
            if event.kind != "free" or event.reason in _NEVER:
                continue
            before, unheard = at - 1, False
            while before >= 0 and life[before].kind != "free" and life[before] not in followed.sighting:
                if life[before].name in devices:
                    break  # that device is heard, and it was another packet
                before, unheard = before - 1, True
            last = life[before] if before >= 0 else None
            if last is None or last not in followed.sighting or not _soon(last, event):
                continue
            if event.number not in ethertypes:
                continue
            sighting = followed.sighting[last]
            yield event, sighting, None if unheard else _where(followed.silent, sighting, event)


def _ethertypes(packet: Packet) -> Iterator[int]:
    """Of a packet and of the tunnels around it."""
    yield _ETHERTYPES[packet.family]
    outer = packet.outer
    while outer is not None:
        yield _ETHERTYPES[6 if ":" in outer.src else 4]
        outer = outer.outer


def _soon(last: Event, event: Event) -> bool:
    waited = _WAITS.match(event.reason) or _WAITING.match(event.name)
    return bool(waited) or event.at - last.at <= _STRAIGHT


def _where(silent: Iterable[Sighting], last: Sighting, event: Event) -> TapRef:
    """Where a packet was that a tap may have seen again, at a device that makes no event."""
    later = [
        one
        for one in silent
        if one.way == "in"
        and (one.number, one.role, one.tap.netns_id) == (last.number, last.role, last.tap.netns_id)
        and last.at_ns <= one.at_ns <= event.at
    ]
    return max(later, key=lambda one: one.at_ns, default=last).tap


def _losses(tied: Sequence[tuple[KernelWord, Sighting]], sightings: Sequence[Sighting]) -> Iterator[KernelWord]:
    """Those words that tell of a loss."""
    ordered = sorted(sightings, key=lambda one: one.at_ns)
    left = {one.number: one for one in reversed(ordered) if one.role == "probe"}
    answered = {one.number for one in ordered if one.role == "answer" and "rst" not in (one.packet.tcp_flags or "")}
    words = [word for word, _ in tied]
    for word, last in tied:
        if (word.role == "probe" and word.number in answered) or _went_on(word, last, ordered):
            continue
        if _delivered(word, last, left.get(last.number)) or (_is_copy(word) and _went_elsewhere(word, words, ordered)):
            continue
        yield word


def _delivered(word: KernelWord, last: Sighting, left: Sighting | None) -> bool:
    """Whether it is the end of a packet that had arrived.

    A reset is not answered. What comes back to where the probe left from goes to a raw socket, and no other waits for
    it; unless it comes from an address that was never asked, and is refused for that.
    """
    if word.reason == "QUEUE_PURGE" and not _WAITING.match(word.location):
        return True
    if not _TAKEN.match(word.location) or word.role == "probe":
        return False
    if word.role == "reset":
        return True
    if left is None or last.tap.netns_id != left.tap.netns_id:
        return False
    asked, answers = left.packet, last.packet
    return word.role == "error" or (asked.dst, asked.dport) == (answers.src, answers.sport)


def _went_on(word: KernelWord, last: Sighting, ordered: Sequence[Sighting]) -> bool:
    """Whether it left the namespace all the same, before the drop: it was copied for want of room for a header
    (skb_expand_head), or by fragments, and its old address was soon another's.
    """
    return any(
        (one.number, one.role, one.tap.netns_id, one.way) == (last.number, last.role, last.tap.netns_id, "out")
        and last.at_ns < one.at_ns < word.at_ns
        and (last.way == "in" or one.length > last.length)
        for one in ordered
    )


def _is_copy(word: KernelWord) -> bool:
    """Whether it was meant for another's MAC (ip_rcv_core, ip6_rcv_core): a bridge floods copies to every port."""
    return word.reason == "OTHERHOST" or (word.reason == "NOT_SPECIFIED" and bool(_RECEIVES.match(word.location)))


def _went_elsewhere(word: KernelWord, words: Sequence[KernelWord], ordered: Sequence[Sighting]) -> bool:
    """Whether another namespace took the packet: it came in, did not go out again, and was not dropped."""
    group = word.number, word.role
    dropped = {other.tap.netns_id for other in words if other.tap and (other.number, other.role) == group}
    last: dict[int, str] = {}
    for one in ordered:
        if (one.number, one.role) == group:
            last[one.tap.netns_id] = one.way
    return any(way == "in" and netns not in dropped for netns, way in last.items())


def _unseen(told: Heard, followed: Followed, sightings: Sequence[Sighting], family: int | None) -> Iterator[KernelWord]:
    """Drops of probes that no tap saw."""
    seen = {one.number for one in sightings if one.role == "probe"}
    missing = [mark for mark in told.marks if mark.number not in seen]
    if not missing:
        return
    ethertype = _ETHERTYPES.get(family or 0)
    fresh = [
        event
        for event in told.events
        if event.kind == "free" and ethertype in {None, event.number} and followed.passed.get(event, 0) < missing[0].at
    ]
    known = set()
    for mark in missing:
        if (drop := _by_sender(mark, told, fresh) or _reported(mark, sightings, fresh)) is not None:
            known.add(mark.number)
            yield KernelWord(None, drop.reason, drop.name, drop.at, mark.number, "probe")
    later = [event for event in fresh if event.at > missing[0].at and _leaving(event)]
    if 0 < len(later) <= len({mark.number for mark in missing} - known):
        for event in later:
            yield KernelWord(None, event.reason, event.name, event.at)


def _by_sender(mark: Mark, told: Heard, fresh: Sequence[Event]) -> Event | None:
    """What the sender dropped in its own call. A full queue drops its oldest packet (__neigh_event_send): another's."""
    end = min([mark.at + _CALL, *(other.at for other in told.marks if other.at > mark.at)])
    own = [event for event in fresh if event.called and event.pid == mark.pid and mark.at <= event.at <= end]
    return next((event for event in reversed(own) if event.reason != "NEIGH_QUEUEFULL"), None)


def _reported(mark: Mark, sightings: Sequence[Sighting], fresh: Sequence[Event]) -> Event | None:
    """What was dropped right behind an ICMP error about this probe (neigh_invalidate calls error_report first)."""
    errors = [one.at_ns for one in sightings if (one.number, one.role) == (mark.number, "error")]
    first = min(errors, default=None)
    if first is None:
        return None
    return next((event for event in fresh if _leaving(event) and 0 <= event.at - first <= _REPORT), None)


def _leaving(event: Event) -> bool:
    """Whether it had no device yet, or was before its first: it waited for a neighbour, and that does not answer
    (neigh_invalidate), or what came next refused it. Whose it was cannot be told.
    """
    return not event.called and bool(_LEAVES.match(event.reason) or _LEAVING.match(event.name))
