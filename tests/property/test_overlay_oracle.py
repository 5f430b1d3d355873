"""Our merge of layers against the kernel's overlayfs: random stacks, built on disk, mounted, and compared whole.

As root the marks are ``trusted.overlay.*`` (and ``user.overlay.*`` in every fifth stack); in a user namespace they are
``user.overlay.*``. Where the suite runs as root, both are played; a user who is not root plays the second.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.property.overlay_blind import RULES
from tests.property.overlay_generate import generate
from tests.property.overlay_plan import Entry, Plan, from_json, to_json
from tests.property.overlay_play import SIDES, play, told
from tests.property.overlay_shrink import shrink

REGRESSIONS = sorted((Path(__file__).parent / "overlay_regressions").glob("*.json"))
STACKS = 1000
EVERYWHERE = {
    "ACL",
    "char whiteout",
    "data-only layers",
    "escaped marks",
    "fifo",
    "hard link into another layer",
    "hardlink",
    "layer made by the kernel",
    "lowers only",
    "many lowers",
    "marks of the other namespace",
    "marks on a root",
    "metacopy",
    "metacopy's redirect, absolute",
    "metacopy's redirect, relative",
    "metacopy=off",
    "non-directory over directory, or under it",
    "opaque with another value",
    "opaque x",
    "opaque y",
    "read-only",
    "redirect, absolute",
    "redirect, relative",
    "redirect_dir=nofollow",
    "setuid, setgid or sticky",
    "sparse file",
    "symlink",
    "upper",
    "userxattr",
    "weird names",
    "xattr whiteout",
    "xattr whiteout on a file that is not empty",
    "xattr whiteout outside an opaque x directory",
}
"""Each in at least one of a hundred stacks."""
AS_ROOT = {
    "block",
    "char",
    "metacopy=on",
    "other owners",
    "redirect_dir=follow",
    "redirect_dir=off",
    "redirect_dir=on",
    "trusted",
}
PLAYED = {
    "root": {
        "merged directory",
        "found through a redirect",
        "data of a layer below",
        "data of a data-only layer",
        "look-up refused",
        "open refused",
        "hard link",
    },
    "user": {"merged directory", "data of a data-only layer", "look-up refused", "hard link"},
}
"""Objects of the merged trees that are what they are by such a rule: at least one for forty stacks."""

Oracle = Callable[..., dict[str, Any]]


@pytest.fixture
def oracle(require_program: Callable[[str], str], tmp_path: Path) -> Oracle:
    """``oracle(side, "random", SEED, COUNT, PRIVILEGED)``: kernel and merge, each on its own."""
    unshare = require_program("unshare")

    def ask(side: str, what: str, *words: object, seconds: int = 280) -> dict[str, Any]:
        return play(unshare, side, what, tmp_path, *words, seconds=seconds)

    return ask


@pytest.mark.kernel
@pytest.mark.parametrize("side", SIDES)
def test_a_thousand_random_stacks_are_merged_as_the_kernel_merges_them(oracle: Oracle, side: str) -> None:
    result = oracle(side, "random", 1, STACKS + STACKS // 25, int(side == "root"))
    assert not result["differ"], told(result)
    assert result["stacks"] >= STACKS
    assert sum(result["refused"].values()) <= STACKS // 25, result["refused"]
    assert result["left_out"] < result["paths"] / 100
    wanted = EVERYWHERE | (AS_ROOT if side == "root" else set())
    assert wanted <= {feature for feature, stacks in result["features"].items() if stacks >= STACKS // 100}
    assert PLAYED[side] <= {effect for effect, objects in result["effects"].items() if objects >= STACKS // 40}


@pytest.mark.kernel
@pytest.mark.parametrize("rule", [*RULES, "trail"])
def test_a_merge_that_breaks_a_rule_is_noticed(oracle: Oracle, rule: str) -> None:
    assert oracle(SIDES[-1], "random", 1, 60, 0, rule)["differ"] >= 5


@pytest.mark.kernel
@pytest.mark.parametrize("side", SIDES)
def test_stacks_that_were_told_wrongly_once_are_told_rightly(oracle: Oracle, side: str) -> None:
    mine = [path for path in REGRESSIONS if side == "root" or '"userxattr": true' in path.read_text()]
    for path, verdict in oracle(side, "plans", *mine).items():
        assert not verdict["refused"], path
        assert not verdict["wrong"], path


def test_a_plan_comes_back_from_its_file_as_it_was() -> None:
    for seed in range(40):
        plan = generate(seed, privileged=bool(seed % 2))
        assert from_json(to_json(plan)) == plan


def test_shrinking_leaves_the_part_that_matters() -> None:
    def matters(plan: Plan) -> bool:
        return any(entry.marks.get("opaque") == "y" for layer in plan.layers for entry in layer.entries if entry.path)

    small = shrink(
        next(plan for plan in (generate(seed, privileged=True) for seed in range(40)) if matters(plan)), matters
    )
    (left,) = [entry for layer in small.layers for entry in layer.entries]
    assert left == Entry(left.path, "directory", mode=0o755, marks={"opaque": "y"})
    assert len(small.layers) == 2
    assert not small.data
    assert not small.upper


@pytest.mark.soak
@pytest.mark.kernel
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("side", SIDES)
def test_stacks_are_merged_as_the_kernel_merges_them_for_long(oracle: Oracle, side: str) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    result = oracle(side, "random", seed, 20 * STACKS, int(side == "root"), seconds=3500)
    assert not result["differ"], told(result)
