"""The machine that leads an agent through a plan: told what happened, it says what is next."""

from typing import assert_never

from pydantic import ValidationError

from worktrain.contracts.failure import FailureKind
from worktrain.contracts.plan import PlanStep
from worktrain.contracts.session import (
    Answered,
    AskModel,
    AskOperator,
    CallFailed,
    ChildEnded,
    ChildrenEnded,
    Claim,
    Command,
    Confirm,
    Confirmed,
    ContinueAsked,
    Finish,
    Gathered,
    Happened,
    Killed,
    Question,
    RewindAsked,
    RunChildren,
    RunTools,
    SessionEnding,
    SessionState,
    Started,
    ToolsRan,
    TurnTaken,
)
from worktrain.contracts.steering import Gate
from worktrain.contracts.tool import DECIDED_BY_ENGINE, READ_ONLY, SpawnAgent
from worktrain.contracts.trace import TraceKind
from worktrain.contracts.turn import (
    Blocker,
    BlockerCode,
    CallAnswered,
    CutOff,
    Delegated,
    NearLimit,
    Reminder,
    Say,
    Spawned,
    Steer,
    StepAccepted,
    StepBlocked,
    StopReason,
    ToolCall,
    ToolDone,
    TurnReply,
    TurnRequest,
)
from worktrain.engine import budget
from worktrain.engine.machine import checkpoint, claim, delegate, questions, walk
from worktrain.engine.machine.tracing import changed, noted

REMINDERS_MAX = 1
"""Replies in a row without a tool call that are answered with a reminder."""
QUESTION_MAX = 4_000
"""Characters of a question that an operator is shown."""
FOR_A_PERSON = frozenset({"data_needed", "approval_needed", "blocked"})
"""Signals that wait for an answer."""
ALWAYS_ALLOWED = frozenset({"complete_step", "report_issue", "signal_coordinator"})

ENDING_OF_FAILURE = {
    FailureKind.CONTEXT_TOO_LONG: SessionEnding.CONTEXT_FULL,
    FailureKind.REFUSED: SessionEnding.REFUSED,
    FailureKind.UNAFFORDABLE: SessionEnding.COST_LIMIT,
}

Moved = tuple[SessionState, Command]


def advance(state: SessionState, happened: Happened) -> Moved:
    """Fold one event into the state and name the one thing to do next."""
    after, command = _moved(state, happened)
    for spent in budget.passed(state, after, happened.worked_s):
        share = f"{budget.told(spent.used)} of {budget.told(spent.most)} {spent.unit}"
        after = noted(after, TraceKind.SIGNAL, f"most of the {spent.limit} limit is used: {share}")
    return after, command


def current(state: SessionState) -> PlanStep:
    """The step that the session is at."""
    return walk.here(state)


def _moved(state: SessionState, happened: Happened) -> Moved:
    state = changed(state, say=(*state.say, *happened.steers)) if happened.steers else state
    worked_s = happened.worked_s
    match happened.event:
        case Started():
            told = {"goal": state.request.task.title, "is_autonomous": "true"}
            needs = state.opened.plan.needs.items()
            usual = {name: schema["default"] for name, schema in needs if "default" in schema}
            given = {name: one for name, one in state.request.context.items() if one is not None}
            state = changed(state, context={**told, **usual, **given})
            return _go_on(state, worked_s)
        case TurnTaken(reply=reply):
            return _after_turn(state, reply, worked_s)
        case ToolsRan(replies=replies):
            done: tuple[Say, ...] = tuple(ToolDone(call=reply.call) for reply in replies)
            looks = state.looks + len(replies)
            return _settle(changed(state, say=(*done, *state.say), looks=looks), worked_s)
        case Answered(text=text, by=by):
            return _after_answer(state, text, by, worked_s)
        case ChildrenEnded(children=children):
            return _after_children(state, children, worked_s)
        case Confirmed() as confirmed:
            return _after_gate(state, confirmed, worked_s)
        case Gathered(values=values, said=said):
            for one in said:
                state = noted(state, TraceKind.GATHERED, one)
            state = changed(checkpoint.given(state, values), arrived="gathered")
            return _go_on(state, worked_s)
        case RewindAsked(checkpoint=to, reason=reason, by=by):
            return _say_step(checkpoint.rewound(state, to, reason, by), worked_s)
        case ContinueAsked() if not state.checkpoints:
            why = "no step of it was ever begun, so there is none to go on with; run it anew"
            return state, Finish(ending=SessionEnding.BLOCKED, why=why)
        case ContinueAsked(text=text, by=by) if state.head and not state.say:
            # It was stopped within a turn, and a conversation cannot go on from there.
            last = state.checkpoints[-1].id
            return _say_step(checkpoint.rewound(state, last, text, by), worked_s)
        case ContinueAsked() as asked:
            return _ask_model(checkpoint.continued(state, asked), worked_s)
        case CallFailed(failure=failure):
            ending = ENDING_OF_FAILURE.get(failure.kind, SessionEnding.FAILED)
            return state, Finish(ending=ending, why=failure.said)
        case Killed(why=why):
            return state, Finish(ending=SessionEnding.KILLED, why=why)
        case _:
            assert_never(happened.event)


