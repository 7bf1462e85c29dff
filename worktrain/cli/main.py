"""The command line's top level. It imports click and no more, so that `--help` is instant."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run:run", "Lead a task to a merged, proven change."),
    "explain": ("explain:explain", "Say how a task would be led, and why; starts nothing."),
    "status": ("looking:status", "List pipelines, or show how one stands."),
    "show": ("looking:show", "Show what a pipeline did: phases, notes, findings, checks, proof."),
    "logs": ("looking:logs", "Print what the agents of a pipeline said and did."),
    "steer": ("deciding:steer", "Say something to the agent before its next turn."),
    "answer": ("deciding:answer", "Answer the question that an agent waits for."),
    "approve": ("deciding:approve", "Let a pipeline through the gate it waits at."),
    "reject": ("deciding:reject", "Refuse the gate that a pipeline waits at, which ends it."),
    "rewind": ("going_back:rewind", "Put a running session back to an earlier step."),
    "fork": ("going_back:fork", "Begin a session that goes on from a step of another one."),
    "continue": ("going_back:continue_", "Ask a finished session for more."),
    "pause": ("deciding:pause", "Make a pipeline stand still before its next call."),
    "resume": ("deciding:resume", "Go on after a pause, or after a cause was mended."),
    "kill": ("deciding:kill", "End pipelines; their work is saved first."),
    "suspensions": ("suspensions:suspensions", "List where merging by itself is suspended."),
    "lift": ("suspensions:lift", "Let merges go on where they were suspended."),
    "verify": ("checking:verify", "Check the proof on a merged commit."),
    "doctor": ("checking:doctor", "Look at everything a task needs and say what is missing."),
    "init": ("init:init", "Write a first .worktrain/config.yml."),
    "demo": ("demo:demo", "See it work on a sample repository; needs no key."),
    "spec": ("specs.group:spec", "List, check, draw and run the specs of sessions."),
    "up": ("serving:up", "Start Temporal's server and a worker."),
    "down": ("serving:down", "End the worker and the server; work waits until `up`."),
    "worker": ("serving:worker", "Be a worker, in the foreground."),
}
"""Name: where the command is, and its one line of help. Modules are imported when called."""

EPILOG = "Exit codes: 0 done, 1 failed, 2 usage, 3 waiting for a human, 4 escalated."


class Commands(click.Group):
    """A group that knows its commands by name, and turns every failure into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"worktrain.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else "."
            ctx.fail(f"There is no command {args[0]!r}{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        """Run a command and exit with its code; whatever is raised is told first."""
        words = list(sys.argv[1:] if args is None else args)
        options["standalone_mode"] = False
        try:
            code = super().main(words, *rest, **options)
        except Exception as error:
            from worktrain.cli.failures import tell

            code = tell(error, as_json="--json" in words)
        sys.exit(int(code or 0))


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="worktrain")
def cli() -> None:
    """Drives a development task to a merged, proven change, durably, on Temporal."""


def main() -> NoReturn:
    """The console script."""
    code = 1
    try:
        cli.main(prog_name="worktrain")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Temporal's SDK crashes in one of five ordinary ends of an interpreter.
    os._exit(code)


if __name__ == "__main__":
    main()
