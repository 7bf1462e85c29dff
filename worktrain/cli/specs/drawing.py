"""`spec preview` and `spec simulate`: what a spec comes to, before a model follows it."""

import os
from pathlib import Path

import click

from worktrain.authoring import shelves
from worktrain.authoring.proofreader import Proofreader
from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.cli.specs.options import repo_option
from worktrain.contracts.plan import Plan
from worktrain.engine import picture
from worktrain.engine import simulate as simulation
from worktrain.settings import load

which = click.argument("name", metavar="ID|FILE")


@click.command()
@which
@repo_option
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the drawing to this file.",
)
@screen.json_option
def preview(name: str, repo: Path | None, svg: Path | None, as_json: bool) -> Exit:
    """Draw what a spec comes to: its routines expanded, with conditions, loops and gates."""
    plan = plan_of(name, repo)
    if svg is not None:
        _write(svg, picture.svg(plan))
    outline = picture.outline(plan)
    if as_json:
        facts = {"id": plan.spec, "outline": outline, "svg": str(svg) if svg else None}
        screen.emit({**facts, "plan": plan.model_dump(mode="json")})
    elif svg is not None:
        screen.say(f"{plan.spec} is drawn in {svg}")
    else:
        screen.say(outline)
    return Exit.DONE


@click.command()
@which
@repo_option
@screen.json_option
def simulate(name: str, repo: Path | None, as_json: bool) -> Exit:
    """Walk every way through a spec with stub answers; fails if a step cannot be reached."""
    plan = plan_of(name, repo)
    walked = simulation.simulate(plan)
    if as_json:
        screen.emit({"id": plan.spec, **walked.model_dump(mode="json")})
    else:
        for line in _lines(plan.spec, walked):
            screen.say(line)
    return Exit.FAILED if walked.unreachable else Exit.DONE


def plan_of(name: str, repo: Path | None) -> Plan:
    """What an id or a file compiles to. Raises `Unreadable` with what keeps it from running."""
    meant = shelves.meant(load(os.environ), name, repo)
    return Proofreader(meant.around).compiled(meant.files, meant.id).plan


def _lines(spec: str, walked: simulation.Simulation) -> list[str]:
    lost = walked.unreachable
    steps = len(walked.reached) + len(lost)
    reach = f"all {steps} steps" if not lost else f"{len(walked.reached)} of {steps} steps"
    lines = [f"{spec}: {reach} can be reached, on {walked.paths:,} ways"]
    lines += [f"  unreachable: {one.step}: {one.why}" for one in lost]
    for which_way, path in (("longest", walked.longest), ("shortest", walked.shortest)):
        turns = f"{path.turns:,} step{'' if path.turns == 1 else 's'} of the agent"
        lines.append(f"  {which_way}: {turns}: {', '.join(path.steps) or 'nothing to do'}")
    if walked.cut_off:
        lines.append(
            "  There are too many states to follow each: the longest and the shortest are bounds."
        )
    return lines


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
