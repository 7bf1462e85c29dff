"""The review loop as a whole: whatever reviewers, fixers and audits do, it ends, and in order."""

from dataclasses import dataclass, field

from hypothesis import event, given, settings
from hypothesis import strategies as st

from worktrain.contracts.artifact import Finding, ReviewVerdict, Severity
from worktrain.contracts.base import digest
from worktrain.contracts.ledger import Ledger
from worktrain.coordinators.ledger import flapping, folded, gravest, open_entries, progressed
from worktrain.coordinators.loop import Case, Move, MoveKind, after_verdict

SUMMARIES = (
    "Inner spaces are dropped",
    "Drops inner spaces",
    "User names with capital letters are refused",
    "The lock is not released when the write fails",
    "No test covers the expired token",
    "Typo in the heading",
)
LOOKS_MAX = 3
"""Beside fixes: one second review, and an audit for each kind that comes up."""

findings = st.builds(
    Finding,
    severity=st.sampled_from(Severity),
    summary=st.sampled_from(SUMMARIES),
    findingCategory=st.sampled_from((None, "correctness", "architecture", "style")),
    file=st.sampled_from((None, "login.py")),
    known=st.sampled_from((None, None, "F1", "F2", "F9")),
)
verdicts = st.lists(findings, max_size=4).map(
    lambda said: ReviewVerdict(
        verdict="blocking"
        if any(one.severity in (Severity.CRITICAL, Severity.MAJOR) for one in said)
        else "minor"
        if said
        else "clean",
        confidence="high",
        findings=tuple(said),
        summary="Read it.",
    )
)
trees = st.integers(0, 7).map(lambda number: digest(f"tree {number}"))


@dataclass
class Loop:
    """The part of a coordinator that carries out the moves."""

    passes_max: int
    ledger: Ledger = field(default_factory=Ledger)
    trees: list[str] = field(default_factory=list)
    passes: int = 0
    escalated: bool = False
    second_review: bool = False
    audits_done: tuple[str, ...] = ()
    moves: list[MoveKind] = field(default_factory=list)

    def review(self, verdict: ReviewVerdict) -> None:
        session = f"review-{len(self.ledger.rounds) + 1}"
        self.ledger = folded(self.ledger, verdict, session, self.trees[-1])

    def move(self) -> Move:
        critical = [
            entry.finding.findingCategory or "unknown"
            for entry in open_entries(self.ledger)
            if entry.finding.severity is Severity.CRITICAL
        ]
        move = after_verdict(
            Case(
                gravest=gravest(self.ledger),
                categories=tuple(dict.fromkeys(critical)),
                passes=self.passes,
                passes_max=self.passes_max,
                fixed_before=self.passes > 0,
                escalated=self.escalated,
                second_review=self.second_review,
                audits_done=self.audits_done,
                progressed=progressed(self.ledger),
                flapping=flapping(self.ledger, self.trees),
            )
        )
        assert move.escalated >= self.escalated
        self.escalated = move.escalated
        self.moves.append(move.kind)
        return move


@settings(max_examples=200)
@given(st.data(), st.integers(0, 4))
def test_the_loop_ends_and_passes_only_what_has_nothing_open(
    data: st.DataObject, passes_max: int
) -> None:
    loop = Loop(passes_max)
    loop.trees.append(data.draw(trees))
    loop.review(data.draw(verdicts))
    for _ in range(passes_max + LOOKS_MAX + 1):
        move = loop.move()
        match move.kind:
            case MoveKind.FIX:
                loop.passes += 1
                loop.trees.append(data.draw(trees))
                loop.review(data.draw(verdicts))
            case MoveKind.SECOND_REVIEW:
                loop.second_review = True
                loop.review(data.draw(verdicts))
            case MoveKind.AUDIT:
                loop.audits_done += move.audits
            case MoveKind.PASS | MoveKind.ASK:
                break
    event(" ".join(loop.moves))
    assert loop.moves[-1] in (MoveKind.PASS, MoveKind.ASK)
    assert loop.moves.count(MoveKind.FIX) == loop.passes <= passes_max
    assert loop.moves.count(MoveKind.SECOND_REVIEW) <= 1
    if loop.moves[-1] is MoveKind.PASS:
        assert open_entries(loop.ledger) == ()
        assert loop.ledger.rounds[-1].tree == loop.trees[-1]


@settings(max_examples=200)
@given(st.lists(st.tuples(verdicts, trees), max_size=6))
def test_a_ledger_keeps_every_entry_and_accounts_for_each_round(
    rounds: list[tuple[ReviewVerdict, str]],
) -> None:
    ledger = Ledger()
    for verdict, tree in rounds:
        was_open = {entry.id for entry in open_entries(ledger)}
        before, ledger = ledger, folded(ledger, verdict, "review", tree)
        newest = ledger.rounds[-1]
        now_open = {entry.id for entry in open_entries(ledger)}
        assert [entry.id for entry in ledger.entries] == [
            f"F{number + 1}" for number in range(len(ledger.entries))
        ]
        assert ledger.rounds[:-1] == before.rounds
        assert was_open == {*newest.closed, *newest.still}
        assert now_open == {*newest.opened, *newest.still, *newest.reopened}
        # What the verdict says is what is open: nothing is swallowed, nothing is made up.
        said = max((one.severity for one in verdict.findings), key=_grade, default=None)
        assert gravest(ledger) == said
        assert bool(now_open) is bool(verdict.findings)


def _grade(severity: Severity) -> int:
    return -list(Severity).index(severity)
