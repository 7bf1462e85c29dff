"""Documents say what the code says: links, commands, settings, endings, tools, words."""

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from worktrain import embedded
from worktrain.activities.tools import bash, files, search
from worktrain.adapters.catalogue import Catalogue, sources
from worktrain.adapters.shells import Command
from worktrain.cli.exits import BY_ENDING, Exit
from worktrain.cli.main import cli
from worktrain.cli.standing import facts
from worktrain.contracts import spec
from worktrain.contracts.base import Authored
from worktrain.contracts.failure import TREATMENT
from worktrain.contracts.pipeline import PipelineEnding
from worktrain.contracts.proof import CheckEnding
from worktrain.contracts.route import Phase, TaskClass
from worktrain.contracts.session import SessionEnding
from worktrain.contracts.task import Task
from worktrain.contracts.tool import ARGUMENTS
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.coordinators import duties, gates, loop, recover, routing
from worktrain.coordinators.duties import Duty
from worktrain.coordinators.feature import AFTERWARDS, DELIVERY
from worktrain.coordinators.merge_policy import Refusal
from worktrain.coordinators.sessions import DELIVERS, SPEC
from worktrain.engine.contracts_check import ARTIFACTS
from worktrain.settings import SettingsFile
from worktrain.workflows.pipeline import PipelineWorkflow
from worktrain.workflows.session import SessionWorkflow

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("worktrain/*/AGENTS.md"),
        *ROOT.glob("tests/AGENTS.md"),
    ]
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)


# --- reading documents ----------------------------------------------------------------------


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def _prose(text: str) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", text)


def _section(name: str, heading: str) -> str:
    """What stands below a heading of second level."""
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", _text(name), re.DOTALL | re.MULTILINE
    )
    assert found, f"{name} has no section {heading!r}"
    return found[1]


