"""Beginnings and endings: what a pipeline and a session start from, and what is kept of them."""

import asyncio
import logging
import time
from pathlib import Path

from worktrain.activities.door import implements
from worktrain.activities.sandbox import Sandboxes
from worktrain.adapters.catalogue import Catalogue, catalogue_at
from worktrain.adapters.stores import Store
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.calls import (
    CLOSE_PIPELINE,
    CLOSE_SESSION,
    CLOSE_WORKTREE,
    OPEN_PIPELINE,
    OPEN_SESSION,
    OPEN_WORKTREE,
    SNAPSHOT,
    Nothing,
)
from worktrain.contracts.delivery import (
    CloseWorktreeReply,
    CloseWorktreeRequest,
    SnapshotRequest,
)
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import Opened, PipelineRequest, PipelineResult
from worktrain.contracts.plan import Compiled
from worktrain.contracts.session import Section, SessionClosed, SessionOpened, SessionRequest
from worktrain.contracts.workspace import (
    CONFIG_PATH,
    Base,
    CommitRef,
    WorkspaceConfig,
    Worktree,
    WorktreeRequest,
)
from worktrain.engine import prompt
from worktrain.engine.compile import Uncompilable, compile_spec
from worktrain.engine.parse import Problem, Unreadable, read
from worktrain.engine.prompt.visible import cleaned

RULES_FILES = ("AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md")
RULES_CHARACTERS_MAX = 32_000
LESSONS_MAX = 5
"""What earlier pipelines taught, as far as a new one is told it."""
BRANCH_SOURCE = "branch:"
"""How the source of a task begins that names the branch to be reviewed."""
PLAN_BYTES_MAX = 200_000
"""A plan stands in the history of its session, several times."""

logger = logging.getLogger(__name__)


