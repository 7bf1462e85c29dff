"""Golden prompts: everything that a bundled spec says to a model, as it was last approved.

`python -m tests.specs.golden` writes the files anew; what changed is then read in the diff.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.plan import Compiled, Context, Plan, PlanStep
from worktrain.contracts.turn import Pass, StepPrompt, TextBlock
from worktrain.engine import prompt
from worktrain.engine.compile import compile_spec

FOLDER = Path(__file__).parent
RULES = Context(opening="", rules="[the rules of the operator and of the repository]")


def path_of(spec: str, folder: Path = FOLDER) -> Path:
    return folder / f"{spec}.txt"


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    """The specs that have a golden file."""
    return tuple(sorted(path.name.removesuffix(".txt") for path in folder.glob("*.txt")))


@cache
def bundled() -> Catalogue:
    return Catalogue()


def all_specs() -> tuple[str, ...]:
    """Every bundled spec and routine."""
    return bundled().names()


@cache
def compiled(spec: str) -> Compiled:
    return compile_spec(bundled().spec(spec), bundled().words(), bundled().around())


def spoken(compiled: Compiled) -> str:
    """The first system prompt, and each step with all its fragments and its values as `[a.b]`."""
    script = compiled.script
    steps = list(_steps(compiled.plan))
    first = steps[0][0].id if steps else ""
    parts = [_part("system", "\n\n".join(prompt.system(script, RULES, first)))]
    for step, in_pass in steps:
        if step.id in script.systems:
            parts.append(_part(f"{step.id}: system prompt of its own", script.systems[step.id]))
        if step.id in script.prompts:
            parts.append(_part(step.id, _instruction(compiled, step, in_pass)))
    return "\n".join(parts)


def _steps(plan: Plan) -> Iterator[tuple[PlanStep, Pass | None]]:
    """Every step that is said, those of a loop in its first pass."""
    for step in plan.steps:
        if step.loop is None:
            yield step, None
            continue
        item = f"[{step.loop.item_var}]" if step.loop.type == "forEach" else ""
        first = Pass(loop=step.title, number=1, most=step.loop.passes_max, item=item)
        for inner in step.loop.body:
            yield inner, first


def _instruction(compiled: Compiled, step: PlanStep, in_pass: Pass | None) -> str:
    paths = (*step.reads, *(path for one in step.fragments for path in one.reads))
    say = StepPrompt(
        step=step.id,
        values={path: f"[{path}]" for path in paths},
        fragments=tuple(one.id for one in step.fragments),
        in_pass=in_pass,
    )
    (block,) = prompt.said((say,), compiled.script, None, {}).blocks
    assert isinstance(block, TextBlock)
    return block.text


def _part(title: str, text: str) -> str:
    return f"===== {title} =====\n\n{text.strip()}\n"
