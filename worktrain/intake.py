"""What is looked at before a task is taken on, so that nothing starts that cannot work."""

from collections.abc import Mapping
from pathlib import Path

from worktrain.activities.opening import trusted_config
from worktrain.adapters.workspaces.git import Git
from worktrain.adapters.workspaces.git_worktree import GitWorkspaces
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.settings import Settings, external

FILES_NAMED_MAX = 5
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")


async def accept(
    settings: Settings, env: Mapping[str, str], place: Path, allow_dirty: bool = False
) -> str:
    """The repository that a task may work on; `place` is any path inside of it.

    Raises `AdapterError`: misconfigured (no repository, no commit, no base branch, broken
    configuration, uncommitted changes, no model key), unreachable, auth (the remote).
    """
    repo = await root(place)
    workspaces = GitWorkspaces(Git())
    await trusted_config(workspaces, repo)
    changed = await workspaces.changed(repo)
    if changed and not allow_dirty:
        named = ", ".join(changed[:FILES_NAMED_MAX])
        more = len(changed) - FILES_NAMED_MAX
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"{repo} has uncommitted changes: {named}{f' and {more} more' if more > 0 else ''}. "
            "WorkTrain starts from the committed base and would not see them: commit or stash "
            "them, or pass --allow-dirty.",
        )
    _check_model(settings, env)
    return repo


async def surroundings(place: Path) -> tuple[WorkspaceConfig, int]:
    """The rules on the base that work would start from, and how many files it has.

    Raises `AdapterError`: misconfigured (no repository, no commit, broken configuration),
    unreachable, auth (the remote).
    """
    repo = await root(place)
    workspaces = GitWorkspaces(Git())
    base, config = await trusted_config(workspaces, repo)
    return config, len(await workspaces.files(repo, base.at.commit))


async def root(place: Path) -> str:
    """The main checkout of the repository that `place` lies in; a bare one is its own.

    A repository has this one name, from wherever inside of it, or of its worktrees, one asks.
    """
    found = await Repository.find(Git(), str(place))
    main = (await found.checkouts())[0]
    return str(main.root or found.common)


def _check_model(settings: Settings, env: Mapping[str, str]) -> None:
    """Whether a worker that is started from here would know how to reach a model."""
    if external(env) is not None:
        # The workers of a cluster are started by somebody else, with keys of their own.
        return
    if settings.model_base_url or settings.model_key or any(k in settings.inherited for k in KEYS):
        return
    raise AdapterError(
        FailureKind.MISCONFIGURED,
        "No model can be reached: there is no key. Set ANTHROPIC_API_KEY (or "
        "ANTHROPIC_AUTH_TOKEN), or model_key in "
        f"{settings.home / 'settings.yml'} to env:NAME, file:PATH or cmd:COMMAND; for a server "
        "that needs no key, set ANTHROPIC_BASE_URL.",
    )
