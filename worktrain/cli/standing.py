"""How a pipeline stands, in words and as JSON: pure, and the same for every command."""

import shlex
from dataclasses import dataclass
from typing import Any, Literal

from worktrain.cli.exits import BY_ENDING, Exit
from worktrain.contracts.pipeline import PipelineResult, PipelineRow, PipelineView
from worktrain.contracts.proof import PhaseRecord

Standing = PipelineView | PipelineResult | None
"""As `Client.view` answers: running, ended, or nobody can say."""


ACCOUNT = frozenset(
    {"route", "decisions", "told", "passes", "verdict", "ledger", "matrix", "reverted", "facts"}
    | {"lessons", "root_cause"}
)
"""What an ending accounts for, by the fields of `PipelineResult`."""


@dataclass(frozen=True)
class Waiting:
    """What only a person can do, and the commands that do it."""

    kind: Literal["gate", "question", "held", "paused"]
    id: str
    text: str
    commands: tuple[str, ...]


def waiting(view: PipelineView) -> Waiting | None:
    """What it waits for, if for anything."""
    if view.gate is not None:
        answer = f"{view.id} {shlex.quote(view.gate.id)}"
        return Waiting(
            "gate",
            view.gate.id,
            view.gate.text,
            (
                f"worktrain approve {answer}{' --reason WHY' if view.gate.reason_wanted else ''}",
                f"worktrain reject {answer} --reason WHY",
            ),
        )
    running = view.running
    question = view.question or (running.question if running else None)
    if question is not None:
        answer = f"worktrain answer {view.id} {shlex.quote(question.id)}"
        options = "".join(f"\n- {option}" for option in question.options)
        commands = tuple(f"{answer} {shlex.quote(option)}" for option in question.options)
        return Waiting(
            "question", question.id, question.text + options, commands or (f"{answer} TEXT",)
        )
    held = view.held or (running.held if running else None)
    resume = (f"worktrain resume {view.id}",)
    if held is not None:
        return Waiting("held", held.kind, f"{held.said}\nMend the cause, then resume.", resume)
    if view.paused or (running is not None and running.paused):
        return Waiting("paused", view.session or view.id, "It was paused.", resume)
    return None


def word(standing: Standing) -> str:
    """How it stands, in a word or two."""
    match standing:
        case None:
            return "no answer"
        case PipelineResult():
            return standing.ending
    wait = waiting(standing)
    if wait is None:
        return "running"
    return f"waits: {wait.kind} {wait.id}" if wait.kind in ("gate", "question") else wait.kind


def exit_of(standing: Standing) -> Exit:
    match standing:
        case PipelineResult():
            return BY_ENDING[standing.ending]
        case PipelineView() if waiting(standing):
            return Exit.WAITING
    return Exit.DONE


def spent(standing: Standing) -> tuple[float, int]:
    """USD and tokens so far, of the session that is at work as well."""
    match standing:
        case None:
            return 0.0, 0
        case PipelineResult():
            return standing.cost_usd, standing.tokens
    running = standing.running
    cost = standing.cost_microdollars + (running.cost_microdollars if running else 0)
    return cost / 1e6, standing.usage.total + (running.usage.total if running else 0)


def facts(name: str, standing: Standing) -> dict[str, Any]:
    """What `run`, `status` and `show` print of a pipeline with `--json`; keys are always there."""
    cost_usd, tokens = spent(standing)
    told: dict[str, Any] = {
        "id": name,
        "state": word(standing),
        "ending": None,
        "why": None,
        "merged_commit": None,
        "tree": None,
        "branch": None,
        "proof": None,
        "cost_usd": cost_usd,
        "tokens": tokens,
        "phases": [],
        "waiting": None,
        "route": None,
        "decisions": [],
        "told": [],
        "passes": 0,
        "verdict": None,
        "ledger": None,
        "matrix": None,
        "reverted": None,
        "facts": {},
        "lessons": [],
        "root_cause": "",
    }
    if isinstance(standing, PipelineResult):
        told |= standing.model_dump(
            mode="json", include={"ending", "why", "merged_commit", "tree", "branch", "proof"}
        )
        told["phases"] = [phase(record) for record in standing.phases]
        told |= standing.model_dump(mode="json", include=set(ACCOUNT))
    elif isinstance(standing, PipelineView):
        wait = waiting(standing)
        told["phases"] = [phase(record) for record in standing.records]
        told["phase"], told["session"] = standing.phase, standing.session
        told["running"] = standing.running.model_dump(mode="json") if standing.running else None
        told |= standing.model_dump(
            mode="json", include={"route", "told", "passes", "sessions", "parked"}
        )
        told["waiting"] = wait and {
            "kind": wait.kind,
            "id": wait.id,
            "text": wait.text,
            "commands": list(wait.commands),
        }
    return told


def phase(record: PhaseRecord) -> dict[str, Any]:
    return {
        "phase": record.phase,
        "session": record.session,
        "ending": record.ending,
        "turns": record.turns,
        "cost_usd": record.cost_microdollars / 1e6,
        "tokens": record.usage.total,
        "model": record.model,
        "spec": record.spec,
    }


def listed(row: PipelineRow, standing: Standing) -> dict[str, Any]:
    """A line of `status`."""
    return {
        "id": row.id,
        "title": row.title,
        "workspace": row.workspace,
        "repo": row.repo,
        "kind": row.kind,
        "state": row.ending or word(standing),
        "ending": row.ending,
        "phase": standing.phase if isinstance(standing, PipelineView) else None,
        "cost_usd": spent(standing)[0],
        "started_s": row.started_s,
        "ended_s": row.ended_s,
    }
