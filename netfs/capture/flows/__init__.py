"""Flows of a capture: headers by columns, counts by flow, and what is suspicious about them."""

from __future__ import annotations

import os
import sys


def _import_numpy() -> None:
    """numpy starts a thread of its linear algebra for each core, which takes as long as 50,000 packets.

    Nothing is multiplied here, so it is imported with one, unless it is there, or the user has said how many.
    """
    name = "OPENBLAS_NUM_THREADS"
    if "numpy" in sys.modules or name in os.environ:
        return
    os.environ[name] = "1"
    try:
        import numpy  # noqa: F401  # for its effect
    finally:
        del os.environ[name]


_import_numpy()
