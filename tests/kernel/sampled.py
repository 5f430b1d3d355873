"""What the suite plays twice: whole as root, a share as an ordinary user.

What differs between the two is the way into a namespace, which every test has in common; what is told is the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")
SHARE = 3
"""Of so many an ordinary user plays one."""


def sampled(cases: Iterable[T]) -> list[T]:
    """All of them; for an ordinary user the first of every ``SHARE``."""
    every = list(cases)
    return every if os.geteuid() == 0 else every[::SHARE]
