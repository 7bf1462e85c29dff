"""The store's tables, and every statement over them: one text for SQLite and PostgreSQL."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

metadata = MetaData()

# Compared by code point everywhere: a range then finds a prefix, with the index, and without
# LIKE, which has characters to escape and which SQLite compares without regard to case.
by_code_point = Text().with_variant(String(collation="C"), "postgresql")

blobs = Table(
    "blobs",
    metadata,
    Column("name", Text, primary_key=True),
    # Bytes, because PostgreSQL text cannot hold a NUL.
    Column("content", LargeBinary, nullable=False),
)

# A turn is two messages of the tree: `said`, whose parent is the parent's reply, and `reply`,
# whose id is the row's. They are written at once and read together, so they are one row.
turns = Table(
    "turns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("parent", Text, ForeignKey("turns.id")),
    Column("key", Text, nullable=False, unique=True),
    Column("session", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("said", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at_s", Double, nullable=False),
)

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("head", Text, primary_key=True),
    Column("call", Text, primary_key=True),
    Column("session", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("preview", Text, nullable=False),
    Column("started_s", Double),
    Column("ended_s", Double),
    Column("output", Text),
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("started_s", Double, nullable=False, index=True),
    Column("ended_s", Double),
    Column("result", Text),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("script", Text),
    Column("context", Text),
    Column("plan", Text),
    Column("opened_s", Double, nullable=False),
    Column("closed_s", Double),
    Column("closed", Text),
)

trace = Table(
    "trace",
    metadata,
    Column("session", by_code_point, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("iteration", Integer, nullable=False),
    Column("at_s", Double, nullable=False),
)

log = Table(
    "log",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("session", by_code_point, nullable=False),
    Column("at_s", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("usage", Text),
    Column("cost_microdollars", BigInteger, nullable=False),
    Column("ok", Boolean, nullable=False),
    Index("ix_log_session_id", "session", "id"),
)

effects = Table(
    "effects",
    metadata,
    Column("key", Text, primary_key=True),
    Column("intent", Text, nullable=False),
    Column("receipt", Text),
    Column("at_s", Double, nullable=False),
)

proofs = Table(
    "proofs",
    metadata,
    Column("commit", Text, primary_key=True),
    Column("pipeline", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("at_s", Double, nullable=False),
)

seen = Table(
    "seen",
    metadata,
    # Its order is the order of first writing: a later body of the same key keeps the row.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("at_s", Double, nullable=False),
    UniqueConstraint("pipeline", "kind", "key"),
)

# One row for all tests of a check on a commit: a row for each would be thousands per candidate.
outcomes = Table(
    "outcomes",
    metadata,
    Column("repo", Text, primary_key=True),
    Column("check", Text, primary_key=True),
    Column("commit", Text, primary_key=True),
    Column("tests", LargeBinary, nullable=False),
)

flaky_tests = Table(
    "flaky_tests",
    metadata,
    Column("repo", Text, primary_key=True),
    Column("check", Text, primary_key=True),
    Column("test", Text, primary_key=True),
    Column("at_s", Double, nullable=False),
)

suspensions = Table(
    "suspensions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repo", Text, nullable=False),
    Column("since_s", Double, nullable=False),
    Column("content", Text, nullable=False),
    Column("at_s", Double, nullable=False),
    Column("lifted_s", Double),
    Column("lifted_by", Text),
    Column("lifted_why", Text),
)

INSERT: Mapping[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""`on_conflict_*` has one spelling in two dialects."""


