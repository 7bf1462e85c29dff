"""Scope: which paths ask for a person, which nobody declared, what was put off."""

import time

import pytest

from worktrain.contracts.examination import Examination, FileChange, Mark
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators.scope import human_reasons, matches, outside, put_off

AT = CommitRef(commit="c" * 40, tree="e" * 40)


def change(*paths: str, was: str = "", marks: tuple[Mark, ...] = (), **more: str) -> Examination:
    files = tuple(
        FileChange(path=path, status="modified", added=1, removed=0, was=was) for path in paths
    )
    sensitive = tuple(more.values())
    return Examination(base=AT, candidate=AT, changes=files, marks=marks, sensitive=sensitive)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("app/migrations/0002_add.py", "a schema migration"),
        ("alembic/versions/1.py", "a schema migration"),
        ("db/schema.rb", "a schema migration"),
        ("prisma/schema.prisma", "a schema migration"),
        ("db/V12__users.sql", "a schema migration"),
        (".github/workflows/ci.yml", "CI or infrastructure"),
        (".gitlab-ci.yml", "CI or infrastructure"),
        ("Jenkinsfile", "CI or infrastructure"),
        ("service/Dockerfile.prod", "CI or infrastructure"),
        ("docker-compose.override.yml", "CI or infrastructure"),
        ("main.tf", "CI or infrastructure"),
        ("ops/k8s/app.yaml", "CI or infrastructure"),
        ("deploy/unit.service", "CI or infrastructure"),
        (".worktrain/config.yml", "the rules that WorkTrain"),
        (".workrail/x.json", "the rules that WorkTrain"),
        ("AGENTS.md", "the rules that WorkTrain"),
        ("service/CLAUDE.md", "the rules that WorkTrain"),
        (".claude/settings.json", "the rules that WorkTrain"),
        (".github/CODEOWNERS", "the rules that WorkTrain"),
        (".gitattributes", "how git treats the repository"),
        ("src/app.py", None),
        ("src/immigrations.py", None),
        ("src/deploy/button.tsx", None),
        ("docs/migrations/from-1.md", None),
        ("src/dockerfiles.py", None),
        ("agents.py", None),
    ],
)
def test_some_paths_always_ask_for_a_person(path: str, says: str | None) -> None:
    found = human_reasons(change(path))
    assert bool(found) == (says is not None)
    assert all(says is not None and says in reason and path in reason for reason in found)


def test_reasons_name_some_paths_and_what_the_lines_do() -> None:
    many = tuple(f"migrations/{n}.py" for n in range(8))
    found = human_reasons(change(*many, one="package.json adds the dependency left-pad"))
    assert found == (
        "it changes a schema migration: migrations/0.py, migrations/1.py, migrations/2.py, "
        "migrations/3.py, migrations/4.py and 3 more",
        "package.json adds the dependency left-pad",
    )


def test_moving_a_rule_away_is_changing_it() -> None:
    assert human_reasons(change("notes.txt", was=".worktrain/config.yml"))


@pytest.mark.parametrize(
    ("path", "glob", "covered"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "./src/a.py", True),
        ("src/a.py", "src", True),
        ("src/a.py", "src/", True),
        ("src/a/b/c.py", "src/a", True),
        ("src/a.py", "sr", False),
        ("src/a.py", "a.py", False),
        ("src/a.py", "src/*.py", True),
        ("src/a/b.py", "src/*.py", False),
        ("src/a/b.py", "src/*", False),
        ("src/a/b.py", "src/**", True),
        ("src/a/b.py", "**/*.py", True),
        ("b.py", "**/*.py", True),
        ("b.py", "**", True),
        ("x/migrations/1.py", "**/migrations", True),
        ("src/a/b/c.py", "src/**/c.py", True),
        ("src/c.py", "src/**/c.py", True),
        ("src/c.py", "src/**/d.py", False),
        ("src/ab.py", "src/?b.py", True),
        ("src/b.py", "src/?b.py", False),
        ("src/a.b.c", "src/a*c", True),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("app/i/page.tsx", "app/[id]/page.tsx", False),
        ("src/a.py", ".", True),
        ("src/a.py", "", False),
        ("src/a.py", "SRC", False),
    ],
)
def test_globs_cover_paths_from_the_root(path: str, glob: str, covered: bool) -> None:
    assert matches(path, (glob,)) is covered
    assert matches(path, ("nothing/here", glob)) is covered


def test_no_pattern_takes_long() -> None:
    began = time.monotonic()
    assert not matches("a/" * 1000 + "b", ("**/a/" * 40 + "c",))
    assert not matches("a" * 4000, ("*a" * 140 + "c",))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("src/login.py", True),
        ("src/forms/field.py", True),
        ("tests/test_login.py", True),
        ("tests/unit/test_login_page.py", True),
        ("src/login.spec.ts", True),
        ("src/test/java/LoginTest.java", True),
        ("src/__tests__/login.js", True),
        ("src/logout.py", False),
        ("tests/test_logout.py", False),
        ("tests/test_blogin.py", False),
        ("src/login_other.py", False),
        ("README.md", False),
    ],
)
def test_a_test_of_a_declared_file_is_declared(path: str, inside: bool) -> None:
    found = outside(change(path), ("src/login.py", "src/forms", "docs/*.md"), ())
    assert found == (() if inside else (path,))


def test_nothing_declared_puts_nothing_outside_and_accepted_files_are_in() -> None:
    assert outside(change("a.py"), (), ()) == ()
    assert outside(change("b.py", "a.py", "c.py"), ("c.py",), ("a.py",)) == ("b.py",)


def test_a_test_folder_does_not_declare_all_tests() -> None:
    assert outside(change("lib/x_test.go"), ("tests/test.py",), ()) == ("lib/x_test.go",)


def test_both_ends_of_a_rename_are_touched() -> None:
    assert outside(change("src/b.py", was="other/b.py"), ("src",), ()) == ("other/b.py",)


@pytest.mark.parametrize(
    ("text", "filed"),
    [
        ("# TODO: handle umlauts", False),
        ("# TODO(#12): handle umlauts", True),
        ("# TODO SHOP-77 handle umlauts", True),
        ("# TODO https://tracker.example/issues/9", True),
        ("# TODO: write UTF-8, not ISO-8859", False),
        ("# TODO: see &#123; or colour#12", False),
        ("# TODO-1: later", False),
    ],
)
def test_only_a_filed_issue_may_be_put_off(text: str, filed: bool) -> None:
    found = put_off(change("a.py", marks=(Mark(path="a.py", line=7, kind="todo", text=text),)))
    assert bool(found) is not filed
    assert all(one.startswith("a.py:7 leaves something to do") and text in one for one in found)


@pytest.mark.parametrize("kind", ["todo", "skip", "deferred"])
def test_every_kind_of_mark_has_its_words(kind: str) -> None:
    mark = Mark.model_validate({"path": "a.py", "line": 1, "kind": kind, "text": "x"})
    (said,) = put_off(change("a.py", marks=(mark,)))
    assert "names no filed issue" in said
