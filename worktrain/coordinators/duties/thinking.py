"""Before anything is built: what kind of task it is, what is meant, what is to be done."""

from collections.abc import Mapping

from worktrain.contracts.artifact import Classification, Confidence, Investigation, Severity
from worktrain.contracts.delivery import LookRequest
from worktrain.contracts.pipeline import LookAround, PipelineState
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.coordinators import gates
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.duties import Step, changed
from worktrain.coordinators.duties.ending import escalate, run
from worktrain.coordinators.sessions import DELIVERS, branch_of

MENDS: Mapping[tuple[Confidence, bool], bool] = {
    (Confidence.HIGH, False): True,
    (Confidence.MEDIUM, False): True,
    (Confidence.LOW, False): False,
    (Confidence.HIGH, True): False,
    (Confidence.MEDIUM, True): False,
    (Confidence.LOW, True): False,
}
"""Whether a fault is mended without a person, by confidence in its cause and whether the fault is
critical."""


def classified(state: PipelineState) -> Step | None:
    """The task's class, and so its route."""
    return None if state.route is not None else run(state, Phase.CLASSIFY)


def understood(state: PipelineState) -> Step | None:
    """What the task is taken to ask for, confirmed by a person where the workspace wants it."""
    if any(one.gate == "intent" and one.answer == "approved" for one in state.decisions):
        return None
    found = newest(state.artifacts, Classification)
    if not _doubtful(state, found):
        return None
    said = found.interpretation if found else ""
    text = f"Is this meant? {said}" if said else "Nobody could say what this task asks for."
    if found is not None:
        text += f"\nConfidence: {found.interpretationConfidence}."
        text += "".join(f"\n- {question}" for question in found.openQuestions)
    return state, gates.asked(state, "intent", text)


def thought(state: PipelineState) -> Step | None:
    """The phases of the route that deliver an artifact and no code."""
    assert state.route is not None
    owed: list[Phase] = []
    for stage in state.route.stages:
        if not stage.runs or stage.phase is Phase.CODING:
            continue
        owed.append(stage.phase)
        # One artifact for each stage: a session that completed without it has done nothing.
        kind = DELIVERS[stage.phase]
        if sum(isinstance(one, kind) for one in state.artifacts) < owed.count(stage.phase):
            return run(state, stage.phase, spec=stage.spec)
    return None


def confident(state: PipelineState) -> Step | None:
    """A fault is mended only if its cause is known well enough and it is not critical."""
    assert state.route is not None
    found = newest(state.artifacts, Investigation)
    if state.route.pipeline is not PipelineKind.BUGFIX or found is None:
        return None
    if MENDS[found.confidence, found.severity is Severity.CRITICAL]:
        return None
    why = (
        f"the fault is {found.severity} and the confidence in its cause {found.confidence}, so it "
        f"is not mended without a person. Cause, as far as known: {found.rootCause} "
        f"What would mend it: {found.recommendedFix}"
    )
    return escalate(state, why, tuple(found.evidence[:5]))


def undisturbed(state: PipelineState) -> Step | None:
    """Whether base, branch and task are still what the work rests on."""
    if state.looked is None:
        # A new branch begins where the base is: what conflicts with it does not stand on it.
        stands_on = state.base.at if state.rebasing else state.candidate or state.base.at
        known = state.taken_in or stands_on.commit
        request = LookRequest(
            pipeline=state.request.pipeline,
            repo=state.request.repo,
            base=state.base,
            branch=branch_of(state) if state.worktree or state.joined else None,
            known=known,
            task=state.request.task,
        )
        return state, LookAround(request=request)
    if state.merged is not None:
        # What happens to branch and task now is no part of what was merged.
        return None
    others = alone(state)
    if others is not None:
        return others
    edited = state.looked.task
    if edited and all(one.fingerprint != edited.fingerprint for one in state.edits):
        text = f"The task was edited after it had been accepted. It now says: {edited.title}"
        return state, gates.asked(state, "task-edited", text)
    return None


def alone(state: PipelineState) -> Step | None:
    """Nobody else has worked on the branch, or a person let in what they did."""
    foreign = state.looked.foreign if state.looked else None
    if foreign is None or foreign.head.commit == state.taken_in:
        return None
    text = (
        f"{branch_of(state)} holds commits up to {foreign.head.commit[:12]} that WorkTrain did "
        f"not make, by {', '.join(foreign.by)}. Nothing more is done on it meanwhile."
    )
    return state, gates.asked(state, "foreign-commits", text)


def unbuilt_moves_on(state: PipelineState) -> PipelineState:
    """As long as nothing is built, the work simply starts from where the base branch is now."""
    built = state.candidate is not None or state.worktree is not None or bool(state.slices)
    if built or state.looked is None or state.looked.base == state.base.at:
        return state
    return changed(state, base=state.base.model_copy(update={"at": state.looked.base}))


def _doubtful(state: PipelineState, found: Classification | None) -> bool:
    rule = state.opened.config.intent
    if rule != "unsure":
        return rule == "always"
    if found is None or not found.interpretation:
        return True
    confidence = found.interpretationConfidence
    return confidence is Confidence.LOW or (
        confidence is Confidence.MEDIUM and bool(found.openQuestions)
    )
