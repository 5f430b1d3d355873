"""Which line of an image's history made which of its layers.

A line with ``empty_layer`` made none; the others made one each, in the order of ``rootfs.diff_ids``, oldest first (OCI
image-spec, config.md, ``history``). Docker's image configurations are of the same form.
"""

from __future__ import annotations

from collections.abc import Sequence

from netfs.model.layers import HistoryLine
from netfs.overlay.stores import documents

LINE_LETTERS = 64 << 10
"""A line is what a builder ran: of one that is longer the rest is left out."""


def read(config: object, layers: Sequence[str | None]) -> tuple[tuple[HistoryLine, ...], str]:
    """The history of an image's configuration, oldest first, and why its lines do not fit the layers (else empty).

    ``layers`` holds ``Layer.id`` of each layer, oldest first; None for one that is not there. Where lines and layers
    are not equally many, no line is tied to any. An image without history is well-formed.
    """
    lines = [line for line in documents.items(config, "history") if isinstance(line, dict)]
    made = [line for line in lines if not documents.flag(line, "empty_layer")]
    fits = len(made) == len(layers)
    remaining = iter(layers if fits else ())
    history = tuple(
        HistoryLine(
            created_by=documents.text(line, "created_by")[:LINE_LETTERS],
            created_at=documents.text(line, "created"),
            comment=documents.text(line, "comment")[:LINE_LETTERS],
            author=documents.text(line, "author")[:LINE_LETTERS],
            layer=None if documents.flag(line, "empty_layer") else next(remaining, None),
        )
        for line in lines
    )
    if fits or not lines:
        return history, ""
    return history, f"{len(made)} lines of its history made a layer, and it has {len(layers)} layers"
