"""Odd corners of a session's way: what spawning, going back and going on are bounded by."""

from typing import Any

import pytest

from tests.engine.conftest import (
    NOTES,
    asked,
    authored,
    call,
    done,
    go,
    handed_over,
    request,
    taken,
    words,
)
from tests.engine.playing import Play
from worktrain.contracts.plan import Plan
from worktrain.contracts.session import (
    Answered,
    AskModel,
    AskOperator,
    ChildrenEnded,
    Command,
    Confirm,
    ContinueAsked,
    Finish,
    Question,
    RewindAsked,
    RunChildren,
    RunTools,
    SessionEnding,
    SessionOpened,
    SessionRequest,
    SessionState,
    Started,
)
from worktrain.contracts.turn import (
    CallAnswered,
    Continued,
    Rewound,
    Spawned,
    Steer,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    StopReason,
    Usage,
)
from worktrain.contracts.workspace import Limits
from worktrain.engine.compile import compile_spec
from worktrain.engine.machine import checkpoint, current, delegate, questions, walk
from worktrain.engine.machine.checkpoint import CHECKPOINTS_MAX
from worktrain.engine.machine.claim import ARTIFACTS_MAX
from worktrain.engine.machine.tracing import WAITING_MAX


def planned(*steps: dict[str, Any], **changes: Any) -> Plan:
    return compile_spec(authored(*steps, **changes), words()).plan


def begun(plan: Plan, made: SessionRequest | None = None) -> tuple[SessionState, Command]:
    opened = SessionOpened(plan=plan, script="s" * 64, context="c" * 64)
    return go(SessionState(request=made or request(), opened=opened), Started())


def refusals(command: Command) -> list[str]:
    """What is wrong, of the refusal that is said next."""
    (said,) = [one for one in asked(command).say if isinstance(one, StepBlocked)]
    return [f"{one.code} {one.message}" for one in said.blockers]


ONE = {"id": "one-step"}
TWO = {"id": "two-step"}

# --- agents of an agent ----------------------------------------------------------------------


def spawning(limits: Limits | None = None, **changes: Any) -> SessionState:
    return begun(planned(ONE), request(limits, **changes))[0]


def spawn(state: SessionState, **arguments: Any) -> tuple[SessionState, Command]:
    return go(state, taken(call("spawn_agent", "s1", **arguments)))


def test_an_agent_gets_what_it_is_told_and_a_share_of_what_is_left() -> None:
    limits = Limits(tokens_max=1_015, cost_usd_max=1.0)
    one = {"workflowId": "routine-x", "goal": "Look."}
    before = spawning(limits, soul="Be kind.", gates="operator", depth=1)
    calls = taken(call("spawn_agent", "s1", agents=[one, one]), usage=Usage(input=15), cost=400_000)
    now, command = go(before, calls)
    assert isinstance(command, RunChildren)
    first, second = (child.request for child in command.children)
    assert [child.name for child in command.children] == ["agent-1", "agent-2"]
    assert first.session != second.session
    assert first.limits.tokens_max == second.limits.tokens_max == 500
    assert first.limits.cost_usd_max == pytest.approx(0.3)
    assert (first.depth, first.soul, first.gates, first.branch) == (2, "Be kind.", "operator", None)
    assert now.spawned == 2


def test_what_agents_used_counts_for_whoever_had_them_run() -> None:
    play = Play(
        planned(ONE, TWO),
        says={"one-step": [{"calls": [("spawn_agent", {"workflowId": "x-y", "goal": "z"})]}, {}]},
        limits=Limits(tokens_max=40),
    )
    ended = play.run()
    # Two turns of 15 tokens and an agent of 4 leave room for one more turn.
    assert ended.ending is SessionEnding.COMPLETED
    assert play.state is not None
    assert play.state.usage.total == 49
    assert play.state.cost_microdollars == 35
    play.limits = Limits(tokens_max=34)
    assert Play(play.plan, says=play.says, limits=play.limits).run().ending is (
        SessionEnding.TOKEN_LIMIT
    )