class Writes:
    """The statements that meet an earlier attempt's row and leave it. Made once per store, so
    that SQLAlchemy's cache finds them without reading them again."""

    def __init__(self, dialect: str) -> None:

        def new(table: Table) -> Any:
            # Whether an insert met a row is read from its count, which SQLAlchemy promises for
            # an insert only when it is asked to.
            return INSERT[dialect](table).execution_options(preserve_rowcount=True)

        self.put_blob = new(blobs).on_conflict_do_nothing(index_elements=["name"])
        self.add_turn = new(turns).on_conflict_do_nothing(index_elements=["key"])
        self.add_trace = new(trace).on_conflict_do_nothing(index_elements=["session", "n"])
        self.begin_tool = new(tool_calls).on_conflict_do_nothing(index_elements=["head", "call"])
        self.intend = new(effects).on_conflict_do_nothing(index_elements=["key"])
        self.begin_outcomes = new(outcomes).on_conflict_do_nothing(
            index_elements=["repo", "check", "commit"]
        )
        self.add_flaky = new(flaky_tests).on_conflict_do_nothing(
            index_elements=["repo", "check", "test"]
        )
        self.suspend = new(suspensions).on_conflict_do_nothing(index_elements=["id"])

        proof = new(proofs)
        self.put_proof = proof.on_conflict_do_update(
            index_elements=["commit", "pipeline"],
            set_={"content": proof.excluded.content, "at_s": proof.excluded.at_s},
            where=proofs.c.content != proof.excluded.content,
        )
        look = new(seen)
        self.see = look.on_conflict_do_update(
            index_elements=["pipeline", "kind", "key"], set_={"body": look.excluded.body}
        )
        end = new(tool_calls)
        self.end_tool = end.on_conflict_do_update(
            index_elements=["head", "call"],
            set_={"ended_s": end.excluded.ended_s, "output": end.excluded.output},
            where=tool_calls.c.ended_s.is_(None),
        )
        again = new(pipelines)
        self.open_pipeline = again.on_conflict_do_update(
            index_elements=["id"],
            set_={
                "request": again.excluded.request,
                "started_s": again.excluded.started_s,
                "ended_s": null(),
                "result": null(),
            },
            where=and_(
                pipelines.c.ended_s.is_not(None),
                pipelines.c.started_s != again.excluded.started_s,
            ),
        )
        anew = new(sessions)
        self.open_session = anew.on_conflict_do_update(
            index_elements=["id"],
            set_={
                "pipeline": anew.excluded.pipeline,
                "script": anew.excluded.script,
                "context": anew.excluded.context,
                "plan": anew.excluded.plan,
                "opened_s": anew.excluded.opened_s,
                "closed_s": null(),
                "closed": null(),
            },
            where=and_(
                sessions.c.closed_s.is_not(None),
                sessions.c.opened_s != anew.excluded.opened_s,
            ),
        )
        shut = new(sessions)
        self.close_session = shut.on_conflict_do_update(
            index_elements=["id"],
            set_={"closed_s": shut.excluded.closed_s, "closed": shut.excluded.closed},
            where=sessions.c.closed_s.is_(None),
        )


CLOSE_PIPELINE = update(pipelines).where(
    pipelines.c.id == bindparam("pipeline"), pipelines.c.ended_s.is_(None)
)
RECEIVE = update(effects).where(effects.c.key == bindparam("effect"), effects.c.receipt.is_(None))
CLOSE_AGAIN = update(sessions).where(sessions.c.id == bindparam("session"))
SET_OUTCOMES = update(outcomes).where(
    outcomes.c.repo == bindparam("of_repo"),
    outcomes.c.check == bindparam("of_check"),
    outcomes.c.commit == bindparam("of_commit"),
)
LIFT = update(suspensions).where(
    suspensions.c.id == bindparam("suspension"), suspensions.c.lifted_s.is_(None)
)
ADD_LINES = insert(log)
FORGET_TRACE = delete(trace).where(trace.c.session == bindparam("id"))

# Ids come from a sequence, which PostgreSQL does not roll back and hands out before the commit:
# without the lock a follower could read past a row that is committed later. It is taken last in
# a transaction, needs no other lock while it is held, and is given up after the commit.
LOG_LOCK = select(func.pg_advisory_xact_lock(7_305_809_116_201))

