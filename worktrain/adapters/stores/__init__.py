"""Stores: the memory that outlives every process."""

from collections.abc import Sequence
from typing import Protocol

from worktrain.contracts.delivery import Suspension
from worktrain.contracts.pipeline import PipelineRequest, PipelineResult, PipelineRow
from worktrain.contracts.plan import Context, Plan
from worktrain.contracts.record import EffectRow, Lesson, LogLine, Seen, ToolOutput
from worktrain.contracts.session import SessionClosed, SessionOpened, SessionRequest
from worktrain.contracts.trace import Trace
from worktrain.contracts.turn import Message, TurnReply, TurnRequest


class Store(Protocol):
    """What is written is durable when the call returns. Writing the same twice changes nothing.

    Raises `AdapterError`: disk_full, unreachable.
    """

    async def close(self) -> None: ...

    # Blobs, named by the sha256 of their UTF-8 bytes.
    async def put_blob(self, content: str) -> str: ...
    async def get_blob(self, name: str) -> str:
        """Raises KeyError when there is none."""
        ...

    # The transcript: a tree of messages, each naming its parent.
    async def transcript(self, head: str | None) -> tuple[Message, ...]:
        """The messages from the first to `head`; empty for None."""
        ...

    async def find_turn(self, key: str) -> TurnReply | None:
        """The answer to the model call with this key, if it was ever paid for."""
        ...

    async def add_turn(
        self, key: str, request: TurnRequest, said: Message, reply: Message, answer: TurnReply
    ) -> TurnReply:
        """Store both messages of a turn, its answer and `request.trace` at once. `answer.head`
        is the id of `reply`; its parent is `said`, whose parent is `request.head`.

        Answers what stands: of two attempts that were made at the same time, the first's."""
        ...

    # Tool calls, named by the message that asked for them and their id.
    async def begin_tool(
        self, session: str, head: str, call: str, name: str, preview: str
    ) -> ToolOutput | None:
        """Write the start of a call. An answer means that it has begun before: its output, or
        one that says it was interrupted."""
        ...

    async def end_tool(
        self, session: str, head: str, call: str, name: str, preview: str, output: ToolOutput
    ) -> None:
        """Write the output of a call, whether or not its start was written."""
        ...

    async def tool_outputs(self, head: str) -> dict[str, ToolOutput]:
        """The outputs of all calls of one message, by call id."""
        ...

    # Sessions and pipelines, as edges list them.
    async def open_pipeline(self, request: PipelineRequest, at_s: float) -> None: ...
    async def close_pipeline(self, result: PipelineResult, at_s: float) -> None: ...
    async def pipelines(self, limit: int = 50) -> tuple[PipelineRow, ...]:
        """Newest first."""
        ...

    async def pipeline(self, pipeline: str) -> PipelineRow | None: ...
    async def open_session(
        self, request: SessionRequest, opened: SessionOpened, at_s: float
    ) -> None:
        """Write the start of a session and its plan. One that had ended begins anew: its end
        and its trace go."""
        ...

    async def close_session(self, closed: SessionClosed, at_s: float) -> None:
        """Write the end of a session and `closed.trace` at once."""
        ...

    async def sessions(self, pipeline: str) -> tuple[SessionClosed, ...]:
        """Ended sessions of a pipeline, oldest first."""
        ...

    async def session(self, session: str) -> SessionClosed | None:
        """How a session ended; None while it has not."""
        ...

    async def opened(self, pipeline: str) -> tuple[tuple[str, float], ...]:
        """Every session of a pipeline, ended or not, and when it was opened, oldest first. One
        that could not be opened counts as opened at its end."""
        ...

    async def plan(self, session: str) -> Plan | None:
        """The plan that a session walks; None for one that was not opened."""
        ...

    async def context(self, session: str) -> Context | None:
        """What a session was told at its start; None when no text of it is kept."""
        ...

    async def trace(self, session_prefix: str) -> tuple[tuple[str, float, Trace], ...]:
        """Session, time of storing (seconds since the epoch) and entry, of every session whose
        id starts with the prefix: sessions as they were opened, entries by their number."""
        ...

    async def log(self, prefix: str, after: int = 0) -> tuple[int, Sequence[LogLine]]:
        """Entries of all sessions whose id starts with `prefix`, after a cursor; and the next
        cursor."""
        ...

    # Acts on the outside, and proofs.
    async def intend(self, key: str, intent: str) -> EffectRow:
        """Write the intent before an act, or answer the row that an earlier attempt wrote."""
        ...

    async def receive(self, key: str, receipt: str) -> None: ...
    async def effects(self, pipeline: str) -> tuple[EffectRow, ...]:
        """The acts of one pipeline, in the order in which they were intended."""
        ...

    async def put_proof(self, commit: str, pipeline: str, content: str) -> None: ...
    async def proof(self, commit: str) -> str | None: ...

    # What was found out for a pipeline: its proof is built from this again.
    async def see(self, pipeline: str, seen: Seen) -> None:
        """Of one key the newest stands."""
        ...

    async def seen(self, pipeline: str) -> tuple[Seen, ...]:
        """In the order in which each key was first written."""
        ...

    # What is known of a repository over all its pipelines.
    async def note_outcomes(
        self, repo: str, check: str, commit: str, passed: Sequence[str], failed: Sequence[str]
    ) -> tuple[str, ...]:
        """Remember how the tests of a check ended on a commit. The answer: those that ended the
        other way on this very commit before. From then on they are known as flaky."""
        ...

    async def flaky_tests(self, repo: str, check: str) -> tuple[str, ...]:
        """Sorted."""
        ...

    async def suspend(self, suspension: Suspension) -> None: ...
    async def suspensions(self, repo: str | None = None) -> tuple[Suspension, ...]:
        """Those that nobody has lifted, oldest first."""
        ...

    async def lift(self, suspension: str, by: str, why: str) -> bool:
        """False when there is none of this id that stands."""
        ...

    async def lessons(self, repo: str, limit: int = 10) -> tuple[Lesson, ...]:
        """What ended pipelines of a repository taught, newest first."""
        ...
