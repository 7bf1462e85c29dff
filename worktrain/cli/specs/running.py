"""`spec run`: one session that follows a spec by itself, watched until it ends or waits."""

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from worktrain import access, intake
from worktrain.authoring import shelves
from worktrain.authoring.proofreader import Proofreader
from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.cli.run import begin, task_of
from worktrain.client import Begun, Client
from worktrain.contracts.base import JsonObject, digest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.plan import Plan, PlanStep
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.task import Task
from worktrain.engine import context_check, schemas
from worktrain.engine.fault import nearest
from worktrain.settings import Settings, load

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
READING = ("var", "reads", "items", "count", "context")
"""Fields of a plan that hold paths of variables."""


@click.command()
@click.argument("name", metavar="ID")
@click.option(
    "--goal", required=True, metavar="TEXT", help="What is wanted: a title, and below it the rest."
)
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Any path inside the repository to work on.",
)
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable that the session begins with. VALUE is JSON where it can be, else a text.",
)
@click.option("--model", metavar="NAME", help="Model for the session, instead of the tier's.")
@click.option("--detach", is_flag=True, help="Start it and return at once.")
@click.option("--allow-dirty", is_flag=True, help="Do not mind uncommitted changes.")
@screen.json_option
def run(
    name: str,
    goal: str,
    repo: Path,
    given: tuple[str, ...],
    model: str | None,
    detach: bool,
    allow_dirty: bool,
    as_json: bool,
) -> Exit:
    """Have one session follow the spec or routine ID, by itself, with nothing merged.

    It is the spec as it stands on the base of the repository. Ctrl-C only stops watching.
    """
    if not goal.strip():
        raise click.UsageError("There is no goal: say with --goal what is wanted.")
    texts = dict(_split(given))
    settings = load(os.environ)
    root = asyncio.run(intake.accept(settings, os.environ, repo, allow_dirty))
    plan = _plan(settings, root, name, repo)
    variables = variables_of(texts, plan)
    for each in variables:
        if each not in (known := tuple(dict.fromkeys(_known(plan)))):
            said = f"{plan.spec} reads no variable {each!r}{nearest(each, known)}"
            click.echo(f"warning: {screen.clean(said)}", err=True)
    task = task_for(plan.spec, goal, variables)

    async def start(client: Client) -> Begun:
        return await client.start(
            root, task, PipelineKind.SPEC, model, spec=plan.spec, context=variables
        )

    return begin(settings, start, task.title, root, detach, as_json)


def _plan(settings: Settings, root: str, name: str, repo: Path) -> Plan:
    """What the session will follow. Raises `AdapterError` not_found with the nearest ids, and
    `Unreadable` with what keeps the spec from running."""
    catalogue = asyncio.run(access.specs_of(settings, root))
    if catalogue.resolved(name) is None:
        mine = shelves.around(settings, None, repo)
        if mine.resolved(name) is not None:
            said = (
                f"the base of {root} has no spec {name!r}, only your checkout has: commit it, and "
                "bring it to the base branch; `worktrain spec check` looks at it meanwhile"
            )
            raise AdapterError(FailureKind.NOT_FOUND, said)
    return Proofreader(catalogue).compiled(catalogue, name).plan


def _split(given: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The name and the text of each NAME=VALUE. Raises `click.UsageError`."""
    seen: set[str] = set()
    for each in given:
        name, separator, text = each.partition("=")
        if not separator or not NAME.fullmatch(name):
            raise click.UsageError(
                f"--set {each!r} is not NAME=VALUE, with a NAME of letters, digits and _."
            )
        if name in seen:
            raise click.UsageError(f"--set gives {name!r} twice.")
        seen.add(name)
        yield name, text


def variables_of(texts: Mapping[str, str], plan: Plan) -> JsonObject:
    """The values that are meant. Raises `click.UsageError` for what the spec cannot take."""
    needs = dict(plan.needs)
    for step in _steps(plan):
        needs.update(step.needs)
    values = {}
    for name, text in texts.items():
        if name in context_check.RESERVED:
            raise click.UsageError(f"--set {name!r}: the name belongs to the system.")
        values[name] = _value(text, needs.get(name, {}))
        wrong = schemas.problems(needs[name], values[name]) if name in needs else ()
        if wrong:
            raise click.UsageError(f"--set {name!r} is not what {plan.spec} needs: {wrong[0]}.")
    return values


def _value(text: str, schema: JsonObject) -> Any:
    try:
        value = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return text
    # The number of a ticket is a text where a text is declared.
    return text if schema.get("type") == "string" and not isinstance(value, str) else value


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _steps(plan: Plan) -> Iterator[PlanStep]:
    for step in plan.steps:
        yield step
        yield from step.loop.body if step.loop else ()


def _known(plan: Plan) -> Iterator[str]:
    """The variables that a spec says it needs, asks for, or reads anywhere."""
    yield from plan.needs
    for step in _steps(plan):
        yield from (*step.needs, *(ask.variable for ask in step.asks))
        yield from (source.variable for source in step.gathers)
    yield from (path.partition(".")[0] for path in _paths(plan.model_dump()))


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            paths = one.values() if key == "context" else one if key == "reads" else (one,)
            if key in READING:
                yield from (path for path in paths if isinstance(path, str))
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _paths(one)


def task_for(spec: str, goal: str, variables: JsonObject) -> Task:
    """The goal as a task that is another one for another spec, or with other variables."""
    with_these = json.dumps(variables, sort_keys=True)
    mark = f"#{digest(with_these)[:8]}" if variables else ""
    return task_of(goal, None).model_copy(update={"source": f"spec:{spec}{mark}"})
