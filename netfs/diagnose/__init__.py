"""What is wrong, from state alone or along a path: findings, each with its evidence and its repair.

examine(topology)                 every finding on every node (``netfs doctor``)
examine_path(topology, trace)     the findings that concern one trace
lost_between(trace)               the nodes between which a live probe vanished
examine_between(before, after)    what only two snapshots of one cluster show
netfs.diagnose.catalogue.FAULTS   what each finding's slug means (``netfs explain``)
"""

from __future__ import annotations

from netfs.diagnose.cluster import examine
from netfs.diagnose.counters import examine_between
from netfs.diagnose.path import examine_path, lost_between

__all__ = ["examine", "examine_between", "examine_path", "lost_between"]