def _rows(text: str) -> list[list[str]]:
    """The cells of all table rows but the heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {at - 1 for at, line in enumerate(lines) if set(line) <= set("|- ")}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for at, line in enumerate(lines)
        if at not in heads and at - 1 not in heads
    ]


def _firsts(text: str) -> list[str]:
    """The first cell of each row, without its backticks."""
    return [row[0].strip("`") for row in _rows(text)]


def _command_lines(text: str) -> Iterator[str]:
    """Every line of a shell block, continued lines joined, comments left out."""
    for language, block in FENCE.findall(text):
        if language != "sh":
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.strip().startswith("#"):
                yield line.strip()


def _commands(text: str, program: str) -> Iterator[list[str]]:
    """The words after `program` wherever it is called, in blocks and in prose."""
    spans = (span for span in SPAN.findall(_prose(text)) if span.startswith(f"{program} "))
    for line in (*_command_lines(text), *spans):
        for part in re.split(r"&&|;(?= )|\|\|", line):
            words = shlex.split(part.replace("...", " "), comments=True)
            if words and Path(words[0]).name == program:
                yield words[1:]


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _prose(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# --- all documents --------------------------------------------------------------------------


@each_document
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (path.parent / name) if name else path
        assert place.exists(), f"{target} is not there"
        assert not anchor or anchor in _anchors(place), f"{target}: no such heading"


@each_document
def test_every_path_of_this_repository_that_is_named_exists(path: Path) -> None:
    tops = ("worktrain/", "workflow_specs/", "tests/", "docs/", "bench/", ".ci/")
    for span in SPAN.findall(_prose(path.read_text())):
        # Branches of the tasks are called worktrain/... too.
        if span.startswith(tops) and " " not in span and "..." not in span:
            assert any(ROOT.glob(span.rstrip("/"))), f"{span} is not there"


@each_document
def test_every_command_of_ours_that_is_named_exists(path: Path) -> None:
    for words in _commands(path.read_text(), "worktrain"):
        if words[0].startswith("-"):
            continue
        command, rest = cli.get_command(click.Context(cli), words[0]), words[1:]
        assert command is not None, f"worktrain {words[0]}: no such command"
        if isinstance(command, click.Group) and rest:
            command = command.get_command(click.Context(command), rest[0])
            assert command is not None, f"worktrain {' '.join(words[:2])}: no such command"
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.partition("=")[0] for word in rest if word.startswith("-")}
        assert used <= known, f"worktrain {' '.join(words)}: no option {used - known}"


@each_document
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", _text("Makefile"), re.MULTILINE))
    for words in _commands(path.read_text(), "make"):
        assert words[0] in targets, f"make {words[0]}: no such target"


@each_document
def test_no_document_names_a_place_of_one_machine_or_registry(path: Path) -> None:
    text = path.read_text()
    places = re.findall(r"(?:/work|/root|/home/\w+|/tmp)/\S*|pypi\.org|\S+\.internal\b", text)
    assert not places


def test_short_documents_stay_short() -> None:
    assert len(_text("CONTRIBUTING.md").splitlines()) <= 150
    for path in (path for path in DOCUMENTS if path.name == "AGENTS.md"):
        assert len(path.read_text().splitlines()) <= 60, path


# --- endings --------------------------------------------------------------------------------

ENDINGS = "docs/reference/endings.md"


def _asked() -> set[str]:
    """Every gate that a coordinator opens, read from the sources."""
    found: set[str] = set()
    for path in Path(duties.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in OPENS_A_GATE:
                gate = node.args[1]
                # The one that opens a gate for others is given its name.
                found |= {str(gate.value)} if isinstance(gate, ast.Constant) else set()
    return found


OPENS_A_GATE = {"gates.asked", "_mended_or_waived"}
UNSEEN_PHASES = {Phase.MERGE, Phase.RETROSPECTIVE, Phase.SESSION}
"""Phases without a session of their own, or whose failure changes nothing."""


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("Pipeline endings", set(PipelineEnding)),
        ("Session endings", set(SessionEnding)),
        ("How a check ends", set(CheckEnding)),
        ("Why a merge is refused", set(Refusal)),
        ("Held causes", set(TREATMENT)),
        ("Gates", set(gates.APPROVING)),
    ],
)
def test_every_way_to_stop_is_in_the_reference(heading: str, wanted: set[str]) -> None:
    named = _firsts(_section(ENDINGS, heading))
    assert len(named) == len(set(named))
    assert set(named) == {str(one) for one in wanted}


def test_the_gates_that_are_opened_are_those_that_say_what_an_approval_means() -> None:
    assert _asked() == set(gates.APPROVING)


def test_the_reference_says_which_approvals_want_a_reason() -> None:
    told = {row[0].strip("`"): row[3] for row in _rows(_section(ENDINGS, "Gates"))}
    assert set(told.values()) == {"yes", "no"}
    assert {gate for gate, wanted in told.items() if wanted == "yes"} == gates.WITH_A_REASON


def test_the_reference_says_how_long_a_gate_waits() -> None:
    told = {row[0]: row[1] for row in _rows(_section(ENDINGS, "How long a gate waits"))}
    hours = WorkspaceConfig().answer_hours
    assert told == {risk: f"{hours * share:g} h" for risk, share in gates.PATIENCE.items()}


def test_the_reference_says_what_follows_each_failure_of_each_phase() -> None:
    """The head of each column names its phases."""
    lines = _section(ENDINGS, "What follows a session that failed").splitlines()
    head = next(line for line in lines if line.startswith("| ending"))
    columns = [SPAN.findall(cell) for cell in head.strip("|").split("|")[1:]]
    told: dict[tuple[str, str], str] = {}
    for ending, *cells in _rows("\n".join(lines)):
        for phases, cell in zip(columns, cells, strict=True):
            told.update({(phase, ending.strip("`")): cell for phase in phases})
    assert told == {
        (phase.value, ending.value): what.value
        for phase, row in recover.RECOVERY.items()
        if phase not in UNSEEN_PHASES
        for ending, what in row.items()
    }


def test_the_reference_says_what_is_done_about_each_failure() -> None:
    told = {row[0].strip("`"): row[1] for row in _rows(_section(ENDINGS, "Held causes"))}
    assert told == {kind.value: treatment.value for kind, treatment in TREATMENT.items()}


def test_the_reference_has_the_exit_code_of_each_ending() -> None:
    told = {row[0].strip("`"): int(row[1]) for row in _rows(_section(ENDINGS, "Pipeline endings"))}
    assert told == {ending.value: int(code) for ending, code in BY_ENDING.items()}


def test_the_exit_codes_are_the_same_in_every_document() -> None:
    listed = ", ".join(f"{code.value} {code.name.lower()}" for code in Exit)
    for name in ("README.md", "docs/reference/commands.md"):
        text = " ".join(_text(name).split()).replace(" for a human", "")
        text = re.sub(r" \([^)]*\)", "", text)
        assert f"Exit codes: {listed}" in text, name


def test_what_to_do_is_said_for_every_ending_gate_and_failure() -> None:
    text = _text("docs/how-to/when-it-stops.md")
    ends_well = {SessionEnding.COMPLETED.value}
    # These end a session, and are explained under the name of that ending.
    as_endings = {kind for kind, treatment in TREATMENT.items() if treatment.value == "end"}
    wanted = {
        *PipelineEnding,
        *SessionEnding,
        *gates.APPROVING,
        *(set(TREATMENT) - as_endings),
    } - ends_well
    assert not {str(one) for one in wanted if f"`{one}`" not in text}


def test_every_status_is_in_the_reference() -> None:
    source = "".join(path.read_text() for path in (ROOT / "worktrain/workflows").glob("*.py"))
    set_there = re.findall(r'_waiting\("(\w+)"\)|STATUS\.value_set\("(\w+)"\)', source)
    wanted = {"running", *(name for pair in set_there for name in pair if name)}
    assert set(_firsts(_section(ENDINGS, "Statuses"))) == wanted


# --- configuration --------------------------------------------------------------------------

CONFIGURATION = "docs/reference/configuration.md"


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model that a field holds, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    inner = getattr(annotation, "__args__", ())
    models = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
    return (models[0], True) if models else (None, False)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ("", (), {}):
        return "—"
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _keys(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, str]]:
    """Every key that may be written, with its default, as the reference shows them."""
    for name, field in model.model_fields.items():
        below, listed = _model_in(field.annotation)
        if below is None:
            yield f"{before}{name}", _default(field)
        else:
            yield from _keys(below, f"{before}{name}{'[]' if listed else ''}.")


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("The repository: .worktrain/config.yml", WorkspaceConfig),
        ("This machine: settings.yml", SettingsFile),
    ],
)
def test_every_key_and_its_default_is_in_the_reference(
    heading: str, model: type[BaseModel]
) -> None:
    told = [(row[0].strip("`"), row[1]) for row in _rows(_section(CONFIGURATION, heading))]
    assert told == list(_keys(model))


def test_every_bound_of_a_key_is_in_its_line() -> None:
    lines = {row[0].strip("`"): row[2] for row in _rows(_text(CONFIGURATION)) if len(row) > 2}
    config = WorkspaceConfig()
    for model, before in (
        (WorkspaceConfig, ""),
        (type(config.limits), "limits."),
        (type(config.merge), "merge."),
        (type(config.budget), "budget."),
    ):
        for name, field in model.model_fields.items():
            bounds = [getattr(rule, "le", None) for rule in field.metadata]
            for bound in (bound for bound in bounds if bound is not None):
                assert str(bound) in lines[f"{before}{name}"], name


def test_every_variable_that_settings_reads_is_in_the_reference() -> None:
    read = set(re.findall(r'"(WORKTRAIN_[A-Z_]+)"', _text("worktrain/settings.py")))
    assert set(_firsts(_section(CONFIGURATION, "The environment"))) == read


# --- tools and specs ------------------------------------------------------------------------


@pytest.mark.parametrize("tool", sorted(ARGUMENTS))
def test_every_argument_of_a_tool_is_in_the_reference(tool: str) -> None:
    told = [(row[0].strip("`"), row[1]) for row in _rows(_section("docs/reference/tools.md", tool))]
    fields = ARGUMENTS[tool].model_fields.items()
    assert told == [(field.alias or name, _default(field)) for name, field in fields]


def test_the_bounds_of_tools_are_those_of_the_code() -> None:
    rows = _rows(_section("docs/reference/tools.md", "How they run"))
    assert [int(row[1].replace(",", "")) for row in rows] == [
        bash.INLINE_CHARACTERS,
        Command.__dataclass_fields__["output_bytes_max"].default,
        files.READ_CHARACTERS,
        search.GLOB_PATHS,
        search.CHARACTERS,
        search.SEARCH_S,
        files.WRITE_BYTES,
    ]


SPECS = "docs/reference/spec.md"
FIELDS: dict[str, list[tuple[str, type[BaseModel]]]] = {
    "Fields of a spec": [
        ("", spec.Spec),
        ("recommendedPreferences.", spec.RecommendedPreferences),
        ("extensionPoints[].", spec.ExtensionPoint),
        ("references[].", spec.Reference),
    ],
    "Fields of every step": [
        ("", spec.Common),
        ("requireConfirmation.", spec.ConfirmationRule),
    ],
    "Fields of a standard step": [
        ("", spec.Step),
        ("outputContract.", spec.OutputContract),
        ("validationCriteria.", spec.ValidationRule),
        ("validationCriteria.", spec.ValidationComposition),
        ("verification.", spec.Verification),
        ("audit.", spec.Audit),
    ],
    "Prompts": [
        ("promptBlocks.", spec.PromptBlocks),
        ("promptFragments[].", spec.PromptFragment),
    ],
    "Conditions": [("", spec.Condition)],
    "Assessments": [
        ("assessments[].", spec.Assessment),
        ("assessments[].dimensions[].", spec.Dimension),
        ("assessmentConsequences[].", spec.AssessmentConsequence),
        ("assessmentConsequences[].when.", spec.AssessmentTrigger),
        ("assessmentConsequences[].effect.", spec.RequireFollowup),
        ("assessmentConsequences[].effect.", spec.RequireRedo),
    ],
    "Questions": [("questions[].", spec.TypedQuestion)],
    "Gathering": [("contextGather[].", spec.ContextSource)],
    "Jumps": [("jumpIf[].", spec.Jump)],
    "Loops": [
        ("", spec.LoopStep),
        ("loop.", spec.LoopRules),
        ("loop.conditionSource.", spec.ArtifactSource),
        ("loop.conditionSource.", spec.VariableSource),
    ],
    "Parallel steps": [
        ("", spec.ParallelStep),
        ("parallelDelegations[].", spec.Delegation),
        ("synthesis.", spec.Synthesis),
        ("forEach.", spec.ForEachDelegation),
    ],
    "Routines": [("templateCall.", spec.TemplateCall)],
    "Functions": [
        ("functionDefinitions[].", spec.FunctionDefinition),
        ("functionDefinitions[].parameters[].", spec.FunctionParameter),
        ("functionCalls[].", spec.FunctionCall),
    ],
}
"""By heading: what its fields are called, and which they are."""
IN_PROSE: set[type[BaseModel]] = {spec.TextPart, spec.RefPart}


@pytest.mark.parametrize("heading", FIELDS)
def test_every_field_of_a_spec_is_in_the_reference(heading: str) -> None:
    told = [(row[0].strip("`"), row[1]) for row in _rows(_section(SPECS, heading))]
    wanted: dict[str, str] = {}
    for before, model in FIELDS[heading]:
        # What every step has stands in a table of its own.
        common = model is not spec.Common and issubclass(model, spec.Common)
        for name, field in model.model_fields.items():
            if not common or name not in spec.Common.model_fields:
                wanted.setdefault(f"{before}{field.alias or name}", _default(field))
    assert told == list(wanted.items())


def test_the_tables_have_every_part_of_a_spec() -> None:
    told = {model for parts in FIELDS.values() for _, model in parts} | IN_PROSE
    there = {
        model
        for model in vars(spec).values()
        if isinstance(model, type) and issubclass(model, Authored) and model.model_fields
    }
    assert there == told


def test_the_folders_of_specs_are_in_the_reference_in_their_order() -> None:
    places = _firsts(_section(SPECS, "Where specs lie"))
    assert [place.partition("/`")[0] for place in places[2:]] == list(sources.SPECS)


def test_every_artifact_and_its_fields_are_in_the_reference() -> None:
    page = "docs/reference/artifacts.md"
    kinds = [SPAN.findall(row[0])[0] for row in _rows(_text(page).partition("\n## ")[0])]
    assert kinds == list(ARTIFACTS)
    for kind, model in ARTIFACTS.items():
        outermost = [re.split(r"\[|\.", name)[0] for name in _firsts(_section(page, kind))]
        assert list(dict.fromkeys(outermost)) == [n for n in model.model_fields if n != "kind"]


def test_every_bundled_spec_is_in_the_reference() -> None:
    told = {
        row[0].strip("`"): (row[1], row[2].strip("`"))
        for row in _rows(_section(SPECS, "Bundled specs"))
    }
    delivers: dict[object, str] = {model: kind for kind, model in ARTIFACTS.items()}
    assert told == {id_: (phase, delivers[DELIVERS[phase]]) for phase, id_ in _specs_of_phases()}
    alone = {
        row[0].strip("`"): row[1] for row in _rows(_section(SPECS, "Specs to run by themselves"))
    }
    routines = {row[0].strip("`"): row[1] for row in _rows(_section(SPECS, "Bundled routines"))}
    entries = {entry.id: entry for entry in Catalogue().entries()}
    assert {*told, *alone, *routines} == set(entries)
    assert all(entries[name].description == said for name, said in {**alone, **routines}.items())
    assert {name for name, entry in entries.items() if entry.routine} == set(routines)


def _specs_of_phases() -> set[tuple[Phase, str]]:
    """Every spec that a pipeline may run, with its phase."""
    gravest = TaskClass(
        task_type="feature",
        complexity="Large",
        risk="Critical",
        has_ui=True,
        touches_architecture=True,
        maturity="idea",
        domains=("security",),
    )
    task, config = Task(source="cli", title="anything"), WorkspaceConfig()
    demands = [
        demand
        for kind in routing.STAGES
        for demand in routing.route_of(kind, None, task, gravest, config).demands
        if demand.gate == "audit"
    ]
    audits = {*(demand.detail for demand in demands), *loop.AUDIT_OF.values()} - {None}
    return {
        *SPEC.items(),
        *(stage for stages in routing.STAGES.values() for stage in stages),
        *((Phase.AUDIT, str(spec)) for spec in audits),
    }


# --- pipelines ------------------------------------------------------------------------------

PIPELINES = "docs/explanation/pipelines.md"


def test_the_phases_of_each_pipeline_are_told_in_their_order() -> None:
    told = {row[0].strip("`"): SPAN.findall(row[1]) for row in _rows(_section(PIPELINES, "Phases"))}
    shown = {
        kind.value: [spec for _, spec in stages]
        for kind, stages in routing.STAGES.items()
        if stages
    }
    assert told == shown


@pytest.mark.parametrize(
    ("heading", "duties"), [("Duties", DELIVERY), ("After the merge", AFTERWARDS)]
)
def test_the_duties_are_told_in_their_order(heading: str, duties: tuple[Duty, ...]) -> None:
    assert _firsts(_section(PIPELINES, heading)) == [duty.__name__ for duty in duties]


def test_the_table_of_the_review_loop_is_the_table() -> None:
    told = [(row[0], row[-1].strip("`")) for row in _rows(_section(PIPELINES, "The review loop"))]
    assert told == [(row.name, row.kind.value) for row in loop.TABLE]


# --- commands -------------------------------------------------------------------------------

COMMANDS = "docs/reference/commands.md"
EVERYWHERE = {"--json", "--help"}


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_option_of_a_command_is_in_the_reference(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    # Commands of a command stand below headings of third level.
    section, *below = _section(COMMANDS, name).split("\n### ")
    told = {heading: text for heading, _, text in (part.partition("\n") for part in below)}
    commands: dict[str, click.Command] = {}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            commands[f"{name} {each}"] = inner
    assert set(told) == set(commands)
    for full, each_command in {name: command, **commands}.items():
        text = told.get(full, section)
        assert f"`worktrain {full}" in text
        assert set(_firsts(text)) == _options(each_command) - EVERYWHERE, full


def _options(command: click.Command) -> set[str]:
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }


def test_the_reference_names_no_command_that_is_gone() -> None:
    headings = re.findall(r"^## (.+)$", _text(COMMANDS), re.MULTILINE)
    assert set(headings) == set(cli.list_commands(click.Context(cli)))


def test_the_keys_that_are_always_in_the_answer_are_in_the_reference() -> None:
    told = re.search(r"always in its JSON: (.*?)\.\n", _section(COMMANDS, "run"), re.DOTALL)
    assert told
    assert SPAN.findall(told[1]) == list(facts("task/a/b", None))


# --- Temporal -------------------------------------------------------------------------------

TEMPORAL = "docs/how-to/temporal-ui.md"
UPDATES = {
    "steer": SessionWorkflow.steer,
    "answer": SessionWorkflow.answer,
    "decide": PipelineWorkflow.decide,
    "pause": SessionWorkflow.pause,
    "resume": SessionWorkflow.resume,
}


def _option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_every_update_is_shown_with_an_input_that_the_workflow_takes() -> None:
    shown: set[str] = set()
    for words in _commands(_text(TEMPORAL), "temporal"):
        if words[:3] != ["workflow", "update", "execute"]:
            continue
        name, said = _option(words, "--name"), json.loads(_option(words, "--input"))
        hints = get_type_hints(UPDATES[name])
        (model,) = (hint for key, hint in hints.items() if key != "return")
        model.model_validate(said)
        assert said.keys() <= model.model_fields.keys(), name
        is_session = _option(words, "--workflow-id") != "$ID"
        assert is_session or name not in ("steer", "answer")
        assert not is_session or name != "decide"
        shown.add(name)
    assert shown == set(UPDATES)


def test_every_search_attribute_is_explained_and_no_other() -> None:
    told = _firsts(_section(TEMPORAL, "Find"))
    assert set(told) == set(embedded.SEARCH_ATTRIBUTES)
    for path in DOCUMENTS:
        assert set(re.findall(r"\bWt[A-Z]\w+", path.read_text())) <= set(told), path


def test_every_temporal_command_that_is_shown_exists_with_its_options() -> None:
    program = embedded.find_program()
    everywhere = {"--address", "--namespace"}
    options: dict[tuple[str, ...], set[str]] = {}
    for words in _commands(_text(TEMPORAL), "temporal"):
        if words[0].startswith("--"):
            assert {word for word in words if word.startswith("--")} <= everywhere
            continue
        first = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
        options.setdefault(tuple(words[:first]), set()).update(
            word for word in words if word.startswith("--")
        )
    assert len(options) >= 8
    for command, used in options.items():
        told = subprocess.run(
            [program, *command, "--help"], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, command
        assert f"temporal {' '.join(command)}" in told.stdout, command
        assert {option for option in used if option not in told.stdout} <= everywhere, command


# --- words ----------------------------------------------------------------------------------


def _named(dotted: str) -> object:
    """The module, class, member or field that a dotted name stands for."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        return reduce(_member, parts[count:], module)
    raise AssertionError(f"there is no {dotted}")


