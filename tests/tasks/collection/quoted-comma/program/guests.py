"""Guest lists, as a spreadsheet exports them."""

import csv
import io
from collections.abc import Iterable


def guests_of(lines: Iterable[str]) -> dict[str, int]:
    """The table of each guest. The first line has the headings."""
    rows = [row for row in _rows(lines) if row]
    return {name: int(table) for name, table in rows[1:]}


def export(guests: dict[str, int]) -> str:
    """The list for a spreadsheet, by name."""
    text = io.StringIO()
    rows = [("name", "table"), *sorted(guests.items())]
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _rows(lines: Iterable[str]) -> list[list[str]]:
    return [line.rstrip("\n").split(",") for line in lines]
