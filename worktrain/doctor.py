"""Looks at everything a first task needs, and says of each what is wrong and what to do."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path

from worktrain import embedded
from worktrain.contracts.base import Value
from worktrain.contracts.failure import AdapterError
from worktrain.contracts.workspace import CONFIG_PATH, WorkspaceConfig
from worktrain.engine.parse import Unreadable, read
from worktrain.settings import External, Settings, external

PYTHON_MIN = (3, 11)
GIT_MIN = (2, 38)
"""The first with `merge-tree --write-tree`, by which a rebase is tried without a checkout."""
DISK_BYTES_MIN = 1 << 30
ANSWER_S_MAX = 15


class Check(Value):
    """One thing that was looked at. `fix` says what to do, when it is not ok."""

    name: str
    ok: bool
    said: str
    fix: str = ""


class _Wrong(Exception):
    def __init__(self, said: str, fix: str) -> None:
        super().__init__(said)
        self.said = said
        self.fix = fix


async def examine(settings: Settings, repo: Path | None, probe: bool = False) -> list[Check]:
    """Every check, in the order in which they matter; starts nothing, changes nothing but what
    opening the store makes. With `probe`, the model is asked whether it accepts the key."""
    checks: list[tuple[str, Awaitable[str], str]] = [
        ("python", _python(), ""),
        ("git", _git(repo), ""),
        ("temporal", _temporal(settings), "Do what the message says, then run this again."),
        ("sandbox", _sandbox(), ""),
        ("store", _store(settings), "Correct store_url in settings.yml or WORKTRAIN_STORE_URL."),
        ("model", _model(settings, probe), "Correct model_key in settings.yml."),
        ("disk", _disk(settings), ""),
    ]
    if repo is not None:
        checks.append(("repository", _repository(repo), ""))
        checks.append(("config", _config(repo), ""))
    return list(await asyncio.gather(*(_check(*check) for check in checks)))


async def _check(name: str, answer: Awaitable[str], fix: str) -> Check:
    try:
        async with asyncio.timeout(2 * ANSWER_S_MAX):
            return Check(name=name, ok=True, said=await answer)
    except _Wrong as wrong:
        return Check(name=name, ok=False, said=wrong.said, fix=wrong.fix)
    except AdapterError as error:
        return Check(name=name, ok=False, said=error.said, fix=fix)
    except TimeoutError:
        said = f"no answer within {2 * ANSWER_S_MAX} s"
        return Check(name=name, ok=False, said=said, fix=fix or "Try again.")
    except Exception as error:
        # One check that breaks must not hide what the others found.
        said = f"the check itself failed: {type(error).__name__}: {error}"
        return Check(name=name, ok=False, said=said[:500], fix="Report this as a defect.")


async def _python() -> str:
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON_MIN:
        raise _Wrong(f"Python {running}", "Install WorkTrain with Python 3.11 or newer.")
    return f"Python {running}"


async def _git(repo: Path | None) -> str:
    program = shutil.which("git")
    if program is None:
        raise _Wrong("there is no program `git`", "Install git 2.38 or newer.")
    printed = (await _run_git(None, "version")).stdout.strip()
    found = re.search(r"(\d+)\.(\d+)", printed)
    if found is None or (int(found[1]), int(found[2])) < GIT_MIN:
        raise _Wrong(f"{printed or program} is too old", "Install git 2.38 or newer.")
    identity = await _run_git(repo, "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
    if identity.returncode:
        raise _Wrong(
            f"{printed}, but it does not know who commits",
            "git config --global user.name 'Your Name'; git config --global user.email you@host",
        )
    return f"{printed}, commits as {identity.stdout.rpartition('>')[0]}>"


async def _temporal(settings: Settings) -> str:
    inherited = {name: value.get_secret_value() for name, value in settings.inherited.items()}
    if own := external(inherited):
        return await _cluster(own, inherited)
    program = embedded.find_program()
    made_by = await asyncio.to_thread(embedded.check_version, settings, program)
    server = embedded.status(settings).server
    if server is None:
        return f"server {made_by} in {program}; not running, will be started when it is needed"
    if not await asyncio.to_thread(embedded.healthy, program, server.address):
        raise _Wrong(
            f"the server (pid {server.pid}) does not answer on {server.address}",
            f"See {settings.home / 'logs' / 'server.log'}; `worktrain down` ends it.",
        )
    return f"server {server.version} answers on {server.address}, web page {server.ui}"


async def _cluster(own: External, env: dict[str, str]) -> str:
    from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
    from temporalio.client import Client
    from temporalio.envconfig import ClientConfigProfile

    connect = ClientConfigProfile.load(override_env_vars=env).to_client_connect_config()
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            client = await Client.connect(**connect)
            info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    except (RuntimeError, OSError, TimeoutError) as error:
        said = str(error) or f"no answer within {ANSWER_S_MAX} s"
        raise _Wrong(
            f"connecting to the configured server {own.address} failed: {said[:300]}",
            "Check TEMPORAL_ADDRESS and what goes with it, or unset it: WorkTrain then runs "
            "a server of its own.",
        ) from error
    return f"server {info.server_version} answers on {own.address}, namespace {own.namespace}"


async def _sandbox() -> str:
    from worktrain.adapters.shells.choose import available

    said = await available()
    text = "; ".join(f"{name}: {answer}" for name, answer in said.items())
    if not any(answer.startswith("proven") for answer in said.values()):
        raise _Wrong(
            text or "there is none",
            "Install bubblewrap, or use a kernel with Landlock (6.7 or newer); or write "
            f"`sandbox: {{kind: none}}` into {CONFIG_PATH} to run commands without one.",
        )
    return text


async def _store(settings: Settings) -> str:
    from sqlalchemy import make_url

    from worktrain.adapters.stores.sql import SqlStore

    settings.open_home()
    store = await SqlStore.open(settings.store_url)
    await store.close()
    return make_url(settings.store_url).render_as_string(hide_password=True)


async def _model(settings: Settings, probe: bool) -> str:
    key = await asyncio.to_thread(lambda: settings.model_key)
    sdk = [
        name for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN") if name in settings.inherited
    ]
    if key is None and not sdk:
        raise _Wrong(
            "no key is configured",
            "Set ANTHROPIC_API_KEY, or model_key in settings.yml to env:NAME, file:PATH or "
            "cmd:COMMAND.",
        )
    source = "settings" if key else sdk[0]
    if not probe:
        return f"a key is there, from {source}; not tried"

    import anthropic

    secret = key or settings.inherited.get("ANTHROPIC_API_KEY")
    token = None if key else settings.inherited.get("ANTHROPIC_AUTH_TOKEN")
    base_url = settings.inherited.get("ANTHROPIC_BASE_URL")
    client = anthropic.AsyncAnthropic(
        api_key=secret.get_secret_value() if secret else None,
        auth_token=token.get_secret_value() if token else None,
        base_url=settings.model_base_url or (base_url.get_secret_value() if base_url else None),
        max_retries=0,
        timeout=ANSWER_S_MAX,
    )
    async with client:
        try:
            models = await client.models.list(limit=1)
        except (anthropic.AuthenticationError, anthropic.PermissionDeniedError) as error:
            raise _Wrong(
                f"{client.base_url} refuses the key from {source} ({error.status_code})",
                "Make a new key, or correct the one that is configured.",
            ) from error
        except anthropic.APIStatusError as error:
            raise _Wrong(
                f"{client.base_url} answered {error.status_code} when asked for its models",
                "Check model_base_url; it may be without /v1. If it serves no list of models, "
                "go on without this probe.",
            ) from error
        except anthropic.APIConnectionError as error:
            raise _Wrong(
                f"{client.base_url} cannot be reached: {error.__cause__ or error}",
                "Check the network, a proxy, and model_base_url.",
            ) from error
    first = f", offers {models.data[0].id}" if models.data else ""
    return f"{client.base_url} accepts the key from {source}{first}"


async def _disk(settings: Settings) -> str:
    place = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / (1 << 30):.1f} GiB free in {settings.home}"
    if free < DISK_BYTES_MIN:
        raise _Wrong(said, "Free at least 1 GiB, or set WORKTRAIN_HOME to another disk.")
    return said


async def _repository(repo: Path) -> str:
    place = await _run_git(repo, "rev-parse", "--absolute-git-dir")
    if place.returncode:
        if "safe.directory" in place.stderr:
            raise _Wrong(
                f"{repo} belongs to another user, so git does not touch it",
                f"git config --global --add safe.directory {repo}",
            )
        raise _Wrong(f"{repo} is not a git repository", "Go to one, or run `git init` there.")
    if (await _run_git(repo, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")).returncode:
        raise _Wrong(
            f"{repo} has no commit", "Commit something: work starts from a commit of the base."
        )
    operations = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
    git_dir = Path(place.stdout.strip())
    if begun := [name for name in operations if (git_dir / name).exists()]:
        raise _Wrong(
            f"a merge or rebase is under way in {repo} ({begun[0]})", "Finish or abort it first."
        )
    branch = (await _run_git(repo, "rev-parse", "--abbrev-ref", "HEAD")).stdout.strip()
    changed = (await _run_git(repo, "status", "--porcelain")).stdout.splitlines()
    rest = f"; {len(changed)} uncommitted changes, which stay out of any task" if changed else ""
    return f"{repo} on {branch}{rest}"


async def _config(repo: Path) -> str:
    remote = await _run_git(repo, "rev-parse", "--abbrev-ref", "--verify", "origin/HEAD")
    base = remote.stdout.strip() if remote.returncode == 0 else "HEAD"
    found = await _run_git(repo, "show", f"{base}:{CONFIG_PATH}")
    if found.returncode:
        if (repo / CONFIG_PATH).exists():
            raise _Wrong(
                f"{CONFIG_PATH} is not part of {base}, so it is not used",
                f"git add {CONFIG_PATH}, commit it, and bring it to the base branch.",
            )
        return f"no {CONFIG_PATH} in {base}: defaults hold, and no verify command is run"
    try:
        config = read(found.stdout, WorkspaceConfig, f"{base}:{CONFIG_PATH}")
    except Unreadable as error:
        raise _Wrong(str(error), f"Correct {CONFIG_PATH} and commit it.") from error
    verify = ", ".join(command.name for command in config.verify) or "nothing"
    return f"{base}:{CONFIG_PATH} is valid; verifies {verify}; merge {config.merge.policy}"


async def _run_git(repo: Path | None, *words: str) -> "subprocess.CompletedProcess[str]":
    """Read something with git, without the programs that a repository's config may name."""
    where: Sequence[str] = ("-C", str(repo)) if repo else ()
    quiet = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks")
    return await asyncio.to_thread(
        subprocess.run,
        ["git", *where, *quiet, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=ANSWER_S_MAX,
        check=False,
    )
