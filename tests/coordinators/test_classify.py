"""Classification: signs, then the model, then the careful value; each with the sign it came by."""

from itertools import permutations, product
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worktrain.contracts.artifact import Classification
from worktrain.contracts.route import Judged, TaskClass
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.coordinators.classify import (
    CARE,
    COMPLEXITY,
    DOMAINS,
    LABELS,
    PATHS,
    PIPELINE_LABELS,
    RISK,
    TINY_FILES_MAX,
    TYPE,
    UI,
    UNKNOWN,
    WORDS,
    classified,
    plain,
)

CONFIG = WorkspaceConfig()
NEUTRAL = "Make it better"
LABEL_OF = {"Low": "risk: low", "Medium": "risk: medium", "High": "risk: high"} | {
    "Critical": "critical"
}
SIZE_OF = {"Small": "size/S", "Medium": "size/M", "Large": "size/L"}


def found(
    title: str = NEUTRAL,
    body: str = "",
    *labels: str,
    model: Classification | None = None,
    files: int = 500,
    config: WorkspaceConfig = CONFIG,
) -> TaskClass:
    task = Task(source="typed", title=title, body=body, labels=labels)
    return classified(task, model, files, config)


def says(**changes: Any) -> Classification:
    return Classification(
        **{
            "taskComplexity": "Small",
            "riskLevel": "Low",
            "hasUI": False,
            "touchesArchitecture": False,
            "taskType": "chore",
            "recommendedPipeline": ("quick-task",),
            "rationale": "One place.",
            "maturity": "specified",
            **changes,
        }
    )


def by(task_class: TaskClass, name: str) -> Judged:
    return next(one for one in task_class.judged if one.name == name)


def values(task_class: TaskClass) -> dict[str, str]:
    return {one.name: one.value for one in task_class.judged if one.name != DOMAINS}


# --- nothing is known ----------------------------------------------------------------------


def test_what_nobody_knows_gets_the_careful_value_and_says_so() -> None:
    unknown = found()
    assert values(unknown) == dict(UNKNOWN)
    assert {one.by for one in unknown.judged} == {"default"}
    assert unknown.has_ui
    assert unknown.touches_architecture


def test_every_property_is_judged_once_in_order_with_a_reason() -> None:
    for model in (None, says()):
        judged = found("Fix the crash", "in src/a.py", "security", model=model).judged
        assert [one.name for one in judged] == [*CARE, DOMAINS]
        assert all(one.why for one in judged)


def test_the_model_decides_what_no_sign_speaks_of() -> None:
    seen = found(model=says(affectedDomains=("billing",)))
    assert values(seen) == {
        TYPE: "chore",
        COMPLEXITY: "Small",
        RISK: "Low",
        UI: "no",
        "touchesArchitecture": "no",
        "maturity": "specified",
    }
    assert {one.by for one in seen.judged} == {"model"}


# --- labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "name", "value"),
    [
        (label, name, value)
        for labels, row in LABELS
        for label in labels.split()
        for name, value in row.items()
    ],
)
def test_every_label_says_what_its_row_says(label: str, name: str, value: str) -> None:
    judged = by(found(NEUTRAL, "", label), name)
    assert (judged.value, judged.by) == (value, "label")
    assert repr(label) in judged.why


@pytest.mark.parametrize(
    "written", ["bug", "Bug", "type: bug", "kind/bug", "Type/Bug", " bug ", "🐛 bug"]
)
def test_a_label_may_be_written_in_many_ways(written: str) -> None:
    assert plain(written) == "bug"
    assert found(NEUTRAL, "", written).task_type == "bug-fix"


def test_labels_in_other_scripts_and_signs_alone_stay_apart() -> None:
    config = WorkspaceConfig.model_validate({"labels": {"ошибка": "bugfix", "🔥": "bugfix"}})
    for label in ("Ошибка", "🔥"):
        assert found(NEUTRAL, "", label, config=config).task_type == "bug-fix"
    for label in ("задача", "✨"):
        assert by(found(NEUTRAL, "", label, config=config), TYPE).by == "default"


def test_a_label_overrules_the_model() -> None:
    judged = by(found(NEUTRAL, "", "docs", model=says(taskType="feature")), TYPE)
    assert (judged.value, judged.by) == ("docs", "label")
    assert "outweighs the model, which says feature" in judged.why
    assert not found("Change a button", "", "backend", model=says(hasUI=True)).has_ui


def test_two_labels_that_contradict_each_other_mean_the_careful_value() -> None:
    for labels in permutations(("docs", "bug")):
        judged = by(found(NEUTRAL, "", *labels), TYPE)
        assert judged.value == "bug-fix"
        assert "more careful than label 'docs', which says docs" in judged.why


def test_a_label_of_the_workspace_that_chooses_a_pipeline_says_something_of_the_task() -> None:
    for pipeline, row in PIPELINE_LABELS.items():
        config = WorkspaceConfig.model_validate({"labels": {"Our Label": pipeline}})
        seen = values(found(NEUTRAL, "", "our-label", config=config))
        assert seen == {**UNKNOWN, **row}


