"""What WorkTrain sees in a change by itself: marks, broken rules, lines that ask for a person."""

import json
import time
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from worktrain.activities.examining import MARKS_MAX, ExaminingActivities
from worktrain.activities.examining.rules import modules
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.examination import Examination, ExamineRequest
from worktrain.contracts.workspace import ArchitectureRule

Files = dict[str, str | None]


async def examined(
    after: Files,
    *rules: ArchitectureRule,
    before: dict[str, str] | None = None,
    store: InMemoryStore | None = None,
) -> Examination:
    """What is seen when these files are added to, changed in or taken out of the base."""
    repository = InMemoryRepository({"README.md": "x\n", **(before or {})})
    base = repository.at(repository.refs["main"])
    candidate = repository.advance("main", after, "Change")
    request = ExamineRequest(
        pipeline="task/p", repo="repo", base=base, candidate=candidate, rules=rules
    )
    workspaces = InMemoryWorkspaces({"repo": repository})
    activities = ExaminingActivities(store or InMemoryStore(), workspaces)
    found: Examination = await ActivityEnvironment().run(activities.examine, request)
    return found


async def marks(line: str, path: str = "a.py") -> list[str]:
    return [mark.kind for mark in (await examined({path: f"{line}\n"})).marks]


def rule(kind: str, forbids: str, *paths: str) -> ArchitectureRule:
    return ArchitectureRule.model_validate(
        {"name": "r", "kind": kind, "forbids": forbids, "paths": paths or ("**",), "why": "Layers."}
    )


async def broken(
    code: str, found: ArchitectureRule, path: str = "app/web/a.py", before: str | None = None
) -> list[int]:
    old = {} if before is None else {path: before}
    return [one.line for one in (await examined({path: code}, found, before=old)).breaks]


# --- marks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("# TODO: handle umlauts", ["todo"]),
        ("x = 1  # fixme: later", ["todo"]),
        ("// XXX", ["todo"]),
        ("/* HACK around it */", ["todo"]),
        ("    TODO: in a docstring", ["todo"]),
        ("    TODO(ada): in a docstring", ["todo"]),
        ('raise ValueError("TODO: a message")', ["todo"]),
        ('STATUS = "TODO"', []),
        ("    TODO,", []),
        ("TODO = 1", []),
        ("status: TODO", []),
        ("METHODOLOGY = 1  # TODOS and hackathons, mastodons", []),
        ('url = "https://x.example/#TODO"', []),
        ("# left for a follow-up", ["deferred"]),
        ("// will be done in a later change", ["deferred"]),
        ('print("not implemented yet")', ["deferred"]),
        ("    Not yet supported.", ["deferred"]),
        ("# raises NotImplementedError", ["deferred"]),
        ("    raise NotImplementedError", ["deferred"]),
        ("    throw new NotImplementedException();", ["deferred"]),
        ("    todo!()", ["deferred"]),
        ("follow_up = follow_up_of(case)", []),
        ("except NotImplementedError:", []),
        ("# TODO in a follow-up", ["todo", "deferred"]),
        ("@pytest.mark.skip(reason='x')", ["skip"]),
        ("@pytest.mark.xfail", ["skip"]),
        ("    pytest.skip('x')", ["skip"]),
        ("@unittest.skipIf(True, 'x')", ["skip"]),
        ("@unittest.expectedFailure", ["skip"]),
        ("        self.skipTest('x')", ["skip"]),
        ("it.skip('works', () => {})", ["skip"]),
        ("describe.only('works', () => {})", ["skip"]),
        ("  xit('works', () => {})", ["skip"]),
        ("\tt.Skip()", ["skip"]),
        ("\tt.Skipf(x)", ["skip"]),
        ("#[ignore]", ["skip"]),
        ('#[ignore = "slow"]', ["skip"]),
        ("@Disabled", ["skip"]),
        ('@Ignore("x")', ["skip"]),
        ("collect_ignore = ['x.py']", ["skip"]),
        ("model.fit(x); exit(1); self.ignore(x)", []),
        ("queue.skip(3); skipped = True", []),
    ],
)
async def test_lines_that_put_work_off_are_marked(line: str, kinds: list[str]) -> None:
    assert await marks(line) == kinds


async def test_a_mark_says_where_it_stands_and_keeps_its_sign_in_a_long_line() -> None:
    long = f"x = '{'y' * 500}'  # TODO(#12) soon {'z' * 300}"
    found = await examined({"a.py": f"one = 1\n{long}\n"})
    (mark,) = found.marks
    assert (mark.path, mark.line) == ("a.py", 2)
    assert "TODO(#12)" in mark.text
    assert len(mark.text) <= 200


