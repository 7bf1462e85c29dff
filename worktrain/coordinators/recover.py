"""Failure routes: what follows a session that did not deliver, and what a person is told of it."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.route import Phase
from worktrain.contracts.session import SessionEnding, SessionResult
from worktrain.coordinators.ledger import open_entries

NOTE_MAX = 2000
"""Characters of a note."""
WHY_MIN = 300
"""Of the reason in it, however much else there is to say."""
FAILED_MAX = 4
LOOK_MAX = 5
FINDINGS_MAX = 8


class Recovery(StrEnum):
    RETRY = "retry"
    """The phase once more, told what went wrong."""
    ESCALATE = "escalate"
    KILLED = "killed"
    OUT_OF_BUDGET = "out_of_budget"


def after_failure(phase: Phase, ending: SessionEnding, retried: bool) -> Recovery:
    """What follows a session that did not deliver; `completed` is one that ended without the
    artifact that its phase owes. No phase is retried twice."""
    found = RECOVERY[phase][ending]
    return Recovery.ESCALATE if retried and found is Recovery.RETRY else found


_RETRY, _ESCALATE = Recovery.RETRY, Recovery.ESCALATE
_NEVER: Mapping[SessionEnding, Recovery] = {
    SessionEnding.COMPLETED: _ESCALATE,
    SessionEnding.BLOCKED: _ESCALATE,
    SessionEnding.STOPPED_EARLY: _ESCALATE,
    SessionEnding.TURN_LIMIT: _ESCALATE,
    SessionEnding.TIME_LIMIT: _ESCALATE,
    SessionEnding.CONTEXT_FULL: _ESCALATE,
    SessionEnding.TOKEN_LIMIT: Recovery.OUT_OF_BUDGET,
    SessionEnding.COST_LIMIT: Recovery.OUT_OF_BUDGET,
    SessionEnding.REFUSED: _ESCALATE,
    SessionEnding.FAILED: _ESCALATE,
    SessionEnding.KILLED: Recovery.KILLED,
}
"""Where a second session would not help."""
_ANEW: Mapping[SessionEnding, Recovery] = {
    **_NEVER,
    SessionEnding.COMPLETED: _RETRY,
    SessionEnding.BLOCKED: _RETRY,
    SessionEnding.STOPPED_EARLY: _RETRY,
    SessionEnding.TURN_LIMIT: _RETRY,
    SessionEnding.CONTEXT_FULL: _RETRY,
}
"""Phases that leave only their artifact: the next session begins with nothing but the hint. Told
to be brief it can save turns; the minutes it would need all over again."""
_ON_TOP: Mapping[SessionEnding, Recovery] = {**_ANEW, SessionEnding.TIME_LIMIT: _RETRY}
"""Phases where a new session needs less time: the work so far is on the branch, and of a reviewer
that was parked the earlier rounds counted as well."""

RECOVERY: Mapping[Phase, Mapping[SessionEnding, Recovery]] = {
    Phase.CLASSIFY: _ANEW,
    Phase.DISCOVERY: _ANEW,
    Phase.SHAPING: _ANEW,
    Phase.INVESTIGATION: _ANEW,
    Phase.DESIGN: _ANEW,
    Phase.CODING: _ON_TOP,
    # Whoever could not settle a conflict hands it to a person; that is no slip to be put right.
    Phase.REBASE: {**_ON_TOP, SessionEnding.BLOCKED: _ESCALATE},
    Phase.REVIEW: _ON_TOP,
    Phase.FIX: _ON_TOP,
    Phase.AUDIT: _ANEW,
    # It has no session.
    Phase.MERGE: _NEVER,
    # The pipeline has its ending already, and is not worth a second look back.
    Phase.RETROSPECTIVE: _NEVER,
    # Who had one session run reads how it ended, and decides.
    Phase.SESSION: _NEVER,
}
if missing := {f"{p} {e}" for p in Phase for e in SessionEnding if e not in RECOVERY.get(p, {})}:
    raise ImportError(f"RECOVERY has no row for {sorted(missing)}")


# --- for the next session ------------------------------------------------------------------

ADVICE: Mapping[SessionEnding, str] = {
    SessionEnding.COMPLETED: "it did not deliver the artifact that this phase owes: deliver it",
    SessionEnding.BLOCKED: (
        "what it handed in was refused again and again: put that right first, and report an "
        "issue at once if it cannot be done"
    ),
    SessionEnding.STOPPED_EARLY: (
        "it stopped without finishing its step: keep each reply short, and finish every step "
        "with complete_step"
    ),
    SessionEnding.TURN_LIMIT: (
        "it used up its turns: go straight to what the task needs, and deliver early"
    ),
    SessionEnding.TIME_LIMIT: (
        "it used up its time: run narrow commands instead of everything, and deliver early"
    ),
    SessionEnding.CONTEXT_FULL: (
        "its conversation grew too long: be brief, and read parts of files instead of all"
    ),
    SessionEnding.TOKEN_LIMIT: "it used up its tokens: be brief, and deliver early",
    SessionEnding.COST_LIMIT: "it used up its money: be brief, and deliver early",
    SessionEnding.REFUSED: "its model would not go on: keep strictly to what the task asks for",
    SessionEnding.FAILED: "a call of it failed for good: do without what failed, if you can",
    SessionEnding.KILLED: "a person ended it: do not take for granted that it was on the right way",
}
"""How it ended, and what to do otherwise."""
_LEFT_FILES = (
    "Its work is on this branch, perhaps unfinished: look at it with git status and git log, "
    "keep what is good and go on from there."
)
LEFT: Mapping[str, str] = {
    Phase.CODING: _LEFT_FILES,
    Phase.FIX: _LEFT_FILES,
    Phase.REBASE: _LEFT_FILES,
    Phase.REVIEW: "Nothing of what it thought counts as a verdict: look for yourself.",
    Phase.AUDIT: "Nothing of what it thought counts as a report: look for yourself.",
}
"""What the next session finds of it, by phase; of the others nothing is left."""


def hint(result: SessionResult) -> str:
    """What the next session of the phase is told of the one that failed."""
    why = _shortened(_plain(result.why), 400)
    said = [f"An earlier session of this phase failed; {ADVICE[result.ending]}."]
    if why:
        said.append(f"It ended with: “{why}”")
    if left := LEFT.get(result.record.phase):
        said.append(left)
    return " ".join(said)


# --- for a person --------------------------------------------------------------------------


def note(state: PipelineState, why: str, look: Sequence[str]) -> str:
    """What a colleague would write who hands the work over: what was asked, how far it came, what
    was tried, why it stops, where to look, what can be done. At most 2,000 characters.

    `look` says where to look first, in the order of use.
    """
    task = state.request.task
    before = (
        f"Asked: {_shortened(_plain(task.title), 150)} ({_shortened(_plain(task.source), 60)}).",
        f"How far it came: {_progress(state)}.",
        f"Tried: {_tried(state)}.",
    )
    after = (f"Look first: {_where(state, look)}.", f"You can: {_next(state)}.")
    room = NOTE_MAX - sum(len(line) + 1 for line in (*before, *after)) - len("Why it stops: .")
    stops = f"Why it stops: {_ended(_shortened(_plain(why), max(room, WHY_MIN)))}"
    return _shortened("\n".join((*before, stops, *after)), NOTE_MAX)


def _progress(state: PipelineState) -> str:
    done = [r for r in _sessions(state) if r.ending == SessionEnding.COMPLETED]
    phases = list(dict.fromkeys(record.phase for record in done))
    said = [_worked(phase, [r for r in done if r.phase == phase]) for phase in phases]
    integrated = sum(work.integrated is not None for work in state.slices)
    if state.slices:
        said.append(f"{integrated} of {_many(len(state.slices), 'slice')} put together")
    if state.merged:
        said.append(f"merged as {state.merged.commit[:12]}")
    return ", ".join(said) or "no session has completed"


def _worked(phase: str, records: Sequence[PhaseRecord]) -> str:
    turns = _many(sum(record.turns for record in records), "turn")
    return f"{phase} ({turns})" if len(records) == 1 else f"{phase} {len(records)} times ({turns})"


def _tried(state: PipelineState) -> str:
    failed = [r for r in _sessions(state) if r.ending != SessionEnding.COMPLETED]
    said = [
        f"{_name(r.session)} ended {r.ending} after {_many(r.turns, 'turn')}"
        for r in failed[-FAILED_MAX:]
    ]
    said += [f"{phase} was begun again" for phase in dict.fromkeys(state.retried)]
    if state.passes:
        said.append(_many(state.passes, "fix pass", "fix passes"))
    if len(state.reviews) > 1:
        said.append(f"{len(state.reviews)} verdicts")
    if state.audits:
        said.append(_many(len(state.audits), "audit"))
    if state.rebases:
        said.append(f"{_many(state.rebases, 'rebase')} because {state.base.branch} moved")
    return ", ".join(said) or "nothing a second time"


def _where(state: PipelineState, look: Sequence[str]) -> str:
    said = [_plain(place).rstrip(".") for place in look[:LOOK_MAX]]
    is_open = [entry.id for entry in open_entries(state.ledger)]
    if is_open:
        more = f" and {len(is_open) - FINDINGS_MAX} more" if is_open[FINDINGS_MAX:] else ""
        said.append(f"open findings {', '.join(is_open[:FINDINGS_MAX])}{more}")
    if state.reverted:
        said.append(f"the revert, {_shortened(_plain(state.reverted.where), 80)}")
    if branch := _branch(state):
        said.append(f"branch {branch}")
    said.append(f"`worktrain show {state.request.pipeline}`")
    if state.records:
        said.append(f"`worktrain logs {state.records[-1].session}`")
    return "; ".join(_shortened(place, 120) for place in dict.fromkeys(said))


def _next(state: PipelineState) -> str:
    base = state.base.branch
    if state.reverted:
        return f"merge the revert, or mend {base} by hand; then clear what was suspended"
    if state.merged:
        return f"compare {base} with {state.merged.commit[:12]}, then undo the merge or leave it"
    said = ["put the task more clearly and run it again with `worktrain run`"]
    if _branch(state):
        said.insert(0, "take the branch over by hand (it is kept)")
    last = state.records[-1] if state.records else None
    if last and last.ending != SessionEnding.COMPLETED:
        said.append(f'ask its last session for more with `worktrain continue {last.session} "..."`')
    return ", or ".join(said)


def _sessions(state: PipelineState) -> tuple[PhaseRecord, ...]:
    """The newest record of each session: one that was parked delivers its own again and again."""
    return tuple({record.session: record for record in state.records}.values())


def _branch(state: PipelineState) -> str | None:
    """The branch that holds something to take over."""
    if state.worktree is None or state.candidate is None or state.merged:
        return None
    return state.worktree.branch


# --- texts ---------------------------------------------------------------------------------


def _plain(text: str) -> str:
    """A text on one line, without the frames of a stack trace: an agent or a tool wrote it."""
    without = re.sub(r"Traceback \(most recent call last\):\s*\n(?:[ \t]+.*\n?)*", "", text)
    return " ".join("".join(c if c.isprintable() else " " for c in without).split())


def _shortened(text: str, length: int) -> str:
    """At most `length` characters, cut at a word, with an ellipsis where it was cut."""
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _name(session: str) -> str:
    return session.rpartition("/")[2]
