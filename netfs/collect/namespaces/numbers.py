"""Numbers of network namespaces in the caller's own (RTM_GETNSID, net/core/net_namespace.c)."""

from __future__ import annotations

from sys import maxsize
from typing import Self

from netfs.collect.netlink import NETLINK_ROUTE, InterruptedDumpError, MalformedError, Netlink, said
from netfs.collect.nsid import how_many, number_of

_BUFFER = 1 << 15


class Numbers:
    """Asks as long as there are numbers whose namespaces are not known: most hosts gave out none or few."""

    def __init__(self) -> None:
        self.failure = ""
        """Why they could not be asked for; empty: they could."""
        self._route: Netlink | None = None
        self._missing = 0

    def __enter__(self) -> Self:
        try:
            self._route = Netlink(NETLINK_ROUTE, bytearray(_BUFFER))
            self._missing = how_many(self._route)
        except InterruptedDumpError:
            self._missing = maxsize
        except (OSError, MalformedError) as failure:
            self.failure = said(failure)
        return self

    def __exit__(self, *_: object) -> None:
        if self._route is not None:
            self._route.__exit__()

    def of(self, fd: int) -> int | None:
        """The number of the namespace ``fd`` is open on; None: it has none here, or could not be asked."""
        if self._route is None or not self._missing:
            return None
        number = number_of(self._route, fd)
        if number is not None:
            self._missing -= 1
        return number
