"""The store in a database: a SQLite file for one machine, PostgreSQL for a team."""

import asyncio
import errno
import json
import shutil
import sqlite3
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import URL, Connection, Row, Select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from worktrain.adapters.stores import tables
from worktrain.adapters.stores.in_memory import (
    INTERRUPTED,
    Outcomes,
    ended_line,
    lessons_of,
    pipeline_row,
    shortened,
    tool_line,
    traced,
    turn_lines,
    unknown_message,
    went_on,
)
from worktrain.adapters.stores.lanes import Lane, Work, lanes, place_of, target_of
from worktrain.adapters.stores.migrations import bring_to_head
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import Suspension
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import PipelineRequest, PipelineResult, PipelineRow
from worktrain.contracts.plan import Context, Plan
from worktrain.contracts.record import EffectRow, Lesson, LogLine, Seen, ToolOutput
from worktrain.contracts.session import SessionClosed, SessionOpened, SessionRequest
from worktrain.contracts.trace import Trace
from worktrain.contracts.turn import Message, TurnReply, TurnRequest, Usage

BRANCHES_KEPT_MAX = 128
PAGE_ROWS = 20
LAST_CHARACTER = "\U0010ffff"

Answer = TypeVar("Answer")


class Branch(NamedTuple):
    """A way through the tree, from the first message to a head, and the head's turn number."""

    turn: int
    messages: tuple[Message, ...]


