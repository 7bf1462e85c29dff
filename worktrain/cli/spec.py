"""`spec`: lists, shows and checks the specs of sessions."""

import re
from pathlib import Path

import click

from worktrain.access import specs
from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.contracts.spec import Spec, Words
from worktrain.engine.compile import Uncompilable, compile_spec
from worktrain.engine.parse import Problem, Unreadable, read


@click.group()
def spec() -> None:
    """List, show and check the specs that sessions follow."""


@spec.command("list")
@screen.json_option
def list_(as_json: bool) -> Exit:
    """List the specs that come with WorkTrain."""
    catalogue = specs()
    found: list[Spec] = [catalogue.spec(name) for name in catalogue.names()]
    if as_json:
        screen.emit(
            [
                {
                    "id": each.id,
                    "name": each.name,
                    "version": each.version,
                    "description": each.description,
                    "steps": len(each.steps),
                }
                for each in found
            ]
        )
        return Exit.DONE
    screen.console().print(
        screen.table(
            ("id", "version", "steps", "description"),
            [(each.id, each.version, str(len(each.steps)), each.description) for each in found],
        )
    )
    return Exit.DONE


@spec.command()
@click.argument("name", metavar="ID")
@screen.json_option
def show(name: str, as_json: bool) -> Exit:
    """Print a spec as it was written; with --json as it was understood."""
    catalogue = specs()
    if as_json:
        screen.emit(catalogue.spec(name).model_dump(mode="json"))
    else:
        screen.say(catalogue.text(name).rstrip("\n"))
    return Exit.DONE


@spec.command()
@click.argument(
    "files",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="[FILE]...",
)
@screen.json_option
def check(files: tuple[Path, ...], as_json: bool) -> Exit:
    """Check specs, or all that come with WorkTrain; problems are printed as file:line:column."""
    catalogue = specs()
    words = catalogue.words()
    if files:
        texts = {str(path): _text(path) for path in files}
    else:
        texts = {f"workflow_specs/{name}.yaml": catalogue.text(name) for name in catalogue.names()}
    problems = [one for name, text in texts.items() for one in problems_of(name, text, words)]
    if as_json:
        screen.emit(
            {
                "ok": not problems,
                "files": list(texts),
                "problems": [problem.model_dump(mode="json") for problem in problems],
            }
        )
    else:
        for problem in problems:
            screen.say(str(problem))
        if not problems:
            screen.say(f"{len(texts)} {'spec is' if len(texts) == 1 else 'specs are'} in order")
    return Exit.FAILED if problems else Exit.DONE


def problems_of(name: str, text: str, words: Words) -> tuple[Problem, ...]:
    """Everything that keeps a spec from running, and where it stands in its file."""
    try:
        compile_spec(read(text, Spec, name), words)
    except Unreadable as error:
        return error.problems
    except Uncompilable as error:
        return tuple(_placed(name, text, problem) for problem in error.problems)
    return ()


def _placed(name: str, text: str, problem: str) -> Problem:
    """The compiler names steps; the last one of that id is where the problem stands."""
    step = re.search(r"step (?:id )?'([^']+)'", problem)
    line, column = 1, 1
    if step is not None:
        written = rf"""\bid["']?\s*:\s*["']?(?P<id>{re.escape(step[1])})["']?\s*(?:[,}}#]|$)"""
        for number, row in enumerate(text.splitlines(), 1):
            if found := re.search(written, row):
                line, column = number, found.start("id") + 1
    return Problem(file=name, line=line, column=column, message=problem)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is not UTF-8 text.") from error
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from error
