"""Typed outputs that outlive their session: the only thing phases hand to each other.

Kinds and field names are WorkRail's (schema v0.3.0, contracts section); acceptance criteria
in the shaping handoff and evidence in the coding handoff are ours.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from worktrain.contracts.base import Authored, JsonObject, Line, Value

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Severity(StrEnum):
    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    NIT = "nit"


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


class AcceptanceCriterion(Authored):
    """One statement that must be true of the change, checkable by a test or by reading."""

    id: Annotated[str, StringConstraints(pattern=r"^AC[1-9][0-9]?$")]
    statement: Line


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


class CriterionEvidence(Authored):
    criterion: Annotated[str, StringConstraints(pattern=r"^AC[1-9][0-9]?$")]
    evidence: Line


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


class ReviewVerdict(Authored):
    """What a reviewer says of exactly the tree that it was given."""

    kind: Literal["wr.review_verdict"] = "wr.review_verdict"
    verdict: Literal["clean", "minor", "blocking"]
    confidence: Confidence
    findings: tuple[Finding, ...] = Field(default=(), max_length=30)
    summary: Text

    @model_validator(mode="after")
    def _verdict_follows_from_findings(self) -> "ReviewVerdict":
        grave = any(f.severity in (Severity.CRITICAL, Severity.MAJOR) for f in self.findings)
        wanted = "blocking" if grave else "minor" if self.findings else "clean"
        if self.verdict != wanted:
            raise ValueError(
                f"the verdict must be {wanted!r} with these findings: 'blocking' if any is "
                f"critical or major, 'minor' if there are only minor ones or nits, 'clean' if none"
            )
        return self


Handoff = Annotated[
    DiscoveryHandoff | ShapingHandoff | CodingHandoff | ReviewVerdict,
    Field(discriminator="kind"),
]


class Contract(Value):
    """How an artifact must look, told to a model: its JSON Schema and a filled example."""

    kind: str
    json_schema: JsonObject
    example: JsonObject
