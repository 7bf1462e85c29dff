"""A store in dictionaries: the promises in their plainest form, and the words of the log."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from worktrain.contracts.base import digest
from worktrain.contracts.delivery import Suspension
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import PipelineRequest, PipelineResult, PipelineRow
from worktrain.contracts.plan import Context, Plan
from worktrain.contracts.record import EffectRow, Lesson, LogLine, Seen, ToolOutput
from worktrain.contracts.session import SessionClosed, SessionEnding, SessionOpened, SessionRequest
from worktrain.contracts.trace import Trace
from worktrain.contracts.turn import Message, TextBlock, TurnReply, TurnRequest

PREVIEW_CHARS_MAX = 300

INTERRUPTED = ToolOutput(
    ok=False,
    content="This call was interrupted before its result was known: it may have done nothing, "
    "a part, or all of its work. Look at what is there now before repeating it.",
)


class Outcomes(NamedTuple):
    """How the tests of one check ever ended on one commit."""

    passed: frozenset[str]
    failed: frozenset[str]

    def with_run(
        self, passed: Sequence[str], failed: Sequence[str]
    ) -> tuple["Outcomes", tuple[str, ...]]:
        """What is known after one more run, and which tests ended the other way before it."""
        changed = (self.failed & {*passed}) | (self.passed & {*failed})
        after = Outcomes(self.passed | {*passed}, self.failed | {*failed})
        return after, tuple(sorted(changed))


class Beginning(NamedTuple):
    """Of one session; `opened` is None when it ended without having been opened."""

    at_s: float
    pipeline: str
    opened: SessionOpened | None


class InMemoryStore:
    """Keeps every promise of `Store` but the one of outliving its process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._blobs: dict[str, str] = {}
        self._answers: dict[str, TurnReply] = {}
        self._turns: dict[str, tuple[TurnRequest, Message, Message]] = {}
        self._tools: dict[tuple[str, str], ToolOutput | None] = {}
        self._pipelines: dict[str, PipelineRow] = {}
        self._opened: dict[str, Beginning] = {}
        self._closed: dict[str, SessionClosed] = {}
        self._trace: dict[str, dict[int, tuple[float, Trace]]] = {}
        self._log: list[LogLine] = []
        self._effects: dict[str, EffectRow] = {}
        self._proofs: dict[str, dict[str, str]] = {}
        self._seen: dict[str, dict[tuple[str, str], Seen]] = {}
        self._outcomes: dict[tuple[str, str, str], Outcomes] = {}
        self._flaky: dict[tuple[str, str], set[str]] = {}
        self._suspensions: dict[str, Suspension] = {}
        self._lifted: set[str] = set()

    async def close(self) -> None:
        """Nothing is held open."""

    async def put_blob(self, content: str) -> str:
        name = digest(content)
        self._blobs[name] = content
        return name

    async def get_blob(self, name: str) -> str:
        return self._blobs[name]

    async def transcript(self, head: str | None) -> tuple[Message, ...]:
        messages: list[Message] = []
        while head is not None:
            request, said, reply = self._turn(head)
            messages += (reply, said)
            head = request.head
        return tuple(reversed(messages))

    async def find_turn(self, key: str) -> TurnReply | None:
        return self._answers.get(key)

    async def add_turn(
        self, key: str, request: TurnRequest, said: Message, reply: Message, answer: TurnReply
    ) -> TurnReply:
        if key in self._answers:
            return self._answers[key]
        if request.head is not None:
            self._turn(request.head)
        self._turns[answer.head] = (request, said, reply)
        self._answers[key] = answer
        now_s = self._clock()
        self._decided(now_s, request.session, request.trace)
        self._log += turn_lines(now_s, request, said, reply, answer)
        return answer

    async def begin_tool(
        self, session: str, head: str, call: str, name: str, preview: str
    ) -> ToolOutput | None:
        if (head, call) in self._tools:
            return self._tools[head, call] or INTERRUPTED
        self._tools[head, call] = None
        return None

    async def end_tool(
        self, session: str, head: str, call: str, name: str, preview: str, output: ToolOutput
    ) -> None:
        if self._tools.get((head, call)) is not None:
            return
        self._tools[head, call] = output
        turn = self._turns[head][0].turn if head in self._turns else 0
        self._log.append(tool_line(self._clock(), session, turn, name, preview, output))

    async def tool_outputs(self, head: str) -> dict[str, ToolOutput]:
        return {
            call: output
            for (asked_by, call), output in self._tools.items()
            if asked_by == head and output is not None
        }

    async def open_pipeline(self, request: PipelineRequest, at_s: float) -> None:
        known = self._pipelines.get(request.pipeline)
        if known is None or (known.ended_s is not None and known.started_s != at_s):
            self._pipelines[request.pipeline] = pipeline_row(request, at_s, None, None)

    async def close_pipeline(self, result: PipelineResult, at_s: float) -> None:
        known = self._pipelines.get(result.id)
        if known is not None and known.ended_s is None:
            end = {"ended_s": at_s, "ending": result.ending, "result": result}
            self._pipelines[result.id] = known.model_copy(update=end)

    async def pipelines(self, limit: int = 50) -> tuple[PipelineRow, ...]:
        newest = sorted(self._pipelines.values(), key=lambda row: (-row.started_s, row.id))
        return tuple(newest[:limit])

    async def pipeline(self, pipeline: str) -> PipelineRow | None:
        return self._pipelines.get(pipeline)

    async def open_session(
        self, request: SessionRequest, opened: SessionOpened, at_s: float
    ) -> None:
        name = request.session
        known = self._opened.get(name)
        if known is None or (name in self._closed and known.at_s != at_s):
            self._closed.pop(name, None)
            self._trace.pop(name, None)
            self._opened[name] = Beginning(at_s, request.pipeline, opened)

    async def close_session(self, closed: SessionClosed, at_s: float) -> None:
        known = self._closed.get(closed.session)
        if known is None or went_on(known, closed):
            self._closed[closed.session] = closed
            self._opened.setdefault(closed.session, Beginning(at_s, closed.pipeline, None))
            self._decided(at_s, closed.session, closed.trace)
            self._log.append(ended_line(at_s, closed))

    async def sessions(self, pipeline: str) -> tuple[SessionClosed, ...]:
        mine = [closed for closed in self._closed.values() if closed.pipeline == pipeline]
        return tuple(sorted(mine, key=lambda each: (self._opened[each.session].at_s, each.session)))

    async def session(self, session: str) -> SessionClosed | None:
        return self._closed.get(session)

    async def opened(self, pipeline: str) -> tuple[tuple[str, float], ...]:
        mine = [(name, of.at_s) for name, of in self._opened.items() if of.pipeline == pipeline]
        return tuple(sorted(mine, key=lambda each: (each[1], each[0])))

    async def plan(self, session: str) -> Plan | None:
        known = self._opened.get(session)
        return None if known is None or known.opened is None else known.opened.plan

    async def context(self, session: str) -> Context | None:
        known = self._opened.get(session)
        if known is None or known.opened is None:
            return None
        blob = self._blobs.get(known.opened.context)
        return None if blob is None else Context.model_validate_json(blob)

    async def trace(self, session_prefix: str) -> tuple[tuple[str, float, Trace], ...]:
        names = [name for name in self._trace if name.startswith(session_prefix)]
        names.sort(key=lambda name: (self._opened[name].at_s if name in self._opened else 0, name))
        return tuple(
            (name, *entry) for name in names for _, entry in sorted(self._trace[name].items())
        )

    async def log(self, prefix: str, after: int = 0) -> tuple[int, Sequence[LogLine]]:
        lines = [line for line in self._log[after:] if line.session.startswith(prefix)]
        return max(after, len(self._log)), lines

    async def intend(self, key: str, intent: str) -> EffectRow:
        return self._effects.setdefault(key, EffectRow(key=key, intent=intent))

    async def receive(self, key: str, receipt: str) -> None:
        row = self._effects[key]
        if row.receipt is None:
            self._effects[key] = row.model_copy(update={"receipt": receipt})

    async def effects(self, pipeline: str) -> tuple[EffectRow, ...]:
        named = f"/{pipeline}/"
        return tuple(row for key, row in self._effects.items() if named in f"/{key}/")

    async def put_proof(self, commit: str, pipeline: str, content: str) -> None:
        known = self._proofs.setdefault(commit, {})
        if known.get(pipeline) != content:
            # Put at the end: the latest one counts.
            known.pop(pipeline, None)
            known[pipeline] = content

    async def proof(self, commit: str) -> str | None:
        return next(reversed(self._proofs.get(commit, {}).values()), None)

    async def see(self, pipeline: str, seen: Seen) -> None:
        self._seen.setdefault(pipeline, {})[seen.kind, seen.key] = seen

    async def seen(self, pipeline: str) -> tuple[Seen, ...]:
        return tuple(self._seen.get(pipeline, {}).values())

    async def note_outcomes(
        self, repo: str, check: str, commit: str, passed: Sequence[str], failed: Sequence[str]
    ) -> tuple[str, ...]:
        known = self._outcomes.get((repo, check, commit), Outcomes(frozenset(), frozenset()))
        self._outcomes[repo, check, commit], changed = known.with_run(passed, failed)
        self._flaky.setdefault((repo, check), set()).update(changed)
        return changed

    async def flaky_tests(self, repo: str, check: str) -> tuple[str, ...]:
        return tuple(sorted(self._flaky.get((repo, check), ())))

    async def suspend(self, suspension: Suspension) -> None:
        self._suspensions.setdefault(suspension.id, suspension)

    async def suspensions(self, repo: str | None = None) -> tuple[Suspension, ...]:
        standing = [
            one
            for name, one in self._suspensions.items()
            if name not in self._lifted and repo in (None, one.repo)
        ]
        return tuple(sorted(standing, key=lambda one: one.since_s))

    async def lift(self, suspension: str, by: str, why: str) -> bool:
        if suspension not in self._suspensions or suspension in self._lifted:
            return False
        lifted = {"lifted_by": by, "lifted_why": why}
        self._suspensions[suspension] = self._suspensions[suspension].model_copy(update=lifted)
        self._lifted.add(suspension)
        return True

    async def lessons(self, repo: str, limit: int = 10) -> tuple[Lesson, ...]:
        ended = (row for row in self._pipelines.values() if row.ended_s is not None)
        newest = sorted(ended, key=lambda row: (-(row.ended_s or 0), row.id))
        return tuple(islice(lessons_of(newest, repo), limit))

    def _decided(self, at_s: float, session: str, trace: Sequence[Trace]) -> None:
        for entry in trace:
            self._trace.setdefault(session, {}).setdefault(entry.n, (at_s, traced(entry)))

    def _turn(self, head: str) -> tuple[TurnRequest, Message, Message]:
        try:
            return self._turns[head]
        except KeyError:
            raise unknown_message(head, "this process's memory") from None


