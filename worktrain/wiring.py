"""The composition root: settings become adapters, activities, and a worker."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.client import Client as Temporal
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from worktrain.activities.delivering import DeliveringActivities
from worktrain.activities.examining import ExaminingActivities
from worktrain.activities.gathering import GatheringActivities
from worktrain.activities.lanes import LaneActivities
from worktrain.activities.looking import LookingActivities
from worktrain.activities.model import ModelActivities
from worktrain.activities.opening import OpeningActivities
from worktrain.activities.sandbox import Choose, Sandboxes
from worktrain.activities.sealing import SealingActivities
from worktrain.activities.tool import ToolActivities
from worktrain.adapters.forges import Forge
from worktrain.adapters.models import ModelClient
from worktrain.adapters.pages import Pages
from worktrain.adapters.pages.in_memory import InMemoryPages
from worktrain.adapters.signing import Signer
from worktrain.adapters.stores import Store
from worktrain.adapters.workspaces import Workspaces
from worktrain.settings import Settings
from worktrain.workflows.lane import LaneWorkflow
from worktrain.workflows.pipeline import PipelineWorkflow
from worktrain.workflows.session import SessionWorkflow

PURE = (
    *("worktrain.contracts", "worktrain.engine", "worktrain.coordinators", "pydantic_core"),
    *("jsonschema", "jsonschema_specifications", "referencing", "rpds", "attr", "attrs"),
)
"""Passed through the workflow sandbox: ours hold no state and do no IO (import-linter sees to
that), and re-importing them for each workflow would cost 8 ms. The libraries come with ours and
cost nothing more; named here, what they import late is the same copy, not one of the sandbox."""

WORKFLOWS = (PipelineWorkflow, SessionWorkflow, LaneWorkflow)


def runner() -> SandboxedWorkflowRunner:
    """How workflow code runs, for workers and for replay alike."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PURE)
    )


@dataclass(frozen=True)
class Outside:
    """Every system that activities reach, by protocol."""

    store: Store
    model: ModelClient
    workspaces: Workspaces
    forge: Forge
    choose_shell: Choose
    signer: Signer
    pages: Pages = field(default_factory=InMemoryPages)
    """Unless others are given, there is no page to be had."""


async def outside(settings: Settings, stack: AsyncExitStack) -> Outside:
    """The real adapters; what they hold open is closed by `stack`."""
    from worktrain.adapters.forges.local_git import LocalGitForge
    from worktrain.adapters.models.anthropic import AnthropicModel
    from worktrain.adapters.models.anthropic import connect as connect_model
    from worktrain.adapters.pages.https import HttpsPages
    from worktrain.adapters.shells.choose import choose
    from worktrain.adapters.signing.ed25519 import Ed25519Signer
    from worktrain.adapters.stores.sql import SqlStore
    from worktrain.adapters.workspaces.git import Git
    from worktrain.adapters.workspaces.git_worktree import GitWorkspaces

    settings.open_home()
    store = await SqlStore.open(settings.store_url)
    stack.push_async_callback(store.close)
    key = settings.model_key
    git = Git()
    return Outside(
        store=store,
        model=AnthropicModel(
            connect_model(key.get_secret_value() if key else None, settings.model_base_url)
        ),
        workspaces=GitWorkspaces(git),
        forge=LocalGitForge(git),
        choose_shell=choose,
        signer=Ed25519Signer(settings.home / "keys"),
        pages=HttpsPages(),
    )


def worker(temporal: Temporal, settings: Settings, reached: Outside, queue: str) -> Worker:
    """A worker for workflows and activities of this host; what it is tuned to was measured."""
    home = settings.home
    sandboxes = Sandboxes(reached.choose_shell, home / "scratch")
    methods: list[Any] = []
    for activities in (
        OpeningActivities(
            reached.store,
            reached.workspaces,
            sandboxes,
            home / "worktrees",
            home,
            queue,
        ),
        GatheringActivities(reached.workspaces, reached.pages),
        ModelActivities(reached.store, reached.model),
        ToolActivities(reached.store, sandboxes, home / "outputs"),
        DeliveringActivities(
            reached.store, reached.workspaces, reached.forge, sandboxes, home / "checkouts"
        ),
        ExaminingActivities(reached.store, reached.workspaces),
        LookingActivities(reached.store, reached.workspaces),
        SealingActivities(reached.store, reached.signer),
        LaneActivities(temporal, queue),
    ):
        methods += [
            getattr(activities, name)
            for name in dir(activities)
            if hasattr(getattr(activities, name), "__temporal_activity_definition")
        ]
    tuning = settings.worker
    return Worker(
        temporal,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=methods,
        workflow_runner=runner(),
        max_concurrent_workflow_tasks=tuning.workflow_tasks_max,
        max_cached_workflows=tuning.cached_workflows_max,
        max_concurrent_activities=tuning.activities_max,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=tuning.sticky_s),
        max_heartbeat_throttle_interval=timedelta(seconds=tuning.heartbeat_throttle_s),
        default_heartbeat_throttle_interval=timedelta(seconds=tuning.heartbeat_throttle_s),
        graceful_shutdown_timeout=timedelta(seconds=tuning.graceful_s),
    )