def _member(owner: object, name: str) -> object:
    if isinstance(owner, type) and issubclass(owner, BaseModel) and name in owner.model_fields:
        return owner.model_fields[name]
    if name in getattr(owner, "__annotations__", {}):
        return owner
    return getattr(owner, name)


def test_every_word_of_the_glossary_is_where_it_says() -> None:
    rows = _rows(_text("GLOSSARY.md"))
    words = [row[0].strip("*") for row in rows]
    assert len(set(words)) == len(words) > 30
    for word, (_, line, where) in zip(words, rows, strict=True):
        assert line.endswith("."), word
        if where == "not yet":
            built = [*ROOT.glob(f"worktrain/**/{word}.py"), *ROOT.glob(f"worktrain/**/{word}s")]
            assert not built, f"{word} is there by now: {built}"
        else:
            assert _named(where.strip("`")) is not None


def test_every_noun_that_crosses_a_boundary_is_in_the_glossary() -> None:
    text = _text("GLOSSARY.md").lower()
    for noun in (*Phase, "gate", "ending", "turn", "worktree", "sandbox"):
        assert re.search(rf"\b{noun}\b", text), noun
    # What is not a noun of the domain: building blocks, and lists of things that have one.
    blocks = {"__init__", "base", "calls", "record", "tool", "failure", "steering"}
    words = {row[0].strip("*") for row in _rows(_text("GLOSSARY.md"))}
    modules = {path.stem for path in (ROOT / "worktrain/contracts").glob("*.py")}
    assert modules - blocks <= words


