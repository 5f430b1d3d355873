"""The devices of chains, from the text of ``nft list chains``: nft 1.0.6 leaves them out of its JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LINE = re.compile(
    r"^table (?P<family>\w+) (?P<table>\S+) \{"
    r"|^\tchain (?P<chain>\S+) \{"
    r"|^\t\ttype \w+ hook (?:in|e)gress devices? (?:= \{ (?P<several>[^}\n]+) \}|(?P<one>\S+)) priority ",
    re.MULTILINE,
)


def chain_devices(text: str) -> Mapping[tuple[str, str, str], list[str]]:
    """Names of devices by (family, table, chain); chains without a device are missing."""
    found: dict[tuple[str, str, str], list[str]] = {}
    family = table = chain = ""
    for line in _LINE.finditer(text):
        if line["family"] is not None:
            family, table = line["family"], line["table"]
        elif line["chain"] is not None:
            chain = line["chain"]
        else:
            names = line["one"] or line["several"]
            found[family, table, chain] = [name.strip().strip('"') for name in names.split(", ")]
    return found
