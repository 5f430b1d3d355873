"""The kernel's overlayfs beside our merge, on random stacks or on given ones. Run in a mount namespace of its own:

    overlay_oracle.py random FOLDER SEED COUNT PRIVILEGED [RULE]
    overlay_oracle.py plans FOLDER FILE…

FOLDER is empty and ours. Most stacks lie on a tmpfs that is mounted there, some on the folder's own file system.
RULE is one of ``overlay_blind.RULES``: our merge breaks it; or ``trail``: our trails do, beside a right merge.
Prints one JSON document.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from netfs.overlay.merge.tree import Directory
from netfs.overlay.merge.view import View
from tests.property import overlay_build, overlay_ours
from tests.property.overlay_blind import RULES, Blind
from tests.property.overlay_compare import differences
from tests.property.overlay_features import planned, played
from tests.property.overlay_generate import generate
from tests.property.overlay_inodes import beyond, contested
from tests.property.overlay_mount import mount_tmpfs, unmount
from tests.property.overlay_observe import Seen, in_words, name_of, observe
from tests.property.overlay_plan import Plan, from_json, to_json
from tests.property.overlay_shrink import shrink
from tests.property.overlay_trail import broken

TMPFS_HOLDS = 300
"""Stacks, before it is made anew."""


@dataclass(slots=True)
class Verdict:
    """What became of one plan."""

    wrong: list[str] = field(default_factory=list)
    refused: str = ""
    """Why the kernel would not mount it."""
    paths: int = 0
    asked_alone: int = 0
    """Paths for which the kernel was asked on a mount of their own (``overlay_inodes``)."""
    left_out: int = 0
    """Paths that were not compared."""
    kernel: dict[str, str] = field(default_factory=dict)
    """What the kernel has at each path, in a word or two."""
    played: dict[str, int] = field(default_factory=dict)


class Oracle:
    """Judges plans, one after the other, in a folder of its own."""

    def __init__(self, folder: str, rule: str = "") -> None:
        self._rule = rule
        self._disk = f"{folder}/disk"
        self._memory = f"{folder}/memory"
        self._count = 0
        os.mkdir(self._disk)
        os.mkdir(self._memory)
        mount_tmpfs(self._memory)

    def judge(self, plan: Plan) -> Verdict:
        """Kernel and merge on one plan. Raises OSError where the plan cannot be built."""
        self._count += 1
        if self._count % TMPFS_HOLDS == 0:
            unmount(self._memory)
            mount_tmpfs(self._memory)
        place = f"{self._disk if plan.on_disk else self._memory}/{self._count}"
        os.mkdir(place)
        os.chdir(place)
        try:
            return self._judge(plan)
        except Exception as error:  # whatever it was, it goes on with the name of its stack
            error.add_note(f"in the stack {plan.name}")
            raise
        finally:
            os.chdir("/")
            if plan.on_disk:
                shutil.rmtree(place)

    def _judge(self, plan: Plan) -> Verdict:
        overlay_build.write(plan)
        try:
            with overlay_build.mount(plan) as root:
                theirs = observe(root, plan.names)
        except OSError as error:
            return Verdict(refused=name_of(error.errno))
        with overlay_ours.stack(plan, self._wrap) as stack:
            view = View(stack)
            ours = overlay_ours.tell(view)
            doubtful, left_out = contested(view)
            if doubtful:
                theirs = _one_by_one(plan, theirs, doubtful)
            kernel, mine = (_certain(each, left_out, links=not doubtful) for each in (theirs, ours))
            wrong = [str(difference) for difference in differences(kernel, mine)]
            if self._rule in ("", "trail"):
                layers = [Blind(each, "opaque") if self._rule else each for each in stack.layers]
                paths = {entry.path for layer in plan.layers for entry in layer.entries}
                wrong += broken(view, replace(stack, layers=layers), paths)
            return Verdict(
                wrong,
                paths=len(theirs),
                asked_alone=len(doubtful),
                left_out=len(theirs) - len(kernel),
                kernel={path: in_words(seen) for path, seen in theirs.items()},
                played=played(view),
            )

    def _wrap(self, directory: Directory) -> Directory:
        return Blind(directory, self._rule) if self._rule in RULES else directory

    def differs(self, plan: Plan) -> bool:
        """For shrinking; what cannot be built does not differ."""
        try:
            return bool(self.judge(plan).wrong)
        except OSError:
            return False


def _one_by_one(plan: Plan, theirs: dict[str, Seen], doubtful: set[str]) -> dict[str, Seen]:
    """What the kernel says, with each doubtful path asked for on a mount on which nothing was asked before."""
    certain = {path: seen for path, seen in theirs.items() if not beyond(path, doubtful)}
    for path in doubtful:
        with overlay_build.mount(plan) as root:
            certain.update(observe(root, plan.names, path, doubtful - {path}))
    return certain


def _certain(seen: dict[str, Seen], left_out: set[str], *, links: bool) -> dict[str, Seen]:
    """What can be compared; not without ``links``: where symlinks lead."""
    return {
        path: {key: value for key, value in what.items() if links or key != "leads"}
        for path, what in seen.items()
        if not beyond(path, left_out)
    }


def _random(oracle: Oracle, seed: int, count: int, *, privileged: bool, small: int) -> dict[str, Any]:
    """``count`` stacks from a seed on; the first ``small`` that differ are shrunk."""
    total: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    features: Counter[str] = Counter()
    effects: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    for number in range(seed, seed + count):
        plan = generate(number, privileged=privileged)
        verdict = oracle.judge(plan)
        if verdict.refused:
            refused[verdict.refused] += 1
            continue
        total.update(stacks=1, paths=verdict.paths, asked_alone=verdict.asked_alone, left_out=verdict.left_out)
        total["differ"] += bool(verdict.wrong)
        features.update(planned(plan))
        effects.update(verdict.played)
        if verdict.wrong and len(found) < small:
            small_plan = shrink(plan, oracle.differs)
            wrong = oracle.judge(small_plan).wrong or verdict.wrong
            found.append({"plan": to_json(small_plan), "wrong": wrong[:3]})
    return {**total, "refused": refused, "features": features, "effects": effects, "found": found}


def _plans(oracle: Oracle, files: Sequence[str]) -> dict[str, Any]:
    """What the kernel has for each of these plans, and what is wrong with ours."""
    return {file: asdict(oracle.judge(from_json(Path(file).read_text()))) for file in files}


def main(what: str, folder: str, *words: str) -> None:
    if what == "plans":
        answer = _plans(Oracle(folder), words)
    else:
        seed, count, privileged, *rule = words
        oracle = Oracle(folder, *rule)
        answer = _random(oracle, int(seed), int(count), privileged=bool(int(privileged)), small=0 if rule else 3)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
