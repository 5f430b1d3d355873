"""The datapath: a packet's path, as a pure function of a topology, a start and a packet."""

from netfs.datapath.request import Request as Request
from netfs.datapath.request import request as request
from netfs.datapath.trace import trace as trace

__all__ = ["Request", "request", "trace"]
