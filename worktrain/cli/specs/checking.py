"""`spec check`: everything that is wrong with specs, as a compiler tells it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from worktrain.authoring import shelves
from worktrain.authoring.proofreader import Proofreader
from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.cli.specs.options import repo_option, told
from worktrain.engine.parse.problem import Problem, Unreadable
from worktrain.settings import Settings, load


@click.command()
@click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]..."
)
@repo_option
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@screen.json_option
def check(paths: tuple[Path, ...], repo: Path | None, strict: bool, as_json: bool) -> Exit:
    """Say what is wrong with specs, as file:line:column.

    PATH is a file or a folder with .yaml, .yml and .json files; without one, all specs that there
    are in and around the repository are checked.
    """
    files, found = problems(load(os.environ), paths, repo)
    if strict:
        found = [one.model_copy(update={"level": "error"}) for one in found]
    errors = sum(one.level == "error" for one in found)
    if as_json:
        screen.emit({"ok": not errors, "files": files, "problems": [_facts(one) for one in found]})
    else:
        for problem in found:
            screen.say(told(problem))
        screen.say(_summary(len(files), errors, len(found) - errors))
    return Exit.FAILED if errors else Exit.DONE


def problems(
    settings: Settings, paths: Sequence[Path], repo: Path | None
) -> tuple[list[str], list[Problem]]:
    """The files that were checked, and everything that is wrong with them, each told once."""
    around = shelves.around(settings, repo, paths[0] if paths else Path())
    asked = [shelves.at(path) for path in paths] or [(around, around.names())]
    wanted = {
        entry.path: (shelf, entry.id)
        for shelf, names in asked
        for entry in shelf.entries()
        if entry.id in names
    }
    try:
        reader = Proofreader(around)
    except Unreadable as error:
        return list(wanted), list(error.problems)
    found = [one for shelf, name in wanted.values() for one in reader.problems(shelf, name)]
    found += [one for shelf, _ in asked for one in shelf.warnings()]
    # What is wrong around a file can be the reason for what is wrong in it.
    if any(one.level == "error" for one in found):
        found += around.warnings()
    order = list(dict.fromkeys([*wanted, *(one.file for one in found)]))
    found.sort(key=lambda one: (order.index(one.file), one.line, one.column))
    return list(wanted), list(dict.fromkeys(found))


def _facts(problem: Problem) -> dict[str, Any]:
    order = ("file", "line", "column", "rule", "level", "message")
    return {name: getattr(problem, name) for name in order}


def _summary(files: int, errors: int, warnings: int) -> str:
    found = [_count(errors, "error")] if errors else []
    found += [_count(warnings, "warning")] if warnings else []
    if errors:
        return f"{_count(files, 'spec')} checked: {', '.join(found)}"
    in_order = "1 spec is in order" if files == 1 else f"{files} specs are in order"
    return ", with ".join((in_order, *found))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