async def test_only_added_lines_are_marked() -> None:
    before = {"a.py": "# TODO: old\nx = 1\n", "b.py": "# TODO: moved\n"}
    after: Files = {"a.py": "# TODO: old\nx = 2\n", "b.py": None, "c.py": "# TODO: moved\n"}
    assert (await examined(after, before=before)).marks == ()


async def test_prose_is_read_whole_and_takes_no_test_out() -> None:
    assert await marks("This stays TODO here.", "docs/a.md") == ["todo"]
    assert await marks("Use `pytest.mark.skip` for it.", "docs/a.md") == []


async def test_an_abstract_method_is_no_work_left_over() -> None:
    code = "@abstractmethod\ndef f(self):\n    raise NotImplementedError\n"
    assert (await examined({"a.py": code})).marks == ()
    assert len((await examined({"a.py": code.replace("@abs", "@")})).marks) == 1


async def test_very_many_marks_are_counted_and_not_all_listed() -> None:
    found = await examined({"a.py": "# TODO\n" * 1500})
    assert len(found.marks) == MARKS_MAX
    assert found.unread == ("1200 further lines that put work off are not listed",)


async def test_hostile_lines_are_read_in_little_time() -> None:
    pieces = ("# ", "'", '"', "/*", "-- ", "TODO", "raise ", "a.", "(", " ", "alter ", "\\")
    files: Files = {
        f"{number}.{ending}": (piece * 2000)[:1990] + "\n"
        for number, piece in enumerate(pieces)
        for ending in ("py", "ts", "sql", "go")
    }
    began = time.monotonic()
    rules = (
        rule("forbidden_text", "(a+)+$"),
        rule("import_boundary", "db"),
        rule("forbidden_call", "a.b"),
    )
    await examined(files, *rules)
    assert time.monotonic() - began < 5


# --- architecture rules -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import app.db\n",
        "import app.db.models as m\n",
        "import os, app.db\n",
        "from app import db\n",
        "from app.db import session\n",
        "from app.db.models import *\n",
        "from ..db import session\n",
        "from .. import db\n",
        "def f():\n    from app.db import x\n",
        "if TYPE:\n    import app.db\n",
        "import importlib\nimportlib.import_module('app.db.x')\n",
        "from importlib import import_module as load\nload('app.db')\n",
        "__import__('app.db')\n",
        "\ufefffrom app import db\n",
    ],
)
async def test_a_boundary_is_seen_in_every_form_of_a_python_import(code: str) -> None:
    assert len(await broken(code, rule("import_boundary", "app.db", "app/web"))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import app.dbx\n",
        "from app import database as db\n",
        "from .db import session\n",
        "import db\n",
        "text = 'import app.db'\n",
        "# from app import db\n",
        '"""\nimport app.db\n"""\n',
    ],
)
async def test_what_only_looks_like_the_forbidden_module_is_allowed(code: str) -> None:
    assert await broken(code, rule("import_boundary", "app.db", "app/web")) == []


async def test_an_import_over_several_lines_is_broken_by_the_line_that_was_added() -> None:
    before = "from app import (\n    api,\n)\nfrom app.db import (\n    old,\n)\n"
    after = "from app import (\n    api,\n    db,\n)\nfrom app.db import (\n    old,\n    new,\n)\n"
    found = rule("import_boundary", "app.db")
    assert await broken(after, found, before=before) == [3, 7]
    assert await broken(f"{before}x = 1\n", found, before=before) == []


async def test_a_lone_carriage_return_moves_no_line() -> None:
    before = "x = 1\ry = 2\n"
    after = f"{before}import os\nimport app.db\n"
    assert await broken(after, rule("import_boundary", "app.db"), before=before) == [3]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('import db from "../db/client"', "src/web/a.ts"),
        ('const x = require("../db");', "src/web/a.js"),
        ('} from "src/db/client";', "src/web/a.ts"),
        ('export * from "../db";', "src/web/a.ts"),
        ('const x = await import("../db.js");', "src/web/a.mjs"),
        ('\t"src/db/pool"', "src/web/a.go"),
        ('import "src/db"', "src/web/a.go"),
        ('#include "src/db/pool.h"', "src/web/a.c"),
        ('#include "../db/pool.h"', "src/web/a.cc"),
        ("require_relative '../db/pool'", "src/web/a.rb"),
        ("use src::{web, db::{Pool, x}};", "src/web/a.rs"),
        ("pub(crate) use src::db as d;", "src/web/a.rs"),
        ("import static src.db.Pool.open;", "src/web/A.java"),
        ("import src.db.*;", "src/web/A.kt"),
        ("using Db = src.db.Pool;", "src/web/A.cs"),
        ("use src\\db\\Pool;", "src/web/a.php"),
        ("from src.db import x (", "src/web/broken.py"),
    ],
)
async def test_a_boundary_is_seen_in_the_import_lines_of_other_languages(
    line: str, path: str
) -> None:
    written = "src/db" if "/" in line else "src.db"
    assert await broken(f"{line}\n", rule("import_boundary", written), path) == [1]


