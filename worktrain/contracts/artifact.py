"""Typed outputs that outlive their session: the only thing phases hand to each other.

Kinds and field names are WorkRail's (schema v0.3.0, contracts section). Ours are: acceptance
criteria in the shaping handoff, commit subject and evidence in the coding handoff, reviewer and
tree in the review verdict, and every kind from `Classification` on.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from worktrain.contracts.base import Authored, JsonObject, Line, Value, absent

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Remark = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
"""A text that may be empty."""
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Instant = Annotated[
    str,
    StringConstraints(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$"
    ),
]
"""A date and time with its zone, ISO 8601."""
Uuid = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
    ),
]
Size = Literal["Small", "Medium", "Large"]


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Severity(StrEnum):
    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    NIT = "nit"


# --- what ends a phase ---------------------------------------------------------------------


class Location(Authored):
    path: Line
    relevance: Line


class RejectedDirection(Authored):
    direction: Line
    reason: Line


class DiscoveryHandoff(Authored):
    """What was found out about the task and the code, and the direction chosen."""

    kind: Literal["wr.discovery_handoff"] = "wr.discovery_handoff"
    version: Literal[1] = 1
    selectedDirection: Text
    designDocPath: str = ""
    confidenceBand: Confidence
    keyInvariants: tuple[Line, ...] = Field(default=(), max_length=12)
    rejectedDirections: tuple[RejectedDirection, ...] = Field(default=(), max_length=5)
    implementationConstraints: tuple[Line, ...] = Field(default=(), max_length=8)
    keyCodebaseLocations: tuple[Location, ...] = Field(default=(), max_length=10)
    selectionTier: (
        Literal["strong_recommendation", "provisional_recommendation", "insufficient_signal"] | None
    ) = Field(default=None, exclude_if=absent)


class AcceptanceCriterion(Authored):
    """One statement that must be true of the change, checkable by a test or by reading."""

    id: Annotated[str, StringConstraints(pattern=r"^AC[1-9][0-9]?$")]
    statement: Line


class SlicePlan(Authored):
    """A part of the work that can be built and shown by itself."""

    id: Annotated[str, StringConstraints(pattern=r"^S[1-9][0-9]?$")]
    title: Line
    goal: Text
    files: tuple[Line, ...] = Field(min_length=1, max_length=40)
    """Paths or globs of the files that it will change."""
    check: Line
    """What shows that it is done."""
    dependsOn: tuple[str, ...] = Field(default=(), max_length=11)
    criteria: tuple[str, ...] = Field(default=(), max_length=20)


class ShapingHandoff(Authored):
    """What is to be built, how much, what not, and what must be true at the end."""

    kind: Literal["wr.shaping_handoff"] = "wr.shaping_handoff"
    version: Literal[1] = 1
    pitchPath: str = ""
    selectedShape: Line
    appetite: Line
    keyConstraints: tuple[Line, ...] = Field(default=(), max_length=8)
    rabbitHoles: tuple[Line, ...] = Field(default=(), max_length=6)
    outOfScope: tuple[Line, ...] = Field(default=(), max_length=6)
    validationChecklist: tuple[Line, ...] = Field(default=(), max_length=10)
    acceptanceCriteria: tuple[AcceptanceCriterion, ...] = Field(min_length=1, max_length=20)
    filesInScope: tuple[Line, ...] = Field(default=(), max_length=40, exclude_if=absent)
    """Paths or globs of the files that the work is expected to change."""
    slices: tuple[SlicePlan, ...] = Field(default=(), max_length=12, exclude_if=absent)
    """The work in parts that can be built and shown each by itself; empty for one part."""

    @model_validator(mode="after")
    def _slices_fit_together(self) -> "ShapingHandoff":
        known = [one.id for one in self.slices]
        if len(set(known)) < len(known):
            raise _broken("two slices have the same id", fix="Number them S1, S2, ...")
        criteria = {one.id for one in self.acceptanceCriteria}
        for one in self.slices:
            # Only earlier ones: so there is no circle.
            earlier = known[: known.index(one.id)]
            if missing := [name for name in one.dependsOn if name not in earlier]:
                raise _broken(
                    f"{one.id} depends on {', '.join(missing)}, which does not come before it",
                    fix="Put a slice behind those that it depends on.",
                )
            if missing := [name for name in one.criteria if name not in criteria]:
                raise _broken(
                    f"{one.id} names {', '.join(missing)}, which is no acceptance criterion",
                    fix="Name only ids that stand in acceptanceCriteria.",
                )
        return self


class CriterionEvidence(Authored):
    criterion: Annotated[str, StringConstraints(pattern=r"^AC[1-9][0-9]?$")]
    evidence: Line
    code: tuple[Line, ...] = Field(default=(), max_length=10, exclude_if=absent)
    """Files that meet it, as paths in the repository."""
    tests: tuple[Line, ...] = Field(default=(), max_length=10, exclude_if=absent)
    """Tests that show it, by the name that a test report gives them."""


class Disposition(Authored):
    """What became of one finding that a fixer was given."""

    finding: Annotated[str, StringConstraints(pattern=r"^F[1-9][0-9]{0,2}$")]
    outcome: Literal["fixed_now", "already_fixed", "invalid", "deferred", "cannot_reproduce"]
    evidence: Line
    """Where, or the proof, or the reason."""


class CorrectedAssumption(Authored):
    assumed: Line
    actual: Line


class CodingHandoff(Authored):
    """What was changed, why that way, and what shows that each criterion is met."""

    kind: Literal["wr.coding_handoff"] = "wr.coding_handoff"
    version: Literal[1] = 1
    commitSubject: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=72)
    ]
    branchName: str = ""
    keyDecisions: tuple[Line, ...] = Field(default=(), max_length=8)
    knownLimitations: tuple[Line, ...] = Field(default=(), max_length=6)
    testsAdded: tuple[Line, ...] = Field(default=(), max_length=10)
    filesChanged: tuple[Line, ...] = Field(default=(), max_length=20)
    criteria: tuple[CriterionEvidence, ...] = Field(default=(), max_length=20)
    dispositions: tuple[Disposition, ...] = Field(default=(), max_length=40, exclude_if=absent)
    """What became of each finding that was to be settled."""
    correctedAssumptions: tuple[CorrectedAssumption, ...] = Field(default=(), max_length=6)


class Finding(Authored):
    """One claim about the work: how grave, where, why, and what would settle it."""

    severity: Severity
    summary: Line
    findingCategory: (
        Literal["correctness", "security", "architecture", "ux", "performance", "testing", "style"]
        | None
    ) = None
    file: str | None = None
    startLine: int | None = Field(default=None, ge=1)
    endLine: int | None = Field(default=None, ge=1)
    causalLink: str | None = Field(default=None, max_length=1000)
    remediation: str | None = Field(default=None, max_length=1000)
    known: Annotated[str, StringConstraints(pattern=r"^F[1-9][0-9]{0,2}$")] | None = Field(
        default=None,
        exclude_if=absent,
        description="The id of the finding in the ledger that this is, if it is one.",
    )


class CriterionJudgement(Authored):
    """Whether one acceptance criterion is met, as a reviewer sees it."""

    criterion: Annotated[str, StringConstraints(pattern=r"^AC[1-9][0-9]?$")]
    met: Literal["yes", "no", "unsure"]
    evidence: Line


class ReviewVerdict(Authored):
    """What a reviewer says of exactly the tree that it was given."""

    kind: Literal["wr.review_verdict"] = "wr.review_verdict"
    verdict: Literal["clean", "minor", "blocking"]
    confidence: Confidence
    findings: tuple[Finding, ...] = Field(default=(), max_length=30)
    summary: Text
    criteria: tuple[CriterionJudgement, ...] = Field(default=(), max_length=20, exclude_if=absent)
    """Each acceptance criterion that there is."""
    acceptedFiles: tuple[Line, ...] = Field(default=(), max_length=40, exclude_if=absent)
    """Changed files outside of the declared scope that belong to the change after all."""
    reviewer: Line | None = Field(
        default=None, exclude_if=absent, description="Leave it out: WorkTrain fills it in."
    )
    tree: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")] | None = (
        Field(default=None, exclude_if=absent, description="Leave it out: WorkTrain fills it in.")
    )

    @model_validator(mode="after")
    def _verdict_follows_from_findings(self) -> "ReviewVerdict":
        wanted = "blocking" if _grave(self.findings) else "minor" if self.findings else "clean"
        if self.verdict != wanted:
            raise _broken(
                f"the verdict must be {wanted!r} with these findings: 'blocking' if any is "
                f"critical or major, 'minor' if there are only minor ones or nits, 'clean' if none",
                fix=f"Set `verdict` to {wanted!r}, or correct the findings' severity.",
            )
        return self


class Hints(Authored):
    """What limits a team that is to build something."""

    teamSize: Annotated[int, Field(ge=1)] | Line
    technicalCapabilities: tuple[Line, ...] = Field(default=(), max_length=12)
    exclusions: tuple[Line, ...] = Field(default=(), max_length=12)


class DefensibilityClaim(Authored):
    """Which of the seven powers would protect the idea, and what it would take from ourselves."""

    power: Literal[
        "scale_economies",
        "network_economies",
        "counter_positioning",
        "switching_costs",
        "branding",
        "cornered_resource",
        "process_power",
    ]
    cannibalization: Text


class IdeaToShape(Authored):
    rawIdea: Text
    problem: Text
    baseline: Text
    appetiteHint: Literal["small_batch", "big_batch"]
    noGosHints: tuple[Line, ...] = Field(default=(), max_length=12)
    constraints: Hints
    evidenceTopK: tuple[Uuid, ...] = Field(default=(), max_length=10)
    defensibilityClaim: DefensibilityClaim


class EvidenceFreshness(Authored):
    oldestCapturedAt: Instant
    newestCapturedAt: Instant


class DifferentiationHandoff(Authored):
    """What makes an idea worth building, for the session that shapes it."""

    kind: Literal["wr.differentiation_handoff"] = "wr.differentiation_handoff"
    version: Literal[1] = 1
    schemaVersion: Literal["1.0.0"] = "1.0.0"
    generatedAt: Instant
    evidenceFreshness: EvidenceFreshness
    validationChecklist: tuple[Line, ...] = Field(default=(), max_length=10)
    shapingHandoff: IdeaToShape


# --- what steers a session -----------------------------------------------------------------


class RatedLevel(Authored):
    level: Line
    rationale: Annotated[str, StringConstraints(strip_whitespace=True, max_length=512)] = ""


def _level_form(value: Any) -> str:
    # Neither name can be a key of the value, so paths in errors stay unambiguous.
    return "(level)" if isinstance(value, str) else "(level and rationale)"


Level = Annotated[
    Annotated[Line, Tag("(level)")] | Annotated[RatedLevel, Tag("(level and rationale)")],
    Discriminator(_level_form),
]


class AssessmentReport(Authored):
    """The levels that an agent gives in an assessment of its step, by dimension."""

    kind: Literal["wr.assessment"] = "wr.assessment"
    assessmentId: Name | None = None
    dimensions: dict[Name, Level] = Field(max_length=20)
    summary: Annotated[str, StringConstraints(max_length=1024)] = ""


class LoopFacts(Authored):
    reason: Annotated[str, StringConstraints(max_length=1024)] = ""
    issuesFound: int | None = Field(default=None, ge=0)
    iterationIndex: int | None = Field(default=None, ge=0)
    confidence: float | None = Field(default=None, ge=0, le=100)


class LoopControl(Authored):
    """Whether a loop goes on."""

    kind: Literal["wr.loop_control"] = "wr.loop_control"
    loopId: Line | None = None
    decision: Literal["continue", "stop"]
    metadata: LoopFacts | None = None


class CoordinatorSignal(Authored):
    """Something that whoever runs the session is to know before it ends."""

    kind: Literal["wr.coordinator_signal"] = "wr.coordinator_signal"
    signalKind: Literal["progress", "finding", "data_needed", "approval_needed", "blocked"]
    payload: JsonObject = Field(default_factory=dict)
    sessionId: Line | None = None


class GateVerdict(Authored):
    """An evaluator's answer to a gate."""

    kind: Literal["wr.gate_verdict"] = "wr.gate_verdict"
    version: Literal[1] = 1
    verdict: Literal["approved", "rejected", "uncertain"]
    confidence: Confidence
    rationale: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=20, max_length=2000)
    ]


