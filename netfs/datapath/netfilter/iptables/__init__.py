"""iptables as ``iptables-save`` prints it, read into the records that nftables is read into.

    found = tables(text, 4, "iptables", IpSets(ipset_text))   # one pass; rules are read when a packet reaches them
    defects(text, 4, "iptables")                               # every rule read now: what is not understood

save.py sorts lines by chain, line.py reads one, matches.py and targets.py hold what each word of it means.
"""

from __future__ import annotations

from netfs.datapath.netfilter.iptables.ipsets import IpSets
from netfs.datapath.netfilter.iptables.options import Defect
from netfs.datapath.netfilter.iptables.recent import RecentLists
from netfs.datapath.netfilter.iptables.save import base_chains, defects, tables

__all__ = ["Defect", "IpSets", "RecentLists", "base_chains", "defects", "tables"]