@pytest.mark.parametrize(
    ("line", "path", "forbids"),
    [
        ('import db from "./mydb";', "a.ts", "db"),
        ('import x from "lodash.get";', "a.ts", "lodash"),
        ('import x from "../database";', "src/web/a.ts", "src/db"),
        ("use the db for this", "a.md", "db"),
        ("// import src.db.Pool;", "A.java", "src.db"),
        ("import src.dbx.Pool;", "A.java", "src.db"),
    ],
)
async def test_other_modules_cross_no_boundary(line: str, path: str, forbids: str) -> None:
    assert await broken(f"{line}\n", rule("import_boundary", forbids), path) == []


def test_a_group_names_each_of_its_modules() -> None:
    assert modules("use a::{b, c::{d, e as f}, g};", "x.rs") == [
        "a::b",
        "a::c::d",
        "a::c::e",
        "a::g",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.system('x')\n",
        "import os as o\no.system('x')\n",
        "from os import system\nsystem('x')\n",
        "from os import system as s\ns('x')\n",
        "from os import *\nsystem('x')\n",
        "import os\nrun = os.system\n",
        "import os\no = os\no.system('x')\n",
        "import os\nmap(os.system, x)\n",
        "import os\ngetattr(os, 'system')('x')\n",
        "import os\nx = {'a': os.system}\n",
        "import os\nos \\\n  .system('x')\n",
    ],
)
async def test_a_forbidden_call_is_seen_under_every_name(code: str) -> None:
    assert await broken(code, rule("forbidden_call", "os.system"))


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.systems('x')\n",
        "system('x')\n",
        "x.os.system('x')\n",
        "'os.system(1)'\n",
        "# os.system('x')\n",
        "import os\ndef f(x: os.system): ...\n",
        "import os\nisinstance(x, os.system)\n",
    ],
)
async def test_what_is_not_called_is_no_forbidden_call(code: str) -> None:
    assert await broken(code, rule("forbidden_call", "os.system")) == []


async def test_builtins_are_told_from_methods_of_the_same_name() -> None:
    found = rule("forbidden_call", "eval")
    assert await broken(
        "eval('1')\nmodel.eval()\nimport builtins\nbuiltins.eval('1')\n", found
    ) == [
        1,
        4,
    ]
    assert await broken("eval('1'); model.eval();\nmodel.eval();\n", found, "a.js") == [1]


async def test_a_call_that_was_there_is_not_ours_until_its_name_means_something_else() -> None:
    found = rule("forbidden_call", "os.system")
    before = "from safe import run as system\nsystem('x')\nsystem(\n    'y'\n)\n"
    assert await broken(before + "x = 1\n", found, before=before) == []
    turned = before.replace("from safe import run as system", "from os import system")
    assert await broken(turned, found, before=before) == [1]
    calls = "import os\nos.system(\n    'y'\n)\n"
    assert await broken(calls.replace("'y'", "'z'"), found, before=calls) == []


@pytest.mark.parametrize(
    ("line", "forbids", "path"),
    [
        ("window.document.write(x)", "document.write", "a.js"),
        ("std::process::exit (1)", "process::exit", "a.rs"),
        ("Runtime.getRuntime().exec(x)", "getRuntime", "A.java"),
        ("panic!(1)", "panic", "a.rs"),
    ],
)
async def test_forbidden_calls_of_other_languages(line: str, forbids: str, path: str) -> None:
    expected = [] if forbids == "getRuntime" else [1]
    assert await broken(f"{line}\n", rule("forbidden_call", forbids), path) == expected