class CoordinatorResult(Authored):
    """How a spec that coordinates others ended: a convention, which no contract asks for."""

    kind: Literal["wr.coordinator_result"] = "wr.coordinator_result"
    outcome: Literal["success", "failed", "timed_out", "await_degraded"]
    summary: Text
    sessionId: Line
    error: Text | None


# --- what the specs of our library deliver -------------------------------------------------


class Classification(Authored):
    """What kind of task it is, and so which phases it needs."""

    kind: Literal["wr.classification"] = "wr.classification"
    taskComplexity: Size
    riskLevel: Literal["Low", "Medium", "High", "Critical"]
    hasUI: bool
    touchesArchitecture: bool
    taskType: Literal["feature", "bug-fix", "refactor", "investigation", "docs", "chore"]
    affectedDomains: tuple[Line, ...] = Field(default=(), max_length=12)
    recommendedPipeline: tuple[Line, ...] = Field(min_length=1, max_length=12)
    """Phases, in order."""
    rationale: Text
    maturity: Literal["idea", "shaped", "specified"] = "idea"
    """How much is decided: nothing, the bounds, or the acceptance criteria too."""
    interpretation: Remark = ""
    """What the task is taken to ask for, in a sentence that could be wrong."""
    interpretationConfidence: Confidence = Confidence.LOW
    openQuestions: tuple[Line, ...] = Field(default=(), max_length=5)
    """What its author would have to be asked, for the interpretation to be sure."""


