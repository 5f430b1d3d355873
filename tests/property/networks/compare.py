"""Whether the kernel and the simulator agree on one probe.

They agree where, for one of the ways the simulator leaves open (ECMP), the verdict is the kernel's; the last device
that the simulator says a tap sees the packet at did see it; and no device that the simulator does not name took it
in as its own (PACKET_HOST). Copies of a flooded frame are for somebody else (PACKET_OTHERHOST) and are not counted;
nor are the outer packets of copies that a tunnel sends to all its ends, where the simulator follows one of them.
The answer is compared only where the request was delivered, and by the way whose answer the simulator followed.
``unknown`` agrees with nothing. Where the kernel itself did two things with two probes (a path MTU learned from the
first, an IPv6 route left because its router proved dead), there is nothing to agree with.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.property.networks.predict import Predicted, Way
from tests.property.networks.probe import Observed, Sighting
from tests.property.networks.spec import Probe


def disagreement(probe: Probe, observed: Observed, predicted: Predicted) -> str | None:
    """What they disagree on, in words; None where they agree."""
    if predicted.error is not None:
        return f"the simulator broke: {predicted.error}"
    if observed.unsteady:
        return None
    delivered = probe.target in observed.delivered
    found = _direction("request", delivered, observed.request, predicted.forward)
    if found is not None or not delivered:
        return found
    first = next((way for way in predicted.forward if way.verdict == "delivered"), None)
    if first is None or _way(delivered, observed.request, first) is not None:
        return None
    return _direction("answer", probe.source in observed.answered, observed.reply, predicted.reverse)


def _direction(what: str, delivered: bool, seen: Sequence[Sighting], ways: Sequence[Way]) -> str | None:
    reasons = [_way(delivered, seen, way) for way in ways]
    if None in reasons:
        return None
    kernel = f"{'delivered' if delivered else 'dropped'}, seen {' '.join(map(str, seen)) or 'nowhere'}"
    said = "; ".join(
        f"{way.verdict} {way.reason} ({way.why}) by {' '.join(map(str, way.steps))}: {reason}"
        for way, reason in zip(ways, reasons, strict=True)
    )
    return f"{what}: kernel {kernel}; simulator {said}"


def _way(delivered: bool, seen: Sequence[Sighting], way: Way) -> str | None:
    """What speaks against one way; None: nothing."""
    if way.verdict != ("delivered" if delivered else "dropped"):
        return "verdict"
    taps = [step for step in way.steps if step.tap is not None]
    places = {(sighting.netns, sighting.device, sighting.way) for sighting in seen}
    if taps and (taps[-1].netns, taps[-1].device, taps[-1].tap) not in places:
        return f"never seen at {taps[-1]}"
    if not taps and places:
        return "it left the source"
    named = {(step.netns, step.device) for step in way.steps}
    copies = _crosses_a_tunnel(way)
    strangers = [
        s for s in seen if s.way == "in" and s.own and (s.netns, s.device) not in named and not (copies and s.tunnelled)
    ]
    if strangers:
        return f"came to {strangers[0]} as well"
    return None


def _crosses_a_tunnel(way: Way) -> bool:
    """Whether the simulator follows a packet into a tunnel and on to another namespace."""
    entrances = [step for step in way.steps if step.stage == "encapsulate" and step.action != "drop"]
    return bool(entrances) and way.steps[-1].netns != entrances[0].netns
