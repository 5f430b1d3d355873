"""Whose a namespace is, and which of them leaked. Pure: records in, records out.

told       containers, pods, the node's own, shared, leaked
leaks      what only a pin keeps, as a finding with the commands that remove it
selected   what a user names
pins       paths of pins
"""

from netfs.container.namespaces.leaks import findings, subject
from netfs.container.namespaces.selected import selected
from netfs.container.namespaces.told import told

__all__ = ["findings", "selected", "subject", "told"]
