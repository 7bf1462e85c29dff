"""`run`: from a task in words to a pipeline that is watched until it ends or waits."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import click

from worktrain import access, embedded, intake
from worktrain.cli import picture, screen
from worktrain.cli.exits import Exit
from worktrain.cli.standing import Standing, exit_of, facts, waiting
from worktrain.cli.watch import follow
from worktrain.client import Begun, Client
from worktrain.contracts.pipeline import PipelineResult
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.task import Task
from worktrain.coordinators.intent import (
    LABEL_CHARACTERS_MAX,
    LABELS_MAX,
    TASK_BYTES_MAX,
    task_from,
)
from worktrain.settings import Settings, load

REASON_CHARACTERS_MAX = 500
BRANCH_CHARACTERS_MAX = 200
KINDS = tuple(kind for kind in PipelineKind if kind is not PipelineKind.SPEC)

Start = Callable[[Client], Awaitable[Begun]]


def about_the_task(command: Callable[..., Exit]) -> Callable[..., Exit]:
    """The argument and options that say what is wanted, of every command that takes a task."""
    for add in (
        click.option(
            "--label", "labels", multiple=True, metavar="LABEL", help="A label; may be repeated."
        ),
        click.option(
            "--pipeline",
            type=click.Choice([kind.value for kind in KINDS]),
            default=PipelineKind.AUTO.value,
            show_default=True,
            help="The pipeline, instead of what labels and classification choose.",
        ),
        click.option(
            "--issue",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="File with the task: title in its first line, the rest below.",
        ),
        click.option(
            "--repo",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            default=".",
            help="Any path inside the repository to work on.",
        ),
        click.argument("task", required=False),
    ):
        command = add(command)
    return command


@click.command()
@about_the_task
@click.option("--branch", metavar="NAME", help="The branch that a review looks at.")
@click.option(
    "--override-reason",
    "reason",
    metavar="TEXT",
    help="Why --pipeline is chosen by hand; it will stand in the proof.",
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
    labels: tuple[str, ...],
    branch: str | None,
    reason: str | None,
    model: str | None,
    detach: bool,
    allow_dirty: bool,
    as_json: bool,
) -> Exit:
    """Lead a task to a merged, proven change.

    TASK is a title, and below its first line a description. The work goes on without this
    command: Ctrl-C only stops watching.
    """
    kind = kind_of(PipelineKind(pipeline), branch)
    wanted = task_of(task, issue, labels, branch)
    why = _reason(reason, kind)
    settings = load(os.environ)
    root = asyncio.run(intake.accept(settings, os.environ, repo, allow_dirty))

    async def start(client: Client) -> Begun:
        return await client.start(root, wanted, kind, model, override_reason=why)

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


def kind_of(kind: PipelineKind, branch: str | None) -> PipelineKind:
    """The pipeline that is asked for: whoever names a branch asks for its review.

    Raises `click.UsageError`.
    """
    if branch is None and kind is PipelineKind.REVIEW:
        raise click.UsageError("There is nothing to review: name the branch with --branch.")
    if branch is not None and kind not in (PipelineKind.AUTO, PipelineKind.REVIEW):
        raise click.UsageError(
            f"--branch names what a review looks at, and {kind.value!r} is none: leave --branch "
            "out, or say --pipeline review."
        )
    return kind if branch is None else PipelineKind.REVIEW


def task_of(
    task: str | None,
    issue: Path | None,
    labels: Sequence[str] = (),
    branch: str | None = None,
) -> Task:
    """The task that was typed, stands in a file, or is the review of a branch.

    Raises `click.UsageError`.
    """
    typed = _text((task or "").strip(), "TASK")
    source = "typed" if branch is None else f"branch:{_branch(branch)}"
    if issue is not None:
        if branch is None:
            source = f"issue:{_text(issue.name, 'The name of the issue')}"
        place = _text(str(issue.absolute()), "The path of the issue")
        try:
            return _labelled(task_from(_written(issue), source, place, typed), labels)
        except ValueError as error:
            raise click.UsageError(f"The issue {issue} is no task. {error}") from error
    if branch is not None and not typed:
        typed = f"Review {_branch(branch)}"
    title, _, body = typed.partition("\n")
    if not title:
        raise click.UsageError(
            "There is no task: say in words what is wanted, `worktrain run 'Fix the login'`, "
            "or name a file with --issue."
        )
    if len(typed.encode()) > TASK_BYTES_MAX:
        raise click.UsageError(
            f"The task is longer than {TASK_BYTES_MAX:,} bytes; put what is long into a file of "
            "the repository and name it in the task."
        )
    return _labelled(Task(source=source, title=title.strip(), body=body.strip()), labels)


def _written(issue: Path) -> str:
    try:
        with issue.open("rb") as file:
            # A front matter and white space come on top of a task.
            written = file.read(2 * TASK_BYTES_MAX + 1)
        if len(written) > 2 * TASK_BYTES_MAX:
            raise click.UsageError(
                f"The issue {issue} is longer than {TASK_BYTES_MAX:,} bytes; put what is long "
                "into a file of the repository and name it in the issue."
            )
        return written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The issue {issue} is not UTF-8 text.") from error
    except OSError as error:
        raise click.UsageError(f"The issue {issue} cannot be read: {error.strerror}.") from error


def _labelled(task: Task, labels: Sequence[str]) -> Task:
    """The task with further labels, each once and on one line."""
    lines = (" ".join(_text(label, "A label").split()) for label in labels)
    named = tuple(dict.fromkeys((*task.labels, *lines)))
    if len(named) > LABELS_MAX or any(not 0 < len(name) <= LABEL_CHARACTERS_MAX for name in named):
        raise click.UsageError(
            f"A task has at most {LABELS_MAX} labels of 1 to {LABEL_CHARACTERS_MAX} characters."
        )
    return task.model_copy(update={"labels": named})


def _branch(name: str) -> str:
    text = _text(name.strip(), "--branch")
    plain = text.isprintable() and not any(c.isspace() for c in text)
    if not text or len(text) > BRANCH_CHARACTERS_MAX or text.startswith("-") or not plain:
        raise click.UsageError(
            f"--branch {name!r} is no name of a branch; `git branch --all` lists them."
        )
    return text


def _reason(reason: str | None, kind: PipelineKind) -> str:
    """Why somebody overrules what labels and classification would choose; empty for nobody."""
    if reason is None:
        return ""
    text = " ".join(_text(reason, "--override-reason").split())
    if not text or len(text) > REASON_CHARACTERS_MAX:
        raise click.UsageError(
            f"--override-reason needs a sentence of 1 to {REASON_CHARACTERS_MAX} characters."
        )
    if kind is PipelineKind.AUTO:
        raise click.UsageError(
            "--override-reason says why a pipeline is chosen by hand: name it with --pipeline."
        )
    return text


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
