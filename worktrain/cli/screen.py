"""How words and values reach a terminal. What agents and issues say is not trusted with it."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 200
"""Columns of a table that nobody's terminal has to hold."""

json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON value on stdout and nothing else."
)


def clean(text: str) -> str:
    """The text with everything written out that could steer a terminal."""
    return "".join(
        c if c.isprintable() or c == "\n" else " " if c in "\t\r" else f"\\u{ord(c):04x}"
        for c in text
    )


def line(text: str, length_max: int = 200) -> str:
    """The text as one line of at most so many characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= length_max else flat[: length_max - 1] + "…"


def say(text: str = "") -> None:
    click.echo(clean(text))


def complain(text: str) -> None:
    click.echo(f"Error: {clean(text)}", err=True)


def emit(value: Any) -> None:
    """The one JSON value of a command, on one line."""
    click.echo(json.dumps(value))


def console() -> "Console":
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Any:
    """A plain table; the first column is never shortened, because one copies from it."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for index, title in enumerate(head):
        made.add_column(title, overflow="fold", no_wrap=False, min_width=len(title))
        if not index:
            made.columns[0].no_wrap = True
    for row in rows:
        made.add_row(*(Text(line(cell)) for cell in row))
    return made


@contextmanager
def busy(doing: str, quiet: bool) -> Iterator[None]:
    """Show on a terminal that something takes a moment."""
    if quiet or not sys.stdout.isatty():
        yield
        return
    with console().status(doing):
        yield


def usd(amount: float) -> str:
    return f"USD {amount:.2f}"


def count(number: int) -> str:
    """A number of tokens, short: 950, 12.3k, 4.5M."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def span(seconds: float) -> str:
    """A length of time, short: 42 s, 7 min, 3 h 5 min, 2 d."""
    s = max(0, int(seconds))
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min"
    if s < 48 * 3600:
        return f"{s // 3600} h {s % 3600 // 60} min"
    return f"{s // 86400} d"


def clock(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))
