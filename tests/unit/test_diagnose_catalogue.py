from __future__ import annotations

import re
from pathlib import Path

import pytest

import netfs.diagnose
from netfs.diagnose.catalogue import FAULTS
from netfs.diagnose.examination import CAUSES, SILENCED
from netfs.diagnose.path import SHOWN_BY_DROPS, SLUG_OF_REASON
from netfs.lab import faults as lab

LETTERS = "LRNVBSMFPCOGX"


def test_every_group_is_there_in_order() -> None:
    assert list(dict.fromkeys(fault.group for fault in FAULTS.values())) == list(LETTERS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.slug)
def test_an_entry_says_what_it_is_what_it_does_and_how_it_is_repaired(fault: netfs.diagnose.catalogue.Fault) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", fault.slug)
    assert fault.severity in ("error", "warning", "info")
    for text in (fault.evidence, fault.effect, fault.repair):
        assert len(text) > 4
        assert text.endswith((".", "`"))


def test_what_the_lab_can_break_is_in_the_catalogue_and_said_so() -> None:
    assert {slug for slug, fault in FAULTS.items() if fault.in_lab} == set(lab.catalogue())


def test_every_slug_that_a_check_can_yield_is_found_and_in_the_catalogue() -> None:
    sources = Path(netfs.diagnose.__file__).parent.rglob("*.py")
    said = {slug for source in sources for slug in re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', source.read_text())}
    found = {slug for slug, fault in FAULTS.items() if fault.found}
    assert found <= said
    for slugs in (CAUSES, SILENCED, SHOWN_BY_DROPS, SLUG_OF_REASON.values()):
        assert set(slugs) <= set(FAULTS)
