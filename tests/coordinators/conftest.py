"""Builders for coordinator tests: commits, sessions that ended, checks that ran."""

from typing import Any, Literal

from worktrain.contracts.artifact import (
    CodingHandoff,
    DiscoveryHandoff,
    Finding,
    Handoff,
    ReviewVerdict,
    Severity,
    ShapingHandoff,
)
from worktrain.contracts.base import digest
from worktrain.contracts.pipeline import (
    Opened,
    Phase,
    PipelineCommand,
    PipelineEvent,
    PipelineKind,
    PipelineRequest,
    PipelineState,
    SessionEnded,
)
from worktrain.contracts.proof import (
    CheckComparison,
    CheckEnding,
    CheckRun,
    Decision,
    PhaseRecord,
    Review,
    Verification,
)
from worktrain.contracts.session import SessionEnding, SessionResult
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import (
    Base,
    CommitRef,
    MergeRules,
    VerifyCommand,
    WorkspaceConfig,
    Worktree,
)
from worktrain.coordinators.feature import route
from worktrain.engine.contracts_check import ARTIFACTS
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES

Verdict = Literal["clean", "minor", "blocking"]
P, F, T, M = CheckEnding.PASSED, CheckEnding.FAILED, CheckEnding.TIMED_OUT, CheckEnding.MISSING
EXIT = {P: 0, F: 1, T: None, M: 127}
WORKTREE = Worktree(
    session="task/w/t/coding-1",
    repo="/repo",
    root="/home/w/coding-1",
    branch="worktrain/t",
    queue="host-1",
)


def ref(name: str, tree: str | None = None) -> CommitRef:
    """The commit of this name; its tree is its own unless another is named."""
    return CommitRef(commit=digest(f"commit {name}")[:40], tree=digest(f"tree {tree or name}")[:40])


BASE = Base(branch="main", at=ref("base"), remote="origin")
ONE = ref("one")
CHECK = VerifyCommand(name="tests", run="pytest -q")


def pipeline(
    phase: Phase = Phase.CODING,
    *,
    kind: PipelineKind = PipelineKind.FEATURE,
    policy: Literal["ask", "auto"] = "auto",
    passes_max: int = 3,
    verify: tuple[VerifyCommand, ...] = (CHECK,),
    **changes: Any,
) -> PipelineState:
    rules = MergeRules(policy=policy, passes_max=passes_max)
    made = PipelineState(
        request=PipelineRequest(
            pipeline="task/w/t",
            workspace="w",
            repo="/repo",
            task=Task(source="issue:login.md", title="Login fails", body="With capitals."),
            kind=kind,
        ),
        opened=Opened(base=BASE, config=WorkspaceConfig(verify=verify, merge=rules)),
        phase=phase,
        base=BASE,
    )
    return made.model_copy(update=changes)


def artifact(kind: str, **changes: Any) -> Handoff:
    made: Any = ARTIFACTS[kind].model_validate({**EXAMPLES[kind], **changes})
    return made  # type: ignore[no-any-return]


def verdict(said: Verdict) -> ReviewVerdict:
    severity = {"clean": None, "minor": Severity.MINOR, "blocking": Severity.MAJOR}[said]
    findings = (Finding(severity=severity, summary="It is wrong."),) if severity else ()
    return ReviewVerdict(verdict=said, confidence="high", findings=findings, summary="Read it.")


def review(said: Verdict, at: CommitRef = ONE) -> Review:
    return Review(session="task/w/t/review-1", at=at, verdict=verdict(said))


DELIVERED: dict[Phase, tuple[Handoff, ...]] = {
    Phase.DISCOVERY: (artifact("wr.discovery_handoff"),),
    Phase.SHAPING: (artifact("wr.shaping_handoff"),),
    Phase.CODING: (artifact("wr.coding_handoff"),),
    Phase.FIX: (artifact("wr.coding_handoff"),),
}
KINDS_OF_HANDOFF = (DiscoveryHandoff, ShapingHandoff, CodingHandoff, ReviewVerdict)


def session(
    phase: Phase,
    *delivered: Handoff,
    ending: SessionEnding = SessionEnding.COMPLETED,
    number: int = 1,
) -> SessionEnded:
    """A session of a phase that ended, on the work branch's worktree where it has one."""
    record = PhaseRecord(
        phase=phase,
        session=f"task/w/t/{phase}-{number}",
        spec="spec",
        script="s" * 64,
        ending=ending,
        turns=3,
        usage=Usage(input=10, output=5),
        cost_microdollars=100,
        model="m",
    )
    return SessionEnded(
        result=SessionResult(
            record=record,
            ending=ending,
            why="It ended.",
            artifacts=delivered,
            worktree=WORKTREE if phase in (Phase.CODING, Phase.FIX) else None,
        )
    )


def check(
    base: CheckEnding = P,
    candidate: CheckEnding = P,
    *,
    name: str = "tests",
    at: CommitRef = ONE,
    base_at: CommitRef = BASE.at,
    base_tests: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
    tests: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
) -> CheckComparison:
    """One check; tests are (passed, failed), None without a report."""
    sides = {}
    for side, ref_at, ending, ids in (
        ("base", base_at, base, base_tests),
        ("candidate", at, candidate, tests),
    ):
        sides[side] = CheckRun(
            name=name,
            command="pytest -q",
            at=ref_at,
            ending=ending,
            exit_code=EXIT[ending],
            seconds=1.5,
            passed=ids[0] if ids else None,
            failed=ids[1] if ids else None,
            tail="the end of the output",
        )
    return CheckComparison(name=name, **sides)


def verification(
    *checks: CheckComparison, at: CommitRef = ONE, base_at: CommitRef = BASE.at
) -> Verification:
    return Verification(base=base_at, candidate=at, checks=checks)


def decision(
    gate: str,
    answer: Literal["approved", "rejected"] = "approved",
    tree: str | None = ONE.tree,
    reason: str = "",
) -> Decision:
    return Decision(gate=gate, answer=answer, by="ada", reason=reason, tree=tree)


def walk(
    state: PipelineState, *events: PipelineEvent
) -> tuple[PipelineState, list[PipelineCommand]]:
    """What each of these events, one after the other, is answered with."""
    commands: list[PipelineCommand] = []
    for event in events:
        state, command = route(state, event)
        commands.append(command)
    return state, commands