async def test_forbidden_text_counts_in_added_lines_of_the_rule_s_files() -> None:
    found = rule("forbidden_text", r"(?i)password\s*=", "src")
    before = "PASSWORD = 1\n"
    assert await broken(f"{before}x\npassword=2\n", found, "src/a.ini", before=before) == [3]
    assert await broken("password=2\n", found, "docs/a.ini") == []


async def test_a_break_says_which_rule_and_why() -> None:
    (one,) = (
        await examined({"a.py": "  x = eval('1')\n"[2:]}, rule("forbidden_call", "eval"))
    ).breaks
    assert (one.rule, one.path, one.line, one.text, one.why) == (
        "r",
        "a.py",
        1,
        "x = eval('1')",
        "Layers.",
    )


async def test_a_file_that_moves_into_the_reach_of_a_rule_is_new_there() -> None:
    code = "x = 1\nimport app.db\n"
    before = {"tools/a.py": code}
    after: Files = {"tools/a.py": None, "app/web/a.py": code}
    found = rule("import_boundary", "app.db", "app")
    assert [one.line for one in (await examined(after, found, before=before)).breaks] == [2]
    everywhere = rule("import_boundary", "app.db")
    assert (await examined(after, everywhere, before=before)).breaks == ()


async def test_a_pattern_that_cannot_be_used_is_said_with_its_rule() -> None:
    with pytest.raises(Exception, match=r"architecture rule 'r': the pattern cannot be used"):
        await examined({"a.py": "x\n"}, rule("forbidden_text", "(?<=a)b"))


@pytest.mark.parametrize(
    "code",
    [
        "-" * 200_000 + "1",
        "(" * 5000,
        "x = " + "+".join(["1"] * 100_000),
        "a" + ".b" * 100_000,
        "\0",
    ],
)
async def test_code_that_no_parser_takes_brings_nothing_down(code: str) -> None:
    found = rule("import_boundary", "app.db")
    assert await broken(f"import app.db\n{code[:100_000]}\n", found) in ([1], [])


# --- lines that ask for a person ----------------------------------------------------------------


async def sensitive(path: str, after: str, before: str | None = None) -> tuple[str, ...]:
    old = {} if before is None else {path: before}
    return (await examined({path: after}, before=old)).sensitive


def package(**versions: str) -> str:
    return json.dumps({"name": "x", "dependencies": versions}, indent=1)


@pytest.mark.parametrize(
    ("path", "before", "after", "says"),
    [
        ("package.json", package(a="^1.2"), package(a="^1.2", b="1"), "adds the dependency b"),
        ("package.json", package(a="^1.2"), package(a="^2.0"), "dependency a from ^1.2 to ^2.0"),
        ("package.json", package(a="^1.2"), package(a="^1.9"), None),
        ("package.json", package(a="1", b="2"), package(a="1"), None),
        ("package.json", package(a="1"), package(a="github:x/y"), "from 1 to github:x/y"),
        ("package.json", package(), "{x", "cannot be read"),
        ("package.json", package(), "[]", "cannot be read"),
        ("requirements.txt", "a==1.0\n", "a==1.0\nruamel_yaml>=2\n", "dependency ruamel-yaml"),
        ("requirements.txt", "a==1.0\n", "a==2.0  # pinned\n", "from ==1.0 to ==2.0"),
        ("requirements.txt", "a==0.4\n", "a==0.5\n", "from ==0.4 to ==0.5"),
        ("requirements.txt", "a>=1,<2\n", "a>=1,<3\n", "from >=1,<2 to >=1,<3"),
        ("requirements.txt", "a==1.0\n", "a==1.1\n# b\n-r other.txt\n", None),
        ("requirements.txt", "", "git+https://x.example/y.git\n", "git+https://x.example/y.git"),
        ("requirements/dev.txt", "", "a\n", "adds the dependency a"),
        (
            "pyproject.toml",
            '[project]\ndependencies = ["a>=1"]\n',
            '[project]\ndependencies = ["a>=1"]\n[dependency-groups]\ndev = ["b"]\n',
            "adds the dependency b",
        ),
        ("pyproject.toml", "", '[tool.poetry.dependencies]\nb = {version = "1"}\n', "dependency b"),
        ("pyproject.toml", "", '[project]\nversion = "1"\n', None),
        ("go.mod", "module x\n", "module x\nrequire x.example/y v1.0.0\n", "x.example/y"),
        (
            "go.mod",
            "require (\n\tx.example/y v1.0.0\n)\n",
            "require (\n\tx.example/y v1.1.0\n)\n",
            None,
        ),
        ("Cargo.toml", "", '[dev-dependencies]\nb = "1"\n', "adds the dependency b"),
        ("Gemfile", "gem 'a', '~> 1.0'\n", "gem 'a', '~> 2.0'\n", "from ~> 1.0 to ~> 2.0"),
        ("build.gradle", "", "  implementation 'g.h:a:1.0'\n", "adds the dependency g.h:a"),
        ("pom.xml", "", "<artifactId>a</artifactId>\n<version>1</version>\n", "dependency a"),
        ("setup.py", "", "setup(install_requires=['a'])\n", "changes dependencies"),
    ],
)
async def test_new_dependencies_and_new_majors_ask_for_a_person(
    path: str, before: str, after: str, says: str | None
) -> None:
    found = await sensitive(path, after, before)
    assert len(found) == (says is not None)
    assert all(says is not None and says in one and one.startswith(path) for one in found)


