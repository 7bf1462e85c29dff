"""The `spec` command. Like the top level, it imports a command when it is called."""

from importlib import import_module

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("listing:list_", "List the specs that there are."),
    "show": ("listing:show", "Print a spec as it was written; with --json as it was understood."),
    "check": ("checking:check", "Say what is wrong with specs, as file:line:column."),
    "preview": ("drawing:preview", "Draw what a spec comes to, as text or SVG."),
    "simulate": ("drawing:simulate", "Walk every way through a spec, without a model."),
    "run": ("running:run", "Have one session follow a spec, by itself."),
}
"""Name: where the command is, and its one line of help."""


class SpecCommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"worktrain.cli.specs.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else "."
            ctx.fail(f"There is no command 'spec {args[0]}'{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=SpecCommands)
def spec() -> None:
    """List, check, draw and run the specs that sessions follow."""
