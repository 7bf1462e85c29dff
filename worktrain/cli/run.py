"""`run`: from a task in words to a pipeline that is watched until it ends or waits."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from worktrain import access, embedded, intake
from worktrain.cli import picture, screen
from worktrain.cli.exits import Exit
from worktrain.cli.standing import Standing, exit_of, facts, waiting
from worktrain.cli.watch import follow
from worktrain.client import Begun, Client
from worktrain.contracts.pipeline import PipelineKind, PipelineResult
from worktrain.contracts.task import Task
from worktrain.coordinators.feature import FIRST
from worktrain.settings import Settings, load

BODY_BYTES_MAX = 200_000
"""A task travels in workflow histories."""

Start = Callable[[Client], Awaitable[Begun]]


@click.command()
@click.argument("task", required=False)
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Any path inside the repository to work on.",
)
@click.option(
    "--issue",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the task: title in its first line, the rest below.",
)
@click.option(
    "--pipeline",
    type=click.Choice([kind.value for kind in FIRST]),
    default=PipelineKind.FEATURE.value,
    show_default=True,
)
@click.option("--model", metavar="NAME", help="Model for all sessions, instead of the tiers'.")
@click.option("--detach", is_flag=True, help="Start it and return at once.")
@click.option("--allow-dirty", is_flag=True, help="Do not mind uncommitted changes.")
@screen.json_option
def run(
    task: str | None,
    repo: Path,
    issue: Path | None,
    pipeline: str,
    model: str | None,
    detach: bool,
    allow_dirty: bool,
    as_json: bool,
) -> Exit:
    """Lead a task to a merged, proven change.

    TASK is a title, and below its first line a description. The work goes on without this
    command: Ctrl-C only stops watching.
    """
    wanted = task_of(task, issue)
    kind = PipelineKind(pipeline)
    settings = load(os.environ)
    root = asyncio.run(intake.accept(settings, os.environ, repo, allow_dirty))

    async def start(client: Client) -> Begun:
        return await client.start(root, wanted, kind, model)

    return begin(settings, start, wanted.title, root, detach, as_json)


def begin(
    settings: Settings, start: Start, title: str, root: str | None, detach: bool, as_json: bool
) -> Exit:
    """Start something, with the server and worker that it needs, and watch it unless detached."""
    with screen.busy("starting Temporal and a worker", quiet=as_json):
        embedded.ensure(settings, os.environ)
    begun = asyncio.run(_started(settings, start))
    page = access.page_of(settings, os.environ, begun.id)
    if detach:
        return _detached(begun, page, as_json)
    if not begun.new and not as_json:
        screen.say(f"{begun.id} is at work on this task already; watching it")
    return _watch(settings, begun, root, title, page, as_json)


def task_of(task: str | None, issue: Path | None) -> Task:
    """The task that was typed, or stands in a file. Raises `click.UsageError`."""
    typed = _text((task or "").strip(), "TASK")
    if issue is None:
        if not typed:
            raise click.UsageError(
                "There is no task: say in words what is wanted, `worktrain run 'Fix the login'`, "
                "or name a file with --issue."
            )
        title, _, body = typed.partition("\n")
        return _task("typed", title, body)
    try:
        with issue.open("rb") as file:
            written = file.read(BODY_BYTES_MAX + 1).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The issue {issue} is not UTF-8 text.") from error
    except OSError as error:
        raise click.UsageError(f"The issue {issue} cannot be read: {error.strerror}.") from error
    source = f"issue:{_text(issue.name, 'The name of the issue')}"
    if typed:
        title, _, more = typed.partition("\n")
        return _task(source, title, f"{more.strip()}\n\n{written}")
    title, _, body = written.partition("\n")
    title = title.strip().lstrip("#").strip()
    if not title:
        raise click.UsageError(
            f"There is no task: the first line of {issue} has no title. Write one, or give TASK."
        )
    return _task(source, title, body)


def _task(source: str, title: str, body: str) -> Task:
    if len(f"{title}{body}".encode()) > BODY_BYTES_MAX:
        raise click.UsageError(
            f"The task is longer than {BODY_BYTES_MAX:,} bytes; put what is long into a file of "
            "the repository and name it in the task."
        )
    return Task(source=source, title=title.strip(), body=body.strip())


def _text(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise click.UsageError(f"{what} is not UTF-8 text.") from error
    return text


async def _started(settings: Settings, start: Start) -> Begun:
    async with access.reach(settings, os.environ) as client:
        return await start(client)


def _detached(begun: Begun, page: str | None, as_json: bool) -> Exit:
    if as_json:
        screen.emit({"id": begun.id, "new": begun.new, "ui": page})
        return Exit.DONE
    screen.say(f"{begun.id} {'began' if begun.new else 'is at work already'}")
    _come_back(begun.id)
    if page:
        screen.say(f"  {page}")
    return Exit.DONE


def _come_back(name: str) -> None:
    screen.say(f"  worktrain status {name}\n  worktrain logs {name} --follow")
    screen.say(f"  worktrain kill {name}")


def _watch(
    settings: Settings, begun: Begun, root: str | None, title: str, page: str | None, as_json: bool
) -> Exit:
    last: list[Standing] = [None]
    shown: picture.Panel | picture.Lines | picture.Silence
    if as_json:
        shown = picture.Silence()
    elif sys.stdout.isatty():
        shown = picture.Panel(begun.id, title, time.time(), page)
    else:
        shown = picture.Lines()
        screen.say(f"{begun.id}{f'  {page}' if page else ''}")

    def seen(standing: Standing) -> None:
        last[0] = standing or last[0]
        shown.seen(standing)

    try:
        with shown:
            standing = asyncio.run(follow(settings, begun.id, seen))
    except KeyboardInterrupt:
        if as_json:
            screen.emit({**facts(begun.id, last[0]), "ui": page, "detached": True})
            return Exit.DONE
        screen.say("detached; the work goes on. Come back with:")
        _come_back(begun.id)
        return Exit.DONE
    if as_json:
        screen.emit({**facts(begun.id, standing), "ui": page, "detached": False})
    elif isinstance(standing, PipelineResult):
        picture.ended(standing, root)
    elif wait := waiting(standing):
        picture.waits(begun.id, wait)
        screen.say("it goes on waiting until then")
    return exit_of(standing)
