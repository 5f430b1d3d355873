"""The little language in which a lab's Services are asked for.

::

    NAME=[BACKEND,…][:PORT[:TARGET][/PROTOCOL][+PORT…]][,OPTION…]

    web=pod-b:80                          one backend; without a port it is 80
    web=pod-b,pod-d:80:8080               two backends, whose port is 8080
    dns=pod-b:53:8080/udp+53:8080         several ports, named udp-53 and tcp-53
    web=pod-b:80,type=NodePort            node ports count from 30080
    web=:80                               no backend

A backend is a pod, a node, or an IPv4 address. Values that are lists are joined by ``+``. Options::

    type=ClusterIP|NodePort|LoadBalancer  ClusterIP, unless an option below says otherwise
    node-port=30080                       one for each port; makes it a NodePort
    external-ip=203.0.113.5               routed to the first node
    lb-ip=203.0.113.80                    makes it a LoadBalancer; routed to the first node
    lb-from=192.168.52.0/24               loadBalancerSourceRanges
    cluster-ip=10.96.0.53                 else counted from 10.96.0.10
    affinity=3600                         sessionAffinity ClientIP, in seconds
    internal=Local, external=Local        internalTrafficPolicy, externalTrafficPolicy
    headless                              clusterIP None
    external-name=db.example.org          makes it an ExternalName: a name, and no address
    selector=app:pod-b                    else netfs.lab/NAME:backend, which every backend pod carries
    notready=pod-d                        backends that are not ready
    terminating=pod-d                     backends that still serve, but terminate
    publish-not-ready                     publishNotReadyAddresses

A Service some of whose backends are no pods selects nothing: its endpoints were entered by hand.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.errors import UsageError

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_VALUES = (
    *("type", "node-port", "external-ip", "lb-ip", "lb-from", "cluster-ip", "affinity"),
    *("internal", "external", "external-name", "selector", "notready", "terminating"),
)
_DIGITS = 5
_FLAGS = ("headless", "publish-not-ready")


@dataclass(slots=True)
class Wanted:
    """One ``--service``, in its parts."""

    text: str
    name: str
    backends: list[str] = field(default_factory=list)
    ports: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def many(self, option: str) -> tuple[str, ...]:
        """The value of an option that is a list."""
        return tuple(one for one in self.options.get(option, "").split("+") if one)

    def wrong(self, what: str, hint: str = "") -> UsageError:
        """The error that names this Service."""
        return UsageError(f"service {self.text!r}: {what}", hint=hint)

    def number(self, what: str, text: str, most: int) -> int:
        """A number of 1 to ``most``."""
        if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and 1 <= int(text) <= most):
            raise self.wrong(f"{what} {text!r} is not 1 to {most}")
        return int(text)

    def one_of(self, option: str, known: Mapping[str, str], default: str) -> str:
        """The value of an option that is one of several words, in whatever case."""
        text = self.options.get(option, default)
        if text.lower() not in known:
            raise self.wrong(f"{option}={text} cannot be", f"one of {', '.join(known.values())}")
        return known[text.lower()]

    def addresses(self, option: str, *, prefixes: bool = False) -> tuple[str, ...]:
        """The addresses, or prefixes, that an option names."""
        try:
            if prefixes:
                return tuple(str(ipaddress.ip_network(one)) for one in self.many(option))
            return tuple(str(ipaddress.ip_address(one)) for one in self.many(option))
        except ValueError as error:
            raise self.wrong(f"{option}: {error}") from None


def parse(text: str) -> Wanted:
    """A ``--service`` in its parts. Raises UsageError, naming it."""
    name, equals, rest = text.partition("=")
    wanted = Wanted(text, name)
    if not equals or not _NAME.fullmatch(name):
        raise wanted.wrong("not of the form NAME=BACKEND[,BACKEND…][:PORT]", "for example web=pod-b:80")
    for word in rest.split(","):
        key, assigned, value = word.partition("=")
        if assigned or key in _FLAGS:
            if key not in (_VALUES if assigned else _FLAGS):
                raise wanted.wrong(f"no option {key!r}", f"there are {', '.join((*_VALUES, *_FLAGS))}")
            wanted.options[key] = value
        elif wanted.ports or wanted.options:
            raise wanted.wrong(f"no option {word!r}", f"there are {', '.join((*_VALUES, *_FLAGS))}")
        else:
            backend, _, wanted.ports = word.partition(":")
            wanted.backends += [backend] if backend else []
    return wanted
