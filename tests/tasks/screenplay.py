"""What the stand-in for a model says while it works on assignments: made from their data alone."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tests.tasks.assignment import (
    Assignment,
    Change,
    Complaint,
    Criterion,
    Edit,
    Piece,
    Slice,
    Write,
    changed,
    files_below,
    is_test,
)
from worktrain.adapters.models.scenario import Scenario, Session, Turn
from worktrain.contracts.artifact import (
    AcceptanceCriterion,
    AssessmentReport,
    Classification,
    CodingHandoff,
    Confidence,
    CriterionEvidence,
    CriterionJudgement,
    DiscoveryHandoff,
    Disposition,
    Finding,
    Hypothesis,
    Investigation,
    Location,
    LoopControl,
    Retrospective,
    ReviewVerdict,
    Severity,
    ShapingHandoff,
)
from worktrain.contracts.base import Authored, JsonObject

Call = dict[str, Any]


def scenario(assignments: Iterable[Assignment]) -> JsonObject:
    """A scenario in which every session of every assignment has its part, as YAML can hold it."""
    parts = [part for one in assignments for part in _parts(one)]
    sessions = [*parts, _gathering(), _challenge()]
    return Scenario(sessions=tuple(sessions)).model_dump(
        mode="json", exclude_defaults=True, exclude_none=True
    )


def _parts(one: Assignment) -> Iterable[Session]:
    yield _classification(one)
    if one.pipeline == "bugfix":
        yield _investigation(one)
    if one.pipeline == "feature":
        yield _discovery(one)
        yield _shaping(one)
    if one.slices:
        yield from (_slice(one, slice_) for slice_ in one.slices)
    else:
        yield _coding(one) if one.pipeline == "bugfix" else _small_change(one)
    yield _review(one)
    if one.finding is not None:
        yield _fix(one, one.finding)
    yield _look_back(one)


# --- before anything is built ----------------------------------------------------------------


def classification(one: Assignment) -> Classification:
    """What the stand-in says of the kind of task that it is."""
    small = not one.slices
    return Classification(
        taskComplexity="Small" if small else "Medium",
        riskLevel="Low",
        hasUI=False,
        touchesArchitecture=False,
        taskType=one.type,
        recommendedPipeline=("quick-task", "review") if small else ("shaping", "coding-task"),
        rationale=f"It is about {', '.join(one.reads)}, which nobody outside relies on.",
        maturity=one.maturity,
        interpretation=one.interpretation,
        interpretationConfidence=Confidence.HIGH,
    )


def _classification(one: Assignment) -> Session:
    return _session(
        one,
        "classification",
        "This session classifies a task",
        _read(one.reads),
        [_step(f"The task is about {', '.join(one.reads)}. {one.interpretation}")],
        [_step(deliver=classification(one))],
    )


def _investigation(one: Assignment) -> Session:
    cause = f"The cause is in {one.reads[0]}: {one.decision}"
    mends = [each for each in one.change if not is_test(each.path)]
    back = [Edit(edit=e.path, old=e.new, new=e.old) for e in mends if isinstance(e, Edit)]
    found = Investigation(
        summary=one.interpretation,
        rootCause=cause,
        confidence=Confidence.HIGH,
        severity=Severity.MAJOR,
        evidence=(f"{one.reads[0]}: with the trial change the fault is gone, without it is back",),
        hypotheses=(
            Hypothesis(claim=cause, status="confirmed", evidence="It was switched off and on."),
            Hypothesis(
                claim="The input is wrong already when it comes in.",
                status="refuted",
                evidence="The tests give it by hand.",
            ),
        ),
        reproduction=one.check,
        recommendedFix=one.decision,
        regressionTest=one.criteria[-1].tests[0],
    )
    shown = AssessmentReport(
        assessmentId="diagnosis", dimensions={"confidence": "shown", "rivals": "refuted"}
    )
    return _session(
        one,
        "investigation",
        "This session looks for the cause of a fault",
        _read(one.reads),
        [_step("The report says what happens and what should; nothing is missing.", enough=True)],
        [_bash(one.check)],
        [_step(f"It is met by what `{one.check}` runs.", reproduction="reliable")],
        [_step("Two hypotheses, the first in the code, one about its input.", suspect=cause)],
        [_bash("git log --oneline -5"), *_read(one.reads[:1])],
        [
            _step(
                "The line was read and tried by hand; it does what the report says.",
                suspect=cause,
                suspectState="supported",
            )
        ],
        [_step(deliver=LoopControl(decision="stop"))],
        [*_changes(mends), _bash(one.check), *_changes(back), _bash(one.check)],
        [
            _step(
                "With the change the fault is gone, without it is back; all is as it was.",
                deliver=shown,
                causeShown=True,
            )
        ],
        [_step(deliver=found)],
    )


def _discovery(one: Assignment) -> Session:
    found = DiscoveryHandoff(
        selectedDirection=one.direction or one.interpretation,
        confidenceBand=Confidence.HIGH,
        keyInvariants=("Whatever is not named by a criterion behaves as before.",),
        keyCodebaseLocations=tuple(
            Location(path=path, relevance="It is changed.") for path in one.reads
        ),
    )
    return _session(
        one,
        "discovery",
        "This session is discovery",
        [*_read(one.reads), _bash(one.check)],
        [_step(f"{one.interpretation} The places are {', '.join(one.reads)}.")],
        [_step(deliver=found)],
    )


def _shaping(one: Assignment) -> Session:
    files = tuple(dict.fromkeys(file for slice_ in one.slices for file in slice_.files))
    shaped = ShapingHandoff(
        selectedShape=one.interpretation[:300],
        appetite=f"Small: {len(one.slices)} slices.",
        validationChecklist=(one.check,),
        acceptanceCriteria=tuple(
            AcceptanceCriterion(id=each.id, statement=each.statement) for each in one.criteria
        ),
        filesInScope=files,
        slices=tuple(slice_.plan for slice_ in one.slices),
    )
    return _session(
        one, "shaping", "This session is shaping", _read(one.reads), [_step(deliver=shaped)]
    )


# --- building --------------------------------------------------------------------------------


def _small_change(one: Assignment) -> Session:
    (piece,) = one.pieces
    return _session(
        one,
        "small change",
        "This session makes one small change",
        _read(one.reads),
        [_step(f"It fits: the place is {one.reads[0]}, one line of it and its tests.", fits=True)],
        _work(piece.change, one.check),
        [_step(f"{piece.decision} The tests were run and pass.", todo=3)],
        [_step(deliver=_handoff(piece, one.criteria))],
    )


def _coding(one: Assignment) -> Session:
    (piece,) = one.pieces
    return _session(
        one,
        "coding",
        "This session is coding",
        _read(one.reads),
        _work(piece.change, one.check),
        [_step(f"{piece.decision} The test failed before the change and passes now.")],
        [_step(deliver=_handoff(piece, one.criteria))],
    )


def _slice(one: Assignment, slice_: Slice) -> Session:
    criteria = [each for each in one.criteria if each.id in slice_.criteria]
    return _session(
        one,
        f"coding of {slice_.id}",
        "This session is coding",
        _read(sorted({each.path for each in slice_.change if isinstance(each, Edit)} or one.reads)),
        _work(slice_.change, slice_.check),
        [_step(f"{slice_.decision} Its check was run and passes.", todo=4)],
        [_bash(slice_.check)],
        [
            _step(
                "The diff was read and its check run once more; nothing is left over.",
                sliceState="proven",
            )
        ],
        [_step(deliver=_handoff(slice_, criteria))],
        said=f'Build the slice "{slice_.title}"',
    )


def _fix(one: Assignment, finding: Complaint) -> Session:
    piece = Piece(
        subject=finding.subject,
        decision=finding.remedy,
        change=finding.change,
    )
    settled = Disposition(finding="F1", outcome="fixed_now", evidence=finding.evidence)
    handoff = _handoff(piece, one.criteria).model_copy(update={"dispositions": (settled,)})
    cause = AssessmentReport(assessmentId="settlement", dimensions={"cause": "cause"})
    return _session(
        one,
        "fix",
        "This session mends a change",
        [_bash(finding.seen)],
        _work(finding.change, one.check),
        [_step(f"F1 is fixed_now: {finding.evidence}. It showed before.", deliver=cause)],
        [_bash("git diff"), _bash(one.check)],
        [_step(f"F1: fixed, {finding.evidence}. The diff has nothing else; all tests pass.")],
        [_step(deliver=handoff)],
    )


# --- judging ---------------------------------------------------------------------------------


def _review(one: Assignment) -> Session:
    paths = dict.fromkeys(each.path for piece in one.pieces for each in piece.change)
    turns: list[Sequence[Call]] = [
        [*_read(paths), _bash(one.check)],
        [_step(f"Read {', '.join(paths)} and ran the tests: each criterion has one that passes.")],
    ]
    if one.finding is not None:
        turns[0] = [*turns[0], _bash(one.finding.seen)]
        turns += [
            [_step(deliver=_verdict(one, one.finding))],
            [_bash("git diff HEAD~1"), _bash(one.check), _bash(one.finding.seen)],
        ]
    words = "F1 was looked up and is gone; the test for it was read and run. Nothing became weaker."
    turns.append([_step(words if one.finding else "", deliver=_verdict(one, None))])
    return _session(one, "review", "This session is a review", *turns)


def _verdict(one: Assignment, finding: Complaint | None) -> ReviewVerdict:
    found: tuple[Finding, ...] = ()
    if finding is not None:
        line = _line(one, finding)
        found = (
            Finding.model_validate(
                {
                    "severity": "minor",
                    "summary": finding.summary,
                    "findingCategory": finding.category,
                    "file": finding.file,
                    "startLine": line,
                    "endLine": line,
                    "causalLink": finding.why,
                    "remediation": finding.remedy,
                }
            ),
        )
    return ReviewVerdict(
        verdict="minor" if found else "clean",
        confidence=Confidence.HIGH,
        findings=found,
        summary=finding.summary if finding else "It does what was asked, and tests show it.",
        criteria=tuple(
            CriterionJudgement(criterion=each.id, met="yes", evidence=f"Ran {each.tests[0]}.")
            for each in one.criteria
        ),
    )


def _line(one: Assignment, finding: Complaint) -> int:
    """Where in the reviewed file the finding is, from 1."""
    files = files_below(one.program)
    for piece in one.pieces:
        files = changed(files, piece.change)
    lines = files[finding.file].splitlines()
    return next(number for number, line in enumerate(lines, start=1) if finding.at in line)


def _look_back(one: Assignment) -> Session:
    learnt = Retrospective(
        summary=f"Wanted was: {one.interpretation} It was built, reviewed and merged.",
        lessons=(f"{one.reads[0]}: its tests run with `{one.check}`.",),
        rootCause=one.finding.why if one.finding else "",
    )
    return _session(
        one, "look back", "This session looks back on one pipeline", [_step(deliver=learnt)]
    )


# --- sessions that others ask for --------------------------------------------------------------


def _gathering() -> Session:
    fact = {"claim": "The program is a single commit without a history.", "place": "git log"}
    return _named(
        "gathering of facts",
        "This session gathers facts for somebody else",
        [_bash("git log --oneline -5"), {"tool": "Glob", "input": {"pattern": "**/*.py"}}],
        [_step("The whole program was listed; it is a handful of files with one commit.")],
        [_step("There is one commit and no caller outside.", facts=[fact], gaps=[])],
    )


def _challenge() -> Session:
    return _named(
        "challenge of a claim",
        "This session is an honest opponent",
        [_bash("git status --short"), {"tool": "Glob", "input": {"pattern": "**/*.py"}}],
        [_step("The claim was held against the code it names; no rival explains what was seen.")],
        [_step("It holds: each attack on it failed.", standing="holds", objections=[])],
    )


# --- what turns are made of --------------------------------------------------------------------


def _session(
    one: Assignment, name: str, role: str, *turns: Sequence[Call], said: str = ""
) -> Session:
    """The part of a session that works on this very task, as its role and its opening say."""
    pattern = rf"(?s){re.escape(role)}.*Title: {re.escape(one.task.title)}\n"
    if said:
        pattern += f".*{re.escape(said)}"
    return _named(f"{name} of {one.name}", pattern, *turns)


def _named(name: str, pattern: str, *turns: Sequence[Call]) -> Session:
    played = tuple((Turn.model_validate({"calls": list(calls)}),) for calls in turns)
    return Session(name=name, match=re.compile(pattern), turns=played)


def _step(notes: str = "", *, deliver: Authored | None = None, todo: int = 0, **given: Any) -> Call:
    """complete_step; `todo` items are all done, `given` are variables."""
    claim: JsonObject = {}
    if notes:
        claim["notes"] = notes
    if deliver is not None:
        claim["artifacts"] = [deliver.model_dump(mode="json", exclude_none=True)]
    if given:
        claim["context"] = given
    if todo:
        claim["todo"] = [{"item": number, "done": True} for number in range(1, todo + 1)]
    return {"tool": "complete_step", "input": claim}


def _read(paths: Iterable[str]) -> list[Call]:
    return [{"tool": "Read", "input": {"filePath": path}} for path in paths]


def _bash(command: str) -> Call:
    return {"tool": "Bash", "input": {"command": command}}


def _work(change: Sequence[Change], check: str) -> list[Call]:
    """Tests first, to see them fail; then the program."""
    tests = [one for one in change if is_test(one.path)]
    rest = [one for one in change if not is_test(one.path)]
    first = [*_changes(tests), _bash(check)] if tests and rest else _changes(tests)
    return [*first, *_changes(rest), _bash(check)]


def _changes(change: Iterable[Change]) -> list[Call]:
    calls: list[Call] = []
    for one in change:
        match one:
            case Edit():
                said = {"file_path": one.path, "old_string": one.old, "new_string": one.new}
                calls.append({"tool": "Edit", "input": said})
            case Write():
                said = {"filePath": one.path, "content": one.content}
                calls.append({"tool": "Write", "input": said})
    return calls


def _handoff(piece: Piece, criteria: Sequence[Criterion]) -> CodingHandoff:
    paths = tuple(dict.fromkeys(one.path for one in piece.change))
    return CodingHandoff(
        commitSubject=piece.subject,
        keyDecisions=(piece.decision,),
        testsAdded=tuple(path for path in paths if is_test(path)),
        filesChanged=paths,
        criteria=tuple(
            CriterionEvidence(
                criterion=each.id,
                evidence=", ".join(each.tests)[:300],
                code=each.code,
                tests=each.tests,
            )
            for each in criteria
        ),
    )