def unknown_message(head: str, place: str) -> AdapterError:
    """The history refers to a message that the store does not have."""
    return AdapterError(
        FailureKind.NOT_FOUND,
        f"The conversation up to message {head!r} was looked for in {place} and is not there: "
        "the session was begun on another store, or this one was replaced. Bring that store "
        "back and resume, or kill the session.",
    )


def lessons_of(newest: Iterable[PipelineRow], repo: str) -> Iterator[Lesson]:
    """What these pipelines taught about a repository, in their order."""
    for row in newest:
        if row.result is not None and (row.result.repo or row.repo) == repo:
            for said in row.result.lessons:
                yield Lesson(pipeline=row.id, at_s=row.ended_s or 0, said=said)


def went_on(known: SessionClosed, closed: SessionClosed) -> bool:
    """Whether this is a later end than the known one: of a session that was parked, and asked for
    more. It took further turns since then, or failed before it could take one."""
    completed = SessionEnding.COMPLETED
    if closed.record.turns != known.record.turns:
        return closed.record.turns > known.record.turns
    return known.record.ending == completed != closed.record.ending


def pipeline_row(
    request: PipelineRequest, started_s: float, ended_s: float | None, result: PipelineResult | None
) -> PipelineRow:
    """A pipeline as edges list it."""
    return PipelineRow(
        id=request.pipeline,
        workspace=request.workspace,
        repo=request.repo,
        title=request.task.title,
        kind=request.kind,
        started_s=started_s,
        ended_s=ended_s,
        ending=None if result is None else result.ending,
        result=result,
    )