@pytest.mark.parametrize(
    ("limits", "depth", "agents", "said"),
    [
        (Limits(depth_max=2), 2, 1, "sessions may stand 2 deep"),
        (Limits(depth_max=0), 0, 1, "sessions may stand 0 deep"),
        (Limits(children_max=2), 0, 3, "at most 2 may be run for one"),
        (Limits(children_max=0), 0, 1, "at most 0 may be run for one"),
    ],
)
def test_depth_and_number_of_agents_are_bounded_and_the_agent_is_told(
    limits: Limits, depth: int, agents: int, said: str
) -> None:
    orders = [{"workflowId": "x-y", "goal": "z"}] * agents
    now, command = spawn(spawning(limits, depth=depth), agents=orders)
    (answer,) = asked(command).say
    assert isinstance(answer, CallAnswered)
    assert (answer.word, answer.is_error) == ("too_many", True)
    assert said in answer.text
    assert now.spawned == 0


def test_the_number_of_agents_is_counted_over_the_whole_session() -> None:
    now = spawning(Limits(children_max=2))
    for _ in range(2):
        now, command = spawn(now, workflowId="x-y", goal="z")
        assert isinstance(command, RunChildren)
        ended = [Play(planned(ONE))._child(child) for child in command.children]
        now, command = go(now, ChildrenEnded(children=tuple(ended)))
        (answer,) = asked(command).say
        assert isinstance(answer, Spawned)
    assert isinstance(asked(spawn(now, workflowId="x-y", goal="z")[1]).say[0], CallAnswered)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"goal": "Look."}, "needs `workflowId` and `goal`"),
        ({"agents": [{"workflowId": "x"}]}, "agents.0.goal: Field required"),
        ({"workflowId": "x", "goal": "y", "tools": []}, "tools: Extra inputs"),
        (
            {"workflowId": "x", "goal": "y", "context": {"eat_token": "z"}},
            "`eat_token` is reserved",
        ),
        ({"workflowId": "x", "goal": "y", "context": {"z": float("nan")}}, "is no JSON"),
        ({"workflowId": "x", "goal": "y", "context": {"z": "w" * 300_000}}, "262,144 are allowed"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused_with_the_reason(
    arguments: dict[str, Any], said: str
) -> None:
    _, command = spawn(spawning(), **arguments)
    (answer,) = asked(command).say
    assert isinstance(answer, CallAnswered)
    assert (answer.word, answer.is_error) == ("rejected", True)
    assert said in answer.text


@pytest.mark.parametrize(
    ("own", "wanted", "gets"),
    [
        ((), [], ()),
        ((), ["Read"], ("Read",)),
        (("Read", "Grep", "spawn_agent"), [], ("Read", "Grep", "spawn_agent")),
        (("Read", "Grep", "spawn_agent"), ["Bash", "Grep"], ("Grep",)),
    ],
)
def test_an_agent_never_has_a_tool_that_its_parent_has_not(
    own: tuple[str, ...], wanted: list[str], gets: tuple[str, ...]
) -> None:
    before = spawning(tools=own)
    _, command = spawn(before, workflowId="x-y", goal="z", allowedTools=wanted)
    assert isinstance(command, RunChildren)
    assert command.children[0].request.tools == gets


def test_a_tool_that_is_not_allowed_is_not_run_and_steps_can_still_be_completed() -> None:
    now, command = begun(planned(ONE), request(tools=("Read",)))
    assert asked(command).tools == ("Read",)
    now, command = go(now, taken(call("Bash", "c1"), call("spawn_agent", "c2"), call("Read", "c3")))
    assert isinstance(command, RunTools)
    assert [one.name for group in command.groups for one in group] == ["Read"]
    refused = [one for one in now.say if isinstance(one, CallAnswered)]
    assert [(one.call, one.word) for one in refused] == [
        ("c1", "not_allowed"),
        ("c2", "not_allowed"),
    ]
    _, command = go(begun(planned(ONE), request(tools=("Read",)))[0], taken(done()))
    assert isinstance(command, Finish)


def test_a_session_that_judges_counts_as_one_that_was_run() -> None:
    gated = {"requireConfirmation": True}
    now, _ = begun(planned({**ONE, **gated}, {**TWO, **gated}), request(Limits(children_max=1)))
    now, command = go(now, taken(done("c1")))
    assert isinstance(command, RunChildren)
    assert now.spawned == 1
    judged = Play(planned(ONE))._child(command.children[0])
    now, _ = go(now, ChildrenEnded(children=(judged,)))
    _, command = go(now, taken(done("c2")))
    assert isinstance(command, Confirm)
    assert "at most 1 may be run for one" in command.gate.text
    assert NOTES in command.gate.text


# --- back to an earlier point -----------------------------------------------------------------


def test_a_rewind_goes_on_from_the_head_of_then_and_keeps_what_nobody_has_read() -> None:
    now, _ = begun(planned(ONE, TWO, {"id": "three-step"}))
    now, second = go(now, taken(done("c1"), call("report_issue", "c2", kind="blocked")))
    now, _ = go(now, taken(done("c3")))
    back = RewindAsked(checkpoint="two-step", reason="It was wrong.", by="ada")
    now, command = go(now, back, "and use the other file")
    turn = asked(command)
    assert turn.head == asked(second).head
    assert [type(one) for one in turn.say] == [
        CallAnswered,
        StepAccepted,
        Rewound,
        StepPrompt,
        Steer,
    ]
    assert turn.say[-1] == Steer(text="and use the other file", by="ada")
    assert turn.turn == 4
    assert current(now).id == "two-step"


def test_a_rewind_into_a_loop_is_in_its_pass_again() -> None:
    rounds = {
        "id": "rounds",
        "type": "loop",
        "loop": {"type": "forEach", "items": "items", "maxIterations": 5},
        "body": [{"id": "take-it", "prompt": "{{currentItem}}"}, {"id": "keep-it"}],
    }
    back = RewindAsked(checkpoint="c3", reason="Again.", by="ada")
    play = Play(planned(rounds, ONE), context={"items": ["a", "b"]}, instead={"one-step": back})
    assert play.run().ending is SessionEnding.COMPLETED
    way = ["take-it@1", "keep-it@1", "take-it@2", "keep-it@2"]
    assert play.way == [*way, "one-step", "take-it@2", "keep-it@2", "one-step"]
    assert [one.values["currentItem"] for one in play.prompts if one.values] == ["a", "b", "b"]


def test_more_artifacts_than_are_kept_are_undone_all_the_same() -> None:
    plan = planned(
        ONE, {"id": "many-step", "jumpIf": [{"condition": {"var": "more"}, "to": "many-step",
                                             "maxJumps": 100}]}, TWO,
    )  # fmt: skip
    many = [{"kind": "wr.coordinator_signal", "signalKind": "progress"}] * 10
    rounds = ARTIFACTS_MAX // 10 + 1
    says = [{"artifacts": many, "context": {"more": n < rounds}} for n in range(1, rounds + 1)]
    back = RewindAsked(checkpoint="one-step", reason="Again.", by="ada")
    play = Play(plan, says={"many-step": [*says, {}]}, instead={"two-step": back})
    assert play.run().ending is SessionEnding.COMPLETED
    assert play.state is not None
    assert play.state.artifacts == ()
    assert play.state.delivered == 0


def test_the_newest_points_are_kept_and_what_is_gone_is_not_found() -> None:
    jump = [{"condition": {"not": {"var": "never"}}, "to": "one-step", "maxJumps": 50}]
    play = Play(planned({"id": "one-step", "jumpIf": jump}))
    play.run()
    assert play.state is not None
    points = play.state.checkpoints
    assert len(points) == CHECKPOINTS_MAX
    assert checkpoint.found(play.state, "one-step") == points[-1]
    assert checkpoint.found(play.state, "c51") == points[-1]
    assert checkpoint.found(play.state, "c1") is None
    with pytest.raises(KeyError):
        checkpoint.rewound(play.state, "c1", "Again.", "ada")


# --- on after the end -------------------------------------------------------------------------

MORE = ContinueAsked(text="And the mails?", by="ada")


def test_a_finished_session_is_told_what_more_is_wanted_and_completes_its_last_step_again() -> None:
    now, _ = begun(planned(ONE, TWO))
    now, _ = go(now, taken(done("c1")))
    now, command = go(now, taken(done("c2")))
    assert isinstance(command, Finish)
    now, command = go(now, MORE)
    assert asked(command).say == (
        StepAccepted(call="c2"),
        Continued(step="The two-step", text="And the mails?", by="ada"),
    )
    _, command = go(now, taken(done("c3")))
    assert isinstance(command, Finish)
    assert command.ending is SessionEnding.COMPLETED


@pytest.mark.parametrize("how", ["refused too often", "cut off"])
def test_a_session_that_gave_up_can_go_on_with_every_call_answered(how: str) -> None:
    now, _ = begun(planned(ONE), request(Limits(blocks_max=1)))
    if how == "cut off":
        now, _ = go(now, taken(stop=StopReason.MAX_TOKENS))
        now, command = go(now, taken(call("Bash", "c1"), stop=StopReason.MAX_TOKENS))
        assert isinstance(command, Finish)
        assert "cut off at the output limit 2 times in a row" in command.why
    else:
        now, command = go(now, taken(done("c1", notes="")))
    assert isinstance(command, Finish)
    assert now.waiting == ()
    _, command = go(now, MORE)
    answered = [
        one.call for one in asked(command).say if isinstance(one, StepBlocked | CallAnswered)
    ]
    assert answered == ["c1"]


def test_a_session_of_which_no_step_was_begun_cannot_go_on_and_says_so() -> None:
    now, command = begun(planned({"id": "one-step", "runCondition": {"var": "never"}}))
    assert isinstance(command, Finish)
    _, command = go(now, MORE)
    assert isinstance(command, Finish)
    assert command.ending is SessionEnding.BLOCKED
    assert "no step of it was ever begun" in command.why


def test_a_session_that_goes_on_from_another_has_spent_nothing() -> None:
    now, _ = begun(planned(ONE, TWO))
    now, _ = go(now, taken(done("c1"), usage=Usage(input=100)))
    other = request(Limits(turns_max=1), session="other")
    now = checkpoint.seeded(now, other, now.opened)
    assert (now.usage, now.turn, now.trace, now.spawned) == (Usage(), 0, (), 0)
    _, command = go(now, RewindAsked(checkpoint="one-step", reason="Anew.", by="ada"))
    assert asked(command).session == "other"
    assert asked(command).head is None


# --- what stands in the way -------------------------------------------------------------------


def test_what_the_spec_is_to_give_is_no_fault_of_a_step_before_something_that_cannot_begin() -> (
    None
):
    each = {
        "id": "each",
        "type": "loop",
        "loop": {"type": "forEach", "items": "items", "maxIterations": 2},
        "body": [{"id": "take-it", "gives": {"total": "integer"}}],
    }
    _, command = go(begun(planned(ONE, each, gives={"total": "integer"}))[0], taken(done()))
    assert isinstance(command, Finish)
    assert command.ending is SessionEnding.BLOCKED
    assert "needs the list 'items'" in command.why


def test_steps_that_are_passed_over_without_end_are_stopped() -> None:
    maybe = {"runCondition": {"var": "never"}}
    loops = [
        {
            "id": f"rounds-{n}",
            "type": "loop",
            "loop": {"type": "for", "count": 1000, "maxIterations": 1000},
            "body": [{"id": f"one-{n}", **maybe}, {"id": f"two-{n}", **maybe}],
        }
        for n in range(6)
    ]
    now, command = begun(planned(*loops))
    assert isinstance(command, Finish)
    assert command.ending is SessionEnding.BLOCKED
    assert f"{walk.MOVES_MAX:,} steps in a row were passed over" in command.why
    assert len(now.trace) == WAITING_MAX
    assert now.traced > walk.MOVES_MAX


@pytest.mark.parametrize("count", ["9" * 5_000, -1, 2.5, True, [], "many", None])
def test_a_count_that_is_none_ends_the_session_and_never_the_machine(count: Any) -> None:
    rounds = {
        "id": "rounds",
        "type": "loop",
        "loop": {"type": "for", "count": "times", "maxIterations": 2},
        "body": [ONE],
    }
    _, command = begun(planned(rounds), request(context={"times": count}))
    assert isinstance(command, Finish)
    assert command.ending is SessionEnding.BLOCKED
    assert "its count 'times' is" in command.why


def test_two_loops_that_share_a_name_are_both_stopped_by_it() -> None:
    def rounds(name: str) -> dict[str, Any]:
        source = {
            "kind": "artifact_contract",
            "contractRef": "wr.contracts.loop_control",
            "loopId": "shared",
        }
        contract = {"contractRef": "wr.contracts.loop_control"}
        return {
            "id": name,
            "type": "loop",
            "loop": {"type": "while", "maxIterations": 3, "conditionSource": source},
            "body": [{"id": f"decide-{name}", "outputContract": contract}],
        }

    stop = {"artifacts": [{"kind": "wr.loop_control", "loopId": "shared", "decision": "stop"}]}
    says = {"decide-first": stop, "decide-second": stop, "between": {}}
    play = Play(planned(rounds("first"), {"id": "between"}, rounds("second")), says=says)
    play.run()
    assert play.way == ["decide-first@1", "between", "decide-second@1"]


def test_levels_are_kept_beside_what_an_agent_called_assessments() -> None:
    quality = {
        "id": "quality",
        "purpose": "How good.",
        "dimensions": [{"id": "rating", "purpose": "It.", "levels": ["low", "high"]}],
    }
    judged = {"id": "judge-it", "assessmentRefs": ["quality"]}
    play = Play(
        planned(ONE, judged, assessments=[quality]),
        says={"one-step": {"context": {"assessments": "all good"}}},
    )
    assert play.run().ending is SessionEnding.COMPLETED
    assert play.state is not None
    assert play.state.context["assessments"] == {"quality": {"rating": "low"}}


def test_a_variable_that_is_given_as_null_is_not_given() -> None:
    plan = planned(ONE, needs={"strict": {"type": "boolean", "default": True}})
    now, _ = begun(plan, request(context={"strict": None, "other": None}))
    assert now.context == {"goal": "Login fails", "is_autonomous": "true", "strict": True}


def test_variables_that_are_too_many_are_refused_with_their_size() -> None:
    now, _ = begun(planned(ONE), request(Limits(context_bytes_max=1_024)))
    claim = call("complete_step", notes=NOTES, context={"modules": ["x" * 500] * 3})
    now, command = go(now, taken(claim))
    (said,) = refusals(command)
    assert said.startswith("CONTEXT_BUDGET_EXCEEDED The context would have 1,5")
    assert "1,024 are allowed" in said
    assert "modules" not in now.context


def test_as_many_things_are_told_as_may_be_and_how_many_more_there_are() -> None:
    gives = {f"given_{n}": "string" for n in range(15)}
    _, command = go(begun(planned({"id": "one-step", "gives": gives}))[0], taken(done()))
    said = refusals(command)
    assert len(said) == Limits().blockers_max
    assert said[-1].endswith("and 6 more things; mend these first")


# --- questions ---------------------------------------------------------------------------------


def question(kind: Any, *options: str) -> Question:
    return Question(id="q", text="What?", type=kind, options=options)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", " as it is ", "as it is"),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("number", "3.0", 3),
        ("number", "-2.5", -2.5),
        ("json", '{"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_an_answer_is_read_by_the_type_of_its_question(kind: str, text: str, value: Any) -> None:
    assert questions.value_of(question(kind), text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text", "  "),
        ("boolean", "perhaps"),
        ("number", "many"),
        ("number", "nan"),
        ("number", "1e999"),
        ("json", "[1"),
        ("json", "NaN"),
        ("json", "null"),
        ("json", '"\\ud800"'),
        ("json", "[" * 100_000),
        ("json", "9" * 5_000),
        ("choice", "3"),
    ],
)
def test_what_is_no_answer_is_refused_with_what_would_be_one(kind: str, text: str) -> None:
    options = ("red", "green") if kind == "choice" else ()
    with pytest.raises(ValueError, match=r"the question wants|no answer"):
        questions.value_of(question(kind, *options), text)


def test_what_is_no_answer_is_asked_again() -> None:
    asks = [{"id": "often", "text": "How often?", "type": "number"}]
    now, command = begun(planned({"id": "one-step", "prompt": "{{often}}", "questions": asks}))
    assert isinstance(command, AskOperator)
    now, again = go(now, Answered(question=command.question.id, text="often", by="ada"))
    assert isinstance(again, AskOperator)
    assert again.question.id != command.question.id
    assert any("the question wants a number" in one.text for one in now.trace)
    _, command = go(now, Answered(question=again.question.id, text="4", by="ada"))
    assert asked(command).say == (StepPrompt(step="one-step", values={"often": "4"}),)


@pytest.mark.parametrize(
    ("kind", "default", "taken_as"),
    [
        ("number", "five", None),
        ("choice", "blue", None),
        ("boolean", True, "yes"),
        ("text", " ", None),
    ],
)
def test_a_default_that_is_no_answer_leaves_the_question_open(
    kind: str, default: Any, taken_as: str | None
) -> None:
    ask = {"id": "told", "text": "What?", "type": kind, "deadlineMinutes": 1, "default": default}
    options = {"options": ["red", "green"]} if kind == "choice" else {}
    _, command = begun(planned({"id": "one-step", "questions": [{**ask, **options}]}))
    assert isinstance(command, AskOperator)
    assert command.question.default == (taken_as or "")
    assert command.question.deadline_s == (60 if taken_as else None)


# --- who is told what ---------------------------------------------------------------------------


def test_a_judge_is_shown_what_waits_at_the_gate_and_not_more_than_fits() -> None:
    step = {
        "id": "hand-over",
        "requireConfirmation": True,
        "outputContract": {"contractRef": "wr.contracts.triage"},
    }
    now, _ = begun(planned(step))
    long = handed_over("wr.triage", evidence=["x" * 300] * 20)
    now, command = go(now, taken(long))
    assert isinstance(command, RunChildren)
    (judge,) = command.children
    shown = judge.request.context
    assert shown["gateStep"] == "hand-over"
    assert len(shown["gateArtifacts"]) == delegate.EVIDENCE_MAX
    assert now.claim is not None
    assert now.artifacts == ()


def test_names_of_sessions_differ_whatever_their_delegations_are_called() -> None:
    step = {
        "id": "ask-them",
        "type": "parallel",
        "forEach": {"items": "items"},
        "parallelDelegations": [
            {"workflowId": "checker", "goal": "x"},
            {"workflowId": "checker", "goal": "y", "runCondition": {"var": "currentItem.again"}},
        ],
    }
    items = [{"again": True}, {"again": False}]
    _, command = begun(planned(step), request(context={"items": items}))
    assert isinstance(command, RunChildren)
    assert [one.name for one in command.children] == ["checker-1", "checker-2-1", "checker-2"]
    assert isinstance(begun(planned(ONE))[1], AskModel)
