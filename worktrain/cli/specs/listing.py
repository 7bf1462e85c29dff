"""`spec list` and `spec show`: which specs there are, and what is in one."""

import os
from pathlib import Path
from typing import Any

import click

from worktrain.authoring import shelves
from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.cli.specs.options import repo_option, told
from worktrain.engine.fault import nearest
from worktrain.settings import load


@click.command("list")
@repo_option
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only those with this tag.")
@click.option("--routines", is_flag=True, help="Routines as well.")
@screen.json_option
def list_(repo: Path | None, tags: tuple[str, ...], routines: bool, as_json: bool) -> Exit:
    """List the specs that there are: bundled ones, your own, those of the repository."""
    catalogue = shelves.around(load(os.environ), repo)
    listed = shelves.listed(catalogue)
    shown = [
        one
        for one in listed
        if set(tags) <= set(one.entry.tags) and (routines or not one.entry.routine)
    ]
    if as_json:
        screen.emit([_facts(one) for one in shown])
        return Exit.DONE
    if shown:
        screen.console().print(screen.table(HEAD, [_row(one) for one in shown]))
    known = sorted({tag for one in listed for tag in one.entry.tags})
    for tag in tags:
        if tag not in known:
            screen.say(f"no spec has the tag {tag!r}{nearest(tag, known)}")
    problems = [problem for one in listed for problem in one.entry.problems]
    problems += shelves.warnings(catalogue)
    if problems:
        screen.say()
    for problem in problems:
        screen.say(told(problem))
    return Exit.DONE


HEAD = ("id", "source", "version", "steps", "tags", "description")


@click.command()
@click.argument("name", metavar="ID")
@repo_option
@screen.json_option
def show(name: str, repo: Path | None, as_json: bool) -> Exit:
    """Print a spec as it was written; with --json as it was understood."""
    meant = shelves.meant(load(os.environ), name, repo)
    if as_json:
        screen.emit(meant.files.spec(meant.id).model_dump(mode="json", by_alias=True))
    else:
        screen.say(meant.files.text(meant.id).rstrip("\n"))
    return Exit.DONE


def _row(one: shelves.Listed) -> tuple[str, ...]:
    entry = one.entry
    steps = "" if one.steps is None else str(one.steps)
    return (
        entry.id, entry.source, entry.version, steps, ", ".join(entry.tags), entry.description
    )  # fmt: skip


def _facts(one: shelves.Listed) -> dict[str, Any]:
    facts = one.entry.model_dump(mode="json")
    return {**facts, "steps": one.steps}