def turn_lines(
    at_s: float, request: TurnRequest, said: Message, reply: Message, answer: TurnReply
) -> list[LogLine]:
    """What a turn adds to the log. A message of tool results only says nothing of its own."""
    told = preview_of(said)
    turn = LogLine(
        at_s=at_s,
        session=request.session,
        kind="turn",
        text=preview_of(reply),
        turn=request.turn,
        usage=answer.usage,
        cost_microdollars=answer.cost_microdollars,
    )
    if not told:
        return [turn]
    return [
        LogLine(at_s=at_s, session=request.session, kind="said", text=told, turn=request.turn),
        turn,
    ]


def tool_line(
    at_s: float, session: str, turn: int, name: str, preview: str, output: ToolOutput
) -> LogLine:
    text = shortened(f"{name} {preview}")
    return LogLine(at_s=at_s, session=session, kind="tool", text=text, turn=turn, ok=output.ok)


def ended_line(at_s: float, closed: SessionClosed) -> LogLine:
    """Usage and cost are left to the turns, so that a sum over the log counts them once."""
    ending = closed.record.ending
    return LogLine(
        at_s=at_s,
        session=closed.session,
        kind="ended",
        text=shortened(f"{ending}: {closed.why}"),
        turn=closed.record.turns,
        ok=ending == SessionEnding.COMPLETED,
    )


def preview_of(message: Message) -> str:
    """The beginning of the message's text blocks, on one line."""
    texts = (
        block.text[: 4 * PREVIEW_CHARS_MAX]
        for block in message.blocks
        if isinstance(block, TextBlock)
    )
    return shortened(" ".join(texts))


def traced(entry: Trace) -> Trace:
    """The entry, in characters that any database can keep."""
    return entry.model_copy(update={"step": _kept(entry.step), "text": _kept(entry.text)})


def shortened(text: str) -> str:
    """One line of at most 300 characters that any database can keep."""
    line = " ".join(_kept(text[: 4 * PREVIEW_CHARS_MAX]).split())
    return line if len(line) <= PREVIEW_CHARS_MAX else line[: PREVIEW_CHARS_MAX - 1] + "…"


def _kept(text: str) -> str:
    # PostgreSQL refuses NUL in text, and no driver can encode half a surrogate pair.
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