BLOB = select(blobs.c.content).where(blobs.c.name == bindparam("name"))
TURN_BY_KEY = select(turns.c.answer).where(turns.c.key == bindparam("key"))
TURN_NUMBER = select(turns.c.turn).where(turns.c.id == bindparam("id"))
TOOL_OUTPUT = select(tool_calls.c.output).where(
    tool_calls.c.head == bindparam("head"), tool_calls.c.call == bindparam("call")
)
TOOL_OUTPUTS = select(tool_calls.c.call, tool_calls.c.output).where(
    tool_calls.c.head == bindparam("head"), tool_calls.c.output.is_not(None)
)
PIPELINE = select(
    pipelines.c.request, pipelines.c.started_s, pipelines.c.ended_s, pipelines.c.result
)
PIPELINE_BY_ID = PIPELINE.where(pipelines.c.id == bindparam("id"))
PIPELINES = PIPELINE.order_by(pipelines.c.started_s.desc(), pipelines.c.id).limit(
    bindparam("limit")
)
SESSIONS = (
    select(sessions.c.closed)
    .where(sessions.c.pipeline == bindparam("pipeline"), sessions.c.closed.is_not(None))
    .order_by(sessions.c.opened_s, sessions.c.id)
)
SESSION = select(sessions.c.closed).where(sessions.c.id == bindparam("id"))
PLAN = select(sessions.c.plan).where(sessions.c.id == bindparam("id"))
CONTEXT = (
    select(blobs.c.content)
    .join(sessions, sessions.c.context == blobs.c.name)
    .where(sessions.c.id == bindparam("id"))
)
OPENED = (
    select(sessions.c.id, sessions.c.opened_s)
    .where(sessions.c.pipeline == bindparam("pipeline"))
    .order_by(sessions.c.opened_s, sessions.c.id)
)
TRACE = (
    select(trace)
    .join(sessions, sessions.c.id == trace.c.session, isouter=True)
    .where(trace.c.session >= bindparam("prefix"), trace.c.session < bindparam("prefix_end"))
    .order_by(func.coalesce(sessions.c.opened_s, 0.0), trace.c.session, trace.c.n)
)
LOG_END = select(func.coalesce(func.max(log.c.id), 0))
LINES = (
    select(*(column for column in log.c if column is not log.c.id))
    .where(
        log.c.id > bindparam("after"),
        log.c.id <= bindparam("end"),
        log.c.session >= bindparam("prefix"),
        log.c.session < bindparam("prefix_end"),
    )
    .order_by(log.c.id)
)
EFFECT = select(effects.c.intent, effects.c.receipt).where(effects.c.key == bindparam("key"))
# An act's key names its pipeline between slashes. What `replace` changes contains it: LIKE would
# have characters to escape, and SQLite's disregards case.
KEY = literal("/").concat(effects.c.key).concat("/")
EFFECTS = (
    select(effects.c.key, effects.c.intent, effects.c.receipt)
    .where(func.replace(KEY, bindparam("named"), "") != KEY)
    .order_by(effects.c.at_s, effects.c.key)
)
LESSONS = (
    PIPELINE.where(
        pipelines.c.ended_s.is_not(None),
        # Only narrows it down: results are large to read.
        pipelines.c.result.contains('"lessons":[', autoescape=True),
    )
    .order_by(pipelines.c.ended_s.desc(), pipelines.c.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
SEEN = (
    select(seen.c.key, seen.c.kind, seen.c.body)
    .where(seen.c.pipeline == bindparam("pipeline"))
    .order_by(seen.c.id)
)
OUTCOMES = (
    select(outcomes.c.tests)
    .where(
        outcomes.c.repo == bindparam("repo"),
        outcomes.c.check == bindparam("check"),
        outcomes.c.commit == bindparam("commit"),
    )
    .with_for_update()
)
FLAKY_TESTS = select(flaky_tests.c.test).where(
    flaky_tests.c.repo == bindparam("repo"), flaky_tests.c.check == bindparam("check")
)
SUSPENSIONS = (
    select(suspensions.c.repo, suspensions.c.content)
    .where(suspensions.c.lifted_s.is_(None))
    .order_by(suspensions.c.since_s, suspensions.c.at_s, suspensions.c.id)
)
PROOF = (
    select(proofs.c.content)
    .where(proofs.c.commit == bindparam("commit"))
    .order_by(proofs.c.at_s.desc())
    .limit(1)
)


def _path() -> Select[int, str, str]:
    here = (turns.c.parent, turns.c.turn, turns.c.said, turns.c.reply)
    newest = select(*here, literal(0).label("depth")).where(turns.c.id == bindparam("head"))
    path = newest.cte("path", recursive=True)
    path = path.union_all(select(*here, path.c.depth + 1).join(path, turns.c.id == path.c.parent))
    return select(path.c.turn, path.c.said, path.c.reply).order_by(path.c.depth.desc())


TRANSCRIPT = _path()
"""Number and messages of each turn on the way from the first one to `head`."""
