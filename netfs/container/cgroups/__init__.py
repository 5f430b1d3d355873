"""Whose a control group is, which limits hold for it, and what is wrong with it. Pure: records in, records out.

owners      whose each group is
effective   the smallest limit of a group and its ancestors
faults      throttled, near a limit, killed: group G of the catalogue
promised    limits that are not what the engine was told
repair      the command that changes a limit
known       the containers that groups may belong to
"""

from netfs.container.cgroups.faults import findings, throttled
from netfs.container.cgroups.owners import below, told

__all__ = ["below", "findings", "throttled", "told"]
