"""Rows that are equal in all columns, found by one sort of their hashes and proved equal column by column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netfs.capture.flows.columns import Fields, Rows, Words, mix


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Which rows are equal."""

    order: Rows
    """The rows, group by group."""
    starts: Rows
    """Where in ``order`` each group begins."""
    number: Rows
    """Of each row, its group."""
    sample: Rows
    """Of each group, one row."""

    def __len__(self) -> int:
        """How many groups."""
        return len(self.starts)

    def total(self, column: Fields) -> Fields:
        """The sum of each group's rows."""
        return np.add.reduceat(column.take(self.order), self.starts)

    def least(self, column: Fields) -> Fields:
        """The minimum of each group's rows."""
        return np.minimum.reduceat(column.take(self.order), self.starts)

    def most(self, column: Fields) -> Fields:
        """The maximum of each group's rows."""
        return np.maximum.reduceat(column.take(self.order), self.starts)


def group(columns: dict[int, Words], count: int) -> Groups:
    """The groups of ``count`` rows, at least one."""
    found = groups_of(mix(columns, count))
    equal = all((column.take(found.sample).take(found.number) == column).all() for column in columns.values())
    return found if equal else _exactly(columns)


def groups_of(values: Fields) -> Groups:
    """The groups of equal values of one column, ascending."""
    order = np.argsort(values)
    ordered = values.take(order)
    new = np.ones(len(order), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    starts = new.nonzero()[0]
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(new) - 1
    return Groups(order, starts, number, order[starts])


def _exactly(columns: dict[int, Words]) -> Groups:
    """Where two different rows have one hash: slow, and nobody waits for it twice in a lifetime."""
    _, number = np.unique(np.column_stack(list(columns.values())), axis=0, return_inverse=True)
    return groups_of(number.reshape(-1))