def test_the_tree_in_the_architecture_is_the_tree() -> None:
    found = re.search(r"## The tree\n\n```text\n(.*?)```", _text("ARCHITECTURE.md"), re.DOTALL)
    assert found
    named = set(re.findall(r"\w+", found[1]))
    rooms = ["contracts", "engine", "coordinators", "workflows", "activities", "adapters"]
    rooms += ["coordinators/duties", "activities/examining"]
    adapters = [path.parent for path in (ROOT / "worktrain/adapters").glob("*/__init__.py")]
    for place in (ROOT / "worktrain", *(ROOT / "worktrain" / room for room in rooms), *adapters):
        there = {path.stem for path in place.glob("*.py")} - {"__init__"}
        there |= {path.parent.name for path in place.glob("*/__init__.py")}
        assert there <= named, f"{place.name}: {sorted(there - named)}"


# --- hooks ----------------------------------------------------------------------------------


def test_the_hooks_run_what_is_installed() -> None:
    hooks = yaml.safe_load(_text(".pre-commit-config.yaml"))["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    for hook in hooks[0]["hooks"]:
        program = hook["entry"].split()[0]
        assert hook["language"] == "system"
        assert program.startswith(".venv/bin/")
        assert Path(sys.executable).with_name(Path(program).name).exists(), program
