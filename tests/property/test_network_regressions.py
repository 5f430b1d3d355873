"""Networks on which kernel and simulator once disagreed, shrunk; each was a kernel rule that was told wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.property.networks.oracle import REGRESSIONS, Oracle, oracle
from tests.property.networks.spec import from_json
from tests.property.networks.worker import Result

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Oracle[Result]]:
    with oracle() as found:
        yield found


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem)
def test_a_network_that_was_told_wrongly_is_told_rightly(kernel: Oracle[Result], path: Path) -> None:
    spec = from_json(path.read_bytes())
    _, found = kernel.judge(spec)
    assert found is None, f"{found}\n" + "\n".join(spec.commands())
