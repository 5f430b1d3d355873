"""Reads one kernel's network namespaces into snapshots. Standard library and ``netfs.model`` only.

discovery   which namespaces there are
read        one namespace: the kernel's answers as bytes, nothing decoded
decode      those bytes to records, a pure function
nsid        which namespace a ``link-netnsid`` names
run         the two phases: read everything, then link
"""

from netfs.collect.run import collect
from netfs.collect.target import PodTarget, Target, TargetError

__all__ = ["PodTarget", "Target", "TargetError", "collect"]
