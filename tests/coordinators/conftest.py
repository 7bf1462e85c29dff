"""Builders for coordinator tests: commits, sessions that ended, checks that ran."""

from typing import Any, Literal

from worktrain.contracts.artifact import Artifact, Finding, ReviewVerdict, Severity
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import Surroundings
from worktrain.contracts.examination import Examination, FileChange
from worktrain.contracts.ledger import Ledger
from worktrain.contracts.pipeline import (
    Opened,
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
from worktrain.contracts.route import (
    Demand,
    Phase,
    PipelineKind,
    Route,
    Stage,
    TaskClass,
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
from worktrain.coordinators import ledger
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


def artifact(kind: str, **changes: Any) -> Any:
    """The filled example of a kind, with other values."""
    return ARTIFACTS[kind].model_validate({**EXAMPLES[kind], **changes})


def verdict(said: Verdict) -> ReviewVerdict:
    severity = {"clean": None, "minor": Severity.MINOR, "blocking": Severity.MAJOR}[said]
    findings = (Finding(severity=severity, summary="It is wrong."),) if severity else ()
    return ReviewVerdict(verdict=said, confidence="high", findings=findings, summary="Read it.")


def review(said: Verdict, at: CommitRef = ONE) -> Review:
    return Review(session="task/w/t/review-1", at=at, verdict=verdict(said))


DELIVERED: dict[Phase, tuple[Artifact, ...]] = {
    Phase.DISCOVERY: (artifact("wr.discovery_handoff"),),
    Phase.SHAPING: (artifact("wr.shaping_handoff"),),
    Phase.CODING: (artifact("wr.coding_handoff"),),
    Phase.FIX: (artifact("wr.coding_handoff"),),
}


def session(
    phase: Phase,
    *delivered: Artifact,
    ending: SessionEnding = SessionEnding.COMPLETED,
    number: int = 1,
    spec: str = "spec",
    looks: int = 0,
) -> SessionEnded:
    """A session of a phase that ended, on the work branch's worktree where it has one."""
    record = PhaseRecord(
        phase=phase,
        session=f"task/w/t/{phase}-{number}",
        spec=spec,
        script="s" * 64,
        ending=ending,
        turns=3,
        usage=Usage(input=10, output=5),
        cost_microdollars=100,
        model="m",
        looks=looks,
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


# --- the second edition ------------------------------------------------------------------------

CLASS = TaskClass(
    task_type="feature",
    complexity="Small",
    risk="Medium",
    has_ui=False,
    touches_architecture=False,
    maturity="specified",
)
STAGES = (
    Stage(phase=Phase.SHAPING, spec="shaping", runs=True, why="it always runs"),
    Stage(phase=Phase.CODING, spec="coding-task", runs=True, why="it always runs"),
)
MET = {
    "criterion": "AC1",
    "evidence": "Ran it.",
    "code": ["app/login.py"],
    "tests": ["t::works"],
}
JUDGED = {"criterion": "AC1", "met": "yes", "evidence": "Read it."}
REPORT = (("t::works",), ())


def rules(**changes: Any) -> WorkspaceConfig:
    """What holds in the workspace: merging by itself, no looking back, unless other is said."""
    policy = changes.pop("policy", "auto")
    passes_max = changes.pop("passes_max", 3)
    merge = MergeRules(policy=policy, passes_max=passes_max)
    return WorkspaceConfig(**{"verify": (CHECK,), "retrospective": False, "merge": merge} | changes)


def opened(**changes: Any) -> Opened:
    """A workspace with these rules; `lessons` are what it learnt."""
    lessons = changes.pop("lessons", ())
    return Opened(base=BASE, config=rules(**changes), files=100, lessons=lessons)


def way(*demands: tuple[str, str], pipeline: PipelineKind = PipelineKind.FEATURE) -> Route:
    """A route that demands these gates, each with its detail."""
    asked = tuple(
        Demand.model_validate({"gate": gate, "detail": detail, "why": f"its class asks: {gate}"})
        for gate, detail in demands
    )
    return Route(pipeline=pipeline, why="asked for", stages=STAGES, demands=asked)


def examination(*paths: str, at: CommitRef = ONE, **changes: Any) -> Examination:
    """What a change of these files consists of."""
    return Examination(
        base=BASE.at,
        candidate=at,
        changes=tuple(
            FileChange(path=path, status="modified", added=2, removed=1, hunks=((3, 4),))
            for path in paths or ("app/login.py",)
        ),
        **changes,
    )


def judged(*findings: Finding, at: CommitRef = ONE, number: int = 1, **changes: Any) -> Review:
    """A verdict with these findings, that finds the criterion met."""
    grave = any(one.severity in (Severity.CRITICAL, Severity.MAJOR) for one in findings)
    said = {
        "verdict": "blocking" if grave else "minor" if findings else "clean",
        "confidence": "high",
        "findings": findings,
        "summary": "Read it.",
        "criteria": [JUDGED],
    }
    return Review(
        session=f"task/w/t/review-{number}",
        at=at,
        verdict=ReviewVerdict.model_validate({**said, **changes}),
    )


def ready(**changes: Any) -> PipelineState:
    """A change that everything was done for: only the merge is left."""
    reviews = changes.pop("reviews", (judged(),))
    found = Ledger()
    for one in reviews:
        found = ledger.folded(found, one.verdict, one.session, one.at.tree)
    phases = (Phase.CLASSIFY, Phase.SHAPING, Phase.CODING, Phase.REVIEW)
    facts: dict[str, Any] = {
        "opened": opened(),
        "classified": CLASS,
        "route": way(),
        "artifacts": (
            artifact("wr.classification", interpretation="So.", interpretationConfidence="high"),
            artifact(
                "wr.shaping_handoff",
                acceptanceCriteria=[{"id": "AC1", "statement": "It works."}],
                filesInScope=["app/login.py"],
                slices=[],
            ),
            artifact("wr.coding_handoff", criteria=[MET], dispositions=[]),
        ),
        "records": tuple(session(phase).result.record for phase in phases),
        "worktree": WORKTREE,
        "candidate": ONE,
        "built_on": BASE.at,
        "trees": (ONE.tree,),
        "examination": examination(),
        "verification": verification(check(base_tests=REPORT, tests=REPORT)),
        "reviews": reviews,
        "reviewer": reviews[-1].session if reviews else None,
        "ledger": found,
        "looked": Surroundings(base=BASE.at),
        "in_lane": True,
        "sealed": "d" * 64,
        "sealed_for": ONE.commit,
    }
    made = pipeline(Phase.MERGE, kind=PipelineKind.FEATURE)
    request = made.request.model_copy(update={"edition": 2})
    return made.model_copy(update={"request": request, **facts, **changes})
