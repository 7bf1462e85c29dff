"""The machine: what it answers to each event, and what holds whatever an agent does."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.engine.conftest import (
    NOTES,
    asked,
    call,
    compiled,
    done,
    go,
    handed_over,
    happened,
    request,
    started,
    state,
    step,
    taken,
    words,
)
from worktrain.contracts.failure import Failure, FailureKind
from worktrain.contracts.plan import Context, Plan, PlanStep, Script
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.session import (
    Answered,
    AskModel,
    AskOperator,
    CallFailed,
    Command,
    ContinueAsked,
    Finish,
    GoOn,
    Killed,
    RunTools,
    SessionEnding,
    SessionOpened,
    SessionState,
    Started,
    ToolsRan,
)
from worktrain.contracts.session import Event as SessionEvent
from worktrain.contracts.tool import READ_ONLY
from worktrain.contracts.trace import TraceKind
from worktrain.contracts.turn import (
    CallAnswered,
    Continued,
    CutOff,
    Message,
    NearLimit,
    Reminder,
    Steer,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    StopReason,
    TextBlock,
    ToolCall,
    ToolDone,
    ToolReply,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from worktrain.contracts.workspace import Limits
from worktrain.engine import contracts_check, prompt
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES
from worktrain.engine.machine import ENDING_OF_FAILURE, advance, current
from worktrain.engine.machine.checkpoint import resumed

KINDS = tuple(contracts_check.ARTIFACTS)
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


def ran(*calls: ToolCall) -> ToolsRan:
    replies = tuple(ToolReply(call=one.id, ok=True, preview="ok") for one in calls)
    return ToolsRan(replies=replies)


def ended(command: Command) -> SessionEnding:
    assert isinstance(command, Finish), command
    assert command.why
    return command.ending


# --- beginning -----------------------------------------------------------------------------


def test_the_first_turn_says_the_first_step_and_then_what_the_operator_said() -> None:
    _, command = go(state(step("one-step"), step("two-step")), Started(), "hurry")
    turn = asked(command)
    assert turn.say == (StepPrompt(step="one-step"), Steer(text="hurry", by="ada"))
    assert (turn.turn, turn.head) == (1, None)


def test_the_model_is_that_of_the_tier_unless_one_is_named() -> None:
    before = state()
    assert asked(go(before, Started())[1]).model == before.request.models.mid
    named = before.model_copy(update={"request": request(model="other")})
    assert asked(go(named, Started())[1]).model == "other"


# --- a reply with calls --------------------------------------------------------------------


def test_an_accepted_step_leads_to_the_next_and_the_last_one_to_completed() -> None:
    now, command = go(started(step("one-step"), step("two-step")), taken(done("c1")))
    assert asked(command).say == (StepAccepted(call="c1", prompt=StepPrompt(step="two-step")),)
    assert current(now).id == "two-step"
    now, command = go(now, taken(done("c2")))
    assert ended(command) is SessionEnding.COMPLETED
    assert now.notes == (NOTES, NOTES)
    assert current(now).id == "two-step"


def test_a_contract_is_met_by_its_artifact_alone() -> None:
    now, command = go(started(step("hand-over", KINDS[2])), taken(handed_over(KINDS[2])))
    assert ended(command) is SessionEnding.COMPLETED
    assert [artifact.kind for artifact in now.artifacts] == [KINDS[2]]


@pytest.mark.parametrize(
    ("claim", "problem"),
    [
        (done(), "artifacts: an artifact of kind 'wr.coding_handoff' is missing"),
        (handed_over(KINDS[0]), "artifacts: an artifact of kind 'wr.coding_handoff' is missing"),
        (handed_over(KINDS[2], commitSubject=""), "artifacts[0].commitSubject: "),
        (call("complete_step", "c1", artifacts="[]"), "artifacts: "),
        (call("complete_step", "c1", artefacts=[]), "artefacts: "),
        (call("complete_step", "c1", artifacts=[{"kind": {"a": 1}}]), "artifacts[0].kind: "),
        (ToolCall(id="c1", name="complete_step", preview=""), "artifacts: "),
    ],
)
def test_a_wrong_artifact_goes_back_with_what_is_wrong(claim: ToolCall, problem: str) -> None:
    now, command = go(started(step("hand-over", KINDS[2])), taken(claim))
    (said,) = asked(command).say
    assert isinstance(said, StepBlocked)
    assert said.blockers[0].message.startswith(problem)
    assert said.tries_left == Limits().blocks_max - 1
    assert now.artifacts == ()


def test_notes_that_say_nothing_are_refused_where_notes_are_wanted() -> None:
    short = taken(done(notes="Done. " + " " * 60))
    (said,) = asked(go(started(), short)[1]).say
    assert isinstance(said, StepBlocked)
    assert said.blockers[0].message.startswith("The notes have 5 characters")
    assert ended(go(started(step(notes=False)), short)[1]) is SessionEnding.COMPLETED


def test_three_refusals_in_a_row_end_blocked_and_name_the_last_reason() -> None:
    now = started(step(), step("two-step"))
    for left in (2, 1):
        now, command = go(now, taken(done(notes="")))
        (said,) = asked(command).say
        assert isinstance(said, StepBlocked)
        assert said.tries_left == left
        # Work in between does not make the next refusal a first one.
        now, command = go(now, taken(call("Bash")))
        now, command = go(now, ran(call("Bash")))
    now, command = go(now, taken(done(notes="")))
    assert ended(command) is SessionEnding.BLOCKED
    assert isinstance(command, Finish)
    assert "The notes are missing" in command.why


def test_an_accepted_step_forgives_the_refusals_before_it() -> None:
    now = started(step(), step("two-step"))
    for _ in range(2):
        now, _ = go(now, taken(done(notes="")))
    now, _ = go(now, taken(done()))
    for _ in range(2):
        now, command = go(now, taken(done(notes="")))
        assert isinstance(command, AskModel)


def test_a_second_complete_step_in_one_reply_is_not_considered() -> None:
    now, command = go(
        started(step("one-step"), step("two-step")), taken(done("c1"), done("c2"), done("c3"))
    )
    assert current(now).id == "two-step"
    assert asked(command).say == (
        CallAnswered(call="c2", word="one_step", is_error=True),
        CallAnswered(call="c3", word="one_step", is_error=True),
        StepAccepted(call="c1", prompt=StepPrompt(step="two-step")),
    )


def test_neighbouring_reads_run_together_and_the_order_is_kept() -> None:
    names = ["Read", "Grep", "Bash", "Glob", "Edit", "Nonsense", "Read", "Read"]
    calls = [call(name, f"c{n}") for n, name in enumerate(names)]
    _, command = go(started(), taken(*calls))
    assert isinstance(command, RunTools)
    assert [[one.name for one in group] for group in command.groups] == [
        ["Read", "Grep"],
        ["Bash"],
        ["Glob"],
        ["Edit"],
        ["Nonsense"],
        ["Read", "Read"],
    ]


def test_work_is_done_before_the_step_is_judged_wherever_the_claim_stands() -> None:
    now = started()
    now, command = go(now, taken(done("c1"), call("Bash", "c2")))
    assert isinstance(command, RunTools)
    assert ended(go(now, ran(call("Bash", "c2")))[1]) is SessionEnding.COMPLETED


# --- issues and questions ------------------------------------------------------------------


def issue(call_id: str = "i1", **changes: Any) -> ToolCall:
    told = {"kind": "needs_human", "severity": "warn", "summary": "Which of the two?", **changes}
    return call("report_issue", call_id, **told)


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({}, True),
        ({"kind": "tool_failure", "severity": "fatal"}, True),
        ({"kind": "tool_failure"}, False),
        ({"kind": "blocked", "severity": "error"}, False),
        ({"kind": "self_correction", "severity": "info"}, False),
        ({"kind": "no such kind"}, False),
    ],
)
def test_only_what_needs_a_person_is_asked(changes: dict[str, str], asks: bool) -> None:
    _, command = go(started(), taken(issue(**changes)))
    assert isinstance(command, AskOperator) is asks
    if not asks:
        assert asked(command).say == (CallAnswered(call="i1", word="noted"),)


@pytest.mark.parametrize(
    "changes",
    [{"summary": "x" * 9_000}, {"summary": None}, {"severity": "high"}, {"more": 1}],
)
def test_a_question_that_is_put_wrongly_is_still_a_question(changes: dict[str, Any]) -> None:
    _, command = go(started(), taken(issue(**changes)))
    assert isinstance(command, AskOperator)
    assert 0 < len(command.question.text) <= 4_000


def test_the_answer_reaches_the_agent_and_work_goes_on() -> None:
    now, command = go(started(), taken(issue("i1"), done("c2", notes="")))
    assert isinstance(command, AskOperator)
    assert command.question.text == "Which of the two?"
    event = Answered(question=command.question.id, text="The first.", by="ada")
    now, command = go(now, event, "and hurry")
    told = asked(command).say
    assert CallAnswered(call="i1", word="answer", text="The first.") in told
    assert Steer(text="and hurry", by="ada") in told
    assert CallAnswered(call="c2", word="unread", is_error=True) in told


def test_a_claim_made_before_the_operators_words_were_read_is_made_again() -> None:
    claim = call("complete_step", "c1", notes=NOTES)
    now, command = go(started(), taken(claim), "stop, use the other file")
    told = asked(command).say
    assert told[0] == Steer(text="stop, use the other file", by="ada")
    assert told[1] == CallAnswered(call="c1", word="unread", is_error=True)
    assert now.step == 0
    assert now.blocks == 0
    _, command = go(now, taken(claim))
    assert isinstance(command, Finish)
    assert command.ending is SessionEnding.COMPLETED


def test_two_questions_of_one_reply_have_two_ids() -> None:
    now, first = go(started(), taken(issue("i1"), issue("i2", summary="And how?")))
    assert isinstance(first, AskOperator)
    now, second = go(now, Answered(question=first.question.id, text="The first.", by="ada"))
    assert isinstance(second, AskOperator)
    assert second.question.text == "And how?"
    assert second.question.id != first.question.id


# --- replies that do nothing ---------------------------------------------------------------


def test_a_reply_without_a_call_is_reminded_once_and_never_a_success() -> None:
    now, command = go(started(), taken())
    assert asked(command).say == (Reminder(step="first-step"),)
    assert ended(go(now, taken())[1]) is SessionEnding.STOPPED_EARLY


def test_work_in_between_earns_another_reminder() -> None:
    now, _ = go(started(), taken())
    now, _ = go(now, taken(call("Read")))
    now, _ = go(now, ran(call("Read")))
    assert asked(go(now, taken())[1]).say == (Reminder(step="first-step"),)


def test_nothing_of_a_reply_that_was_cut_off_is_carried_out() -> None:
    before = started()
    cut = taken(done("c1"), call("Bash", "c2"), stop=StopReason.MAX_TOKENS)
    now, command = go(before, cut)
    assert asked(command).say == (
        CallAnswered(call="c1", word="not_run", is_error=True),
        CallAnswered(call="c2", word="not_run", is_error=True),
        CutOff(max_tokens=before.request.limits.output_tokens_max),
    )
    assert now.step == 0
    assert ended(go(now, cut)[1]) is SessionEnding.STOPPED_EARLY


def test_a_refusal_of_the_model_ends_the_session_whatever_it_called() -> None:
    refusal = taken(done(), stop=StopReason.REFUSAL)
    assert ended(go(started(), refusal)[1]) is SessionEnding.REFUSED


# --- failures and kills, in every situation ------------------------------------------------


def situations() -> Iterator[tuple[str, SessionState]]:
    yield "thinking", started()
    yield "reminded", go(started(), taken())[0]
    yield "refused", go(started(), taken(done(notes="")))[0]
    yield "working", go(started(), taken(call("Bash"), done("c2")))[0]
    yield "asking", go(started(), taken(issue(), done("c2")))[0]
    yield "last step", go(started(step(), step("two-step")), taken(done()))[0]


SITUATIONS = dict(situations())


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_has_its_ending_in_every_situation(name: str, kind: FailureKind) -> None:
    failure = Failure(kind=kind, said="Asking the model failed; mend it.")
    _, command = go(SITUATIONS[name], CallFailed(failure=failure), "too late")
    assert command == Finish(
        ending=ENDING_OF_FAILURE.get(kind, SessionEnding.FAILED), why=failure.said
    )


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_kill_ends_every_situation(name: str) -> None:
    _, command = go(SITUATIONS[name], Killed(why="killed on request"))
    assert command == Finish(ending=SessionEnding.KILLED, why="killed on request")


@pytest.mark.parametrize("name", SITUATIONS)
def test_steers_are_kept_until_the_next_turn_in_every_situation(name: str) -> None:
    now, command = go(SITUATIONS[name], taken(call("Bash", "c9")), "hurry")
    assert isinstance(command, RunTools)
    now, command = go(now, ran(call("Bash", "c9")), "more")
    told = [one.text for one in asked(command).say if isinstance(one, Steer)]
    assert told == ["hurry", "more"]
    assert now.say == ()


# --- limits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "usage", "cost", "worked_s", "ending"),
    [
        (Limits(turns_max=1), Usage(), 0, 0.0, SessionEnding.TURN_LIMIT),
        (
            Limits(tokens_max=100),
            Usage(input=10, output=20, cache_read=30, cache_write=40),
            0,
            0.0,
            SessionEnding.TOKEN_LIMIT,
        ),
        (Limits(cost_usd_max=0.5), Usage(), 500_000, 0.0, SessionEnding.COST_LIMIT),
        (Limits(minutes_max=2), Usage(), 0, 120.0, SessionEnding.TIME_LIMIT),
    ],
)
@pytest.mark.parametrize("reply", ["text", "tools", "refused step", "cut"])
def test_each_limit_has_its_ending_whatever_the_reply(
    limits: Limits, usage: Usage, cost: int, worked_s: float, ending: SessionEnding, reply: str
) -> None:
    bash = call("Bash")
    event = {
        "text": taken(usage=usage, cost=cost),
        "tools": taken(bash, usage=usage, cost=cost),
        "refused step": taken(done(notes=""), usage=usage, cost=cost),
        "cut": taken(bash, usage=usage, cost=cost, stop=StopReason.MAX_TOKENS),
    }[reply]
    now, command = advance(started(limits=limits), happened(event, worked_s=worked_s))
    if isinstance(command, RunTools):
        now, command = advance(now, happened(ran(bash), worked_s=worked_s))
    assert ended(command) is ending
    assert isinstance(command, Finish)
    assert "'first-step'" in command.why


def test_tokens_and_cost_of_all_turns_are_added_up() -> None:
    now = started(limits=Limits(tokens_max=50, cost_usd_max=5.0))
    bash = call("Bash")
    for turns in (1, 2):
        now, command = go(now, taken(bash, usage=Usage(input=20, cache_read=10), cost=70))
        now, command = go(now, ran(bash))
        assert (now.usage.total, now.cost_microdollars) == (30 * turns, 70 * turns)
    assert ended(command) is SessionEnding.TOKEN_LIMIT


def test_the_last_step_counts_even_when_it_uses_up_a_limit() -> None:
    _, command = go(started(limits=Limits(turns_max=1)), taken(done()))
    assert ended(command) is SessionEnding.COMPLETED


def test_a_step_that_is_not_the_last_does_not_lift_a_limit() -> None:
    now, command = go(started(step(), step("two-step"), limits=Limits(turns_max=1)), taken(done()))
    assert ended(command) is SessionEnding.TURN_LIMIT
    assert len(now.notes) == 1


@pytest.mark.parametrize("turns_max", [1, 2, 3, 10, 20])
def test_the_model_is_warned_once_before_a_limit_however_small_it_is(turns_max: int) -> None:
    now, command = go(state(limits=Limits(turns_max=turns_max)), Started())
    warned_at: list[int] = []
    while isinstance(command, AskModel):
        warned_at += [
            command.request.turn
            for one in command.request.say
            if isinstance(one, NearLimit) and one.limit == "turns"
        ]
        now, command = go(now, taken(call("Bash")))
        now, command = go(now, ran(call("Bash")))
    assert ended(command) is SessionEnding.TURN_LIMIT
    assert len(warned_at) == 1
    assert warned_at[0] <= turns_max


def test_the_worst_case_of_a_call_is_reserved_from_what_is_left() -> None:
    now, command = go(state(limits=Limits(cost_usd_max=0.5, tokens_max=20_000)), Started())
    turn = asked(command)
    assert (turn.spend_microdollars_max, turn.max_tokens) == (500_000, 16_000)
    now, _ = go(now, taken(call("Bash"), usage=Usage(input=12_000), cost=499_999))
    _, command = go(now, ran(call("Bash")))
    turn = asked(command)
    assert (turn.spend_microdollars_max, turn.max_tokens) == (1, 8_000)


def test_a_reply_is_told_at_how_many_tokens_it_was_cut_off() -> None:
    now, command = go(state(limits=Limits(tokens_max=5_000)), Started())
    assert asked(command).max_tokens == 5_000
    cut = taken(usage=Usage(output=4_000), stop=StopReason.MAX_TOKENS)
    _, command = go(now, cut)
    assert CutOff(max_tokens=5_000) in asked(command).say
    assert asked(command).max_tokens == 1_000


def test_a_call_that_the_budget_does_not_pay_for_ends_at_the_cost_limit() -> None:
    failure = Failure(kind=FailureKind.UNAFFORDABLE, said="It costs too much; raise the limit.")
    _, command = go(started(), CallFailed(failure=failure))
    assert command == Finish(ending=SessionEnding.COST_LIMIT, why=failure.said)


def test_most_of_a_limit_is_traced_once_and_the_model_is_not_told() -> None:
    now = started(limits=Limits(turns_max=10))
    seen: list[str] = []
    for _ in range(7):
        now, _ = go(now, taken(call("Bash")))
        now, command = go(now, ran(call("Bash")))
        seen += [one.text for one in asked(command).trace]
        assert not any(isinstance(one, NearLimit) for one in asked(command).say)
    seen += [one.text for one in now.trace if one.kind is TraceKind.SIGNAL]
    assert [text for text in seen if "limit" in text] == [
        "most of the turns limit is used: 8 of 10 turns"
    ]


# --- asked for more ------------------------------------------------------------------------


def finished(limits: Limits | None = None) -> SessionState:
    """A session that has delivered at its second and last step."""
    before = started(step(), step("hand-over", KINDS[2]), limits=limits)
    now, _ = go(before, taken(done("c1")))
    now, command = go(now, taken(handed_over(KINDS[2], "c2")))
    assert ended(command) is SessionEnding.COMPLETED
    return now


MORE = ContinueAsked(text="Look again.", by="WorkTrain", attached="d" * 64)


def test_a_finished_session_that_is_asked_for_more_has_to_deliver_again() -> None:
    now, command = go(finished(), MORE, "hurry")
    accepted, heard, more = asked(command).say
    assert accepted == StepAccepted(call="c2")
    assert heard == Steer(text="hurry", by="ada")
    assert more == Continued(
        step="The hand-over", text="Look again.", by="WorkTrain", attached="d" * 64
    )
    assert current(now).id == "hand-over"
    refused = asked(go(now, taken(done("c3")))[1]).say
    assert isinstance(refused[0], StepBlocked)
    now, command = go(now, taken(handed_over(KINDS[2], "c3", commitSubject="The second")))
    assert ended(command) is SessionEnding.COMPLETED
    subjects = [getattr(one, "commitSubject", "") for one in now.artifacts]
    assert subjects == [EXAMPLES[KINDS[2]]["commitSubject"], "The second"]
    assert now.delivered == 2


def test_a_parked_session_works_on_at_another_commit_within_other_limits() -> None:
    used = finished(Limits(turns_max=2))
    assert used.warned
    order = GoOn(at="f" * 40, limits=Limits(turns_max=5, cost_usd_max=1), event=MORE)
    resumed_state = resumed(used, order)
    now, command = go(resumed_state, order.event)
    turn = asked(command)
    assert not any(isinstance(one, NearLimit) for one in turn.say)
    assert (turn.turn, turn.spend_microdollars_max) == (3, 1_000_000 - 20)
    assert now.request == used.request.model_copy(update={"at": order.at, "limits": order.limits})
    _, command = go(resumed(used, order.model_copy(update={"limits": Limits(turns_max=2)})), MORE)
    assert ended(command) is SessionEnding.TURN_LIMIT


# --- whatever an agent does ----------------------------------------------------------------

NAMES = st.sampled_from([*sorted(READ_ONLY), "Bash", "Edit", "Write", "Unheard-of"])
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
PLANS = st.lists(
    st.tuples(st.sampled_from([None, None, *KINDS]), st.booleans()), min_size=1, max_size=6
)
LIMITS = st.builds(
    Limits,
    turns_max=st.integers(1, 14),
    tokens_max=st.sampled_from([60, 10_000]),
    cost_usd_max=st.sampled_from([0.00005, 5.0]),
    minutes_max=st.sampled_from([1, 90]),
)
STOPS = st.sampled_from([StopReason.TOOL_USE] * 9 + [*StopReason])
MISHAPS = st.none() | st.tuples(st.integers(0, 12), st.sampled_from([*FailureKind, "kill"]))
"""After how many events something goes wrong outside, and what."""
STEERS = st.lists(st.sampled_from(["{{ title }}", "hurry"]), max_size=2)


@st.composite
def claims(draw: st.DrawFn, wanted: PlanStep, careful: bool) -> tuple[dict[str, Any], bool]:
    """Arguments of a complete_step call, and whether they satisfy the step that is wanted."""
    example: list[Any] = [EXAMPLES[wanted.contract]] if wanted.contract else []
    if careful:
        return {"notes": NOTES, "artifacts": example}, True
    notes = draw(st.sampled_from([NOTES, NOTES, NOTES, "", "short"]))
    delivered = draw(st.sampled_from([example] * 4 + [[]]))
    if draw(st.sampled_from([False, False, False, True])):
        odd = draw(ODD)
        return {"notes": notes, "artifacts": [*delivered, {"kind": odd}]}, False
    satisfied = delivered == example and (notes == NOTES or not wanted.notes_required)
    return {"notes": notes, "artifacts": delivered}, satisfied


class Talk:
    """A session and the real messages of it, as the API would see them."""

    def __init__(self, plan: list[tuple[str | None, bool]], limits: Limits) -> None:
        self.steps = tuple(
            PlanStep(id=f"step-{number}", title="A step", contract=kind, notes_required=notes)
            for number, (kind, notes) in enumerate(plan)
        )
        self.script = Script(
            spec="sample",
            system="",
            prompts={one.id: f"Do {one.id}." for one in self.steps},
            words=words(),
        )
        walked = Plan(spec="sample", model_tier="mid", steps=self.steps)
        opened = SessionOpened(plan=walked, script="s", context="c")
        self.state = SessionState(request=request(limits), opened=opened)
        self.messages: list[Message] = []
        self.outputs: dict[str, ToolOutput] = {}
        self.asked = 0
        self.accepted = 0
        self.worked_s = 0.0
        self.steered = False
        self.unread = False
        """Whether the operator said something that the last claim did not take into account."""
        self.prompted: list[str] = []

    def advance(self, event: SessionEvent, steers: list[str]) -> Command:
        """Fold an event in, twice, and once more from a copy that went through a history."""
        moment = happened(event, *steers, worked_s=self.worked_s)
        before = SessionState.model_validate_json(self.state.model_dump_json())
        assert before == self.state
        after, command = advance(self.state, moment)
        assert advance(self.state, moment) == (after, command)
        replayed, again = advance(
            before, type(moment).model_validate_json(moment.model_dump_json())
        )
        assert (replayed.model_dump_json(), again) == (after.model_dump_json(), command)
        assert COMMAND.validate_json(COMMAND.dump_json(command)) == command
        self.state = after
        self.unread = self.steered = self.steered or bool(steers)
        if isinstance(command, AskModel):
            self.steered = False
            self._hear(command)
        return command

    def _hear(self, command: AskModel) -> None:
        turn, limits = command.request, self.state.request.limits
        self.asked += 1
        assert turn.turn == self.asked <= limits.turns_max
        assert self.state.usage.total < limits.tokens_max
        assert self.state.cost_microdollars < limits.cost_usd_max * 1e6
        assert self.worked_s < limits.minutes_max * 60
        self.prompted += [
            one.step if isinstance(one, StepPrompt) else one.prompt.step if one.prompt else ""
            for one in turn.say
            if isinstance(one, StepPrompt | StepAccepted)
        ]
        told = Context(opening="The task.", rules="") if turn.head is None else None
        said = prompt.said(turn.say, self.script, told, self.outputs)
        self.messages.append(said)
        as_the_api_demands(self.messages)

    def reply(self, calls: list[ToolCall]) -> None:
        blocks = [
            TextBlock(text="Well."),
            *(ToolUseBlock(id=one.id, name=one.name, input=one.input or {}) for one in calls),
        ]
        self.messages.append(Message(role="assistant", blocks=tuple(blocks)))


def as_the_api_demands(messages: list[Message]) -> None:
    """Roles alternate; a reply's calls are answered once each, first thing, in the next message."""
    said = messages[-1]
    assert [message.role for message in messages] == (
        ["user", "assistant"] * ((len(messages) + 1) // 2)
    )[: len(messages)]
    results = [block for block in said.blocks if isinstance(block, ToolResultBlock)]
    texts = [block for block in said.blocks if isinstance(block, TextBlock)]
    assert said.blocks == (*results, *texts)
    assert said.blocks
    assert all(block.text.strip() for block in texts)
    assert all(block.content.strip() for block in results)
    wanted = (
        [block.id for block in messages[-2].blocks if isinstance(block, ToolUseBlock)]
        if len(messages) > 1
        else []
    )
    assert sorted(block.tool_use_id for block in results) == sorted(wanted)


def draw_calls(data: st.DataObject, talk: Talk, careful: bool) -> tuple[list[ToolCall], bool]:
    """What the agent calls in one reply, and whether the step is satisfied by its first claim."""
    wanted = talk.steps[talk.accepted]
    calls: list[ToolCall] = []
    first: bool | None = None
    what = st.sampled_from(["work", "work", "claim", "claim", "claim", "issue"])
    several = st.lists(what, min_size=careful, max_size=4)
    for number, one in enumerate(data.draw(several, label="calls")):
        call_id = f"t{talk.asked}-{number}"
        if one == "work":
            calls.append(call(data.draw(NAMES), call_id))
        elif one == "issue":
            arguments = data.draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "kind": st.sampled_from(["needs_human", "blocked"]) | ODD,
                        "severity": st.sampled_from(["warn", "fatal"]) | ODD,
                        "summary": st.text(max_size=5) | ODD,
                    },
                )
            )
            calls.append(call("report_issue", call_id, **arguments))
        else:
            arguments, satisfied = data.draw(claims(wanted, careful))
            calls.append(call("complete_step", call_id, **arguments))
            first = satisfied if first is None else first
    return calls, bool(first)