# --- what a turn leads to ------------------------------------------------------------------


def _after_turn(state: SessionState, reply: TurnReply, worked_s: float) -> Moved:
    allowed = budget.tokens_left(state)
    state = changed(
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
        return _nudge(state, reply, worked_s, cut_at=allowed if cut else 0)
    calls = [call for call in reply.calls if _allowed(state, call)]
    claims = [call for call in calls if call.name == "complete_step"]
    decided = [call for call in calls if call.name in DECIDED_BY_ENGINE - {"complete_step"}]
    hidden: tuple[Say, ...] = tuple(
        CallAnswered(
            call=call.id, word="not_allowed", text=", ".join(state.request.tools), is_error=True
        )
        for call in reply.calls
        if not _allowed(state, call)
    )
    # A second claim was made before the step that it is about had been read.
    early = tuple(CallAnswered(call=call.id, word="one_step", is_error=True) for call in claims[1:])
    state = changed(
        state, reminders=0, waiting=(*decided, *claims[:1]), say=(*early, *hidden, *state.say)
    )
    for_hands = [call for call in calls if call.name not in DECIDED_BY_ENGINE]
    if for_hands:
        return state, RunTools(groups=_grouped(for_hands))
    return _settle(state, worked_s)


def _allowed(state: SessionState, call: ToolCall) -> bool:
    tools = state.request.tools
    return not tools or call.name in tools or call.name in ALWAYS_ALLOWED


def _nudge(state: SessionState, reply: TurnReply, worked_s: float, *, cut_at: int) -> Moved:
    """Without a usable call nothing has been done: say so once, then it is over.

    `cut_at` is the most that a reply could have, in tokens, when it was cut off there; else 0.
    """
    step = current(state).id
    # The end of a reply that was cut may be half a call, and half a call must not be run.
    not_run = tuple(
        CallAnswered(call=call.id, word="not_run", is_error=True) for call in reply.calls
    )
    state = changed(state, say=(*not_run, *state.say))
    if state.reminders >= REMINDERS_MAX:
        how = (
            "was cut off at the output limit" if cut_at else "ended its turn without complete_step"
        )
        return state, Finish(
            ending=SessionEnding.STOPPED_EARLY,
            why=f"the agent {how} {state.reminders + 1} times in a row at step {step!r}",
        )
    word = CutOff(max_tokens=cut_at) if cut_at else Reminder(step=step)
    state = changed(state, reminders=state.reminders + 1, say=(*state.say, word))
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


# --- calls that the machine answers --------------------------------------------------------


def _settle(state: SessionState, worked_s: float) -> Moved:
    """Answer the calls that the machine decides itself, in order, as far as it can alone."""
    while state.waiting:
        call = state.waiting[0]
        match call.name:
            case "complete_step":
                if not any(isinstance(one, Steer) for one in state.say):
                    return _decide(state, call, worked_s)
                # A step that was claimed before the operator's words were read is not done.
                answer: Say = CallAnswered(call=call.id, word="unread", is_error=True)
            case "spawn_agent":
                state, decided = _spawn(state, call)
                if isinstance(decided, RunChildren):
                    return state, decided
                answer = decided
            case _:
                state, question = _question(state, call)
                if question:
                    return state, AskOperator(question=question)
                answer = CallAnswered(call=call.id, word="noted")
        state = _answered(state, answer)
    return _ask_model(state, worked_s)


def _answered(state: SessionState, answer: Say) -> SessionState:
    """The state in which the first of the waiting calls has its answer."""
    return changed(state, waiting=state.waiting[1:], say=(*state.say, answer))


def _question(state: SessionState, call: ToolCall) -> tuple[SessionState, Question | None]:
    """What the operator is asked, if it is something that the agent cannot get past alone."""
    # Not validated: a question that is too long by a word must not pass for a remark.
    said = call.input or {}
    if call.name == "signal_coordinator":
        kind = str(said.get("signalKind", "progress"))
        summary, more = f"The agent signals {kind}.", str(said.get("payload", ""))
        state = noted(state, TraceKind.SIGNAL, f"{kind}: {more}")
        asks = kind in FOR_A_PERSON
    else:
        summary, more = (str(said.get(name, "")).strip() for name in ("summary", "context"))
        asks = said.get("kind") == "needs_human" or said.get("severity") == "fatal"
    if not asks:
        return state, None
    options = said.get("options")
    choices = tuple(str(one)[:256] for one in options[:12]) if isinstance(options, list) else ()
    # Each question of a turn has its own id: an answer that is sent twice answers one of them.
    earlier = sum(isinstance(one, CallAnswered) and one.word == "answer" for one in state.say)
    text = f"{summary}\n\n{more}".strip()[:QUESTION_MAX]
    return state, Question(
        id=f"q{state.turn}.{earlier + 1}" if earlier else f"q{state.turn}",
        text=text or "the agent cannot go on without a person, and did not say why",
        options=choices,
        type="choice" if choices else "text",
    )


def _spawn(state: SessionState, call: ToolCall) -> tuple[SessionState, RunChildren | Say]:
    try:
        wanted = SpawnAgent.model_validate(call.input or {})
        state, children = delegate.spawned(state, wanted)
    except delegate.TooMany as error:
        return state, CallAnswered(call=call.id, word="too_many", text=str(error), is_error=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        return state, CallAnswered(call=call.id, word="rejected", text=said, is_error=True)
    except ValueError as error:
        return state, CallAnswered(call=call.id, word="rejected", text=str(error), is_error=True)
    return state, RunChildren(children=children)


def _decide(state: SessionState, call: ToolCall, worked_s: float) -> Moved:
    """Accept the step, refuse it with everything that is wrong, or ask for a judgement first."""
    step = current(state)
    state, made, blockers = claim.examined(state, call)
    if made is None:
        return _refuse(state, call.id, blockers, worked_s)
    state = changed(state, claim=made)
    after = checkpoint.given(state, made.given)
    if walk.wants_gate(after, step):
        return _to_gate(state, step, worked_s)
    return _accept(state, made, worked_s)


def _refuse(
    state: SessionState, call: str, blockers: tuple[Blocker, ...], worked_s: float
) -> Moved:
    step = current(state)
    most = state.request.limits.blocks_max
    followup = all(one.code is BlockerCode.ASSESSMENT_FOLLOWUP_REQUIRED for one in blockers)
    # What an assessment brings about is bounded by itself and is nobody's mistake.
    blocks = state.blocks if followup else state.blocks + 1
    told = "; ".join(one.message for one in blockers)
    state = noted(changed(state, blocks=blocks, claim=None), TraceKind.BLOCKED, told)
    refused = StepBlocked(call=call, step=step.id, blockers=blockers, tries_left=most - blocks)
    state = _answered(state, refused)
    if blocks >= most:
        why = (
            f"step {step.id!r} was not completed in {blocks} tries; "
            f"the last one was refused because of: {told}"
        )
        return changed(state, waiting=()), Finish(ending=SessionEnding.BLOCKED, why=why)
    return _settle(state, worked_s)


def _accept(state: SessionState, made: Claim, worked_s: float) -> Moved:
    after = _answered(claim.accepted(state, made), StepAccepted(call=made.call))
    after, command = _go_on(after, worked_s)
    # Behind the last step nothing is arrived at; what is in the way elsewhere is not its fault.
    if isinstance(command, Finish) and not after.arrived:
        # Only now is it known that this was the last step: it can still give what is missing.
        missing = walk.unfulfilled(after)
        if missing:
            return _refuse(state, made.call, missing, worked_s)
    return after, command


# --- gates ---------------------------------------------------------------------------------


def _to_gate(state: SessionState, step: PlanStep, worked_s: float) -> Moved:
    """Have the claim judged by whom the spec and the session's rules name."""
    assert step.confirm is not None
    rule = "operator" if step.confirm.kind == "human_approval" else state.request.gates
    state = noted(state, TraceKind.GATE, f"{step.confirm.kind}, answered by the {rule}")
    if rule == "coordinator" and not state.redone:
        fine = Confirmed(answer="approved", by="coordinator", reason="no judgement of it was low")
        return _after_gate(state, fine, worked_s)
    if rule == "evaluator" and state.rejections < state.request.limits.blocks_max:
        try:
            state, judge = delegate.evaluator(state, step)
        except delegate.TooMany as error:
            return _ask_person(state, f"no session can judge it: {error}")
        return state, RunChildren(children=(judge,))
    return _ask_person(state, "")


def _ask_person(state: SessionState, remark: str) -> Moved:
    step = current(state)
    assert state.claim is not None
    parts = (f"Is the step {step.title!r} done?", remark, state.claim.notes)
    text = "\n\n".join(part for part in parts if part)[:QUESTION_MAX]
    return state, Confirm(gate=Gate(id=step.id, text=text))


def _after_gate(state: SessionState, answer: Confirmed, worked_s: float) -> Moved:
    approved = answer.answer == "approved"
    made = state.claim
    if made is None:
        state = walk.admitted(state, approved=approved, by=answer.by, reason=answer.reason)
        return _go_on(state, worked_s)
    said = f"{answer.by} {answer.answer} it{f': {answer.reason}' if answer.reason else ''}"
    state = noted(state, TraceKind.GATE_ANSWERED, said)
    if approved:
        return _accept(state, made, worked_s)
    refused = CallAnswered(call=made.call, word="rejected", text=said, is_error=True)
    state = changed(state, claim=None, rejections=state.rejections + 1)
    return _settle(_answered(state, refused), worked_s)


# --- answers from elsewhere ----------------------------------------------------------------


def _after_answer(state: SessionState, text: str, by: str, worked_s: float) -> Moved:
    if state.waiting:
        answer = CallAnswered(call=state.waiting[0].id, word="answer", text=text)
        return _settle(_answered(state, answer), worked_s)
    question = walk.pending_question(state)
    assert question is not None
    state = noted(state, TraceKind.ANSWERED, f"{by}: {question.variable} is {text}")
    try:
        given = {question.variable: questions.value_of(question, text)}
    except ValueError as error:
        # Whoever waits for answers checks them; asking again is what is left where nobody did.
        state, given = noted(state, TraceKind.ANSWERED, f"that was no answer: {error}"), {}
    return _go_on(checkpoint.given(state, given), worked_s)


def _after_children(
    state: SessionState, children: tuple[ChildEnded, ...], worked_s: float
) -> Moved:
    state = delegate.ended(state, children)
    if state.claim is not None:
        return _after_judgement(state, children[0], worked_s)
    if state.waiting:
        reported = Spawned(call=state.waiting[0].id, children=delegate.reports(children))
        return _settle(_answered(state, reported), worked_s)
    step = current(state)
    assert step.parallel is not None
    lost = delegate.failed(children)
    if lost is not None and step.parallel.on_failure == "abort":
        why = f"{lost.name} ended {lost.result.ending}: {lost.result.why}"
        return state, Finish(
            ending=SessionEnding.BLOCKED, why=f"the step {step.title!r} was given up: {why}"
        )
    state = delegate.collected(state, step, children, walk.scope(state))
    told = Delegated(step=step.title, children=delegate.reports(children))
    return _go_on(walk.leave(changed(state, say=(*state.say, told))), worked_s)


def _after_judgement(state: SessionState, judge: ChildEnded, worked_s: float) -> Moved:
    """What the evaluator says counts only if it is sure; else a person is asked."""
    verdict = delegate.verdict_of(judge.result.artifacts)
    said = getattr(verdict, "verdict", "")
    reason = getattr(verdict, "rationale", judge.result.why)
    if judge.result.ending is SessionEnding.COMPLETED and said in ("approved", "rejected"):
        answer = Confirmed(answer=said, by=judge.result.record.session, reason=reason)
        return _after_gate(state, answer, worked_s)
    return _ask_person(state, f"The evaluator could not decide it: {reason}")


# --- on to the next turn -------------------------------------------------------------------


def _go_on(state: SessionState, worked_s: float) -> Moved:
    """Walk to the next step and say it, or name what it needs first."""
    state, needed = walk.arrive(state)
    return _say_step(state, worked_s) if needed is None else (state, needed)


def _say_step(state: SessionState, worked_s: float) -> Moved:
    return _ask_model(walk.said_step(state), worked_s)


def _ask_model(state: SessionState, worked_s: float) -> Moved:
    step = current(state)
    full = budget.reached(state, worked_s)
    if full:
        why = (
            f"the {full.limit} limit of {budget.told(full.most)} {full.unit} was reached "
            f"({budget.told(full.used)} used) at step {step.id!r}"
        )
        return state, Finish(ending=full.ending, why=why)
    say = state.say
    low = None if state.warned else budget.near(state, worked_s)
    if low:
        left = f"{budget.told(low.most - low.used)} {low.unit}"
        say = (*say, NearLimit(limit=low.limit, left=left))
    request = state.request
    tier = step.model_tier or request.tier or state.opened.plan.model_tier
    turn = TurnRequest(
        session=request.session,
        turn=state.turn + 1,
        head=state.head,
        say=say,
        script=state.opened.script,
        context=state.opened.context,
        model=request.model or getattr(request.models, tier),
        max_tokens=budget.tokens_left(state),
        step=step.id if step.system else "",
        tools=request.tools,
        trace=state.trace,
        spend_microdollars_max=budget.microdollars_left(state),
    )
    state = changed(
        state, turn=state.turn + 1, say=(), trace=(), warned=state.warned or low is not None
    )
    return state, AskModel(request=turn)