class Hypothesis(Authored):
    claim: Line
    status: Literal["confirmed", "refuted", "open"]
    evidence: Remark = ""

    @model_validator(mode="after")
    def _settled_by_evidence(self) -> "Hypothesis":
        if self.status != "open" and not self.evidence:
            raise _broken(
                f"a hypothesis is {self.status} by evidence, and none is given",
                fix="Say in `evidence` what showed it, or set `status` to 'open'.",
            )
        return self


class Investigation(Authored):
    """Why a bug happens, how sure that is, and what would end it."""

    kind: Literal["wr.investigation"] = "wr.investigation"
    summary: Text
    rootCause: Text
    confidence: Confidence
    severity: Severity
    evidence: tuple[Line, ...] = Field(min_length=1, max_length=20)
    hypotheses: tuple[Hypothesis, ...] = Field(default=(), max_length=12)
    reproduction: Remark = ""
    recommendedFix: Text
    regressionTest: Remark = ""


class AuditReport(Authored):
    """What an audit found in what it examined, and what it did not examine."""

    kind: Literal["wr.audit_report"] = "wr.audit_report"
    audit: Literal[
        "production_readiness", "architecture", "security", "test_coverage", "performance"
    ]
    verdict: Literal["ready", "ready_with_conditions", "not_ready"]
    confidence: Confidence
    findings: tuple[Finding, ...] = Field(default=(), max_length=30)
    scope: Text
    notExamined: tuple[Line, ...] = Field(default=(), max_length=20)
    summary: Text

    @model_validator(mode="after")
    def _ready_without_grave_findings(self) -> "AuditReport":
        if self.verdict == "ready" and _grave(self.findings):
            raise _broken(
                "the verdict cannot be 'ready' with a critical or major finding",
                fix="Set `verdict` to 'ready_with_conditions' or 'not_ready', or correct the "
                "findings' severity.",
            )
        return self


