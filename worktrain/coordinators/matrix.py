"""The trace matrix: what meets each acceptance criterion, what shows it, and what is missing.

Handoffs claim; what counts is the examined change, the report of the checks, the verdict on this
tree and the decisions about it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from worktrain.contracts.artifact import (
    AcceptanceCriterion,
    CodingHandoff,
    CriterionJudgement,
)
from worktrain.contracts.examination import Examination, FileChange
from worktrain.contracts.ledger import Ledger
from worktrain.contracts.proof import CriterionTrace, Decision, Matrix, Review, Verification
from worktrain.contracts.task import Task
from worktrain.coordinators.compare import UNNAMED
from worktrain.coordinators.ledger import open_entries

GATE = "criteria"
PARTS_MAX = 20
"""Changed parts listed of one file, and test ids listed for one name."""
UNREPORTED = " (in no report)"
"""Stands behind the name of a test that WorkTrain could not see pass by its name."""
STATEMENT_CHARACTERS_MAX = 300
ENDED: Mapping[str, str] = {"passed": "passed", "skipped": "was skipped", "failed": "failed"}
"""From the best to the worst: a test of two checks counts as what it was at its worst."""


def matrix_of(
    criteria: Sequence[AcceptanceCriterion],
    handoffs: Sequence[CodingHandoff],
    examination: Examination,
    verification: Verification | None,
    review: Review | None,
    ledger: Ledger,
    decisions: Sequence[Decision],
) -> Matrix:
    """Criterion by criterion, what is true of the examined tree. Handoffs and decisions come
    oldest first; a verdict or checks of another tree count as none."""
    tree = examination.candidate.tree
    claims = _claims(handoffs)
    seen = _Tests(verification if _is_about(verification, tree) else None, examination)
    changes = _by_path(examination)
    judged = {
        one.criterion: one
        for one in (review.verdict.criteria if review and review.at.tree == tree else ())
    }
    return Matrix(
        tree=tree,
        rows=tuple(
            _row(
                one,
                claims.get(one.id, ((), ())),
                changes,
                seen,
                judged.get(one.id),
                ledger,
                _waiver(one.id, tree, decisions),
            )
            for one in criteria
        ),
    )


def holes(matrix: Matrix) -> tuple[str, ...]:
    """What is missing for the criteria that nobody waived, a sentence each."""
    return tuple(
        f"{row.criterion.id}: {hole}" for row in matrix.rows if not row.waived for hole in row.holes
    )


def notices(matrix: Matrix) -> tuple[str, ...]:
    """What is no hole and must not be hidden: tests that no report shows, and waivers."""
    said: list[str] = []
    for row in matrix.rows:
        unseen = [test.removesuffix(UNREPORTED) for test in row.tests if test.endswith(UNREPORTED)]
        if unseen:
            said.append(
                f"{row.criterion.id}: no check reports its tests, so nobody saw by name that "
                f"{', '.join(unseen)} passed"
            )
        if row.holes and row.waived:
            said.append(f"{row.criterion.id} was waived by {row.waived}")
    return tuple(said)


def criteria_of(task: Task) -> tuple[AcceptanceCriterion, ...]:
    """The criteria that are written into a task's text as lines like `AC1: ...`, in their order;
    list marks, check boxes and bold are allowed. Of two with one id the first counts."""
    # What its author does not see in the rendered text is nobody's criterion.
    text = _HIDDEN.sub("", task.body)
    found: dict[str, AcceptanceCriterion] = {}
    for match in _CRITERION.finditer(text):
        said = " ".join(match["said"].replace("**", "").split())
        if len(said) > STATEMENT_CHARACTERS_MAX:
            said = said[: STATEMENT_CHARACTERS_MAX - 1] + "…"
        if said:
            found.setdefault(match["id"], AcceptanceCriterion(id=match["id"], statement=said))
    return tuple(found.values())


_HIDDEN = re.compile(
    r"<!--.*?(?:-->|\Z)|^[ \t]*(`{3,}|~{3,}).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE
)
_CRITERION = re.compile(
    r"^[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?(?:\[[ xX]\][ \t]*)?(?:\*\*)?"
    r"(?P<id>AC[1-9][0-9]?)(?:\*\*)?[ \t]*:(?P<said>.*)$",
    re.MULTILINE,
)


def _row(
    criterion: AcceptanceCriterion,
    claim: "_Claim",
    changes: Mapping[str, FileChange],
    seen: "_Tests",
    judged: CriterionJudgement | None,
    ledger: Ledger,
    waived: str,
) -> CriterionTrace:
    named, wanted = claim
    files = {path: changes.get(path) for path in map(_path, named)}
    met = dict.fromkeys(change.path for change in files.values() if change)
    missing = [
        f"{path} is said to meet it and was not changed" for path, c in files.items() if not c
    ]
    if not named:
        missing.append("no handoff says which code meets it")
    passed: list[str] = []
    for test in wanted:
        ids, hole = seen.of(test)
        passed += [one for one in ids if one not in passed]
        missing += [hole] if hole else []
    if judged is None:
        missing.append("no reviewer of this tree judged it")
    elif judged.met != "yes":
        missing.append(f"the reviewer says {judged.met!r}: {judged.evidence}")
    if not wanted and (judged is None or judged.met != "yes"):
        missing.append("no test shows it, and no reviewer read that it is met")
    return CriterionTrace(
        criterion=criterion,
        code=tuple(part for path in met for part in _parts(changes[path])),
        tests=tuple(passed),
        judged=judged.met if judged else "unjudged",
        findings=tuple(
            entry.id
            for entry in open_entries(ledger)
            if entry.finding.file and _path(entry.finding.file) in met
        ),
        holes=tuple(missing),
        waived=waived,
    )


# --- what is claimed ---------------------------------------------------------------------------

_Claim = tuple[tuple[str, ...], tuple[str, ...]]
"""The files and the tests that are named for a criterion."""


def _claims(handoffs: Sequence[CodingHandoff]) -> dict[str, _Claim]:
    """Of each criterion the newest word. A fixer that names no code, or no tests, says nothing
    about them: what was said before is held against the facts again."""
    found: dict[str, _Claim] = {}
    for one in (each for handoff in handoffs for each in handoff.criteria):
        code, tests = found.get(one.criterion, ((), ()))
        found[one.criterion] = (_unique(one.code) or code, _unique(one.tests) or tests)
    return found


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _path(named: str) -> str:
    """The path of a file that somebody named, without the place in it: `./a/b.py:3-9`."""
    path = named.strip().strip("`").removeprefix("./").partition("::")[0]
    return re.sub(r"(?:[:#]L?\d+(?:-L?\d+)?)+$", "", path)


def _by_path(examination: Examination) -> dict[str, FileChange]:
    """Every change by its path, a renamed file by its old one too."""
    renamed = {change.was: change for change in examination.changes if change.was}
    return {**renamed, **{change.path: change for change in examination.changes}}


def _parts(change: FileChange) -> Iterator[str]:
    if not change.hunks:
        yield change.path
    for first, last in change.hunks[:PARTS_MAX]:
        yield f"{change.path}:{first}-{last}"
    if (more := len(change.hunks) - PARTS_MAX) > 0:
        yield f"{change.path} and {more} more parts"


def _waiver(criterion: str, tree: str, decisions: Sequence[Decision]) -> str:
    """Who waived a criterion for exactly this tree and why, by the newest decision about it."""
    newest = next(
        (
            one
            for one in reversed(decisions)
            if one.gate == GATE and one.tree == tree and criterion in one.about
        ),
        None,
    )
    if newest is None or newest.answer != "approved":
        return ""
    return f"{newest.by}: {newest.reason or 'no reason was given'}"


# --- tests -------------------------------------------------------------------------------------


def _is_about(verification: Verification | None, tree: str) -> bool:
    return verification is not None and verification.candidate.tree == tree


class _Tests:
    """What the checks on a candidate say of a test that somebody named."""

    def __init__(self, verification: Verification | None, examination: Examination) -> None:
        runs = [pair.candidate for pair in verification.checks] if verification else []
        self._ran = verification is not None
        self._named = any(run.passed is not None and _all_named(run.passed) for run in runs)
        self._changed = {change.path for change in examination.changes}
        self._endings: dict[str, str] = {}
        for ending in ENDED:
            self._endings |= {test: ending for run in runs for test in getattr(run, ending) or ()}

    def of(self, named: str) -> tuple[tuple[str, ...], str]:
        """The ids that the name stands for and that passed; what is wrong with it, or nothing."""
        if not self._ran:
            return (), f"no check ran on this tree that could show {named}"
        ids = self._ids(named)
        others = [test for test in ids if self._endings[test] != "passed"]
        if not ids and not self._named:
            return self._unreported(named)
        if not ids:
            return (), f"{named} is said to show it and is in no report of the checks"
        if others:
            return (), f"{named} is said to show it and {ENDED[self._endings[others[0]]]}"
        return tuple(ids[:PARTS_MAX]), ""

    def _unreported(self, named: str) -> tuple[tuple[str, ...], str]:
        """Where no report names those that passed a name counts, unless it is of a file that the
        change leaves alone."""
        file = named.partition("::")[0]
        if "/" in file and _path(file) not in self._changed:
            return (), (
                f"{named} is said to show it, is not part of the change, and no check reports "
                f"its tests; give the check a `report` in .worktrain/config.yml"
            )
        return (f"{named}{UNREPORTED}",), ""

    def _ids(self, named: str) -> list[str]:
        """The tests that a name stands for: itself, else all whose words end in its words, or
        whose words it ends in, if a report leaves out where the tests are."""
        if named in self._endings:
            return [named]
        wanted, case = _words(named), _case(named)
        alike = [
            test
            for test in self._endings
            # Tens of thousands are not taken apart for each name.
            if wanted[-1] in test and case in ("", _case(test)) and _ends_in(wanted, _words(test))
        ]
        same = [test for test in alike if _words(test) == wanted]
        return same or alike


def _all_named(tests: Sequence[str]) -> bool:
    return not any(test.startswith(UNNAMED) for test in tests)


def _ends_in(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the shorter one is how the longer one ends. A single word is enough for whoever
    names a test, not for a report to be meant by a longer name."""
    if len(one) <= len(other):
        return other[-len(one) :] == one
    return len(other) > 1 and one[-len(other) :] == other


def _words(test: str) -> tuple[str, ...]:
    """`tests/test_a.py::test_x[1]` and `tests.test_a::test_x` are the same words."""
    name = re.sub(r"\.py(?=::|/|$)", "", test.strip().strip("`").partition("[")[0])
    return tuple(re.split(r"::|[./#\\]", name.removeprefix("./")))


def _case(test: str) -> str:
    """The parameters of one case of a test, in its brackets."""
    return test.partition("[")[2]
