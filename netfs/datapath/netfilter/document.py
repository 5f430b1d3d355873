"""The JSON document of ``nft -j list ruleset``, without the rules that are read from elsewhere.

A listing of ten thousand rules of iptables-nft is some six megabytes, and says less of them than iptables-save does.
They stand in one run, as nft prints the rules of a table; it is cut out before the rest is decoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.scope import single

RULE = '{"rule": {"family": '
"""How every rule begins. Within a string of JSON its quotes would be escaped: it stands nowhere else."""

OTHERS = tuple(
    f'{{"{kind}": {{"family": ' for kind in ("table", "chain", "set", "map", "counter", "quota", "flowtable")
)
"""How the other objects begin that a run of rules must not hold."""

NOTHING = '{"metainfo": {}}'


def objects(text: str, owned: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """(kind, content) of every object, but for the rules of the tables that are ``owned``. Raises NotUnderstoodError.

    A rule may be among them all the same, where nft printed it in another form than it does.
    """
    short = text
    for table in owned:
        short = _without(short, *table)
    try:
        document = json.loads(short)
    except (ValueError, RecursionError):
        document = _whole(text)
    items = document.get("nftables") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise NotUnderstoodError("what nft printed holds no list 'nftables'")
    yield from (single(item) for item in items)


def _without(text: str, family: str, table: str) -> str:
    """The text without the run of a table's rules, where they stand in one."""
    marker = f'{RULE}{json.dumps(family)}, "table": {json.dumps(table)}, '
    first, last = text.find(marker), text.rfind(marker)
    if first < 0:
        return text
    try:
        _, end = json.JSONDecoder().raw_decode(text, last)
    except (ValueError, RecursionError):
        return text
    run = text[first:end]
    if run.count(marker) != run.count(RULE) or any(other in run for other in OTHERS):
        return text
    return f"{text[:first]}{NOTHING}{text[end:]}"


def _whole(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise NotUnderstoodError(
            f"what nft printed is not JSON: {place}: {error.msg}", line=error.lineno, column=error.colno
        ) from None
    except (ValueError, RecursionError) as error:
        raise NotUnderstoodError(f"what nft printed is not JSON: {str(error)[:80]}") from None
