"""Tasks read from the text of an issue file, and told apart from how it reads later."""

import pytest

from worktrain.contracts.task import Task
from worktrain.coordinators.intent import LABELS_MAX, TASK_BYTES_MAX, edited, task_from

PLAIN = "# Fix the login\n\nIt is broken.\n"
LABELLED = "---\nlabels: [bug, needs-human-review]\nowner: olive\n---\n\nFix the login\n\nIt is."


def read(text: str, beside: str = "") -> Task:
    return task_from(text, "issue:login.md", "/issues/login.md", beside)


@pytest.mark.parametrize(
    ("text", "beside", "title", "body", "labels"),
    [
        (PLAIN, "", "Fix the login", "It is broken.", ()),
        ("\n\n  Fix the login  \n", "", "Fix the login", "", ()),
        (LABELLED, "", "Fix the login", "It is.", ("bug", "needs-human-review")),
        ("---\n---\nFix it", "", "Fix it", "", ()),
        ("---\nlabels: [a, ' a ', b  c]\n---\nFix it", "", "Fix it", "", ("a", "b c")),
        (PLAIN, "Mend it", "Mend it", PLAIN.strip(), ()),
        (PLAIN, "Mend it\nSoon.", "Mend it", f"Soon.\n\n{PLAIN.strip()}", ()),
        ("# \n\nmore", "Mend it", "Mend it", "# \n\nmore", ()),
        ("Fix it\n\n---\nnot: front matter\n---", "", "Fix it", "---\nnot: front matter\n---", ()),
    ],
)
def test_a_text_becomes_a_task(
    text: str, beside: str, title: str, body: str, labels: tuple[str, ...]
) -> None:
    task = read(text, beside)
    assert (task.title, task.body, task.labels) == (title, body, labels)
    assert (task.source, task.place) == ("issue:login.md", "/issues/login.md")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no title"),
        ("##\n\nonly a body", "has no title"),
        ("---\nlabels: [bug]\n---\n", "has no title"),
        ("---\nlabels: [bug]\n", "no second such line"),
        ("---\nlabels: [bug\n---\nFix it", "no YAML, line 2"),
        ("---\nlabels: bug\n---\nFix it", "list of texts"),
        ("---\nlabels: [1]\n---\nFix it", "list of texts"),
        ("---\n- bug\n---\nFix it", "list of texts"),
        ("---\nlabels: ['']\n---\nFix it", "1 to 100 characters"),
        (f"---\nlabels: {[f'l{n}' for n in range(LABELS_MAX + 1)]}\n---\nFix it", "at most 30"),
        ("Fix it\n" + "ü" * (TASK_BYTES_MAX // 2), "longer than 200,000 bytes"),
    ],
)
def test_what_is_no_task_is_said_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read(text)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


BESIDE = ("", "Mend it", "Mend it\nSoon.\n\n- today", "Fix the login")
TEXTS = (PLAIN, LABELLED, "One line")


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("text", [*TEXTS, "# Fix the login\n\n# Fix the login\n"])
def test_a_text_that_says_what_it_said_is_no_edit(text: str, beside: str) -> None:
    task = read(text, beside)
    assert edited(task, text) is None
    assert edited(task, f"\n{text}\n\n") is None, "white space around it says nothing"
    labelled = task.model_copy(update={"labels": ("given-beside", *task.labels)})
    assert edited(labelled, text) is None


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("text", TEXTS)
def test_an_edit_is_told_with_all_that_was_given_beside_the_file(text: str, beside: str) -> None:
    task = read(text, beside)
    more = f"{text.rstrip()}\n\nAnd quickly."
    assert edited(task, more) == read(more, beside)


def test_a_file_without_a_title_is_read_with_the_one_that_was_given_beside_it() -> None:
    text = "##\n\nIt is broken."
    assert edited(read(text, "Mend it"), text) is None
    now = edited(read(text, "Mend it"), text.replace("broken", "slow"))
    assert now == read(text.replace("broken", "slow"), "Mend it")


def test_a_new_title_is_an_edit() -> None:
    now = edited(read(PLAIN), PLAIN.replace("login", "logout"))
    assert now is not None
    assert now.title == "Fix the logout"


def test_a_label_that_is_added_is_an_edit_and_one_that_is_taken_away_stays() -> None:
    task = read(LABELLED)
    now = edited(task, LABELLED.replace("bug,", "bug, ui,"))
    assert now is not None
    assert now.labels == ("bug", "needs-human-review", "ui")
    assert edited(task, LABELLED.replace(", needs-human-review", "")) is None


def test_a_text_that_can_no_longer_be_read_is_no_silent_edit() -> None:
    with pytest.raises(ValueError, match="no second such line"):
        edited(read(PLAIN), "---\n# Fix the login")