class OpeningActivities:
    """`queue` is the task queue of this host, `worktrees` the directory of its checkouts, and
    `home` WorkTrain's, where the user's own specs are."""

    def __init__(
        self,
        store: Store,
        workspaces: Workspaces,
        sandboxes: Sandboxes,
        worktrees: Path,
        home: Path,
        queue: str,
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._sandboxes = sandboxes
        self._worktrees = worktrees
        self._home = home
        self._queue = queue

    @implements(OPEN_PIPELINE)
    async def open_pipeline(self, request: PipelineRequest) -> Opened:
        """The base, and the rules as they stand on it; the row that lists show."""
        await self._store.open_pipeline(request, time.time())
        base, config = await trusted_config(self._workspaces, request.repo)
        if request.edition < 2:
            return Opened(base=base, config=config)
        lessons = await self._store.lessons(request.repo, LESSONS_MAX)
        return Opened(
            base=base,
            config=config,
            lessons=tuple(one.said for one in lessons),
            files=len(await self._workspaces.files(request.repo, base.at.commit)),
            candidate=await self._named(request),
        )

    @implements(CLOSE_PIPELINE)
    async def close_pipeline(self, request: PipelineResult) -> Nothing:
        await self._store.close_pipeline(request, time.time())
        return Nothing()

    @implements(OPEN_WORKTREE)
    async def open_worktree(self, request: WorktreeRequest) -> Worktree:
        """The session's checkout, and the sandbox that its commands will run in, proven."""
        _, proven = await self._sandboxes.proof(request.sandbox)
        root = self._worktrees / request.session.replace("/", "--")
        opened = await self._workspaces.open(request, root, self._queue)
        return opened.model_copy(update={"sandbox": proven})

    @implements(CLOSE_WORKTREE)
    async def close_worktree(self, request: CloseWorktreeRequest) -> CloseWorktreeReply:
        return await self._workspaces.close(request)

    @implements(SNAPSHOT)
    async def snapshot(self, request: SnapshotRequest) -> CommitRef:
        return await self._workspaces.snapshot(request)

    @implements(OPEN_SESSION)
    async def open_session(self, request: SessionRequest) -> SessionOpened:
        """Pin the spec, as it stands on the base, and everything the session is told, by content
        hash."""
        catalogue = await catalogue_at(self._workspaces, request.repo, request.base, self._home)
        # Large specs take seconds, in which the other activities of this process have to beat.
        compiled = await asyncio.to_thread(_compiled, catalogue, request)
        told = await self._with_change(request)
        rules = await self._workspace_rules(request)
        context = prompt.context(told, compiled.script.words, rules)
        opened = SessionOpened(
            plan=compiled.plan,
            script=await self._store.put_blob(compiled.script.model_dump_json()),
            context=await self._store.put_blob(context.model_dump_json()),
        )
        await self._store.open_session(request, opened, time.time())
        return opened

    @implements(CLOSE_SESSION)
    async def close_session(self, request: SessionClosed) -> Nothing:
        await self._store.close_session(request, time.time())
        return Nothing()

    async def _named(self, request: PipelineRequest) -> CommitRef | None:
        """The head of the branch that the task is about, if it is about one.

        Raises `AdapterError` misconfigured when there is no such branch.
        """
        source = request.task.source
        if not source.startswith(BRANCH_SOURCE):
            return None
        branch = source.removeprefix(BRANCH_SOURCE).strip()
        doing = f"Looking for the branch {branch!r} that the task is about"
        if not branch:
            said = f"{doing}: its source is {source!r}; write {BRANCH_SOURCE}NAME."
            raise AdapterError(FailureKind.MISCONFIGURED, said)
        try:
            return (await self._workspaces.base(request.repo, branch)).at
        except AdapterError as error:
            said = f"{doing}: {error.said}"
            raise AdapterError(error.kind, said, error.retry_after_s) from error

    async def _with_change(self, request: SessionRequest) -> SessionRequest:
        """A session that starts from a change is shown it, measured against the base; and every
        other change that it was to be shown."""
        repo = request.repo
        sections = list(request.sections)
        if request.at != request.base:
            diff = await self._workspaces.diff(repo, request.base, request.at)
            title = "The change so far, as a diff against the base"
            sections.append(Section(title=title, body=diff))
        for one in request.diffs:
            diff = await self._workspaces.diff(repo, one.before, one.after)
            sections.append(Section(title=one.title, body=diff))
        return request.model_copy(update={"sections": tuple(sections)})

    async def _workspace_rules(self, request: SessionRequest) -> dict[str, str]:
        """Instruction files of the base: a branch under work cannot change its own rules."""
        found: dict[str, str] = {}
        left = RULES_CHARACTERS_MAX
        for name in RULES_FILES:
            text = await self._workspaces.read(request.repo, request.base, name)
            if text and left > 0:
                found[name] = cleaned(text)[:left]
                left -= len(found[name])
        return found


def _compiled(catalogue: Catalogue, request: SessionRequest) -> Compiled:
    """Raises `AdapterError` misconfigured, with file, line and column where there is one."""
    doing = f"Reading the spec {request.spec!r}"
    warnings: tuple[Problem, ...] = ()
    try:
        spec, said = catalogue.read(request.spec)
        around = catalogue.around()
        warnings = (*said, *catalogue.warnings())
        compiled = compile_spec(spec, catalogue.words(), around)
    except AdapterError as error:
        raise AdapterError(FailureKind.MISCONFIGURED, f"{doing}: {error.said}") from error
    except Unreadable as error:
        raise AdapterError(FailureKind.MISCONFIGURED, f"{doing}:\n{error}") from error
    except Uncompilable as error:
        told = (*catalogue.placed(request.spec, error.faults), *warnings)
        lines = "\n".join(map(str, told))
        raise AdapterError(FailureKind.MISCONFIGURED, f"{doing}:\n{lines}") from error
    for warning in warnings:
        logger.warning(
            "spec warned of", extra={"session": request.session, "warning": str(warning)}
        )
    size = len(compiled.plan.model_dump_json().encode())
    if size > PLAN_BYTES_MAX:
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"{doing}: its plan has {size:,} bytes, at most {PLAN_BYTES_MAX:,} fit into the "
            "history of a session; move steps into specs that it delegates to.",
        )
    return compiled


async def trusted_config(workspaces: Workspaces, repo: str) -> tuple[Base, WorkspaceConfig]:
    """The base of a repository and the configuration that stands on it.

    A `base` named in the configuration counts, and the configuration is then read from there.
    Raises `AdapterError` misconfigured with file, line and column.
    """
    base = await workspaces.base(repo, None)
    config = await _config(workspaces, repo, base)
    if config.base and config.base != base.branch:
        base = await workspaces.base(repo, config.base)
        config = await _config(workspaces, repo, base)
    return base, config


async def _config(workspaces: Workspaces, repo: str, base: Base) -> WorkspaceConfig:
    text = await workspaces.read(repo, base.at.commit, CONFIG_PATH)
    if text is None:
        return WorkspaceConfig()
    try:
        return read(text, WorkspaceConfig, f"{base.branch}:{CONFIG_PATH}")
    except Unreadable as error:
        raise AdapterError(FailureKind.MISCONFIGURED, str(error)) from error
