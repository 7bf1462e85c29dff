"""What holds for every spec and every agent: random ones, played against the machine."""

import json
import os
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.engine.conftest import call, happened, request, words
from tests.engine.playing import Play, fulfilling
from worktrain.contracts.failure import Failure, FailureKind
from worktrain.contracts.plan import Plan
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.session import (
    Answered,
    AskModel,
    AskOperator,
    CallFailed,
    Child,
    ChildEnded,
    ChildrenEnded,
    Command,
    Confirm,
    Confirmed,
    ContinueAsked,
    Event,
    Finish,
    Gather,
    Gathered,
    Killed,
    RewindAsked,
    RunChildren,
    RunTools,
    SessionEnding,
    SessionOpened,
    SessionResult,
    SessionState,
    Started,
    ToolsRan,
    TurnTaken,
)
from worktrain.contracts.spec import Spec
from worktrain.contracts.trace import Trace, TraceKind
from worktrain.contracts.turn import (
    CallAnswered,
    Spawned,
    Steer,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    StopReason,
    ToolCall,
    ToolDone,
    ToolReply,
    TurnReply,
    TurnRequest,
    Usage,
)
from worktrain.contracts.workspace import Limits
from worktrain.engine import context_check
from worktrain.engine.compile import compile_spec
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES
from worktrain.engine.inspect import faults
from worktrain.engine.machine import advance, current
from worktrain.engine.simulate import simulate

FACTOR = 40 if os.environ.get("WORKTRAIN_LONG") else 1
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
EVENTS_MAX = 600
"""Of one session: turns are bounded by its limits, and what is between them by its spec."""
PATIENCE = 8
"""Answers of a person that may be nonsense."""

# --- random specs --------------------------------------------------------------------------

NAMES = ("alpha", "beta", "gamma")
LISTS = ("items", "places")
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [True, False, 0, 1, 3, "high", " LOW ", "3", None, [], ["x"], {"k": 1}, [{"name": "n"}, "y"]]
)
TYPES = st.sampled_from(["boolean", "string", "integer", {"enum": ["high", "low"]}, "array"])


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    name = st.sampled_from(
        [*NAMES, "currentIteration", "currentItem.name", "assessments.quality.rating"]
    )
    tests = st.fixed_dictionaries(
        {},
        optional={
            "equals": VALUES,
            "not_equals": VALUES,
            "gt": st.integers(-1, 4),
            "lte": st.integers(-1, 4),
            "in": st.lists(VALUES, max_size=3),
            "contains": st.sampled_from(["x", "ig", 3]),
            "matches": st.sampled_from(["^h", "[0-9]"]),
        },
    )
    return st.builds(lambda name, tests: {"var": name, **dict([*tests.items()][:2])}, name, tests)


CONDITIONS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=4,
)
CONTRACTS = st.sampled_from(["loop_control", "triage", "gate_verdict", "coordinator_signal"])
GATES = st.one_of(
    st.just(True),
    CONDITIONS,
    st.builds(
        lambda kind, when: {"kind": kind, **({"condition": when} if when else {})},
        st.sampled_from(["coordinator_eval", "human_approval"]),
        st.none() | CONDITIONS,
    ),
)
CONSEQUENCES = st.sampled_from(
    [
        {"kind": "require_followup", "guidance": "Look again."},
        {"kind": "require_redo", "guidance": "Again.", "recipe": ["Read it."], "maxRedos": 2},
    ]
)


def seldom(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), st.none(), some)


