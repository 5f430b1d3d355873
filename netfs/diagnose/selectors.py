"""Label selectors (meta/v1), where labels may not be known: True, False, or None for "cannot be told".

Semantics of ``k8s.io/apimachinery/pkg/labels``: every term must hold; ``NotIn`` and ``DoesNotExist`` hold of a label
that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netfs.model.kubernetes import LabelSelector, Requirement

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that the API server gives to every namespace: its name."""


class Labels:
    """The labels of one object; ``complete`` False: it may have others that were not read."""

    __slots__ = ("complete", "known")

    def __init__(self, known: Mapping[str, str], complete: bool = True) -> None:
        self.known = known
        self.complete = complete

    def fulfil(self, selector: LabelSelector) -> bool | None:
        """Whether a selector selects the object."""
        terms = [Requirement(key, "In", (value,)) for key, value in selector.match_labels.items()]
        return every(self._holds(term) for term in (*terms, *selector.match_expressions))

    def _holds(self, term: Requirement) -> bool | None:
        value = self.known.get(term.key)
        if value is None and not self.complete:
            return None
        match term.operator:
            case "In":
                return value in term.values
            case "NotIn":
                return value not in term.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        return None


def every(answers: Iterable[bool | None]) -> bool | None:
    """Whether all hold: False where one does not, else None where one cannot be told."""
    unsure = False
    for answer in answers:
        if answer is False:
            return False
        unsure = unsure or answer is None
    return None if unsure else True


def some(answers: Iterable[bool | None]) -> bool | None:
    """Whether one holds: True where one does, else None where one cannot be told."""
    unsure = False
    for answer in answers:
        if answer is True:
            return True
        unsure = unsure or answer is None
    return None if unsure else False
