"""`suspensions` and `lift`: paths below which nothing is merged without a person, and clearing."""

import asyncio
import os
from collections.abc import Sequence

import click

from worktrain import access
from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.contracts.delivery import Suspension
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.settings import load

REASON_CHARACTERS_MAX = 500


@click.command()
@screen.json_option
def suspensions(as_json: bool) -> Exit:
    """List where nothing is merged without a person until somebody lifts it, oldest first."""
    found = asyncio.run(_standing())
    if as_json:
        screen.emit([one.model_dump(mode="json") for one in found])
        return Exit.DONE
    if not found:
        screen.say("nothing is suspended")
        return Exit.DONE
    rows: list[tuple[str, ...]] = [
        (one.id, one.repo, ", ".join(one.paths), screen.clock(one.since_s), one.why)
        for one in found
    ]
    screen.console().print(screen.table(("id", "repository", "paths", "since", "why"), rows))
    screen.say("`worktrain lift ID --reason TEXT` lifts one, once its cause is mended")
    return Exit.DONE


@click.command()
@click.argument("part", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why merging is safe there again.")
@screen.json_option
def lift(part: str, reason: str, as_json: bool) -> Exit:
    """Let pipelines merge again by themselves where a suspension held them back.

    ID may be any clear part of it. Who lifted it and why is kept.
    """
    why = " ".join(reason.split())
    if not why or len(why) > REASON_CHARACTERS_MAX:
        raise click.UsageError(
            f"--reason needs a sentence of 1 to {REASON_CHARACTERS_MAX} characters."
        )
    lifted = asyncio.run(_lifted(part, why))
    if as_json:
        screen.emit({"id": lifted.id, "lifted": True, "paths": list(lifted.paths)})
    else:
        screen.say(f"{lifted.id}: lifted; merges into {', '.join(lifted.paths)} follow the rules")
    return Exit.DONE


async def _standing() -> tuple[Suspension, ...]:
    async with access.reach(load(os.environ), os.environ) as client:
        return await client.suspensions()


async def _lifted(part: str, why: str) -> Suspension:
    async with access.reach(load(os.environ), os.environ) as client:
        meant = _meant(part, await client.suspensions())
        if not await client.lift(meant.id, why):
            raise AdapterError(
                FailureKind.NOT_FOUND, f"Somebody else has just lifted {meant.id}; nothing is left."
            )
        return meant


def _meant(part: str, standing: Sequence[Suspension]) -> Suspension:
    exact = [one for one in standing if one.id == part]
    found = exact or [one for one in standing if part in one.id]
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(one.id for one in found[:5])
        said = f"{part!r} could be any of: {named}; write more of the id"
    else:
        said = f"there is no suspension {part!r}; `worktrain suspensions` lists those that stand"
    raise AdapterError(FailureKind.NOT_FOUND, said)
