"""`demo`: from nothing to a merged change, without a key and without an account."""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--dir",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("worktrain-demo"),
    show_default=True,
    help="Where the demo plays; it is made anew.",
)
def demo(root: Path) -> int:
    """Play the demo: a sample repository, an issue, a scripted model, a real merge."""
    from worktrain.demo.play import play

    return play(root, sys.stdout, os.environ)
