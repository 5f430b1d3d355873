"""The routing look-up of the datapath: pure functions over one namespace.

``lookup`` answers as ``ip route get`` does; ``select_source`` chooses a local packet's address;
``martian_check`` and ``reverse_check`` are the input checks; ``describe`` puts a route into the words of
ip-route(8). Tables are compiled on first use and kept in ``NetNsView.compiled["routing"]``.
"""

from __future__ import annotations

from netfs.datapath.routing.answer import RouteAnswer, RouteQuery
from netfs.datapath.routing.lookup import lookup
from netfs.datapath.routing.source_address import select_source
from netfs.datapath.routing.text import describe, describe_rule
from netfs.datapath.routing.validation import Martian, ReverseCheck, conf, martian_check, reverse_check

__all__ = [
    "Martian",
    "ReverseCheck",
    "RouteAnswer",
    "RouteQuery",
    "conf",
    "describe",
    "describe_rule",
    "lookup",
    "martian_check",
    "reverse_check",
    "select_source",
]
