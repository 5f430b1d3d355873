"""The kernel's word on a drop (``skb:kfree_skb``), tied to a packet of the probe. Pure.

A drop names the address of an ``sk_buff``. The taps saw the probe at devices and moments, where events name that
address too (``follow``); what is dropped was last at the device of the last event before. A packet that is dropped
before any tap sees it is known by who dropped it: the very thread that was sending it.
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from netfs.capture.compare import heard as hearing
from netfs.capture.compare.follow import Followed, Group, follow
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
    words += _copied(told, sightings, words, {(word.at_ns, word.location) for word, _ in tied})
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
    """Whether it is still the same packet. What came by loopback waits for nobody: it is for this host."""
    waited = _WAITS.match(event.reason) or _WAITING.match(event.name)
    return (bool(waited) and last.name != "lo") or event.at - last.at <= _STRAIGHT


def _where(silent: Iterable[Sighting], last: Sighting, event: Event) -> TapRef:
    """Where a packet was that a tap may have seen again, at a device that makes no event. A macvlan's namespace may be
    another; the packet keeps its timestamp.
    """
    later = [
        one
        for one in silent
        if one.way == "in"
        and (one.number, one.role) == (last.number, last.role)
        and last.at_ns <= one.at_ns <= (event.at if one.tap.netns_id == last.tap.netns_id else last.at_ns)
    ]
    return max(later, key=lambda one: one.at_ns, default=last).tap


def _losses(tied: Sequence[tuple[KernelWord, Sighting]], sightings: Sequence[Sighting]) -> Iterator[KernelWord]:
    """Those words that tell of a loss."""
    ordered = sorted(sightings, key=lambda one: one.at_ns)
    left = {one.number: one for one in reversed(ordered) if one.role == "probe"}
    answered = {one.number for one in ordered if one.role == "answer" and "rst" not in (one.packet.tcp_flags or "")}
    groups: dict[Group, list[Sighting]] = defaultdict(list)
    for one in ordered:
        groups[one.number, one.role].append(one)
    words = [word for word, _ in tied]
    for word, last in tied:
        its = groups[last.number, last.role]
        if (word.role == "probe" and word.number in answered) or _went_on(word, last, its):
            continue
        if _delivered(word, last, left.get(last.number)) or (_is_copy(word) and _went_elsewhere(word, words, its)):
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


def _went_on(word: KernelWord, last: Sighting, its: Sequence[Sighting]) -> bool:
    """Whether it left the namespace all the same, before the drop: it was copied for want of room for a header
    (skb_expand_head), or by fragments, and its old address was soon another's. ``its``: where the probe or answer was
    seen, by time.
    """
    after = bisect.bisect_right(its, last.at_ns, key=lambda one: one.at_ns)
    before = bisect.bisect_left(its, word.at_ns, key=lambda one: one.at_ns)
    return any(
        (one.tap.netns_id, one.way) == (last.tap.netns_id, "out") and (last.way == "in" or one.length > last.length)
        for one in its[after:before]
    )


def _is_copy(word: KernelWord) -> bool:
    """Whether it was meant for another's MAC (ip_rcv_core, ip6_rcv_core): a bridge floods copies to every port."""
    return word.reason == "OTHERHOST" or (word.reason == "NOT_SPECIFIED" and bool(_RECEIVES.match(word.location)))


def _went_elsewhere(word: KernelWord, words: Sequence[KernelWord], its: Sequence[Sighting]) -> bool:
    """Whether another namespace took the packet: it came in, did not go out again, and was not dropped."""
    group = word.number, word.role
    dropped = {other.tap.netns_id for other in words if other.tap and (other.number, other.role) == group}
    last = {one.tap.netns_id: one.way for one in its}
    return any(way == "in" and netns not in dropped for netns, way in last.items())