def written(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what was left out."""
    return {key: one for key, one in fields.items() if one is not None}


JUMPS = st.builds(
    lambda when, to, most: [{"condition": when, "to": to, "maxJumps": most}],
    CONDITIONS,
    st.integers(0, 9),
    st.integers(1, 2),
)
"""With a number in place of the target."""
OUTPUTS = st.builds(
    lambda kind, required: {"contractRef": f"wr.contracts.{kind}", "required": required},
    CONTRACTS,
    st.booleans(),
)
VARIABLES = st.dictionaries(st.sampled_from(NAMES), TYPES, min_size=1, max_size=2)
QUESTIONS = st.builds(
    lambda name, kind, when: [
        written(
            {
                "id": name,
                "text": "What is it?",
                "type": kind,
                "options": ["high", "low"] if kind == "choice" else None,
                "when": when,
            }
        )
    ],
    st.sampled_from([*NAMES, "told"]),
    st.sampled_from(["text", "choice", "boolean", "number"]),
    st.none() | CONDITIONS,
)
FRAGMENTS = st.builds(lambda when: [{"id": "more", "when": when, "text": "x"}], CONDITIONS)
JUDGED = st.builds(
    lambda effect: written(
        {
            "assessmentRefs": ["quality"],
            "assessmentConsequences": [{"when": {"anyEqualsLevel": "low"}, "effect": effect}]
            if effect
            else None,
        }
    ),
    st.none() | CONSEQUENCES,
)
TEXTS = st.sampled_from(["Do it.", "With {{alpha}} and {{beta.k}}.", "{{currentItem.name}}"])
SOURCES = [{"variable": "found", "paths": ["a"], "required": True}]
LENGTH = {"type": "length", "min": 60, "message": "Say more."}
STANDARD = st.fixed_dictionaries(
    {
        "prompt": TEXTS,
        "runCondition": seldom(CONDITIONS),
        "requireConfirmation": seldom(GATES),
        "outputContract": seldom(OUTPUTS),
        "notesOptional": seldom(st.just(True)),
        "gives": seldom(VARIABLES),
        "needs": seldom(VARIABLES),
        "questions": seldom(QUESTIONS),
        "todoList": seldom(st.just(["One.", "Two."])),
        "jumpIf": seldom(JUMPS),
        "contextGather": seldom(st.just(SOURCES)),
        "promptFragments": seldom(FRAGMENTS),
        "validationCriteria": seldom(st.just(LENGTH)),
    }
)
DELEGATIONS = st.builds(
    lambda when, gives: written(
        {
            "workflowId": "other",
            "goal": "Look at {{alpha}}.",
            "runCondition": when,
            "gives": {gives: "given.x"} if gives else None,
            "contextMapping": {"alpha": "alpha"},
        }
    ),
    st.none() | CONDITIONS,
    st.none() | st.sampled_from(NAMES),
)
SYNTHESES = st.sampled_from(
    [
        None,
        {"prompt": "Together: {{delegationResults}}"},
        {"prompt": "Together.", "outputContract": {"contractRef": "wr.contracts.triage"}},
    ]
)
PARALLEL = st.fixed_dictionaries(
    {
        "type": st.just("parallel"),
        "parallelDelegations": st.lists(DELEGATIONS, min_size=1, max_size=2),
        "synthesis": SYNTHESES,
        "runCondition": seldom(CONDITIONS),
        "requireConfirmation": seldom(GATES),
        "forEach": seldom(st.just({"items": "items"})),
        "failPolicy": seldom(st.just("abort")),
    }
)
RULES = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["while", "until"]), "condition": CONDITIONS}),
    st.fixed_dictionaries(
        {"type": st.just("for"), "count": st.integers(0, 5) | st.sampled_from(["beta", "nobody"])}
    ),
    st.fixed_dictionaries({"type": st.just("forEach"), "items": st.sampled_from(LISTS)}),
)
AROUND = st.fixed_dictionaries(
    {
        "runCondition": seldom(CONDITIONS),
        "requireConfirmation": seldom(GATES),
    }
)
MOSTLY_STANDARD = st.sampled_from(["standard"] * 4 + ["parallel"])


@st.composite
def steps(draw: st.DrawFn, name: str, targets: tuple[str, ...], kind: str) -> dict[str, Any]:
    """A step of the agent, which may jump to the targets, or of other sessions."""
    if kind == "parallel":
        return {"id": name, **written(draw(PARALLEL))}
    made = {"id": name, **written(draw(STANDARD)), **(draw(seldom(JUDGED)) or {})}
    for jump in made.get("jumpIf", ()):
        jump["to"] = targets[jump["to"] % len(targets)]
    return made


@st.composite
def loops(draw: st.DrawFn, name: str, outside: tuple[str, ...]) -> dict[str, Any]:
    inside = tuple(f"{name}-{number}" for number in range(draw(st.integers(1, 3))))
    targets = (*inside, *outside)
    body = [draw(steps(one, targets, draw(MOSTLY_STANDARD))) for one in inside]
    rules = {**draw(RULES), "maxIterations": draw(st.integers(1, 4))}
    rules |= written({"exitWhen": draw(seldom(CONDITIONS))})
    return {"id": name, "type": "loop", "loop": rules, "body": body, **written(draw(AROUND))}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """What a spec says besides its name: steps of every kind, which compile."""
    ids = tuple(f"step-{number}" for number in range(draw(st.integers(1, 5))))
    made_steps = []
    for name in ids:
        kind = draw(st.sampled_from(["standard", "standard", "standard", "loop", "parallel"]))
        made = loops(name, ids) if kind == "loop" else steps(name, ids, kind)
        made_steps.append(_titled(draw(made)))
    quality = {
        "id": "quality",
        "purpose": "How good it is.",
        "dimensions": [{"id": "rating", "purpose": "How good.", "levels": ["low", "high"]}],
    }
    named = {"id": "sample", "name": "Sample", "description": "A sample.", "version": "1.0.0"}
    gives = draw(seldom(st.just({"alpha": "boolean"})))
    return {**named, "steps": made_steps, "assessments": [quality], **written({"gives": gives})}


def _titled(step: dict[str, Any]) -> dict[str, Any]:
    inside = {"body": [_titled(one) for one in step["body"]]} if "body" in step else {}
    return {**step, "title": f"The {step['id']}", **inside}


def read(document: dict[str, Any]) -> Spec:
    return Spec.model_validate_json(json.dumps(document), strict=True, extra="forbid")


CONTEXTS = st.dictionaries(
    st.sampled_from([*NAMES, *LISTS, "nobody"]), VALUES | st.just([1, {"name": "n"}])
)

# --- a session that is looked at from all sides ---------------------------------------------


@dataclass
class Moment:
    """What was true when a checkpoint was made."""

    context: dict[str, Any]
    artifacts: tuple[Any, ...]
    head: str | None


@dataclass
class Session:
    plan: Plan
    limits: Limits
    context: dict[str, Any]
    gates: str = "evaluator"
    trace: list[Trace] = field(default_factory=list)
    moments: dict[str, Moment] = field(default_factory=dict)
    called: dict[str | None, list[str]] = field(default_factory=lambda: {None: []})
    """Calls of each reply, by the reply's id."""
    unread: list[str] = field(default_factory=list)
    turns: int = 0
    steered: int = 0

    def __post_init__(self) -> None:
        opened = SessionOpened(plan=self.plan, script="s" * 64, context="c" * 64)
        made = request(self.limits, context=self.context, gates=self.gates)
        self.state = SessionState(request=made, opened=opened)

    def advance(self, event: Event, *steers: str) -> Command:
        """Fold an event in, twice, and once more from copies that went through a history."""
        moment = happened(event, *steers)
        written = self.state.model_dump_json()
        read = SessionState.model_validate_json(written)
        assert read.model_dump_json() == written
        after, command = advance(self.state, moment)
        assert advance(self.state, moment) == (after, command)
        copy, again = advance(read, type(moment).model_validate_json(moment.model_dump_json()))
        assert copy.model_dump_json() == after.model_dump_json()
        assert again.model_dump_json() == command.model_dump_json()
        assert COMMAND.validate_json(COMMAND.dump_json(command)) == command
        self.unread += steers
        known = {one.id for one in self.state.checkpoints}
        self.state = after
        for one in after.checkpoints:
            if one.id not in known:
                self.moments[one.id] = Moment(after.context, after.artifacts, one.head)
        self._told(command)
        if isinstance(command, AskModel):
            self._asked(command.request)
        return command

    def _told(self, command: Command) -> None:
        """Nobody is ever left without a reason."""
        match command:
            case Finish(why=why):
                assert why.strip()
            case AskOperator(question=question):
                assert question.id
                assert question.text.strip()
            case Confirm(gate=gate):
                assert gate.id
                assert gate.text.strip()
            case RunChildren(children=children):
                assert children
                sessions = [one.request.session for one in children]
                assert len({*sessions}) == len({one.name for one in children}) == len(children)
                assert self.state.spawned <= self.limits.children_max
            case RunTools(groups=groups):
                assert all(groups)
            case Gather(request=wanted):
                assert wanted.sources
            case AskModel():
                pass

    def _asked(self, turn: TurnRequest) -> None:
        """A turn is within the limits, and answers each call of the reply before it once."""
        self.turns += 1
        assert turn.turn == self.turns <= self.limits.turns_max
        self.trace += turn.trace
        answers = [
            one.call
            for one in turn.say
            if isinstance(one, ToolDone | StepAccepted | StepBlocked | CallAnswered | Spawned)
        ]
        assert sorted(answers) == sorted(self.called[turn.head])
        assert turn.say
        needs = {*self.plan.needs, *current(self.state).needs}
        for one in turn.say:
            prompt = one.prompt if isinstance(one, StepAccepted) else one
            if isinstance(prompt, StepPrompt):
                assert not [path for path in needs if "[unset" in prompt.values.get(path, "")]
        heard = [one.text for one in turn.say if isinstance(one, Steer)]
        assert heard[len(heard) - len(self.unread) :] == self.unread
        self.unread = []

    def claim(self) -> dict[str, Any]:
        return fulfilling(current(self.state))


def result(child: Child, **changes: Any) -> ChildEnded:
    record = PhaseRecord(
        phase="child",
        session=child.request.session,
        spec=child.request.spec,
        script="",
        ending=changes["ending"],
        turns=1,
        usage=Usage(input=3, output=1),
        cost_microdollars=5,
        model="m",
    )
    made = SessionResult.model_validate({"record": record, "why": "so it was", **changes})
    return ChildEnded(name=child.name, result=made)


# --- random agents, children and operators --------------------------------------------------

VERDICTS = st.sampled_from(["approved", "rejected", "uncertain"])
ENDINGS = st.sampled_from([SessionEnding.COMPLETED] * 4 + [SessionEnding.FAILED])
STOP: dict[str, Any] = {"kind": "wr.loop_control", "decision": "stop"}


@st.composite
def claims(draw: st.DrawFn, session: Session) -> dict[str, Any]:
    """Arguments of complete_step: right, or wrong in one of many ways."""
    claim = session.claim()
    context = {**claim["context"], **draw(CONTEXTS)} if draw(st.booleans()) else claim["context"]
    made = {**claim, "context": context}
    match draw(st.sampled_from([""] * 6 + ["notes", "artifacts", "levels", "keys", "stop", "odd"])):
        case "notes":
            made["notes"] = draw(st.sampled_from(["", "short", "x" * 5_000]))
        case "artifacts":
            made["artifacts"] = []
        case "levels":
            low = {"kind": "wr.assessment", "dimensions": {"rating": "low"}}
            others = [one for one in claim["artifacts"] if one["kind"] != "wr.assessment"]
            made["artifacts"] = [*others, low]
        case "keys":
            made[draw(st.sampled_from(["artefacts", "todo", "context"]))] = draw(VALUES)
        case "stop":
            made["artifacts"] = [one for one in claim["artifacts"] if one["kind"] != STOP["kind"]]
            made["artifacts"].append(STOP)
        case "odd":
            bad = draw(st.sampled_from(["", "x" * 2_000, [[[]]]]))
            made["context"] = {**context, "assessments": bad, "odd": bad}
    return made


@st.composite
def replies(draw: st.DrawFn, session: Session) -> TurnTaken:
    """What the agent says in a turn: nothing, work, questions, claims, in any number."""
    turn = session.turns
    calls: list[ToolCall] = []
    what = st.sampled_from(["claim"] * 6 + ["work", "issue", "signal", "spawn", "unheard-of"])
    for number, one in enumerate(draw(st.lists(what, min_size=0, max_size=3)) or ["claim"]):
        name = f"t{turn}.{number}"
        match one:
            case "claim":
                calls.append(call("complete_step", name, **draw(claims(session))))
            case "work":
                calls.append(call(draw(st.sampled_from(["Read", "Bash", "Grep"])), name))
            case "issue":
                kind = draw(st.sampled_from(["needs_human", "blocked"]))
                calls.append(call("report_issue", name, kind=kind, severity="warn", summary="?"))
            case "signal":
                kind = draw(st.sampled_from(["progress", "data_needed"]))
                calls.append(call("signal_coordinator", name, signalKind=kind))
            case "spawn":
                goal = draw(st.sampled_from(["Look.", ""]))
                agents = draw(
                    st.sampled_from([{}, {"agents": [{"workflowId": "x", "goal": "y"}] * 2}])
                )
                calls.append(call("spawn_agent", name, workflowId="other", goal=goal, **agents))
            case _:
                calls.append(call("Nonsense", name))
    stop = draw(st.sampled_from([StopReason.TOOL_USE] * 25 + [*StopReason]))
    if draw(st.sampled_from([False] * 20 + [True])):
        calls = []
    head = f"a{turn}"
    session.called[head] = [one.id for one in calls]
    return TurnTaken(
        reply=TurnReply(
            head=head,
            stop=stop,
            calls=tuple(calls),
            preview="Well.",
            usage=Usage(input=10, output=5),
            cost_microdollars=10,
            model="m",
        )
    )


@st.composite
def children_of(draw: st.DrawFn, children: tuple[Child, ...]) -> ChildrenEnded:
    ended = []
    for child in children:
        verdict = {**EXAMPLES["wr.gate_verdict"], "verdict": draw(VERDICTS)}
        artifacts = (verdict,) if child.request.spec == "gate-evaluation" else ()
        given = {"x": draw(VALUES)} if draw(st.booleans()) else {}
        ended.append(result(child, ending=draw(ENDINGS), artifacts=artifacts, given=given))
    return ChildrenEnded(children=tuple(ended))


@st.composite
def events(draw: st.DrawFn, session: Session, command: Command, patience: int) -> Event:
    """What comes of a command, or of something that happens outside."""
    points = session.state.checkpoints
    if points and patience and draw(st.sampled_from([False] * 25 + [True])):
        point = draw(st.sampled_from(points))
        to = draw(st.sampled_from([point.id, point.step]))
        return RewindAsked(checkpoint=to, reason="It was wrong.", by="ada")
    outside = draw(st.sampled_from([""] * 150 + ["kill", "fail"]))
    if outside == "kill":
        return Killed(why="killed on request")
    if outside == "fail":
        kind = draw(st.sampled_from(FailureKind))
        return CallFailed(failure=Failure(kind=kind, said="It failed; mend it."))
    match command:
        case AskModel():
            return draw(replies(session))
        case RunTools(groups=groups):
            done = [ToolReply(call=c.id, ok=True, preview="ok") for g in groups for c in g]
            return ToolsRan(replies=tuple(done))
        case AskOperator(question=question):
            good = {
                "choice": question.options[0] if question.options else "",
                "boolean": "yes",
                "number": "3",
                "json": '["x"]',
                "text": "high",
            }[question.type]
            odd = st.sampled_from(["", "nonsense", "nan", "[", "null", good])
            text = draw(odd) if patience else good
            return Answered(question=question.id, text=text, by="ada")
        case RunChildren(children=children):
            return draw(children_of(children))
        case Confirm():
            answer = draw(st.sampled_from(["approved", "approved", "rejected"]))
            return Confirmed.model_validate({"answer": answer, "by": "ada"})
        case Gather(request=wanted):
            names = [one.variable for one in wanted.sources]
            return Gathered(values={name: "found" for name in names if draw(st.booleans())})
        case Finish():
            return ContinueAsked(text="More.", by="ada")


LIMITS = st.builds(
    Limits,
    turns_max=st.integers(1, 40),
    tokens_max=st.sampled_from([200, 100_000, 100_000]),
    children_max=st.sampled_from([0, 3, 20]),
    blocks_max=st.integers(1, 4),
    context_bytes_max=st.sampled_from([1_024, 262_144]),
)


def no_step_twice_for_nothing(trace: list[Trace]) -> None:
    """Between two beginnings of a step in the same pass something led back to it."""
    seen: dict[tuple[str, int], int] = {}
    for at, entry in enumerate(trace):
        if entry.kind is not TraceKind.ENTERED:
            continue
        key = entry.step, entry.iteration
        between = trace[seen[key] : at] if key in seen else None
        seen[key] = at
        assert between is None or any(
            one.kind in (TraceKind.JUMPED, TraceKind.REWOUND) for one in between
        ), f"{key} began again: {[(one.kind, one.step) for one in between]}"


def loops_are_entered_and_left(trace: list[Trace]) -> None:
    """Alternately, but for what a rewind or the end cuts short."""
    open_loop = ""
    for entry in trace:
        if entry.kind is TraceKind.REWOUND:
            open_loop = "?"
        elif entry.kind is TraceKind.LOOP_ENTERED:
            assert open_loop in ("", "?")
            open_loop = entry.step
        elif entry.kind is TraceKind.LOOP_LEFT and open_loop != "":
            assert open_loop in (entry.step, "?")
            open_loop = ""


@settings(max_examples=60 * FACTOR)
@given(
    st.data(),
    documents(),
    LIMITS,
    CONTEXTS,
    st.sampled_from(["evaluator", "coordinator", "operator"]),
)
def test_whatever_spec_and_agent_a_session_ends_within_its_bounds_and_says_why(
    data: st.DataObject,
    document: dict[str, Any],
    limits: Limits,
    context: dict[str, Any],
    gates: str,
) -> None:
    session = Session(compile_spec(read(document), words()).plan, limits, context, gates)
    command = session.advance(Started())
    patience = PATIENCE
    goes_on = data.draw(st.integers(0, 1), label="continuations")
    for _ in range(EVENTS_MAX):
        if isinstance(command, Finish) and not (goes_on and session.state.checkpoints):
            break
        if isinstance(command, Finish):
            if session.state.waiting or command.ending is not SessionEnding.COMPLETED:
                break
            goes_on -= 1
        event = data.draw(events(session, command, patience))
        patience -= isinstance(event, RewindAsked | Answered) and patience > 0
        steers = data.draw(st.sampled_from([()] * 9 + [("hurry",)]))
        if isinstance(event, RewindAsked):
            session.unread = [one.text for one in session.state.say if isinstance(one, Steer)]
        before = session.state
        command = session.advance(event, *steers)
        if isinstance(event, RewindAsked):
            was_put_back(session, before, event)
    assert isinstance(command, Finish), f"no end after {EVENTS_MAX} events"
    session.trace += session.state.trace
    numbers = [one.n for one in session.trace]
    assert numbers == sorted({*numbers})
    no_step_twice_for_nothing(session.trace)
    loops_are_entered_and_left(session.trace)
    if command.ending is SessionEnding.COMPLETED:
        assert context_check.missing(session.plan.gives, session.state.context) == ()


def was_put_back(session: Session, before: SessionState, event: RewindAsked) -> None:
    """Variables, artifacts and conversation are as they were, whatever was done since."""
    point = next(
        one for one in reversed(before.checkpoints) if event.checkpoint in (one.id, one.step)
    )
    now, then = session.state, session.moments[point.id]
    assert now.context == then.context
    assert now.artifacts == then.artifacts
    assert now.head == then.head == point.head
    assert current(now).id == point.step
    assert now.usage == before.usage


@settings(max_examples=80 * FACTOR)
@given(documents(), CONTEXTS)
def test_what_an_obedient_agent_does_was_foreseen_before_the_run(
    document: dict[str, Any], context: dict[str, Any]
) -> None:
    spec = read(document)
    plan = compile_spec(spec, words()).plan
    foreseen = simulate(plan)
    faults(spec, plan)
    play = Play(
        plan,
        context=context,
        gathered={"found": "it"},
        limits=Limits(turns_max=2000, children_max=200),
    )
    ended = play.run()
    said = [one.partition("@")[0] for one in play.way if one[0] not in "+="]
    assert {*said} <= {*foreseen.reached}
    assert len(said) <= foreseen.longest.turns
    if ended.ending is SessionEnding.COMPLETED:
        assert foreseen.shortest.turns <= len(said)
    else:
        assert ended.ending is SessionEnding.BLOCKED
    no_step_twice_for_nothing(play.trace)
    for one, other in pairwise(play.trace):
        assert one.n < other.n


# --- how large a session's state gets --------------------------------------------------------

ROUNDS = {
    "id": "rounds",
    "name": "Rounds",
    "description": "As many rounds as wanted.",
    "version": "1.0.0",
    "steps": [
        {
            "id": "rounds",
            "type": "loop",
            "title": "Rounds",
            "loop": {"type": "for", "count": "rounds", "maxIterations": 1000},
            "body": [
                {
                    "id": "round",
                    "title": "Round",
                    "prompt": "Round {{currentIteration}} after {{last}}.",
                    "gives": {"last": "string"},
                    "outputContract": {"contractRef": "wr.contracts.triage"},
                }
            ],
        }
    ],
}


def largest_state(rounds: int) -> int:
    """Bytes of the largest state of a session that notes, delivers and gives in every round."""
    plan = compile_spec(read(ROUNDS), words()).plan
    largest = 0

    def says(state: SessionState) -> dict[str, Any]:
        nonlocal largest
        largest = max(largest, len(state.model_dump_json()))
        return {"context": {"last": f"round {state.turn:>4}"}, "notes": "x" * 400}

    play = Play(plan, says={"round": says}, context={"rounds": rounds})
    assert play.run().ending is SessionEnding.COMPLETED
    assert play.state is not None
    return max(largest, len(play.state.model_dump_json()))


def test_the_state_of_a_session_does_not_grow_with_its_length() -> None:
    few, kept, many = largest_state(10), largest_state(60), largest_state(300)
    # What is kept of notes, artifacts and checkpoints is full after 50 rounds.
    assert kept > few
    assert many - kept < 200
