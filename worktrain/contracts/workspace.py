"""A repository that WorkTrain works on, its rules, and the checkouts made of it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from worktrain.contracts.base import Authored, Value

CONFIG_PATH = ".worktrain/config.yml"


class VerifyCommand(Authored):
    """A check that WorkTrain itself runs, on base and on candidate."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{1,40}$")]
    run: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    timeout_s: int = Field(default=600, ge=1, le=7200)
    report: str | None = None
    """Path of a JUnit XML report that the command writes. pytest needs none."""


class MergeRules(Authored):
    policy: Literal["ask", "auto"] = "ask"
    passes_max: int = Field(default=3, ge=0, le=10)
    """Fix passes before a person is asked."""


class Budget(Authored):
    """What one pipeline may use, all its sessions together. Reaching one is a named ending."""

    cost_usd_max: float = Field(default=50.0, gt=0)
    tokens_max: int = Field(default=30_000_000, ge=1)
    minutes_max: float = Field(default=480, gt=0, le=10_080)
    """Waiting for people left out."""
    sessions_max: int = Field(default=60, ge=1, le=500)
    """The pipeline's own; those that a session has run for it count as part of it."""


class ArchitectureRule(Authored):
    """Something that no added line may hold. It is run as code, on every candidate."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{1,60}$")]
    kind: Literal["import_boundary", "forbidden_call", "forbidden_text"]
    paths: tuple[str, ...] = ("**",)
    """Globs of the files that it holds for."""
    forbids: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    """A module that may not be imported (with all below it), the name of what may not be called
    (`os.system`), or a regular expression."""
    why: Annotated[str, StringConstraints(max_length=300)] = ""


class ReviewRules(Authored):
    """What a review pipeline does with its verdict."""

    post: bool = False
    """Hand the review to the forge; otherwise it is a draft in the store."""
    fix: bool = False
    """Have minor findings settled on a branch of WorkTrain's own."""


class Limits(Authored):
    """What one session may use. Reaching one is a named ending."""

    turns_max: int = Field(default=150, ge=1, le=2000)
    tokens_max: int = Field(default=5_000_000, ge=1)
    cost_usd_max: float = Field(default=10.0, gt=0)
    minutes_max: float = Field(default=90, gt=0, le=1440)
    output_tokens_max: int = Field(default=16_000, ge=256)
    """Of one model call."""
    notes_chars_min: int = Field(default=50, ge=0, le=1000)
    notes_bytes_max: int = Field(default=4096, ge=100, le=16_384)
    """UTF-8 bytes; longer notes are refused with the count, never cut."""
    context_bytes_max: int = Field(default=262_144, ge=1024, le=262_144)
    """All variables of a session, as canonical JSON."""
    context_depth_max: int = Field(default=64, ge=2, le=64)
    blocks_max: int = Field(default=3, ge=1, le=20)
    """complete_step calls refused in a row before the session ends."""
    blockers_max: int = Field(default=10, ge=1, le=50)
    """What is wrong, told at a time."""
    depth_max: int = Field(default=3, ge=0, le=5)
    """Sessions below one another."""
    children_max: int = Field(default=20, ge=0, le=200)
    """Sessions that one session may have run, all in all."""


class ModelNames(Authored):
    """Which model stands for which tier."""

    lightweight: str = "claude-haiku-5-5"
    mid: str = "claude-sonnet-5-5"
    heavy: str = "claude-opus-5-5"


class SandboxRules(Authored):
    kind: Literal["auto", "bubblewrap", "sandlock", "none"] = "auto"
    """`none` runs the agent's commands without a sandbox, and must be written down."""
    network: bool = False
    read: tuple[str, ...] = ()
    """Further paths that commands may read, outside the system's own."""


class WorkspaceConfig(Authored):
    """`.worktrain/config.yml`, read from the base branch."""

    base: str | None = None
    """Base branch; the remote's default branch, or the current one, when absent."""
    verify: tuple[VerifyCommand, ...] = ()
    merge: MergeRules = MergeRules()
    models: ModelNames = ModelNames()
    limits: Limits = Limits()
    budget: Budget = Budget()
    intent: Literal["never", "unsure", "always"] = "unsure"
    """When a person confirms what a task is taken to ask for."""
    answer_hours: float = Field(default=72, gt=0, le=720)
    """How long a question waits before the work ends without an answer; half as long where the
    risk is high, a third where it is critical. Silence is never yes."""
    labels: dict[str, Literal["feature", "implement", "quick", "review", "bugfix"]] = Field(
        default_factory=dict
    )
    """Labels of tasks that choose the pipeline, beside those that WorkTrain knows."""
    slices_at_once: int = Field(default=3, ge=1, le=8)
    architectureRules: tuple[ArchitectureRule, ...] = Field(default=(), max_length=50)
    review: ReviewRules = ReviewRules()
    watch: bool = True
    """Run the checks on the base branch after a merge, and open a revert if it turned red."""
    retrospective: bool = True
    """Have a light model look back at each pipeline."""
    soul: str = ""
    """The operator's own rules of behaviour for agents."""
    gates: Literal["evaluator", "coordinator", "operator"] = "evaluator"
    """Who answers the gates that a spec leaves to the coordinator."""
    gather_hosts: tuple[str, ...] = ()
    """Hosts that a URL in a task may be fetched from, for specs that gather context."""
    sandbox: SandboxRules = SandboxRules()


class CommitRef(Value):
    """A commit and the tree that it names, full object ids."""

    commit: str
    tree: str


class Base(Value):
    """Where work starts: a branch and its head at that time."""

    branch: str
    at: CommitRef
    remote: str | None = None
    """Name of the remote that work is merged to, or None: the repository itself."""


class WorktreeRequest(Value):
    """A checkout for one session: on `branch`, or detached when that is None."""

    session: str
    repo: str
    at: str
    """Commit to start from, if the branch does not exist yet."""
    branch: str | None = None
    sandbox: SandboxRules = SandboxRules()


class Worktree(Value):
    session: str
    repo: str
    root: str
    branch: str | None = None
    queue: str
    """Task queue of the host that has it."""
    sandbox: str = ""
    """The sandbox that proved itself in this worktree, and how."""