@given(st.data(), PLANS, LIMITS, MISHAPS, st.booleans())
def test_whatever_the_agent_does_the_session_ends_truthfully(
    data: st.DataObject,
    plan: list[tuple[str | None, bool]],
    limits: Limits,
    mishap: tuple[int, str] | None,
    careful: bool,
) -> None:
    talk = Talk(plan, limits)
    pending = False
    wrong: str | None = None
    command = talk.advance(Started(), data.draw(STEERS))
    for events in range(10 * limits.turns_max):
        if isinstance(command, Finish):
            break
        talk.worked_s += data.draw(st.sampled_from([0.0, 1.0, 20.0]))
        wrong = mishap[1] if mishap and mishap[0] == events else None
        event: SessionEvent
        if wrong == "kill":
            event = Killed(why="killed")
        elif wrong:
            event = CallFailed(failure=Failure(kind=FailureKind(wrong), said="It failed."))
        elif isinstance(command, RunTools):
            calls = [one for group in command.groups for one in group]
            # One output may be lost, and a lost one is still answered.
            for one in calls[: data.draw(st.integers(0, len(calls)))]:
                talk.outputs[one.id] = ToolOutput(content=data.draw(st.text(max_size=3)), ok=True)
            event = ran(*calls)
        elif isinstance(command, AskOperator):
            event = Answered(question=command.question.id, text="{% yes %}", by="ada")
        else:
            calls, pending = draw_calls(data, talk, careful)
            stop = StopReason.TOOL_USE if careful else data.draw(STOPS)
            pending = pending and stop in (StopReason.TOOL_USE, StopReason.END_TURN)
            talk.reply(calls)
            event = taken(*calls, stop=stop)
        command = talk.advance(event, data.draw(STEERS))
        settled = wrong is None and not isinstance(command, RunTools | AskOperator)
        if settled:
            talk.accepted += pending and not talk.unread
            pending = False
        assert len(talk.state.notes) == talk.accepted
    assert isinstance(command, Finish)
    assert command.why
    finished_all = talk.accepted == len(plan)
    assert (command.ending is SessionEnding.COMPLETED) is finished_all
    ids = [one.id for one in talk.steps]
    assert talk.prompted == ids[: len(talk.prompted)]
    steering = ("wr.loop_control", "wr.assessment")
    wanted = [kind for kind, _ in plan[: talk.accepted] if kind and kind not in steering]
    assert [artifact.kind for artifact in talk.state.artifacts] == wanted
    if wrong == "kill":
        assert command.ending is SessionEnding.KILLED
    elif wrong:
        assert command.ending is ENDING_OF_FAILURE.get(FailureKind(wrong), SessionEnding.FAILED)


def test_an_output_that_is_lost_is_told_as_lost() -> None:
    said = prompt.said((ToolDone(call="c1"),), compiled().script, None, {})
    (result,) = said.blocks
    assert isinstance(result, ToolResultBlock)
    assert result.is_error
    assert result.content == words().lost