def test_an_unknown_label_says_nothing() -> None:
    assert found(NEUTRAL, "", "wontfix", "", "é").judged == found().judged


# --- the more careful of sign and model ------------------------------------------------------


@pytest.mark.parametrize(("sign", "model"), list(product(CARE[RISK], CARE[RISK])))
def test_the_model_may_raise_a_risk_and_never_lower_it(sign: str, model: str) -> None:
    judged = by(found(NEUTRAL, "", LABEL_OF[sign], model=says(riskLevel=model)), RISK)
    assert judged.value == max(sign, model, key=CARE[RISK].index)
    assert judged.by == ("label" if judged.value == sign else "model")


@pytest.mark.parametrize(("sign", "model"), list(product(CARE[COMPLEXITY], CARE[COMPLEXITY])))
def test_the_model_may_raise_a_complexity_and_never_lower_it(sign: str, model: str) -> None:
    seen = found(NEUTRAL, "", SIZE_OF[sign], model=says(taskComplexity=model))
    assert seen.complexity == max(sign, model, key=CARE[COMPLEXITY].index)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([label for labels, _ in LABELS for label in labels.split()]),
             max_size=4),
    st.sampled_from([row.any_of.split(", ")[0] for row in WORDS]),
    st.sampled_from(["", "migrations/1.py", ".github/workflows/ci.yml", "src/page.html"]),
    st.sampled_from([None, *CARE[RISK]]),
)  # fmt: skip
def test_no_sign_makes_another_one_harmless(
    labels: list[str], word: str, path: str, model: str | None
) -> None:
    said = None if model is None else says(riskLevel=model)
    with_all = found(f"It {word}", path, *labels, model=said)
    rank = CARE[RISK].index
    for part in (
        *((NEUTRAL, "", label) for label in labels),
        (f"It {word}", ""),
        (NEUTRAL, path),
    ):
        alone = by(found(*part, model=said), RISK)
        if alone.by != "default":
            assert rank(with_all.risk) >= rank(alone.value)


# --- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "title", ["Rebuild the guide", "Requiring GUIDs", "A fluid suite", "Quit quietly", "my_ui_x"]
)
def test_letters_inside_of_a_word_are_no_word(title: str) -> None:
    assert by(found(title), UI).by == "default"


@pytest.mark.parametrize("title", ["Change the UI", "UI: better", "the web-ui", "UI/UX", "(ui)"])
def test_a_word_counts_in_any_case_and_beside_any_mark(title: str) -> None:
    judged = by(found(title), UI)
    assert (judged.value, judged.by) == ("yes", "word")
    assert "word 'ui' in the title" in judged.why


@pytest.mark.parametrize(
    ("word", "name"),
    [(word, name) for row in WORDS for word in row.any_of.split(", ") for name in row.says],
)
def test_every_word_is_a_sign_as_a_whole_and_none_inside_of_another(word: str, name: str) -> None:
    assert by(found(f"It {word.upper()} it"), name).by == "word"
    inside = found(f"q{word}q")
    assert {one.by for one in inside.judged} == {"default"}


def test_a_word_that_counts_in_titles_says_nothing_in_a_text() -> None:
    assert by(found(NEUTRAL, "There is a typo somewhere."), COMPLEXITY).by == "default"
    assert by(found("Correct a typo"), COMPLEXITY).value == "Small"


def test_a_phrase_may_be_broken_over_lines() -> None:
    assert found(NEUTRAL, "It means data\n   loss.").risk == "Critical"


def test_the_model_knows_the_type_better_than_words() -> None:
    judged = by(found("Fix the crash", model=says(taskType="feature")), TYPE)
    assert (judged.value, judged.by) == ("feature", "model")
    assert "word 'crash' in the title" in judged.why
    assert found("Fix the crash").task_type == "bug-fix"


def test_of_word_and_model_the_more_careful_one_says_whether_there_is_a_screen() -> None:
    assert found("Move the button", model=says(hasUI=False)).has_ui
    assert found("Correct the docs", model=says(hasUI=True)).has_ui
    assert not found("Correct the docs", model=says(hasUI=False)).has_ui


def test_a_strong_word_outweighs_a_faint_verb() -> None:
    assert found("Fix the docs").task_type == "docs"
    assert found("Add a check for the crash").task_type == "bug-fix"


@pytest.mark.parametrize(
    "line", ["AC1: it works", "- [ ] AC1: it works", "* **AC1**: it works", "AC1. It works"]
)
def test_criteria_with_ids_make_a_task_specified_whatever_the_model_says(line: str) -> None:
    judged = by(found(NEUTRAL, f"Text.\n{line}", model=says(maturity="idea")), "maturity")
    assert judged.value == "specified"
    assert "AC1" in judged.why


def test_a_turn_of_phrase_alone_does_not_make_a_task_specified() -> None:
    body = "It has no acceptance criteria yet."
    assert found(NEUTRAL, body, model=says(maturity="idea")).maturity == "idea"
    assert found(NEUTRAL, "Out of scope: mail.").maturity == "shaped"


