"""`up`, `down` and `worker`: the processes that do the work."""

import os
from dataclasses import asdict
from typing import Any

import click

from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.settings import load


@click.command()
@click.option("--foreground", is_flag=True, help="Stay, and keep them alive until Ctrl-C.")
@screen.json_option
def up(foreground: bool, as_json: bool) -> Exit:
    """Start Temporal's server and a worker, and keep them alive in the background.

    With a Temporal of your own (TEMPORAL_ADDRESS), only the worker is started.
    """
    from worktrain import embedded

    settings = load(os.environ)
    if foreground:
        if not as_json:
            screen.say(
                f"keeping server and worker of {settings.home} alive; Ctrl-C ends the worker"
            )
        embedded.supervise(settings, os.environ)
        if as_json:
            screen.emit({"ended": True})
        return Exit.DONE
    with screen.busy("starting Temporal and a worker", quiet=as_json):
        endpoints = embedded.ensure(settings, os.environ, worker=True)
    if as_json:
        screen.emit({**asdict(endpoints), **embedded.status(settings).model_dump(mode="json")})
        return Exit.DONE
    screen.say(f"Temporal answers on {endpoints.address}, namespace {endpoints.namespace}")
    if endpoints.ui_url:
        screen.say(f"its web page is {endpoints.ui_url}/namespaces/{endpoints.namespace}/workflows")
    screen.say(f"a worker takes tasks; its log is {settings.home / 'logs' / 'worker.log'}")
    return Exit.DONE


@click.command()
@screen.json_option
def down(as_json: bool) -> Exit:
    """End the worker and the server. Pipelines wait where they are until `worktrain up`."""
    from worktrain import access

    ended = access.take_down(load(os.environ))
    if as_json:
        screen.emit({"ended": ended})
    else:
        screen.say(f"ended: {', '.join(ended)}" if ended else "nothing was running")
    return Exit.DONE


@click.command()
@screen.json_option
def worker(as_json: bool) -> Exit:
    """Take tasks in this process until SIGTERM or Ctrl-C, then finish what is running.

    The log goes to stderr, as JSON lines.
    """
    from worktrain.worker import work

    def began(where: dict[str, Any]) -> None:
        if as_json:
            screen.emit({**where, "pid": os.getpid()})
        else:
            screen.say(f"taking tasks of {where['queue']} at {where['address']}; Ctrl-C ends it")

    work(os.environ, began)
    return Exit.DONE
