"""Where specs come from, which of several counts, and what a broken one does to the others."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.adapters.catalogue import Catalogue, catalogue_at
from worktrain.adapters.catalogue.heads import Head, head_of
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.engine.compile import compile_spec
from worktrain.engine.parse.problem import Unreadable


def yaml_of(name: str, title: str = "Mine", more: str = "") -> str:
    return (
        f"id: {name}\nname: {title}\ndescription: A spec.\nversion: 1.0.0\ntags: [one, two]\n{more}"
        "steps:\n  - id: only-step\n    title: Only\n    prompt: Do it.\n"
    )


def json_of(name: str, title: str = "Mine", indent: int | str | None = 2) -> str:
    step = {"id": "only-step", "title": "Only", "prompt": "Do {what}."}
    head = {"id": name, "name": title, "description": "A spec.", "version": "1.0.0"}
    return json.dumps({**head, "steps": [step]}, indent=indent)


async def of(files: Mapping[str, str], home: Path | None = None) -> Catalogue:
    """The catalogue of a repository that holds these files."""
    repository = InMemoryRepository(files)
    workspaces = InMemoryWorkspaces({"repo": repository})
    return await catalogue_at(workspaces, "repo", repository.refs["main"], home)


def user(home: Path, **files: str) -> Path:
    for name, text in files.items():
        write(home / "specs" / name.replace("__", "/").replace("_", "."), text)
    return home


# --- which one counts ------------------------------------------------------------------------


def test_the_bundled_specs_are_there_without_anything_else() -> None:
    catalogue = Catalogue()
    assert {"review", "fix", "coding-task"} <= set(catalogue.names())
    review = next(entry for entry in catalogue.entries() if entry.id == "review")
    assert (review.source, review.path) == ("bundled", "workflow_specs/review.yaml")
    assert review.name == catalogue.spec("review").name
    assert catalogue.words().base


async def test_a_later_source_stands_in_for_an_earlier_one(tmp_path: Path) -> None:
    home = user(tmp_path, review_yaml=yaml_of("review", "The user's"), x_yml=yaml_of("fix", "U"))
    files = {
        "workflows/a.json": json_of("review", "Oldest"),
        ".workrail/workflows/deep/b.yml": yaml_of("review", "Older"),
        ".worktrain/specs/c.yaml": yaml_of("review", "The project's"),
        "workflows/d.json": json_of("only-here"),
        "elsewhere/e.yaml": yaml_of("not-a-spec"),
        "workflows/README.md": "# not a spec",
    }
    for catalogue, name, source in (
        (Catalogue.of_user(home), "The user's", "user"),
        (await of(files, home), "The project's", "repository"),
    ):
        entry = next(entry for entry in catalogue.entries() if entry.id == "review")
        assert (entry.name, entry.source) == (name, source)
        assert catalogue.spec("review").name == name
        assert catalogue.spec("fix").name == "U"
        assert catalogue.spec("shaping").id == "shaping"
    everything = (await of(files, home)).names()
    assert "only-here" in everything
    assert "not-a-spec" not in everything
    assert list(everything) == sorted(everything)


async def test_specs_are_those_of_the_commit_in_a_real_repository_and_links_are_none(
    project: Project,
) -> None:
    folder = project.repo / ".worktrain" / "specs"
    write(folder / "mine.yaml", yaml_of("mine", "As it was"))
    write(project.place / "secret.yaml", yaml_of("secret"))
    (folder / "link.yaml").symlink_to(project.place / "secret.yaml")
    before = project.add("Specs")
    write(folder / "mine.yaml", yaml_of("mine", "Changed"))
    project.add("Changed")
    write(folder / "mine.yaml", yaml_of("mine", "Uncommitted"))
    repo = str(project.repo)
    catalogue = await catalogue_at(project.workspaces, repo, before, None)
    assert catalogue.spec("mine").name == "As it was"
    assert "secret" not in catalogue.names()
    assert [e.path for e in catalogue.entries() if e.source == "repository"] == [
        ".worktrain/specs/mine.yaml"
    ]
    later = await catalogue_at(project.workspaces, repo, project.head(), None)
    assert later.spec("mine").name == "Changed"


# --- routines --------------------------------------------------------------------------------


async def test_routines_are_known_by_their_folder_or_their_id(tmp_path: Path) -> None:
    home = tmp_path / "routines"
    user(home, plain_yaml=yaml_of("plain"))
    catalogue = await of(
        {
            ".worktrain/specs/routines/deep/a.yaml": yaml_of("by-folder"),
            ".worktrain/specs/b.yaml": yaml_of("routine-by-id"),
            "workflows/c.json": json_of("wr.routine-theirs"),
        },
        home,
    )
    routines = {entry.id for entry in catalogue.entries() if entry.routine}
    own = {"by-folder", "routine-by-id", "wr.routine-theirs"}
    assert own <= routines
    assert not routines & {"plain", "review"}
    assert catalogue.spec("by-folder").id == "by-folder"


async def test_a_prefixed_id_finds_ours_unless_there_is_an_exact_one() -> None:
    catalogue = await of({"workflows/r.json": json_of("routine-check", "Ours")})
    assert catalogue.spec("wr.review").id == "review"
    assert catalogue.spec("wr.routine-check").name == "Ours"
    assert "wr.routine-check" in catalogue.around().routines
    exact = await of(
        {
            "workflows/r.json": json_of("routine-check", "Ours"),
            "workflows/t.json": json_of("wr.routine-check", "Theirs"),
        }
    )
    assert exact.spec("wr.routine-check").name == "Theirs"
    assert exact.around().routines["routine-check"].name == "Ours"


async def test_a_spec_is_compiled_with_the_routines_of_its_repository() -> None:
    calling = (
        "id: caller\nname: C\ndescription: Calls.\nversion: 1.0.0\nsteps:\n  - id: call-it\n"
        "    title: Call\n    templateCall:\n      templateId: wr.templates.routine.check\n"
        "      args: {what: it well}\n"
    )
    catalogue = await of(
        {
            ".worktrain/specs/caller.yaml": calling,
            ".worktrain/specs/routines/broken.yaml": "id: routine-broken\nsteps: 7\n",
            "workflows/r.json": json_of("wr.routine-check"),
        }
    )
    made = compile_spec(catalogue.spec("caller"), catalogue.words(), catalogue.around())
    assert [step.id for step in made.plan.steps] == ["call-it.only-step"]
    assert "Do it well." in made.script.prompts["call-it.only-step"]


async def test_a_spec_that_is_no_routine_is_none() -> None:
    routines = (await of({"workflows/a.json": json_of("plain")})).around().routines
    assert "plain" not in routines
    assert "plain" not in list(routines)
    with pytest.raises(KeyError):
        routines["plain"]
    assert len(routines) == len(list(routines))


# --- what cannot be read ---------------------------------------------------------------------


async def test_a_broken_file_hides_no_other_and_says_why() -> None:
    catalogue = await of(
        {
            ".worktrain/specs/a.yaml": "id: broken\nname: [unclosed\n",
            ".worktrain/specs/b.yaml": yaml_of("good"),
            ".worktrain/specs/c.yaml": "name: No id\n",
            ".worktrain/specs/d.yaml": "- a list\n",
            ".worktrain/specs/e.json": '{"id": "cut-off", "name": ',
            ".worktrain/specs/f.yaml": "",
            ".worktrain/specs/g.yaml": yaml_of("good", "The second"),
            ".worktrain/specs/h.yaml": yaml_of("UPPER CASE"),
        }
    )
    listed = {e.id: e for e in catalogue.entries() if e.source == "repository"}
    folder = ".worktrain/specs"
    assert set(listed) == {
        *("broken", "good", "cut-off", f"{folder}/c.yaml", f"{folder}/d.yaml"),
        *(f"{folder}/f.yaml", f"{folder}/g.yaml", f"{folder}/h.yaml"),
    }
    assert [name for name, entry in listed.items() if not entry.problems] == ["good"]
    assert catalogue.spec("good").name == "Mine"
    for name, place in (
        ("broken", f"{folder}/a.yaml:3:1: "),
        ("cut-off", f"{folder}/e.json:1:"),
        (f"{folder}/c.yaml", f"{folder}/c.yaml:1:1: "),
        (f"{folder}/h.yaml", f"{folder}/h.yaml:1:5: "),
    ):
        with pytest.raises(Unreadable) as caught:
            catalogue.spec(name)
        assert str(caught.value).startswith(place)
        assert caught.value.problems == listed[name].problems
    with pytest.raises(Unreadable, match=r"the id 'good' is taken by \S+/b\.yaml"):
        catalogue.spec(f"{folder}/g.yaml")


async def test_a_broken_file_that_names_its_id_still_stands_in_for_an_earlier_one() -> None:
    """Whoever meant to replace the review must not get the old one without a word."""
    catalogue = await of({".worktrain/specs/r.yaml": "id: review\nname: R\nstepz: []\n"})
    with pytest.raises(Unreadable, match="stepz"):
        catalogue.spec("review")
    unnamed = await of({"workflows/review.yaml": "jobs: {}\n"})
    assert unnamed.spec("review").id == "review"
    assert any(e.id == "workflows/review.yaml" and e.problems for e in unnamed.entries())


async def test_what_only_a_full_reading_finds_is_told_when_it_is_asked_for() -> None:
    catalogue = await of({".worktrain/specs/a.yaml": yaml_of("wrong", more="stepz: []\n")})
    quick = next(e for e in catalogue.entries() if e.id == "wrong")
    checked = next(e for e in catalogue.entries(checked=True) if e.id == "wrong")
    assert quick.problems == ()
    assert checked.problems[0].line == 6
    assert (checked.name, checked.tags) == ("Mine", ("one", "two"))


async def test_a_file_that_is_too_large_is_told() -> None:
    catalogue = await of(
        {"workflows/big.yaml": "x" * 1_000_001, "workflows/a.json": json_of("a-b")}
    )
    with pytest.raises(Unreadable, match="it has 1,000,001 bytes, at most 1,000,000 are read"):
        catalogue.spec("workflows/big.yaml")
    assert catalogue.spec("a-b").id == "a-b"


async def test_more_files_than_are_read_are_told() -> None:
    files = {f"workflows/{n:03}.yaml": yaml_of(f"spec-{n:03}") for n in range(502)}
    catalogue = await of({**files, ".worktrain/specs/a.yaml": yaml_of("still-here")})
    assert "spec-499" in catalogue.names()
    assert "spec-500" not in catalogue.names()
    assert catalogue.spec("still-here").id == "still-here"
    assert [str(warning) for warning in catalogue.warnings()] == [
        "workflows:1:1: warning: 2 more files were not read: 500 are, in order of their paths"
    ]


@pytest.mark.parametrize("text", ["[" * 900_000, "a: " * 300_000, "- " * 400_000, "{" * 900_000])
async def test_a_hostile_file_is_met_in_a_moment(text: str) -> None:
    began = time.process_time()
    catalogue = await of({"workflows/h.yaml": text})
    assert any(e.problems for e in catalogue.entries() if e.id == "workflows/h.yaml")
    assert time.process_time() - began < 2


def test_a_spec_that_is_not_there_is_met_with_the_nearest_ones() -> None:
    with pytest.raises(AdapterError, match="did you mean 'review'") as caught:
        Catalogue().spec("reviw")
    assert caught.value.kind is FailureKind.NOT_FOUND
    with pytest.raises(AdapterError, match=r"there are .*coding-task"):
        Catalogue().text("0")


# --- the user's files ------------------------------------------------------------------------


def test_links_and_other_tricks_among_the_user_s_files_are_told_and_not_followed(
    tmp_path: Path,
) -> None:
    home = user(tmp_path / "home", good_yaml=yaml_of("good"), deep__er_yml=yaml_of("deeper"))
    write(tmp_path / "outside" / "s.yaml", yaml_of("secret"))
    specs = home / "specs"
    (specs / "link.yaml").symlink_to(tmp_path / "outside" / "s.yaml")
    (specs / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(specs / "pipe.yaml")
    write(specs / "big.yaml", "x" * 1_000_001)
    catalogue = Catalogue.of_user(home)
    assert {"good", "deeper"} <= set(catalogue.names())
    assert "secret" not in catalogue.names()
    told = {
        Path(e.path).name: str(e.problems[0].message) for e in catalogue.entries() if e.problems
    }
    assert told == {
        "link.yaml": "it cannot be read: a link is not followed; put the file itself there",
        "pipe.yaml": "it cannot be read: it is no plain file",
        "big.yaml": "it has 1,000,001 bytes, at most 1,000,000 are read; split it",
    }


def test_a_home_without_specs_is_none_the_worse(tmp_path: Path) -> None:
    assert Catalogue.of_user(tmp_path).names() == Catalogue().names()


# --- around a spec ---------------------------------------------------------------------------


async def test_slots_are_bound_and_what_has_drifted_keeps_its_default() -> None:
    catalogue = await of(
        {
            ".workrail/bindings.json": '{"one": "review", "two": "gone-long-ago", "three": "fix"}',
            ".worktrain/bindings.json": '{"two": "nowhere", "three": "wr.shaping"}',
        }
    )
    assert dict(catalogue.around().bindings) == {"one": "review", "three": "shaping"}
    (drift,) = catalogue.warnings()
    assert (drift.rule, drift.level, drift.file) == (
        "BINDING_DRIFT",
        "warning",
        ".worktrain/bindings.json",
    )
    assert "'two' is bound to 'nowhere'" in drift.message


async def test_bindings_that_cannot_be_read_are_not_taken_for_none() -> None:
    catalogue = await of({".worktrain/bindings.json": '{"one": 7}'})
    with pytest.raises(Unreadable, match=r"\.worktrain/bindings\.json:1:9: "):
        catalogue.around()


async def test_a_project_s_contracts_are_known_and_a_broken_one_is_told() -> None:
    good = "kind: acme.report\nschema: {type: object, properties: {a: {type: string}}}\n"
    catalogue = await of(
        {
            ".worktrain/contracts/report.yaml": good,
            ".worktrain/contracts/broken.yaml": "kind: [\n",
            ".worktrain/contracts/notes.md": "not a contract",
        }
    )
    assert list(catalogue.around().contracts) == ["acme.report"]
    assert [warning.file for warning in catalogue.warnings()] == [
        ".worktrain/contracts/broken.yaml"
    ]
    assert dict((await of({})).around().contracts) == {}


# --- heads -----------------------------------------------------------------------------------


def test_a_head_is_what_a_spec_says_at_its_outermost_level() -> None:
    told = Head("mine", "Mine", "A spec.", "1.0.0", ("one", "two"), whole=True)
    nested = "about: {id: not-this, tags: [no]}\nexamples: [{id: nor-this}]\n"
    assert head_of(nested + yaml_of("mine")) == told
    assert head_of(json_of("mine", indent="\t")).id == "mine"
    assert head_of(json_of("mine", indent=None)).version == "1.0.0"


@pytest.mark.parametrize(
    ("text", "name", "whole"),
    [
        ("", "", True),
        ("7", "", False),
        ("id: a-b\nname: {", "a-b", False),
        ("id: a-b\n---\nid: c-d\n", "a-b", False),
        ("id: [a]\n", "", True),
        ("&a id: *a\n", "", True),
        ("? [id]\n: a-b\n", "", False),
        (f"id: {'x' * 700}\n", "", True),
        ("id: a-b\nid: c-d\n", "a-b", True),
        ("\x00", "", False),
    ],
)
def test_an_odd_head_is_taken_as_far_as_it_goes(text: str, name: str, whole: bool) -> None:
    head = head_of(text)
    assert (head.id, head.whole) == (name, whole)


async def test_a_large_catalogue_is_listed_in_a_moment() -> None:
    steps = "".join(
        f"  - id: step-{n}\n    title: Step {n}\n    prompt: {'Do it well. ' * 40}\n"
        for n in range(40)
    )
    text = "id: {}\nname: N\ndescription: D.\nversion: 1.0.0\nsteps:\n" + steps
    files = {f"workflows/{n}.yaml": text.format(f"spec-{n}") for n in range(40)}
    began = time.process_time()
    catalogue = await of(files)
    assert len(catalogue.entries()) >= 40
    assert time.process_time() - began < 1