class ResearchSource(Authored):
    source: Line
    """A URL, a document, or a place in the code."""
    says: Line


class ResearchReport(Authored):
    """The answer to a question, and what it rests on."""

    kind: Literal["wr.research_report"] = "wr.research_report"
    question: Text
    answer: Text
    confidence: Confidence
    sources: tuple[ResearchSource, ...] = Field(min_length=1, max_length=30)
    gaps: tuple[Line, ...] = Field(default=(), max_length=12)
    summary: Text


class Alternative(Authored):
    option: Line
    reason: Line
    """Why it was not chosen."""


class Design(Authored):
    """How something is to be built, or to look and behave."""

    kind: Literal["wr.design"] = "wr.design"
    title: Line
    approach: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=6000)
    ]
    alternatives: tuple[Alternative, ...] = Field(default=(), max_length=6)
    interfaces: tuple[Line, ...] = Field(default=(), max_length=12)
    risks: tuple[Line, ...] = Field(default=(), max_length=12)
    openQuestions: tuple[Line, ...] = Field(default=(), max_length=12)
    summary: Text


class Triage(Authored):
    """What an issue or an alert really is, and what is to happen with it."""

    kind: Literal["wr.triage"] = "wr.triage"
    subject: Literal["issue", "alert"]
    assessment: Literal["real", "noise", "duplicate", "unclear"]
    severity: Severity
    labels: tuple[Line, ...] = Field(default=(), max_length=12)
    size: Size | None = None
    summary: Text
    nextStep: Line
    evidence: tuple[Line, ...] = Field(default=(), max_length=20)


