"""How a process finds names: what resolv.conf(5) and hosts(5) say."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netfs.collect.procfs import text
from netfs.model.process_facts import Resolver

_COMMENT = re.compile("[;#]")


def resolver(data: bytes, source: str = "") -> Resolver:
    """resolv.conf, as glibc reads it (``res_vinit_1``, resolv/res_init.c).

    A keyword begins its line, and white space follows it. Of ``search`` and ``domain`` the last one counts; options
    add up. All servers are told: glibc asks the first three.
    """
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in data.split(b"\n"):
        keyword, *words = (text(word) for word in line.replace(b"\t", b" ").split(b" "))
        words = [word for word in words if word]
        if keyword == "nameserver" and words:
            nameservers.append(_COMMENT.split(words[0], maxsplit=1)[0])
        elif keyword == "search" and words:
            search = tuple(words)
        elif keyword == "domain" and words:
            search = (words[0],)
        elif keyword == "options":
            options += words
    return Resolver(tuple(nameservers), search, tuple(options), source)


def hosts(data: bytes) -> Mapping[str, tuple[str, ...]]:
    """/etc/hosts: names by address, those of several lines of one address together. ``#`` begins a comment anywhere."""
    found: dict[str, tuple[str, ...]] = {}
    for line in data.split(b"\n"):
        words = [text(word) for word in line.partition(b"#")[0].split()]
        if len(words) > 1:
            found[words[0]] = tuple(dict.fromkeys((*found.get(words[0], ()), *words[1:])))
    return found