@pytest.mark.parametrize(
    ("path", "line", "says"),
    [
        ("db/x.sql", "ALTER TABLE users ADD x int;", "changes the database schema"),
        ("db/x.sql", "create unique index concurrently i on t (x);", "changes the database schema"),
        ("db/x.sql", "SELECT created FROM tables;", None),
        ("app/x.py", 'run("ALTER TABLE users")', "changes the database schema"),
        ("tests/x.py", 'run("ALTER TABLE users")', None),
        ("conftest.py", "def pytest_runtest_makereport(item): ...", "collected or reported"),
        ("tests/conftest.py", "    os._exit(0)", "collected or reported"),
        ("tests/conftest.py", "def client(): ...", None),
        ("pytest.ini", "addopts = -k nothing", "collected or reported"),
        ("pyproject.toml", 'testpaths = ["one"]', "collected or reported"),
        ("jest.config.js", "  testPathIgnorePatterns: ['x'],", "collected or reported"),
        ("package.json", '{"scripts": {"test": "true"}}', "collected or reported"),
        ("package.json", '{"scripts": {"postinstall": "x"}}', "installing the package runs"),
        ("vendor/x", f"Subproject commit {'a' * 40}", "moves a submodule"),
        ("src/a.py", "x = 1", None),
    ],
)
async def test_lines_that_always_ask_for_a_person(path: str, line: str, says: str | None) -> None:
    found = await sensitive(path, f"{line}\n")
    assert len(found) == (says is not None)
    assert all(says is not None and says in one and one.startswith(f"{path}:1 ") for one in found)


async def test_code_that_was_not_looked_at_asks_for_a_person_and_a_picture_does_not() -> None:
    files: Files = {"a.py": "x\0\n", "b.png": "\0\n", "c.js": "x" * 3000 + "\n"}
    found = await examined(files)
    assert found.sensitive == (
        "a.py was not examined in full (binary, or larger than 8 MB)",
        "c.js was not examined in full (what follows in lines of more than 2,000 characters)",
    )
    assert [one.partition(":")[0] for one in found.unread] == ["a.py", "b.png", "c.js"]


# --- the whole ----------------------------------------------------------------------------------


async def test_what_was_seen_is_kept_for_the_proof() -> None:
    store = InMemoryStore()
    found = await examined({"a.py": "x\n"}, store=store)
    (seen,) = await store.seen("task/p")
    assert (seen.kind, seen.key) == (
        "examination",
        f"examination/{found.base.commit}/{found.candidate.commit}",
    )
    assert Examination.model_validate_json(seen.body) == found
    assert [(one.path, one.status) for one in found.changes] == [("a.py", "added")]


async def test_a_change_too_large_to_travel_loses_parts_and_then_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {"a.txt": "".join(f"{n}\n" for n in range(200))}
    after: Files = {"a.txt": "".join(f"{n if n % 2 else 'x'}\n" for n in range(200))}
    whole = await examined(after, before=before)
    assert len(whole.changes[0].hunks) == 100
    monkeypatch.setattr("worktrain.activities.examining.BYTES_MAX", 1_000)
    assert (await examined(after, before=before)).changes[0].hunks == ((1, 199),)
    many: Files = {f"{'d' * 200}/{n}": "x" for n in range(500)}
    with pytest.raises(Exception, match=r"touches 500 files, more than can be examined"):
        await examined(many)


async def test_every_sentence_stays_small() -> None:
    wide: dict[str, Any] = {"a" * 3000: "1"}
    found = await examined({"package.json": package(**wide)})
    assert found.sensitive
    assert all(len(one) < 500 for one in found.sensitive)