class Digest(Authored):
    """What happened in a time: a standup or a retrospective."""

    kind: Literal["wr.digest"] = "wr.digest"
    title: Line
    period: Line
    done: tuple[Line, ...] = Field(default=(), max_length=20)
    inProgress: tuple[Line, ...] = Field(default=(), max_length=20)
    blocked: tuple[Line, ...] = Field(default=(), max_length=20)
    next: tuple[Line, ...] = Field(default=(), max_length=20)
    learned: tuple[Line, ...] = Field(default=(), max_length=20)


class Retrospective(Authored):
    """What a finished pipeline teaches the next one."""

    kind: Literal["wr.retrospective"] = "wr.retrospective"
    summary: Text
    lessons: tuple[Line, ...] = Field(default=(), max_length=5)
    """Each for whoever works in this repository next: a fact, and what to do about it."""
    rootCause: Remark = ""
    """Why coding missed what review found, if review found something."""


class SpecDraft(Authored):
    """A spec that was written, and whether `worktrain spec check` passed it."""

    kind: Literal["wr.spec_draft"] = "wr.spec_draft"
    specPath: Line
    checked: bool
    summary: Text
    examples: tuple[Line, ...] = Field(default=(), max_length=6)
    """Goals that it is made for."""


# --- any of them ---------------------------------------------------------------------------


class ProjectArtifact(Value):
    """An artifact of a project's own kind; its fields are those of the project's JSON Schema.

    They are read with `model_dump`, because a field may be named like one of our methods.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str


Handoff = Annotated[
    DiscoveryHandoff | ShapingHandoff | CodingHandoff | ReviewVerdict,
    Field(discriminator="kind"),
]
"""What the phases of a pipeline hand over."""

OurArtifact = Annotated[
    DiscoveryHandoff
    | ShapingHandoff
    | CodingHandoff
    | ReviewVerdict
    | DifferentiationHandoff
    | AssessmentReport
    | LoopControl
    | CoordinatorSignal
    | GateVerdict
    | CoordinatorResult
    | Classification
    | Investigation
    | AuditReport
    | ResearchReport
    | Design
    | Triage
    | Digest
    | Retrospective
    | SpecDraft,
    Field(discriminator="kind"),
]


def _origin(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "ours" if isinstance(kind, str) and kind.startswith("wr.") else "project"


Artifact = Annotated[
    Annotated[OurArtifact, Tag("ours")] | Annotated[ProjectArtifact, Tag("project")],
    Discriminator(_origin),
]


class Contract(Value):
    """How an artifact must look, told to a model: its JSON Schema and a filled example."""

    kind: str
    json_schema: JsonObject
    example: JsonObject


def _grave(findings: tuple[Finding, ...]) -> bool:
    return any(finding.severity in (Severity.CRITICAL, Severity.MAJOR) for finding in findings)


def _broken(said: str, *, fix: str) -> PydanticCustomError:
    """A rule between fields that does not hold, and what would make it hold."""
    return PydanticCustomError("broken_rule", "{said}", {"said": said, "fix": fix})
