"""What a pipeline can account for: its route, its findings, its criteria, who decided what."""

from worktrain.cli import picture, screen
from worktrain.contracts.ledger import Ledger
from worktrain.contracts.pipeline import PipelineResult
from worktrain.contracts.proof import Decision, Matrix
from worktrain.contracts.route import Route


def given(result: PipelineResult) -> None:
    """Print everything that a pipeline's ending holds beside its sessions."""
    if result.route is not None:
        route(result.route)
    if result.matrix is not None and result.matrix.rows:
        _matrix(result.matrix)
    if result.ledger is not None and result.ledger.entries:
        _ledger(result.ledger)
    if result.decisions:
        _decisions(result.decisions)
    for one in result.told:
        screen.say(picture.told(one))
    if result.lessons or result.root_cause:
        screen.say("\n== learnt")
        for lesson in result.lessons:
            screen.say(f"  - {lesson}")
        if result.root_cause:
            screen.say(f"  root cause: {result.root_cause}")


def route(found: Route) -> None:
    """Print which phases run, and why."""
    screen.say(f"\n== route {found.pipeline}: {found.why}")
    for stage in found.stages:
        runs = "runs" if stage.runs else "left out"
        screen.say(f"  {stage.phase} ({stage.spec}) {runs}: {stage.why}")
    for demand in found.demands:
        detail = f" {demand.detail}" if demand.detail else ""
        screen.say(f"  demanded before a merge: {demand.gate}{detail}: {demand.why}")


def _matrix(matrix: Matrix) -> None:
    screen.say(f"\n== criteria, on tree {matrix.tree[:12]}")
    for row in matrix.rows:
        covered = "covered" if not row.holes else f"waived: {row.waived}" if row.waived else "OPEN"
        screen.say(f"  {row.criterion.id} {covered}: {row.criterion.statement}")
        for name, values in (("code", row.code), ("tests", row.tests), ("findings", row.findings)):
            if values:
                screen.say(f"    {name}: {', '.join(values)}")
        screen.say(f"    reviewer: {row.judged}")
        for hole in row.holes:
            screen.say(f"    missing: {hole}")


def _ledger(ledger: Ledger) -> None:
    screen.say(f"\n== findings, over {len(ledger.rounds)} rounds")
    for entry in ledger.entries:
        screen.say(
            f"  {entry.id} {entry.standing}, {entry.finding.severity}: {entry.finding.summary}"
        )
        if entry.disposition is not None:
            said = entry.disposition
            screen.say(f"    the fixer: {said.outcome}, {said.evidence}")


def _decisions(decisions: tuple[Decision, ...]) -> None:
    screen.say("\n== decided by people")
    for one in decisions:
        about = f" for {', '.join(one.about)}" if one.about else ""
        why = f": {one.reason}" if one.reason else ""
        screen.say(f"  {one.by} {one.answer} {one.gate}{about}{why}")
