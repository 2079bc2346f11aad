"""Rows of a table, as a kind of content."""

import copy

import genwright_tables.codec
import genwright_tables.data  # noqa: F401 - both register
from genwright.core.content import FirstSeen
from genwright.core.registry import register
from genwright.runs.content import Content
from genwright_tables.measures import column_means
from genwright_tables.rows import as_csv
from genwright_tables.sampler import TableSampler
from genwright_tables.view import TableView


class TableContent(Content):
    kind = "table"
    thing = "row"
    sampler = TableSampler()
    view = TableView()
    numeric: tuple[str, ...] = ()  # columns whose means are measured: of one run

    @property
    def measures(self):
        return {**super().measures, **column_means(self.numeric)}

    def evaluate(self, run, options, counts):
        """As usual, with the means of this run's columns."""
        own = copy.copy(self)
        own.numeric = tuple(column.name for column in run.codec.columns if column.numeric)
        return super(TableContent, own).evaluate(run, options, counts)

    def first_seen(self, first):
        """The first rows, as the codec gives them back."""
        codec = first.dataset.codec
        rows = list(first.rows)
        if codec.space.shape:
            codes = first.batch["x"][rows].flatten(1).tolist()
        else:
            codes = first.batch["tokens"][rows, 1:-1].tolist()  # between its ends
        return FirstSeen(
            pieces=[[(as_csv(list(codec.decode(code).values())), True)] for code in codes],
            facts={"columns": as_csv(codec.names)},
        )


register("content", TableContent.kind, TableContent())