class SqlStore:
    """Each method is at most one transaction with one commit. Made by `open`."""

    def __init__(
        self, writer: "Lane", reader: "Lane", url: URL, clock: Callable[[], float] = time.time
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._url = url
        self._clock = clock
        self._on_postgresql = url.get_backend_name() == "postgresql"
        self._writes = tables.Writes(url.get_backend_name())
        # The tree never changes, so what was read once stays right.
        self._branches: OrderedDict[str, Branch] = OrderedDict()
        self._running: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, url: str, clock: Callable[[], float] = time.time) -> "SqlStore":
        """Connect, and create or migrate the tables.

        `url` is `sqlite:///<path>` or `postgresql://<user>:<password>@<host>/<database>`.
        Raises `AdapterError`: misconfigured, unreachable, disk_full.
        """
        target = target_of(url)
        with _told("Opening the store", target):
            writer, reader = lanes(target)
            try:
                await bring_to_head(writer, target, place_of(target))
            except BaseException:
                await writer.close()
                await reader.close()
                raise
        return cls(writer, reader, target, clock)

    async def close(self) -> None:
        # A write whose caller was cancelled still runs to its end.
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._writer.close()
        await self._reader.close()

    # --- blobs -----------------------------------------------------------------------------

    async def put_blob(self, content: str) -> str:
        name = digest(content)

        def work(connection: Connection) -> None:
            connection.execute(self._writes.put_blob, {"name": name, "content": content.encode()})

        await self._write("Storing a text", work)
        return name

    async def get_blob(self, name: str) -> str:
        content: bytes | None = await self._read(
            "Reading a text", lambda connection: connection.scalar(tables.BLOB, {"name": name})
        )
        if content is None:
            raise KeyError(name)
        return content.decode()

    # --- the transcript --------------------------------------------------------------------

    async def transcript(self, head: str | None) -> tuple[Message, ...]:
        if head is None:
            return ()
        if branch := self._branch(head):
            return branch.messages
        rows = await self._read(
            "Reading a conversation",
            lambda connection: connection.execute(tables.TRANSCRIPT, {"head": head}).all(),
        )
        if not rows:
            raise unknown_message(head, place_of(self._url))
        messages = tuple(
            Message.model_validate_json(content)
            for _, said, reply in rows
            for content in (said, reply)
        )
        self._keep(head, Branch(rows[-1].turn, messages))
        return messages

    async def find_turn(self, key: str) -> TurnReply | None:
        answer: str | None = await self._read(
            "Looking for a turn",
            lambda connection: connection.scalar(tables.TURN_BY_KEY, {"key": key}),
        )
        return None if answer is None else TurnReply.model_validate_json(answer)

    async def add_turn(
        self, key: str, request: TurnRequest, said: Message, reply: Message, answer: TurnReply
    ) -> TurnReply:
        now_s = self._clock()
        before = () if request.head is None else self._branch(request.head)
        row = {
            "id": answer.head,
            "parent": request.head,
            "key": key,
            "session": request.session,
            "turn": request.turn,
            "said": said.model_dump_json(),
            "reply": reply.model_dump_json(),
            "answer": answer.model_dump_json(),
            "at_s": now_s,
        }

        def work(connection: Connection) -> bool:
            if before is None:
                asked = {"id": request.head}
                if connection.scalar(tables.TURN_NUMBER, asked) is None:
                    raise unknown_message(str(request.head), place_of(self._url))
            if connection.execute(self._writes.add_turn, row).rowcount != 1:
                return False
            self._decided(connection, now_s, request.session, request.trace)
            self._append(connection, turn_lines(now_s, request, said, reply, answer))
            return True

        is_first = await self._write(f"Storing turn {request.turn} of {request.session}", work)
        if is_first and before is not None:
            older = before.messages if isinstance(before, Branch) else ()
            self._keep(answer.head, Branch(request.turn, (*older, said, reply)))
        return answer if is_first else await self.find_turn(key) or answer

    # --- tool calls ------------------------------------------------------------------------

    async def begin_tool(
        self, session: str, head: str, call: str, name: str, preview: str
    ) -> ToolOutput | None:
        row = {
            "head": head,
            "call": call,
            "session": session,
            "name": shortened(name),
            "preview": shortened(preview),
            "started_s": self._clock(),
        }

        def work(connection: Connection) -> ToolOutput | None:
            if connection.execute(self._writes.begin_tool, row).rowcount == 1:
                return None
            # The insert has waited for whoever was first: their row can be seen now.
            output = connection.scalar(tables.TOOL_OUTPUT, {"head": head, "call": call})
            return INTERRUPTED if output is None else ToolOutput.model_validate_json(output)

        return await self._write(f"Storing the start of {shortened(name)} of {session}", work)

    async def end_tool(
        self, session: str, head: str, call: str, name: str, preview: str, output: ToolOutput
    ) -> None:
        now_s = self._clock()
        branch = self._branch(head)
        row = {
            "head": head,
            "call": call,
            "session": session,
            "name": shortened(name),
            "preview": shortened(preview),
            "ended_s": now_s,
            "output": output.model_dump_json(),
        }

        def work(connection: Connection) -> None:
            if connection.execute(self._writes.end_tool, row).rowcount != 1:
                return
            turn = branch.turn if branch else connection.scalar(tables.TURN_NUMBER, {"id": head})
            line = tool_line(now_s, session, turn or 0, name, preview, output)
            self._append(connection, [line])

        await self._write(f"Storing the output of {shortened(name)} of {session}", work)

    async def tool_outputs(self, head: str) -> dict[str, ToolOutput]:
        rows = await self._read(
            "Reading the outputs of tools",
            lambda connection: connection.execute(tables.TOOL_OUTPUTS, {"head": head}).all(),
        )
        return {call: ToolOutput.model_validate_json(output) for call, output in rows}

    # --- pipelines and sessions ------------------------------------------------------------

    async def open_pipeline(self, request: PipelineRequest, at_s: float) -> None:
        row = {
            "id": request.pipeline,
            "request": request.model_dump_json(),
            "started_s": at_s,
        }
        await self._write(
            f"Storing the start of {request.pipeline}",
            lambda connection: connection.execute(self._writes.open_pipeline, row),
        )

    async def close_pipeline(self, result: PipelineResult, at_s: float) -> None:
        row = {"pipeline": result.id, "ended_s": at_s, "result": result.model_dump_json()}
        await self._write(
            f"Storing the end of {result.id}",
            lambda connection: connection.execute(tables.CLOSE_PIPELINE, row),
        )

    async def pipelines(self, limit: int = 50) -> tuple[PipelineRow, ...]:
        rows = await self._read(
            "Listing pipelines",
            lambda connection: connection.execute(tables.PIPELINES, {"limit": limit}).all(),
        )
        return tuple(_pipeline_row(row) for row in rows)

    async def pipeline(self, pipeline: str) -> PipelineRow | None:
        row = await self._read(
            f"Reading pipeline {pipeline}",
            lambda connection: connection.execute(tables.PIPELINE_BY_ID, {"id": pipeline}).first(),
        )
        return None if row is None else _pipeline_row(row)

    async def open_session(
        self, request: SessionRequest, opened: SessionOpened, at_s: float
    ) -> None:
        row = {
            "id": request.session,
            "pipeline": request.pipeline,
            "script": opened.script,
            "context": opened.context,
            "plan": opened.plan.model_dump_json(),
            "opened_s": at_s,
        }

        def work(connection: Connection) -> None:
            if connection.execute(self._writes.open_session, row).rowcount == 1:
                connection.execute(tables.FORGET_TRACE, {"id": request.session})

        await self._write(f"Storing the start of {request.session}", work)

    async def close_session(self, closed: SessionClosed, at_s: float) -> None:
        row = {
            "id": closed.session,
            "pipeline": closed.pipeline,
            "opened_s": at_s,
            "closed_s": at_s,
            "closed": closed.model_dump_json(),
        }

        def work(connection: Connection) -> None:
            if connection.execute(self._writes.close_session, row).rowcount != 1:
                # The insert has locked the row that it met.
                known: Any = connection.scalar(tables.SESSION, {"id": closed.session})
                if not went_on(SessionClosed.model_validate_json(known), closed):
                    return
                again = {"session": closed.session, "closed_s": at_s, "closed": row["closed"]}
                connection.execute(tables.CLOSE_AGAIN, again)
            self._decided(connection, at_s, closed.session, closed.trace)
            self._append(connection, [ended_line(at_s, closed)])

        await self._write(f"Storing the end of {closed.session}", work)

    async def sessions(self, pipeline: str) -> tuple[SessionClosed, ...]:
        rows = await self._read(
            f"Listing the sessions of {pipeline}",
            lambda connection: connection.scalars(tables.SESSIONS, {"pipeline": pipeline}).all(),
        )
        return tuple(SessionClosed.model_validate_json(row) for row in rows)

    async def session(self, session: str) -> SessionClosed | None:
        closed = await self._of_session("how it ended", tables.SESSION, session)
        return None if closed is None else SessionClosed.model_validate_json(closed)

    async def opened(self, pipeline: str) -> tuple[tuple[str, float], ...]:
        rows = await self._read(
            f"Listing the sessions of {pipeline}",
            lambda connection: connection.execute(tables.OPENED, {"pipeline": pipeline}).all(),
        )
        return tuple((row.id, row.opened_s) for row in rows)

    async def plan(self, session: str) -> Plan | None:
        plan = await self._of_session("the plan", tables.PLAN, session)
        return None if plan is None else Plan.model_validate_json(plan)

    async def context(self, session: str) -> Context | None:
        context = await self._of_session("what it was told", tables.CONTEXT, session)
        return None if context is None else Context.model_validate_json(context)

    async def trace(self, session_prefix: str) -> tuple[tuple[str, float, Trace], ...]:
        wanted = {"prefix": session_prefix, "prefix_end": session_prefix + LAST_CHARACTER}
        rows = await self._read(
            f"Reading the decisions of {session_prefix!r}",
            lambda connection: connection.execute(tables.TRACE, wanted).all(),
        )
        return tuple(
            (row.session, row.at_s, Trace.model_validate(dict(row._mapping))) for row in rows
        )

    async def log(self, prefix: str, after: int = 0) -> tuple[int, Sequence[LogLine]]:
        def work(connection: Connection) -> tuple[int, Sequence[Row[*tuple[Any, ...]]]]:
            # Ids are in the order of commits, so all lines up to the end can be seen.
            end = max(after, connection.scalar(tables.LOG_END) or 0)
            wanted = {
                "after": after,
                "end": end,
                "prefix": prefix,
                "prefix_end": prefix + LAST_CHARACTER,
            }
            return end, [] if end == after else connection.execute(tables.LINES, wanted).all()

        end, rows = await self._read(f"Reading the log of {prefix!r}", work)
        return end, [_log_line(row) for row in rows]

    # --- acts on the outside, and proofs ---------------------------------------------------

    async def intend(self, key: str, intent: str) -> EffectRow:
        row = {"key": key, "intent": intent, "at_s": self._clock()}

        def work(connection: Connection) -> EffectRow:
            if connection.execute(self._writes.intend, row).rowcount == 1:
                return EffectRow(key=key, intent=intent)
            earlier = connection.execute(tables.EFFECT, {"key": key}).one()
            return EffectRow(key=key, intent=earlier.intent, receipt=earlier.receipt)

        return await self._write(f"Storing the intent of {key}", work)

    async def receive(self, key: str, receipt: str) -> None:
        row = {"effect": key, "receipt": receipt}

        def work(connection: Connection) -> None:
            written = connection.execute(tables.RECEIVE, row).rowcount == 1
            if not written and connection.execute(tables.EFFECT, {"key": key}).first() is None:
                raise KeyError(key)

        await self._write(f"Storing the receipt of {key}", work)

    async def effects(self, pipeline: str) -> tuple[EffectRow, ...]:
        rows = await self._read(
            f"Listing the acts of {pipeline}",
            lambda connection: connection.execute(tables.EFFECTS, {"named": f"/{pipeline}/"}).all(),
        )
        return tuple(EffectRow.model_validate(dict(row._mapping)) for row in rows)

    async def put_proof(self, commit: str, pipeline: str, content: str) -> None:
        row = {"commit": commit, "pipeline": pipeline, "content": content, "at_s": self._clock()}
        await self._write(
            f"Storing the proof of {commit}",
            lambda connection: connection.execute(self._writes.put_proof, row),
        )

    async def proof(self, commit: str) -> str | None:
        return await self._read(
            f"Reading the proof of {commit}",
            lambda connection: connection.scalar(tables.PROOF, {"commit": commit}),
        )

    # --- what was found out ----------------------------------------------------------------

    async def see(self, pipeline: str, seen: Seen) -> None:
        row = {"pipeline": pipeline, "at_s": self._clock(), **seen.model_dump()}
        await self._write(
            f"Storing a {seen.kind} of {pipeline}",
            lambda connection: connection.execute(self._writes.see, row),
        )

    async def seen(self, pipeline: str) -> tuple[Seen, ...]:
        rows = await self._read(
            f"Reading what was found out for {pipeline}",
            lambda connection: connection.execute(tables.SEEN, {"pipeline": pipeline}).all(),
        )
        return tuple(Seen.model_validate(dict(row._mapping)) for row in rows)

    async def note_outcomes(
        self, repo: str, check: str, commit: str, passed: Sequence[str], failed: Sequence[str]
    ) -> tuple[str, ...]:
        now_s = self._clock()
        of = {"repo": repo, "check": check, "commit": commit}

        def work(connection: Connection) -> tuple[str, ...]:
            # The insert is first: it makes whoever notes the same commit wait for this one.
            empty = _packed(Outcomes(frozenset(), frozenset()))
            connection.execute(self._writes.begin_outcomes, {**of, "tests": empty})
            known = _unpacked(connection.execute(tables.OUTCOMES, of).scalar_one())
            after, changed = known.with_run(passed, failed)
            if after != known:
                named = {f"of_{name}": value for name, value in of.items()}
                connection.execute(tables.SET_OUTCOMES, {**named, "tests": _packed(after)})
            if changed:
                at = {"repo": repo, "check": check, "at_s": now_s}
                rows = [{**at, "test": test} for test in changed]
                connection.execute(self._writes.add_flaky, rows)
            return changed

        return await self._write(f"Storing how the tests of {check} ended on {commit}", work)

    async def flaky_tests(self, repo: str, check: str) -> tuple[str, ...]:
        of = {"repo": repo, "check": check}
        found = await self._read(
            f"Reading the flaky tests of {check}",
            lambda connection: connection.scalars(tables.FLAKY_TESTS, of).all(),
        )
        # Not by the database, whose order of letters may be another.
        return tuple(sorted(found))

    async def suspend(self, suspension: Suspension) -> None:
        row = {
            "id": suspension.id,
            "repo": suspension.repo,
            "since_s": suspension.since_s,
            "content": suspension.model_dump_json(),
            "at_s": self._clock(),
        }
        await self._write(
            f"Storing the suspension {suspension.id}",
            lambda connection: connection.execute(self._writes.suspend, row),
        )

    async def suspensions(self, repo: str | None = None) -> tuple[Suspension, ...]:
        rows = await self._read(
            "Listing suspensions",
            lambda connection: connection.execute(tables.SUSPENSIONS).all(),
        )
        return tuple(
            Suspension.model_validate_json(row.content) for row in rows if repo in (None, row.repo)
        )

    async def lift(self, suspension: str, by: str, why: str) -> bool:
        row = {
            "suspension": suspension,
            "lifted_s": self._clock(),
            "lifted_by": by,
            "lifted_why": why,
        }
        return await self._write(
            f"Lifting the suspension {suspension}",
            lambda connection: connection.execute(tables.LIFT, row).rowcount == 1,
        )

    async def lessons(self, repo: str, limit: int = 10) -> tuple[Lesson, ...]:
        def work(connection: Connection) -> tuple[Lesson, ...]:
            rows = map(_pipeline_row, _page_by_page(connection, tables.LESSONS))
            return tuple(islice(lessons_of(rows, repo), limit))

        return await self._read(f"Reading what earlier work in {repo} taught", work)

    # --- how it is done --------------------------------------------------------------------

    async def _write(self, doing: str, work: Work[Answer]) -> Answer:
        def transaction(connection: Connection) -> Answer:
            with connection.begin():
                return work(connection)

        return await self._run(self._writer, doing, transaction)

    async def _read(self, doing: str, work: Work[Answer]) -> Answer:
        def without_transaction(connection: Connection) -> Answer:
            try:
                return work(connection)
            finally:
                # SQLAlchemy's own book-keeping: nothing is sent on an autocommit connection.
                connection.rollback()

        return await self._run(self._reader, doing, without_transaction)

    async def _of_session(self, what: str, wanted: Select[Any], session: str) -> str | bytes | None:
        found: str | bytes | None = await self._read(
            f"Reading {what} of {session}",
            lambda connection: connection.scalar(wanted, {"id": session}),
        )
        return found

    async def _run(self, lane: Lane, doing: str, work: Work[Answer]) -> Answer:
        # Shielded, because SQLAlchemy throws away a connection whose user was cancelled.
        task = asyncio.create_task(lane.run(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        with _told(doing, self._url):
            return await asyncio.shield(task)

    def _decided(
        self, connection: Connection, at_s: float, session: str, trace: Sequence[Trace]
    ) -> None:
        rows = [
            {"session": session, "at_s": at_s, **traced(entry).model_dump(mode="json")}
            for entry in trace
        ]
        if rows:
            connection.execute(self._writes.add_trace, rows)

    def _append(self, connection: Connection, lines: Sequence[LogLine]) -> None:
        """Add to the log; the last thing that a transaction does."""
        if self._on_postgresql:
            connection.execute(tables.LOG_LOCK)
        rows = [
            {
                **line.model_dump(exclude={"usage"}),
                "usage": line.usage.model_dump_json() if line.usage else None,
            }
            for line in lines
        ]
        connection.execute(tables.ADD_LINES, rows)

    def _branch(self, head: str) -> Branch | None:
        branch = self._branches.get(head)
        if branch is not None:
            self._branches.move_to_end(head)
        return branch

    def _keep(self, head: str, branch: Branch) -> None:
        self._branches[head] = branch
        if len(self._branches) > BRANCHES_KEPT_MAX:
            self._branches.popitem(last=False)


# --- failures --------------------------------------------------------------------------------

ADVICE = {
    FailureKind.DISK_FULL: "its disk is full. Free space there, then resume",
    FailureKind.UNREACHABLE: "{reason}. Look whether it is there and can be reached from here",
    FailureKind.MISCONFIGURED: "{reason}. Look whether it is worktrain's own database, whole and "
    "writable for this user",
}

SQLITE_KINDS = {
    sqlite3.SQLITE_FULL: FailureKind.DISK_FULL,
    sqlite3.SQLITE_READONLY: FailureKind.MISCONFIGURED,
    sqlite3.SQLITE_NOTADB: FailureKind.MISCONFIGURED,
    sqlite3.SQLITE_CORRUPT: FailureKind.MISCONFIGURED,
}

POSTGRESQL_KINDS = {
    "53100": FailureKind.DISK_FULL,
    "25006": FailureKind.UNREACHABLE,  # Read-only: a standby that has not been promoted yet.
}

FREE_BYTES_MIN = 1_000_000


@contextmanager
def _told(doing: str, url: URL) -> Iterator[None]:
    """Turn what the outside did into a sentence; a mistake of ours passes as it is."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, PoolTimeout, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        kind = _kind_of(error, cause, url)
        if kind is None:
            raise
        reason = str(cause).partition("\n")[0].rstrip(".")
        said = f"{doing} in {place_of(url)} failed: {ADVICE[kind].format(reason=reason)}."
        raise AdapterError(kind, said) from error


def _kind_of(error: Exception, cause: BaseException | None, url: URL) -> FailureKind | None:
    if isinstance(cause, OSError):
        is_full = cause.errno in (errno.ENOSPC, errno.EDQUOT)
        return FailureKind.DISK_FULL if is_full else FailureKind.UNREACHABLE
    code = getattr(cause, "sqlite_errorcode", None)
    state = getattr(cause, "sqlstate", None)
    known = POSTGRESQL_KINDS.get(state or "") or SQLITE_KINDS.get((code or 0) & 0xFF)
    if known is not None:
        return known
    # Where a file cannot grow, SQLite sometimes speaks of input and output only.
    if code is not None and code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        folder = Path(str(url.database)).parent
        if folder.is_dir() and shutil.disk_usage(folder).free < FREE_BYTES_MIN:
            return FailureKind.DISK_FULL
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout, sqlite3.OperationalError)):
        return FailureKind.UNREACHABLE
    return None


def _pipeline_row(row: Row[*tuple[Any, ...]]) -> PipelineRow:
    result = None if row.result is None else PipelineResult.model_validate_json(row.result)
    request = PipelineRequest.model_validate_json(row.request)
    return pipeline_row(request, row.started_s, row.ended_s, result)


def _page_by_page(connection: Connection, wanted: Select[Any]) -> Iterator[Row[*tuple[Any, ...]]]:
    """Rows that are large, and of which the first few are mostly enough."""
    offset = 0
    while page := connection.execute(wanted, {"limit": PAGE_ROWS, "offset": offset}).all():
        yield from page
        offset += PAGE_ROWS


def _packed(known: Outcomes) -> bytes:
    """Thousands of ids that differ in their ends: a tenth of the text."""
    tests = {"passed": sorted(known.passed), "failed": sorted(known.failed)}
    return zlib.compress(json.dumps(tests).encode())


def _unpacked(tests: bytes) -> Outcomes:
    known = json.loads(zlib.decompress(tests))
    return Outcomes(frozenset(known["passed"]), frozenset(known["failed"]))


def _log_line(row: Row[*tuple[Any, ...]]) -> LogLine:
    usage = None if row.usage is None else Usage.model_validate_json(row.usage)
    return LogLine.model_validate({**row._mapping, "usage": usage})
