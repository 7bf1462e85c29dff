"""The machine that leads an agent through a plan: told what happened, it says what is next."""

from typing import assert_never

from pydantic import ValidationError

from worktrain.contracts.artifact import Handoff
from worktrain.contracts.failure import FailureKind
from worktrain.contracts.session import (
    Answered,
    AskModel,
    AskOperator,
    CallFailed,
    Command,
    Finish,
    Happened,
    Killed,
    Question,
    RunTools,
    SessionEnding,
    SessionState,
    Started,
    ToolsRan,
    TurnTaken,
)
from worktrain.contracts.spec import PlanStep
from worktrain.contracts.tool import DECIDED_BY_ENGINE, READ_ONLY, CompleteStep
from worktrain.contracts.turn import (
    CallAnswered,
    CutOff,
    NearLimit,
    Reminder,
    Say,
    Steer,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    StopReason,
    ToolCall,
    ToolDone,
    TurnReply,
    TurnRequest,
)
from worktrain.engine import budget, contracts_check

BLOCKS_MAX = 3
"""complete_step calls refused in a row before the session ends."""
REMINDERS_MAX = 1
"""Replies in a row without a tool call that are answered with a reminder."""
NOTES_MIN = 50
"""Characters: WorkRail's lower bound for notes."""
QUESTION_MAX = 4_000
"""Characters of a question that an operator is shown."""

ENDING_OF_FAILURE = {
    FailureKind.CONTEXT_TOO_LONG: SessionEnding.CONTEXT_FULL,
    FailureKind.REFUSED: SessionEnding.REFUSED,
}


def advance(state: SessionState, happened: Happened) -> tuple[SessionState, Command]:
    """Fold one event into the state and name the one thing to do next."""
    state = _with(state, say=(*state.say, *happened.steers))
    match happened.event:
        case Started():
            state = _with(state, say=(StepPrompt(step=current(state).id), *state.say))
            return _ask_model(state, happened.worked_s)
        case TurnTaken(reply=reply):
            return _after_turn(state, reply, happened.worked_s)
        case ToolsRan(replies=replies):
            done: tuple[Say, ...] = tuple(ToolDone(call=reply.call) for reply in replies)
            return _settle(_with(state, say=(*done, *state.say)), happened.worked_s)
        case Answered(text=text):
            asked, *rest = state.waiting
            answer = CallAnswered(call=asked.id, word="answer", text=text)
            state = _with(state, waiting=tuple(rest), say=(*state.say, answer))
            return _settle(state, happened.worked_s)
        case CallFailed(failure=failure):
            ending = ENDING_OF_FAILURE.get(failure.kind, SessionEnding.FAILED)
            return state, Finish(ending=ending, why=failure.said)
        case Killed(why=why):
            return state, Finish(ending=SessionEnding.KILLED, why=why)
        case _:
            assert_never(happened.event)


def current(state: SessionState) -> PlanStep:
    """The step that the agent is at."""
    return state.opened.plan.steps[state.step]


def _after_turn(
    state: SessionState, reply: TurnReply, worked_s: float
) -> tuple[SessionState, Command]:
    state = _with(
        state,
        head=reply.head,
        usage=state.usage + reply.usage,
        cost_microdollars=state.cost_microdollars + reply.cost_microdollars,
        model=reply.model or state.model,
        talk=reply.usage.total,
    )
    if reply.stop is StopReason.REFUSAL:
        why = f"the model refused to go on at step {current(state).id!r}: {reply.preview}"
        return state, Finish(ending=SessionEnding.REFUSED, why=why)
    cut = reply.stop is StopReason.MAX_TOKENS
    if cut or not reply.calls:
        return _nudge(state, reply, worked_s, cut=cut)
    issues = [call for call in reply.calls if call.name == "report_issue"]
    claims = [call for call in reply.calls if call.name == "complete_step"]
    # A second claim was made before the step that it is about had been read.
    early = tuple(CallAnswered(call=call.id, word="one_step", is_error=True) for call in claims[1:])
    state = _with(state, reminders=0, waiting=(*issues, *claims[:1]), say=(*early, *state.say))
    for_hands = [call for call in reply.calls if call.name not in DECIDED_BY_ENGINE]
    if for_hands:
        return state, RunTools(groups=_grouped(for_hands))
    return _settle(state, worked_s)


def _nudge(
    state: SessionState, reply: TurnReply, worked_s: float, *, cut: bool
) -> tuple[SessionState, Command]:
    """Without a usable call nothing has been done: say so once, then it is over."""
    step = current(state).id
    if state.reminders >= REMINDERS_MAX:
        how = "was cut off at the output limit" if cut else "ended its turn without complete_step"
        return state, Finish(
            ending=SessionEnding.STOPPED_EARLY,
            why=f"the agent {how} {state.reminders + 1} times in a row at step {step!r}",
        )
    # The end of a reply that was cut may be half a call, and half a call must not be run.
    not_run = tuple(
        CallAnswered(call=call.id, word="not_run", is_error=True) for call in reply.calls
    )
    word = CutOff(max_tokens=state.request.limits.output_tokens_max) if cut else Reminder(step=step)
    state = _with(state, reminders=state.reminders + 1, say=(*not_run, *state.say, word))
    return _ask_model(state, worked_s)