def _copied(
    told: Heard, sightings: Sequence[Sighting], words: Sequence[KernelWord], tied: set[tuple[int, str]]
) -> Iterator[KernelWord]:
    """Drops of packets that taps saw, and that were others by then: what has no room for the header of the next device
    is copied (skb_expand_head), before it waits for a neighbour. They are known by the ICMP errors about them.

    ``tied``: moment and function of the drops that are known already.
    """
    known = {word.number for word in words}
    answered = {one.number for one in sightings if one.role == "answer"}
    fresh = [event for event in told.events if event.kind == "free" and (event.at, event.name) not in tied]
    for number in sorted({one.number for one in sightings if one.role == "probe"} - known):
        error, drop = _first_error(number, sightings), _reported(number, sightings, fresh)
        if error is None or drop is None:
            continue
        role = "answer" if number in answered else "probe"
        before = [
            one
            for one in sightings
            if (one.number, one.role, one.tap.netns_id) == (number, role, error.tap.netns_id)
            and one.at_ns <= error.at_ns
            and one.packet.src == error.packet.dst  # it is sent to whom the lost packet is from
        ]
        last = max(reversed(before), key=lambda one: one.at_ns, default=None)  # a bridge is heard behind its port
        if last is not None and last.way == "in" and drop.number in _ethertypes(last.packet):
            fresh.remove(drop)
            yield KernelWord(last.tap, drop.reason, drop.name, drop.at, number, role)


def _unseen(told: Heard, followed: Followed, sightings: Sequence[Sighting], family: int | None) -> Iterator[KernelWord]:
    """Drops of probes that no tap saw."""
    seen = {one.number for one in sightings if one.role == "probe"}
    missing = [mark for mark in told.marks if mark.number not in seen]
    if not missing:
        return
    ethertype = _ETHERTYPES.get(family or 0)
    drops = [event for event in told.events if event.kind == "free" and ethertype in {None, event.number}]
    known = set()
    for mark in missing:
        fresh = [event for event in drops if followed.passed.get(event, 0) < mark.at]
        # Its question for a neighbour is dropped in the sender's call as well: what was reported goes first.
        if (drop := _reported(mark.number, sightings, fresh) or _by_sender(mark, told, fresh)) is not None:
            known.add(mark.number)
            yield KernelWord(None, drop.reason, drop.name, drop.at, mark.number, "probe")
    never = [event for event in drops if followed.passed.get(event, 0) < missing[0].at]
    later = [event for event in never if event.at > missing[0].at and _leaving(event)]
    if 0 < len(later) <= len({mark.number for mark in missing} - known):
        for event in later:
            yield KernelWord(None, event.reason, event.name, event.at)


def _by_sender(mark: Mark, told: Heard, fresh: Sequence[Event]) -> Event | None:
    """What the sender dropped in its own call. A full queue drops its oldest packet (__neigh_event_send): another's."""
    end = min([mark.at + _CALL, *(other.at for other in told.marks if other.at > mark.at)])
    own = [event for event in fresh if event.called and event.pid == mark.pid and mark.at <= event.at <= end]
    return next((event for event in reversed(own) if event.reason != "NEIGH_QUEUEFULL"), None)


def _reported(number: int, sightings: Sequence[Sighting], fresh: Sequence[Event]) -> Event | None:
    """What was dropped right behind an ICMP error about this probe (neigh_invalidate calls error_report first)."""
    first = _first_error(number, sightings)
    if first is None:
        return None
    return next((event for event in fresh if _leaving(event) and 0 <= event.at - first.at_ns <= _REPORT), None)


def _first_error(number: int, sightings: Sequence[Sighting]) -> Sighting | None:
    errors = (one for one in sightings if (one.number, one.role) == (number, "error"))
    return min(errors, key=lambda one: one.at_ns, default=None)


def _leaving(event: Event) -> bool:
    """Whether it had no device yet, or was before its first: it waited for a neighbour, and that does not answer
    (neigh_invalidate), or what came next refused it. Whose it was cannot be told.
    """
    return not event.called and bool(_LEAVES.match(event.reason) or _LEAVING.match(event.name))
