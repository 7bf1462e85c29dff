"""`explain`: the way that a task would take, by its signs alone. Nothing is started."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from worktrain import intake
from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.cli.run import about_the_task, task_of
from worktrain.contracts.route import PipelineKind, Route, TaskClass
from worktrain.contracts.task import Task
from worktrain.coordinators.classify import classified
from worktrain.coordinators.routing import route_of

AFTERWARDS = (
    "checks, review and fixes, what is demanded below, and the workspace's rules for a merge"
)
AFTER_A_REVIEW = "one verdict on the branch; nothing is merged"
WITHOUT_MODEL = (
    "No model was asked. A run begins with a model's look at the code: it settles what is marked "
    "default, may raise risk and complexity above what stands here, and never lowers what a sign "
    "says of them."
)


@click.command()
@about_the_task
@screen.json_option
def explain(
    task: str | None,
    repo: Path,
    issue: Path | None,
    pipeline: str,
    labels: tuple[str, ...],
    as_json: bool,
) -> Exit:
    """Say how TASK is classified, which phases would run, and what a merge would demand.

    It needs no model, no server and no worker, and starts nothing.
    """
    wanted = task_of(task, issue, labels)
    config, files = asyncio.run(intake.surroundings(repo))
    found = classified(wanted, None, files, config)
    route = route_of(PipelineKind(pipeline), None, wanted, found, config)
    if as_json:
        screen.emit(
            {
                "title": wanted.title,
                "files": files,
                "classification": found.model_dump(mode="json"),
                "route": route.model_dump(mode="json"),
                "notice": WITHOUT_MODEL,
            }
        )
        return Exit.DONE
    for line in _told(wanted, found, route, files):
        screen.say(line)
    return Exit.DONE


def _told(task: Task, found: TaskClass, route: Route, files: int) -> Iterator[str]:
    yield f"{screen.line(task.title)}"
    yield f"\nTaken for, in a repository of {screen.count(files)} files:"
    for one in found.judged:
        yield f"  {one.name:<20} {one.value:<10} {one.by:<8} {one.why}"
    yield f"\nPipeline {route.pipeline}: {route.why}"
    for stage in route.stages:
        phase = f"{stage.phase} ({stage.spec})"
        yield f"  {'runs' if stage.runs else 'left out':<9} {phase:<34} {stage.why}"
    merged = route.pipeline is not PipelineKind.REVIEW
    yield f"  then      {AFTERWARDS if merged else AFTER_A_REVIEW}"
    if merged:
        yield "\nDemanded before a merge, beyond what the workspace always asks for:"
        for demand in route.demands:
            yield f"  {f'{demand.gate} {demand.detail}'.strip():<33} {demand.why}"
        if not route.demands:
            yield "  nothing"
    told = ", ".join(f"{name}={value}" for name, value in route.variables.items())
    yield f"\nTold to every session: {told}"
    yield f"\n{WITHOUT_MODEL}"
