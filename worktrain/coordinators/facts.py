"""What WorkTrain itself knows of a change and of its way, as text for sessions and people."""

from worktrain.contracts.base import JsonObject
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import Verification
from worktrain.coordinators import candidate
from worktrain.coordinators.compare import compared, judge
from worktrain.coordinators.matrix import holes

NAMED_MAX = 40
"""Files and tests named in one text."""


def deficits(state: PipelineState) -> str:
    """What the candidate lacks beside findings: checks, rules, holes, put-off work, scope."""
    found: list[str] = []
    verification = candidate.verification_of(state)
    if verification is not None:
        found += judge(verification).reasons
    found += candidate.broken_rules(state)
    found += [f"put off: {said}" for said in candidate.put_off(state)]
    matrix = candidate.matrix(state) if candidate.review_of(state) else None
    found += [f"not covered: {said}" for said in (holes(matrix) if matrix else ())]
    found += [
        f"changed, though nobody declared it: {path}; take it back, or say why it belongs here"
        for path in candidate.outside(state)
    ]
    return _list(found)


def criteria(state: PipelineState) -> str:
    """The acceptance criteria, one a line."""
    return _list([f"{one.id}: {one.statement}" for one in candidate.criteria(state)])


def findings(state: PipelineState) -> str:
    """The ledger: each finding, where it stands, and what the fixer says of it."""
    lines = []
    for entry in state.ledger.entries:
        finding = entry.finding
        place = f" ({finding.file}:{finding.startLine or '?'})" if finding.file else ""
        line = f"{entry.id}, {entry.standing}, {finding.severity}: {finding.summary}{place}"
        if entry.disposition is not None:
            said = entry.disposition
            line += f"\n  the fixer says: {said.outcome}, {said.evidence}"
        lines.append(line)
    return _list(lines)


def packet(state: PipelineState) -> str:
    """The frozen facts that every reviewer of this tree is given."""
    examination = candidate.examination_of(state)
    verification = candidate.verification_of(state)
    lines: list[str] = []
    if state.candidate is not None:
        lines.append(f"tree {state.candidate.tree}, commit {state.candidate.commit}")
    if examination is not None:
        lines += [
            f"{change.status} {change.path}: {change.added} lines added, {change.removed} removed"
            for change in examination.changes[:NAMED_MAX]
        ]
        if more := examination.changes[NAMED_MAX:]:
            lines.append(f"and {len(more)} more files")
        lines += [f"not read by WorkTrain: {path}" for path in examination.unread[:NAMED_MAX]]
    if verification is not None:
        for pair in verification.checks:
            found = compared(pair)
            lines.append(
                f"check {pair.name!r}: {pair.candidate.ending} "
                f"(base: {pair.base.ending}), {len(pair.candidate.passed or ())} tests passed, "
                f"{len(found.newly_passing)} of them newly; "
                f"{len(found.newly_failing)} newly failing, {len(found.vanished)} vanished"
            )
    lines += [f"nobody declared: {path}" for path in candidate.outside(state)]
    lines += [
        f"slice {work.plan.id} changed {path}, which the plan gives to another slice"
        for work in state.slices
        for path in work.overlapped
    ]
    return _list(lines)


def failed_checks(state: PipelineState) -> str:
    """The ends of the outputs of checks that did not pass on this candidate."""
    verification = candidate.verification_of(state)
    return "\n\n".join(tails(verification)) if verification else ""


def tails(verification: Verification) -> tuple[str, ...]:
    return tuple(
        f"$ {pair.candidate.command}\n{pair.candidate.tail}"
        for pair in verification.checks
        if pair.candidate.ending != "passed"
    )


def lessons(state: PipelineState) -> str:
    return _list(list(state.opened.lessons))


def course(state: PipelineState) -> str:
    """What happened in a pipeline, for the session that looks back at it."""
    end = state.end
    lines = [f"ended {end.ending}: {end.why}"] if end else []
    lines += [
        f"{record.phase} ({record.spec}): {record.ending}, {record.turns} turns, "
        f"USD {record.cost_microdollars / 1e6:.2f}"
        for record in state.records
    ]
    lines += [f"{one.by} {one.answer} {one.gate}: {one.reason}" for one in state.decisions]
    lines += [f"{key}: {value}" for key, value in numbers(state).items()]
    return _list(lines)


def numbers(state: PipelineState) -> JsonObject:
    """What a look back rests on, whatever a model says."""
    return {
        "sessions": len(state.records),
        "turns": sum(record.turns for record in state.records),
        "passes": state.passes,
        "rounds": len(state.ledger.rounds),
        "findings": len(state.ledger.entries),
        "rebases": state.rebases,
        "retried": list(state.retried),
        "asked": len(state.decisions),
        "minutes": round(state.worked_s / 60, 1),
        "cost_usd": round(state.cost_microdollars / 1e6, 4),
    }


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
