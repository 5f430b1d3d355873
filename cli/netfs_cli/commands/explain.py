"""``netfs explain``: what a fault is, how it shows, how to repair it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from netfs_cli import options, output
from netfs_cli.command import Command
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netfs.diagnose.catalogue import Fault

EXAMPLES = """
netfs explain                        every fault netfs knows
netfs explain vxlan-fdb-missing
"""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One fault of the catalogue."""

    slug: str
    group: str
    group_title: str
    severity: str
    evidence: str
    effect: str
    repair: str
    seen: str | None
    in_lab: bool
    """``netfs lab break`` can inject it."""
    found: bool
    """This version looks for it."""
    found_by: str | None = None
    """The command that does, where it is neither ``netfs doctor`` nor ``netfs trace``."""
    try_it: tuple[str, ...] = ()
    """The commands that play it in a lab and show it."""
    schema: str = "netfs.fault/v1"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every fault."""

    items: tuple[Explanation, ...]
    schema: str = "netfs.faults/v1"


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("slug", required=False)
@options.output("text", "json", "yaml")
@options.common
@click.pass_obj
def explain(settings: Settings, slug: str | None, output_form: str) -> int:
    """Explain one fault, or list every fault that netfs knows."""
    from netfs.diagnose.catalogue import FAULTS
    from netfs_cli.render import explain as render

    if slug is None:
        catalogue = Catalogue(tuple(map(_explanation, FAULTS.values())))
        output.show(
            catalogue,
            lambda ink, width: render.catalogue(catalogue.items, ink, width=width),
            settings=settings,
            form=output_form,
        )
        return 0
    answer = _explanation(_find(FAULTS, slug))
    output.show(
        answer,
        lambda ink, width: render.fault(answer, ink, width=width),
        settings=settings,
        form=output_form,
    )
    return 0


def _find(faults: Mapping[str, Fault], slug: str) -> Fault:
    if slug in faults:
        return faults[slug]
    from netfs.errors import UsageError

    near = get_close_matches(slug, faults, 3) or sorted(name for name in faults if slug in name)[:3]
    hint = f"did you mean {', '.join(near)}?" if near else "netfs explain lists them all"
    raise UsageError(f"no fault is called {slug!r}", hint=hint)


def _explanation(fault: Fault) -> Explanation:
    return Explanation(
        slug=fault.slug,
        group=fault.group,
        group_title=fault.group_title,
        severity=fault.severity,
        evidence=fault.evidence,
        effect=fault.effect,
        repair=fault.repair,
        seen=fault.seen,
        in_lab=fault.in_lab,
        found=fault.found or fault.found_by is not None,
        found_by=fault.found_by,
        try_it=_try_it(fault.slug) if fault.in_lab else (),
    )


def _try_it(slug: str) -> tuple[str, ...]:
    from netfs.lab.catalogue import catalogue

    played = catalogue()[slug]
    return (f"netfs lab up {played.needs}".rstrip(), f"netfs lab break {slug}", played.probe.question, "netfs doctor")
