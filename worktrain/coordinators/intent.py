"""What a task says: read from the text of an issue file, and compared with how it reads later."""

from collections.abc import Sequence
from typing import Any

import yaml

from worktrain.contracts.task import Task

TASK_BYTES_MAX = 200_000
"""Title and body as UTF-8: a task travels in workflow histories."""
LABELS_MAX = 30
LABEL_CHARACTERS_MAX = 100
FENCE = "---"
"""The line above and below the front matter of an issue file."""


def task_from(text: str, source: str, place: str, extra_title: str = "") -> Task:
    """The task that a text holds: labels in a YAML front matter if it has one, then the title,
    then the rest.

    `extra_title` is a title that was given beside the text, and below its first line further
    words; the whole text is then part of the body. Raises ValueError with one sentence.
    """
    written, labels = _parts(text)
    title, body = _title(written), written.partition("\n")[2]
    if extra_title.strip():
        title, _, more = extra_title.strip().partition("\n")
        title, body = title.strip(), f"{more.strip()}\n\n{written}"
    if not title:
        raise ValueError(
            "There is no task: the first line of the text has no title; write one there."
        )
    if len(f"{title}{body}".encode(errors="replace")) > TASK_BYTES_MAX:
        raise ValueError(
            f"The task is longer than {TASK_BYTES_MAX:,} bytes; put what is long into a file of "
            "the repository and name it in the task."
        )
    return Task(source=source, title=title, body=body.strip(), labels=_labels(labels), place=place)


def edited(task: Task, text: str) -> Task | None:
    """The task as its file has it now, or None when it says what it said when it was accepted.

    Labels that the file has no more stay: they may have been given beside it. Raises ValueError
    with one sentence.
    """
    beside = _beside(task, text)
    now = _read_again(task, text, beside)
    # A file whose first line stands in it twice looks as if a title had been given beside it.
    same = now.fingerprint == task.fingerprint or (
        bool(beside)
        and _title(_parts(text)[0]) != ""
        and _read_again(task, text, "").fingerprint == task.fingerprint
    )
    return None if same else now


def _read_again(task: Task, text: str, beside: str) -> Task:
    now = task_from(text, task.source, task.place, beside)
    labels = tuple(dict.fromkeys((*task.labels, *now.labels)))
    return now.model_copy(update={"labels": labels})


def _beside(task: Task, text: str) -> str:
    """The words that were given beside the file, whose own first line then stands in the body."""
    first = _parts(text)[0].partition("\n")[0].rstrip()
    lines = [line.rstrip() for line in task.body.split("\n")]
    if not first or first not in lines:
        return ""
    return "\n".join((task.title, *lines[: lines.index(first)]))


def _title(written: str) -> str:
    return written.partition("\n")[0].strip().lstrip("#").strip()


def _parts(text: str) -> tuple[str, Sequence[str]]:
    """The text without its front matter, and the labels in that."""
    first, *rest = text.strip().split("\n")
    if first.rstrip() != FENCE:
        return text.strip(), ()
    lines = [line.rstrip() for line in rest]
    if FENCE not in lines:
        raise ValueError(
            f"The text begins with {FENCE} and has no second such line: close its front matter "
            "with one, or begin with a title."
        )
    end = lines.index(FENCE)
    return "\n".join(rest[end + 1 :]).strip(), _front_labels("\n".join(rest[:end]))


def _front_labels(matter: str) -> Sequence[str]:
    """The labels of a front matter; what else it says is for others."""
    try:
        read: Any = yaml.safe_load(matter)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 2}" if mark else ""
        raise ValueError(
            f"The front matter is no YAML{place}: correct it, for example `labels: [bug, docs]`."
        ) from error
    if read is None:
        return ()
    labels = read.get("labels", []) if isinstance(read, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(
            "The front matter has to say its labels as a list of texts: `labels: [bug, docs]`."
        )
    return labels


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Each label once, on one line."""
    named = tuple(dict.fromkeys(" ".join(label.split()) for label in labels))
    if len(named) > LABELS_MAX or any(not 0 < len(name) <= LABEL_CHARACTERS_MAX for name in named):
        raise ValueError(
            f"A task has at most {LABELS_MAX} labels of 1 to {LABEL_CHARACTERS_MAX} characters."
        )
    return named