# --- paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("migrations/", RISK, "High"),
        ("db/migrations/0001_init.py", RISK, "High"),
        ("schema.sql", RISK, "High"),
        (".github/workflows/ci.yml", RISK, "High"),
        ("./deploy/app.yaml", RISK, "High"),
        ("Dockerfile", RISK, "High"),
        (".worktrain/config.yml", RISK, "Critical"),
        ("src/auth.py", RISK, "High"),
        ("src/billing/run.py", RISK, "High"),
        ("pyproject.toml", RISK, "Medium"),
        ("web/login.tsx", UI, "yes"),
        ("api/openapi.yaml", "touchesArchitecture", "yes"),
    ],
)
@pytest.mark.parametrize("text", ["Look at {}.", "`{}` is meant", "({}), please", "in {}: why"])
def test_a_path_that_is_named_is_a_sign(path: str, name: str, value: str, text: str) -> None:
    judged = by(found(NEUTRAL, text.format(path), model=says()), name)
    assert (judged.value, judged.by) == (value, "path")
    assert path.removeprefix("./") in judged.why


def test_paths_only_ever_raise() -> None:
    for _, row in PATHS:
        for name, value in row.items():
            assert name == DOMAINS or value != CARE[name][0]


def test_what_a_path_or_an_address_is_made_of_is_no_word() -> None:
    for text in ("old/password/ui.txt", "https://example.invalid/ui/security?x=payment"):
        seen = found(NEUTRAL, f"It is as in {text} now")
        assert by(seen, RISK).by == by(seen, UI).by == "default"
    assert found(NEUTRAL, "It is about password and/or UI now").has_ui


@pytest.mark.parametrize(
    ("count", "size", "sign"),
    [(2, "Large", "default"), (3, "Medium", "path"), (7, "Medium", "path"), (8, "Large", "path")],
)
def test_many_paths_make_a_task_larger(count: int, size: str, sign: str) -> None:
    body = " ".join(f"src/part{number}.py src/part{number}.py" for number in range(count))
    judged = by(found(NEUTRAL, body), COMPLEXITY)
    assert (judged.value, judged.by) == (size, sign)


# --- size ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "size", "sign"),
    [(10, "Large", "default"), (3_000, "Medium", "size"), (10_000, "Large", "size")],
)
def test_a_long_text_is_a_sign_and_a_short_one_is_none(length: int, size: str, sign: str) -> None:
    judged = by(found(NEUTRAL, "z" * length), COMPLEXITY)
    assert (judged.value, judged.by) == (size, sign)


@pytest.mark.parametrize("title", [NEUTRAL, "Rewrite it"])
def test_a_tiny_repository_makes_a_task_large_only_by_label_or_model(title: str) -> None:
    at_most = TINY_FILES_MAX
    judged = by(found(title, files=at_most), COMPLEXITY)
    assert (judged.value, judged.by) == ("Medium", "size")
    assert "20 files" in judged.why
    assert found(title, files=at_most + 1).complexity == "Large"
    assert found(title, files=0).complexity == "Large"
    assert found(title, "", "epic", files=at_most).complexity == "Large"
    assert found(title, files=at_most, model=says(taskComplexity="Large")).complexity == "Large"


# --- domains, and hostile text -----------------------------------------------------------------


def test_domains_are_all_that_sign_or_model_names_each_once() -> None:
    model = says(affectedDomains=("Security", "mail"))
    seen = found("Change a password", "in docs/a.md", "security", model=model)
    assert seen.domains == ("security", "docs", "mail")
    assert by(seen, DOMAINS).value == "security, docs, mail"


def test_a_label_that_is_long_or_of_many_lines_stays_one_short_text() -> None:
    config = WorkspaceConfig.model_validate({"labels": {"x" * 500: "bugfix"}})
    judged = by(found(NEUTRAL, "", "x" * 500, config=config), TYPE)
    assert judged.value == "bug-fix"
    assert len(judged.why) < 100
    assert "\n" not in by(found(NEUTRAL, "", "type:\nbug"), TYPE).why


@pytest.mark.parametrize("hidden", ["<!-- {} -->", "<!--{}", "<!--->\n<!--\n{}\n-->"])
def test_what_neither_a_reader_nor_a_model_is_shown_is_no_sign(hidden: str) -> None:
    said = "AC1: a button on the web page, see app/auth.py; the password is lost"
    assert found(body=f"It is slow. {hidden.format(said)}") == found(body="It is slow. ")
    assert found(body=f"It is slow. {said}") != found(body="It is slow. ")


@pytest.mark.parametrize(
    "part", ["*", "> ", "\n> ", "a/", "AC1", "- [ ] ", "src/a ", "sql\n", "<!--"]
)
def test_a_hostile_text_is_read_in_a_moment(part: str) -> None:
    body = (part * 200_000)[:200_000]
    before = process_time()
    found(body, body)
    # Temporal takes a workflow that stands still for two seconds for a deadlock.
    assert process_time() - before < 1


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80), st.text(max_size=300), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_is_classified_and_twice_the_same(
    title: str, body: str, labels: list[str]
) -> None:
    assert found(title, body, *labels) == found(title, body, *labels)
