"""How an edge reaches what it works with: a client, the specs, the proof on a commit."""

import getpass
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from temporalio.client import Client as Temporal
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError

from worktrain import embedded
from worktrain.adapters.catalogue import Catalogue, catalogue_at
from worktrain.adapters.signing import ed25519
from worktrain.client import Client, connect
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import PipelineResult, PipelineView
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators.prove import Signature
from worktrain.settings import Settings, external

NAME_LENGTH_MAX = 100
DOWN = "run/down"
"""Its time is that of the last `worktrain down`."""


class OfflineClient(Client):
    """A client while no server runs: it knows what the store knows."""

    async def resolve(self, part: str) -> str:
        try:
            return await super().resolve(part)
        except RuntimeError as error:
            raise AdapterError(
                FailureKind.NOT_FOUND,
                f"The store knows no pipeline {part!r}, and no server runs that could be asked; "
                "`worktrain status` lists what is known, `worktrain up` starts the server.",
            ) from error

    async def view(self, pipeline: str) -> PipelineView | PipelineResult | None:
        row = await self._store.pipeline(pipeline)
        return row.result if row else None


@asynccontextmanager
async def reach(settings: Settings, env: Mapping[str, str]) -> AsyncIterator[Client]:
    """A client of the configured server, or of our own as far as it runs; starts nothing.

    Raises `AdapterError`: unreachable, also when the server goes away meanwhile.
    """
    from worktrain.adapters.stores.sql import SqlStore

    settings.open_home()
    config = connection(settings, env)
    kind: type[Client] = Client if config else OfflineClient
    # The SDK would write its warnings to stdout, in the middle of what a command prints.
    silent = Runtime(telemetry=TelemetryConfig(logging=None))
    store = await SqlStore.open(settings.store_url)
    try:
        temporal = await (connect({**config, "runtime": silent}) if config else _nowhere(silent))
        yield kind(temporal, store, settings.task_queue, operator())
    except RPCError as error:
        raise AdapterError(
            FailureKind.UNREACHABLE,
            f"Temporal did not do what it was asked: {error.message}. `worktrain doctor` looks "
            "at what may be wrong.",
        ) from error
    finally:
        await store.close()


async def _nowhere(runtime: Runtime) -> Temporal:
    """Never connected to anything: the SDK has no client without an address."""
    return await Temporal.connect(
        f"{embedded.HOST}:0", lazy=True, runtime=runtime, data_converter=pydantic_data_converter
    )


def connection(settings: Settings, env: Mapping[str, str]) -> dict[str, Any] | None:
    """What `connect` needs for the configured server, or for our own; None when it is down."""
    own = external(env)
    if own is not None:
        from temporalio.envconfig import ClientConfigProfile

        given = {name: value for name, value in env.items() if value}
        profile = ClientConfigProfile.load(override_env_vars=given)
        return {**profile.to_client_connect_config(), "namespace": own.namespace}
    server = embedded.status(settings).server
    return {"target_host": server.address, "namespace": embedded.NAMESPACE} if server else None


def page_of(settings: Settings, env: Mapping[str, str], workflow: str) -> str | None:
    """Where the Temporal UI shows a workflow, if the server is ours."""
    server = None if external(env) else embedded.status(settings).server
    if server is None or not server.ui:
        return None
    return f"{server.ui}/namespaces/{embedded.NAMESPACE}/workflows/{quote(workflow, safe='')}"


def take_down(settings: Settings) -> list[str]:
    """End what runs, in a way that whoever watches a pipeline does not start it again."""
    (settings.open_home() / DOWN).touch()
    return embedded.down(settings)


def taken_down_since(settings: Settings, at_s: float) -> bool:
    """Whether somebody ended what runs on purpose after `at_s`, in seconds since the epoch."""
    try:
        return (settings.home / DOWN).stat().st_mtime >= at_s
    except FileNotFoundError:
        return False


def operator() -> str:
    """Who stands in the proof: the git user of this machine, or the login name."""
    try:
        named = subprocess.run(
            ["git", "config", "--global", "user.name"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=5,
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        named = ""
    if not named:
        try:
            named = getpass.getuser()
        except (KeyError, OSError):
            named = "operator"
    return named[:NAME_LENGTH_MAX]


def specs(settings: Settings | None = None) -> Catalogue:
    """The bundled specs and, with settings, the user's own over them."""
    return Catalogue.of_user(settings.home) if settings else Catalogue()


async def specs_of(settings: Settings, repo: str, commit: str | None = None) -> Catalogue:
    """What sessions of a repository follow: its own specs as they stand on a commit, or on the
    base that work on it starts from, over those of `specs`.

    Raises `AdapterError`: misconfigured (no repository, no such commit), unreachable (its remote).
    """
    from worktrain.activities.opening import trusted_config
    from worktrain.adapters.workspaces.git import Git
    from worktrain.adapters.workspaces.git_worktree import GitWorkspaces

    workspaces = GitWorkspaces(Git())
    if commit is None:
        base, _ = await trusted_config(workspaces, repo)
        commit = base.at.commit
    return await catalogue_at(workspaces, repo, commit, settings.home)


def genuine(signature: Signature, text: str) -> bool:
    """Whether a signature is by its own key over the UTF-8 bytes of a text."""
    return ed25519.genuine(signature.key, signature.value, text)


def is_public_key(text: str) -> bool:
    """Whether a text is a public key of WorkTrain's, as its home has it."""
    return ed25519.is_public_key(text)


@dataclass(frozen=True)
class Attested:
    """What there is to check the proof of a commit with."""

    at: CommitRef
    note: str | None
    stored: str | None
    store_said: str
    """In words, why there is no copy in this machine's store; empty when there is one."""


async def attested(settings: Settings, repo: str, commit: str) -> Attested:
    """The commit as the repository has it, its note, and the store's copy. Needs no server.

    Raises `AdapterError` misconfigured: no repository, no such commit.
    """
    from worktrain.adapters.forges.local_git import LocalGitForge
    from worktrain.adapters.workspaces.git import Git
    from worktrain.adapters.workspaces.git_worktree import GitWorkspaces

    git = Git()
    at = await GitWorkspaces(git).tree(repo, commit)
    try:
        note = await LocalGitForge(git).read_note(repo, at.commit)
    except UnicodeDecodeError:
        note = "not text"
    stored, store_said = await _stored(settings, at.commit)
    return Attested(at=at, note=note, stored=stored, store_said=store_said)


async def _stored(settings: Settings, commit: str) -> tuple[str | None, str]:
    from worktrain.adapters.stores.sql import SqlStore

    if not _store_exists(settings):
        return None, "this machine has no store to compare with"
    try:
        store = await SqlStore.open(settings.store_url)
        try:
            found = await store.proof(commit)
        finally:
            await store.close()
    except AdapterError as error:
        return None, f"the store was not compared: {error.said}"
    if found is None:
        return None, "this machine's store has no copy to compare with"
    return found, ""


def _store_exists(settings: Settings) -> bool:
    """Whether there is one to look into: looking must not make it."""
    from sqlalchemy import make_url

    url = make_url(settings.store_url)
    return url.get_backend_name() != "sqlite" or os.path.isfile(url.database or "")
