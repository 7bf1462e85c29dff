"""What the stories of deliveries share: rules, who plays which part, and what is looked at."""

from typing import Any

from tests.workflows.office import (
    CLEAN,
    CODING,
    NOTES,
    Office,
    Turn,
    all_done,
    calls,
    classify,
    deliver,
    looked,
    notes,
    session,
    write,
)
from worktrain.access import genuine
from worktrain.contracts.pipeline import PipelineEnding, PipelineResult
from worktrain.contracts.proof import Proof
from worktrain.coordinators.prove import Note
from worktrain.coordinators.prove.links import broken_links

RULES = "verify: [{name: tests, run: run the tests}]\nmerge: {policy: auto}\n"
BRIEF = RULES + "retrospective: false\n"
"""The same, and nobody looks back: one session less."""
MET = [{"criterion": "AC1", "met": "yes", "evidence": "Ran it."}]
BY_READING = {"criterion": "AC1", "evidence": "Read it.", "code": ["work.txt"]}
DELIVERS = """steps:
- id: report
  title: Report
  prompt: Say what there is to say.
  outputContract: {{contractRef: wr.contracts.{}}}
"""
"""A spec that has one step, for a project's own in the place of a long one."""


def found(severity: str, summary: str = "A corner is wrong.", **more: Any) -> dict[str, Any]:
    """A verdict with one finding."""
    return verdict({"severity": severity, "summary": summary, "file": "work.txt", **more})


def verdict(*findings: dict[str, Any]) -> dict[str, Any]:
    grave = any(one["severity"] in ("critical", "major") for one in findings)
    said = "blocking" if grave else "minor" if findings else "clean"
    return {**CLEAN, "verdict": said, "findings": list(findings)}


def coder(*turns: Turn, match: str | None = None, **handoff: Any) -> dict[str, Any]:
    """Who makes a small change."""
    fits = calls(("complete_step", {"notes": NOTES, "context": {"fits": True}}))
    return session("coding", fits, *turns, all_done(), deliver({**CODING, **handoff}), match=match)


def task_of(*others: dict[str, Any]) -> list[dict[str, Any]]:
    """A task that is classified as small; the others do the rest."""
    return [classify(), *others]


def reviewer(*verdicts: dict[str, Any], match: str | None = None) -> dict[str, Any]:
    """A reviewer that looks before each of its verdicts; asked again, it goes on."""
    first, *later = verdicts
    turns: list[Turn] = [looked(), notes(), deliver(first)]
    for one in later:
        turns += [looked(), deliver(one)]
    return session("review", *turns, match=match)


def fixer(*turns: Turn | str, match: str | None = None, **handoff: Any) -> dict[str, Any]:
    """Who settles one finding; a text is what is then in the file."""
    done = [write("work.txt", turn) if isinstance(turn, str) else turn for turn in turns]
    settled = {
        "kind": "wr.assessment",
        "assessmentId": "settlement",
        "dimensions": {"cause": "cause"},
    }
    settle = calls(("complete_step", {"notes": NOTES, "artifacts": [settled]}))
    return session("fix", *done, settle, notes(), deliver({**CODING, **handoff}), match=match)


def mender(*turns: Turn, match: str | None = None, **handoff: Any) -> dict[str, Any]:
    """Who settles what is no finding: checks, rules, criteria."""
    return session("fix", *turns, notes(), deliver({**CODING, **handoff}), match=match)


def disposed(outcome: str, finding: str = "F1") -> list[dict[str, str]]:
    return [{"finding": finding, "outcome": outcome, "evidence": "work.txt"}]


async def asked(office: Office, pipeline: str, gate: str) -> str:
    """What the operator is asked at a gate."""
    view = await office.until(pipeline, lambda view: view.gate is not None)
    assert view.gate is not None
    assert view.gate.id == gate, view.gate
    return view.gate.text


async def merged(office: Office, pipeline: str) -> tuple[PipelineResult, Proof]:
    """The end of a pipeline that merges, and its proof, of which no link is broken."""
    result = await office.ended(pipeline)
    assert result.ending is PipelineEnding.MERGED, result.why
    assert result.merged_commit is not None
    commit = office.repository.at(result.merged_commit)
    text = await office.store.proof(commit.commit)
    assert text is not None
    assert broken_links(text, commit, office.repository.notes[commit.commit], None, genuine) == ()
    return result, Note.model_validate_json(text).proof


async def unmerged(office: Office, pipeline: str, ending: PipelineEnding) -> PipelineResult:
    """The end of a pipeline that merges nothing and proves nothing."""
    result = await office.ended(pipeline)
    assert result.ending is ending, result.why
    assert (result.merged_commit, result.proof) == (None, None)
    assert office.forge.merges == 0
    assert not office.repository.notes
    return result
