"""`steer`, `answer`, `approve`, `reject`, `pause`, `resume`, `kill`: what an operator may say."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import click

from worktrain import access, embedded
from worktrain.cli import picture, screen
from worktrain.cli.exits import Exit
from worktrain.cli.standing import facts
from worktrain.client import Client, Refused
from worktrain.contracts.pipeline import PipelineResult
from worktrain.settings import load

ENDING_S_MAX = 30
POLL_S = 0.5

Say = Callable[[Client, str], Awaitable[str]]

reason_option = click.option("--reason", default="", help="Why; it will stand in the proof.")


@click.command()
@click.argument("part", metavar="ID")
@click.argument("text")
@screen.json_option
def steer(part: str, text: str, as_json: bool) -> Exit:
    """Say TEXT to the agent of a pipeline; it reads it before its next turn."""
    return say_to(part, lambda client, name: client.steer(name, text), as_json)


@click.command()
@click.argument("part", metavar="ID")
@click.argument("question")
@click.argument("text")
@screen.json_option
def answer(part: str, question: str, text: str, as_json: bool) -> Exit:
    """Answer the QUESTION that an agent waits for; `status ID` shows it."""
    return say_to(part, lambda client, name: client.answer(name, question, text), as_json)


@click.command()
@click.argument("part", metavar="ID")
@click.argument("gate", required=False)
@reason_option
@screen.json_option
def approve(part: str, gate: str | None, reason: str, as_json: bool) -> Exit:
    """Let a pipeline through GATE, or through the one that it waits at."""
    return say_to(part, lambda client, name: client.decide(name, "approved", gate, reason), as_json)


@click.command()
@click.argument("part", metavar="ID")
@click.argument("gate", required=False)
@reason_option
@screen.json_option
def reject(part: str, gate: str | None, reason: str, as_json: bool) -> Exit:
    """Refuse GATE, or the one that a pipeline waits at. The pipeline ends; its branch stays."""
    return say_to(part, lambda client, name: client.decide(name, "rejected", gate, reason), as_json)


@click.command()
@click.argument("part", metavar="ID")
@screen.json_option
def pause(part: str, as_json: bool) -> Exit:
    """Make a pipeline stand still before its next call."""
    return say_to(part, lambda client, name: client.pause(name), as_json)


@click.command()
@click.argument("part", metavar="ID")
@screen.json_option
def resume(part: str, as_json: bool) -> Exit:
    """Go on after a pause, or try again after the cause of a hold was mended."""
    return say_to(part, lambda client, name: client.resume(name), as_json)


@click.command()
@click.argument("part", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every pipeline that has not ended.")
@click.option("--yes", is_flag=True, help="Do not ask before --all.")
@screen.json_option
def kill(part: str | None, everything: bool, yes: bool, as_json: bool) -> Exit:
    """End a pipeline. Its work is saved and its ending stored; waits up to 30 s for that."""
    if (part is None) != everything:
        raise click.UsageError("Name one pipeline, or say --all.")
    if everything and not yes and not as_json and sys.stdin.isatty():
        click.confirm("End every pipeline that is at work?", abort=True)
    settings = load(os.environ)
    embedded.ensure(settings, os.environ)

    async def act() -> list[tuple[str, PipelineResult | None]]:
        async with access.reach(settings, os.environ) as client:
            if part is not None:
                names = [await client.resolve(part)]
            else:
                names = [row.id for row in await client.pipelines(1000) if row.ended_s is None]
            return list(await asyncio.gather(*(_killed(client, name) for name in names)))

    ended = asyncio.run(act())
    if as_json:
        told = [facts(name, result) for name, result in ended]
        screen.emit(told if everything else told[0])
    else:
        for name, result in ended:
            if result is not None:
                picture.ended(result, None)
            else:
                screen.say(
                    f"{name} was asked to end and is still saving its work; "
                    f"`worktrain status {name}` shows when it has"
                )
        if not ended:
            screen.say("no pipeline is at work")
    return Exit.DONE if all(result for _, result in ended) else Exit.FAILED


async def _killed(client: Client, name: str) -> tuple[str, PipelineResult | None]:
    """How it ended, or None when it is still about to after 30 s."""
    try:
        await client.kill(name)
    except Refused:
        standing = await client.view(name)
        if not isinstance(standing, PipelineResult):
            raise
        return name, standing
    try:
        async with asyncio.timeout(ENDING_S_MAX):
            while True:
                standing = await client.view(name)
                if isinstance(standing, PipelineResult):
                    return name, standing
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return name, None


def say_to(part: str, say: Say, as_json: bool) -> Exit:
    """Say something to a pipeline; a server or worker that is not there is started first."""
    settings = load(os.environ)
    embedded.ensure(settings, os.environ)

    async def act() -> tuple[str, str]:
        async with access.reach(settings, os.environ) as client:
            name = await client.resolve(part)
            return name, await say(client, name)

    name, taken = asyncio.run(act())
    if as_json:
        screen.emit({"id": name, "said": taken})
    else:
        screen.say(f"{name}: {taken}")
    return Exit.DONE
