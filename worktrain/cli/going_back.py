"""`rewind`, `fork`, `continue`: sessions that go on from another point than where they are."""

import os

import click

from worktrain.cli import screen
from worktrain.cli.deciding import say_to
from worktrain.cli.exits import Exit
from worktrain.cli.run import begin
from worktrain.client import Begun, Client
from worktrain.settings import load

reason_option = click.option("--reason", required=True, help="Why; the agent is told.")
detach_option = click.option("--detach", is_flag=True, help="Start it and return at once.")


@click.command()
@click.argument("part", metavar="ID")
@click.argument("to", metavar="CHECKPOINT")
@reason_option
@screen.json_option
def rewind(part: str, to: str, reason: str, as_json: bool) -> Exit:
    """Put the session that is at work back to CHECKPOINT, or to a step by its id.

    What it knew and was told then is what it knows; files stay as they are. `status ID` lists the
    checkpoints.
    """
    return say_to(part, lambda client, name: client.rewind(name, to, reason), as_json)


@click.command()
@click.argument("session", metavar="SESSION")
@click.argument("to", metavar="CHECKPOINT")
@reason_option
@detach_option
@screen.json_option
def fork(session: str, to: str, reason: str, detach: bool, as_json: bool) -> Exit:
    """Begin a new session that goes on from CHECKPOINT of SESSION, which stays as it is.

    SESSION is the id of one that is at work or has ended; CHECKPOINT one of its checkpoints, or a
    step by its id. The new one works in a fresh checkout.
    """

    async def start(client: Client) -> Begun:
        return await client.fork(session, to, reason)

    return begin(load(os.environ), start, f"fork of {session}", None, detach, as_json)


@click.command("continue")
@click.argument("session", metavar="SESSION")
@click.argument("text")
@detach_option
@screen.json_option
def continue_(session: str, text: str, detach: bool, as_json: bool) -> Exit:
    """Ask a finished SESSION for more: with TEXT said, it does its last step again.

    It remembers its whole conversation; it works in a fresh checkout.
    """

    async def start(client: Client) -> Begun:
        return await client.go_on(session, text)

    return begin(load(os.environ), start, text, None, detach, as_json)