def _grouped(calls: list[ToolCall]) -> tuple[tuple[ToolCall, ...], ...]:
    """Neighbouring read-only calls together, every other call alone, in the model's order."""
    groups: list[tuple[ToolCall, ...]] = []
    for call in calls:
        reads = call.name in READ_ONLY
        if reads and groups and groups[-1][0].name in READ_ONLY:
            groups[-1] = (*groups[-1], call)
        else:
            groups.append((call,))
    return tuple(groups)


def _settle(state: SessionState, worked_s: float) -> tuple[SessionState, Command]:
    """Answer the calls that the machine decides itself, in order, as far as it can alone."""
    while state.waiting:
        call, *rest = state.waiting
        if call.name == "report_issue":
            question = _question(state, call)
            if question:
                return state, AskOperator(question=question)
            answer: Say = CallAnswered(call=call.id, word="noted")
        elif any(isinstance(one, Steer) for one in state.say):
            # A step that was claimed before the operator's words were read is not done.
            answer = CallAnswered(call=call.id, word="unread", is_error=True)
        else:
            state, decided = _decide_step(state, call)
            if isinstance(decided, Finish):
                return _with(state, waiting=()), decided
            answer = decided
        state = _with(state, waiting=tuple(rest), say=(*state.say, answer))
    return _ask_model(state, worked_s)


def _question(state: SessionState, call: ToolCall) -> Question | None:
    """What the operator is asked, if the issue is one that the agent cannot get past alone."""
    # Not validated: a question that is too long by a word must not pass for a remark.
    issue = call.input or {}
    if issue.get("kind") != "needs_human" and issue.get("severity") != "fatal":
        return None
    summary, more = (str(issue.get(name, "")).strip() for name in ("summary", "context"))
    text = f"{summary}\n\n{more}".strip()[:QUESTION_MAX]
    # Each question of a turn has its own id: an answer that is sent twice answers one of them.
    earlier = sum(isinstance(one, CallAnswered) and one.word == "answer" for one in state.say)
    return Question(
        id=f"q{state.turn}.{earlier + 1}" if earlier else f"q{state.turn}",
        text=text or "the agent cannot go on without a person, and did not say why",
    )


def _decide_step(state: SessionState, call: ToolCall) -> tuple[SessionState, Say | Finish]:
    step = current(state)
    problems, delivered = _problems(step, call)
    if problems:
        blocks = state.blocks + 1
        state = _with(state, blocks=blocks)
        if blocks >= BLOCKS_MAX:
            why = (
                f"step {step.id!r} was not completed in {blocks} tries; "
                f"the last one was refused because of: {'; '.join(problems)}"
            )
            return state, Finish(ending=SessionEnding.BLOCKED, why=why)
        return state, StepBlocked(
            call=call.id, step=step.id, problems=problems, tries_left=BLOCKS_MAX - blocks
        )
    state = _with(
        state,
        step=state.step + 1,
        blocks=0,
        artifacts=(*state.artifacts, *delivered[1]),
        notes=(*state.notes, delivered[0]),
    )
    if state.step == len(state.opened.plan.steps):
        why = f"every step of {state.opened.plan.spec} is done"
        # The last step's number stays readable: there is no step after it.
        return _with(state, step=state.step - 1), Finish(ending=SessionEnding.COMPLETED, why=why)
    return state, StepAccepted(call=call.id, next_step=current(state).id)


def _problems(
    step: PlanStep, call: ToolCall
) -> tuple[tuple[str, ...], tuple[str, tuple[Handoff, ...]]]:
    """What is wrong with a complete_step call; and its notes and artifacts."""
    try:
        claim = CompleteStep.model_validate(call.input or {})
    except ValidationError as error:
        told = tuple(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        return contracts_check.bounded(told), ("", ())
    artifacts, problems = contracts_check.check(step.contract, claim.artifacts)
    notes = claim.notes.strip()
    if step.notes_required and len(notes) < NOTES_MIN:
        problems = (
            *problems,
            f"notes: {len(notes)} characters; at least {NOTES_MIN} are needed that say "
            f"what was done and what was found",
        )
    return problems, (notes, artifacts)


def _ask_model(state: SessionState, worked_s: float) -> tuple[SessionState, Command]:
    full = budget.reached(state, worked_s)
    if full:
        why = (
            f"the {full.limit} limit of {budget.told(full.most)} {full.unit} was reached "
            f"({budget.told(full.used)} used) at step {current(state).id!r}"
        )
        return state, Finish(ending=full.ending, why=why)
    say = state.say
    low = None if state.warned else budget.near(state, worked_s)
    if low:
        left = f"{budget.told(low.most - low.used)} {low.unit}"
        say = (*say, NearLimit(limit=low.limit, left=left))
    request = state.request
    turn = TurnRequest(
        session=request.session,
        turn=state.turn + 1,
        head=state.head,
        say=say,
        script=state.opened.script,
        context=state.opened.context,
        model=request.model or getattr(request.models, state.opened.plan.model_tier),
        max_tokens=request.limits.output_tokens_max,
    )
    state = _with(state, turn=state.turn + 1, say=(), warned=state.warned or low is not None)
    return state, AskModel(request=turn)


def _with(state: SessionState, **changes: object) -> SessionState:
    return state.model_copy(update=changes)
