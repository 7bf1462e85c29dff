"""The review loop: what follows a verdict, as a table that is read from above."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from worktrain.contracts.artifact import Severity


@dataclass(frozen=True)
class Case:
    """All that counts after a verdict."""

    gravest: Severity | None
    """Of what is open; None when nothing is."""
    categories: tuple[str, ...]
    """Of each open critical finding; one that has none, or an unknown one, is audited as if it
    were about correctness."""
    passes: int
    """Fix passes begun."""
    passes_max: int
    fixed_before: bool
    """Whether a fix pass has happened since the first review."""
    escalated: bool
    second_review: bool
    """Whether a fresh reviewer has looked at it since it was escalated."""
    audits_done: tuple[str, ...]
    """Specs of the audits of this escalation."""
    progressed: bool
    """Whether the newest fix left less open; True where none lies before the newest verdict."""
    flapping: tuple[str, ...]
    """What goes round in circles, a sentence each."""


class MoveKind(StrEnum):
    PASS = "pass"  # noqa: S105
    """Nothing is left to settle; what a merge asks for besides is the merge policy's."""
    FIX = "fix"
    SECOND_REVIEW = "second_review"
    """The whole change, by somebody who has not seen it."""
    AUDIT = "audit"
    ASK = "ask"


@dataclass(frozen=True)
class Move:
    kind: MoveKind
    why: str
    """For a person, in one sentence or two."""
    audits: tuple[str, ...] = ()
    """Specs, for AUDIT."""
    escalated: bool = False
    """Whether a person has to agree to the merge from now on. It never becomes False again."""


@dataclass(frozen=True)
class Row:
    name: str
    holds: Callable[[Case], bool]
    kind: MoveKind
    why: Callable[[Case], str]


def after_verdict(case: Case) -> Move:
    """The first row that holds. Every case has one: see the tests."""
    row = row_of(case)
    return Move(
        kind=row.kind,
        why=row.why(case),
        audits=audits_due(case) if row.kind is MoveKind.AUDIT else (),
        escalated=case.escalated or _survived(case),
    )


def row_of(case: Case) -> Row:
    return next(row for row in TABLE if row.holds(case))


PRODUCTION, ARCHITECTURE = "production-readiness-audit", "architecture-audit"
AUDIT_OF: Mapping[str, str | None] = {
    "correctness": PRODUCTION,
    "security": PRODUCTION,
    "architecture": ARCHITECTURE,
    "ux": None,
    "performance": None,
    "testing": None,
    "style": None,
}
"""What is audited when a critical finding of a category survives its fix."""


def audits_due(case: Case) -> tuple[str, ...]:
    """The audits that the open critical findings ask for and that were not done."""
    categories = case.categories or ("unknown",)
    asked = {AUDIT_OF.get(category, PRODUCTION) for category in categories}
    return tuple(
        spec
        for spec in (PRODUCTION, ARCHITECTURE)
        if spec in asked and spec not in case.audits_done
    )


def _survived(case: Case) -> bool:
    """Whether something critical is open although it was tried to fix it."""
    return case.gravest is Severity.CRITICAL and case.fixed_before


TABLE: tuple[Row, ...] = (
    Row(
        "clean",
        lambda case: case.gravest is None,
        MoveKind.PASS,
        lambda case: "the review leaves nothing open",
    ),
    Row(
        "flapping",
        lambda case: bool(case.flapping),
        MoveKind.ASK,
        lambda case: f"the fixes go round in circles: {'; '.join(case.flapping)}",
    ),
    Row(
        "critical after a fix",
        lambda case: _survived(case) and not case.second_review,
        MoveKind.SECOND_REVIEW,
        lambda case: (
            f"something critical is open after {_passes(case)}, so a fresh reviewer looks at the "
            f"whole change"
        ),
    ),
    Row(
        "critical to two reviewers",
        lambda case: _survived(case) and bool(audits_due(case)),
        MoveKind.AUDIT,
        lambda case: (
            f"a second reviewer finds something critical as well, so its kind asks for "
            f"{' and '.join(audits_due(case))}"
        ),
    ),
    Row(
        "passes used up",
        lambda case: case.passes >= case.passes_max,
        MoveKind.ASK,
        lambda case: f"{_left_open(case)} after {_passes(case)}, and more are not allowed",
    ),
    Row(
        "no progress",
        lambda case: case.fixed_before and not case.progressed,
        MoveKind.ASK,
        lambda case: f"{_left_open(case)}, and the newest fix left no less open than before it",
    ),
    Row(
        "critical and looked at again",
        _survived,
        MoveKind.FIX,
        lambda case: (
            f"a second reviewer and the audits that were due have looked at it; {_next_pass(case)}"
        ),
    ),
    Row(
        "critical or major",
        lambda case: case.gravest in (Severity.CRITICAL, Severity.MAJOR),
        MoveKind.FIX,
        lambda case: f"{_left_open(case)}; {_next_pass(case)}",
    ),
    Row(
        "minor or nit",
        lambda case: case.gravest in (Severity.MINOR, Severity.NIT),
        MoveKind.FIX,
        lambda case: f"nothing graver than {case.gravest} is open; {_next_pass(case)}",
    ),
)
"""The order decides. A critical finding that survived a fix is looked at again before passes are
counted: a false alarm is cleared that way, and a person who is asked has more to go by."""


def _left_open(case: Case) -> str:
    return f"findings are open, the gravest of them {case.gravest}"


def _passes(case: Case) -> str:
    return f"{case.passes} fix {'pass' if case.passes == 1 else 'passes'}"


def _next_pass(case: Case) -> str:
    return f"fix pass {case.passes + 1} of {case.passes_max} begins"
