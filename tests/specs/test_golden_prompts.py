"""Golden prompts: no word that a bundled spec says to a model changes unseen."""

from difflib import unified_diff
from pathlib import Path

import pytest

from tests.specs.golden import all_specs, compiled, names, path_of, spoken
from tests.specs.golden.__main__ import write

WRITE = "if it is meant, write it anew with `python -m tests.specs.golden` and read the diff"


@pytest.mark.parametrize("spec", all_specs())
def test_a_spec_says_what_its_golden_file_says(spec: str) -> None:
    path = path_of(spec)
    assert path.exists(), f"{path.name} is missing: write it with `python -m tests.specs.golden`"
    approved = path.read_text(encoding="utf-8")
    said = spoken(compiled(spec))
    diff = unified_diff(
        approved.splitlines(), said.splitlines(), f"{path.name}, approved", "said now", lineterm=""
    )
    if said != approved:
        pytest.fail(f"{spec} says something else; {WRITE}:\n" + "\n".join(diff), pytrace=False)


def test_every_golden_file_belongs_to_a_spec() -> None:
    assert set(names()) <= set(all_specs()), WRITE


@pytest.mark.parametrize("spec", all_specs())
def test_nothing_is_left_unfilled(spec: str) -> None:
    said = spoken(compiled(spec))
    assert "[unset" not in said
    assert "{{" not in said
    assert "{%" not in said


def test_writing_anew_says_what_changed_and_leaves_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, *others = all_specs()
    write(tmp_path)
    capsys.readouterr()
    path_of(one, tmp_path).write_text("old", encoding="utf-8")
    path_of("gone", tmp_path).write_text("old", encoding="utf-8")
    write(tmp_path)
    told = f"written: {one}.txt\nremoved, there is no such spec: gone\n"
    assert capsys.readouterr().out == told
    assert names(tmp_path) == tuple(sorted((one, *others)))
