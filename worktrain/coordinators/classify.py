"""What kind of task it is: signs in labels, paths and words, weighed against what a model says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from worktrain.contracts.artifact import Classification
from worktrain.contracts.route import Judged, TaskClass
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import WorkspaceConfig

By = Literal["label", "path", "word", "size", "model", "default"]
Says = Mapping[str, str]
"""Values by property; a domain by `DOMAINS`."""

TYPE, COMPLEXITY, RISK = "taskType", "taskComplexity", "riskLevel"
UI, ARCHITECTURE, MATURITY = "hasUI", "touchesArchitecture", "maturity"
DOMAINS = "affectedDomains"

CARE: Mapping[str, tuple[str, ...]] = {
    TYPE: ("docs", "chore", "investigation", "bug-fix", "refactor", "feature"),
    COMPLEXITY: ("Small", "Medium", "Large"),
    RISK: ("Low", "Medium", "High", "Critical"),
    UI: ("no", "yes"),
    ARCHITECTURE: ("no", "yes"),
    MATURITY: ("specified", "shaped", "idea"),
}
"""The values of each property, the more careful the later: it runs or demands more."""

UNKNOWN: Says = {
    TYPE: "feature",
    COMPLEXITY: "Large",
    RISK: "High",
    UI: "yes",
    ARCHITECTURE: "yes",
    MATURITY: "idea",
}
"""What is assumed where neither a sign nor a model says anything."""

ONLY_RAISED = frozenset({COMPLEXITY, RISK})
"""Of sign and model the more careful one stands, whatever the sign."""

LABEL, PATH, WORD, FAINT, SIZE = 5, 4, 3, 2, 1
"""How strong a sign is. A model that has looked at the code outweighs words, not more."""

TINY_FILES_MAX = 20
LARGE_PATHS_MIN = 8
MEDIUM_PATHS_MIN = 3
LARGE_CHARACTERS_MIN = 10_000
MEDIUM_CHARACTERS_MIN = 3_000

LABELS: tuple[tuple[str, Says], ...] = (
    ("bug defect regression crash bugfix hotfix", {TYPE: "bug-fix"}),
    ("incident outage", {TYPE: "bug-fix", RISK: "High"}),
    ("feature enhancement feature-request", {TYPE: "feature"}),
    ("refactor refactoring tech-debt", {TYPE: "refactor"}),
    ("docs documentation", {TYPE: "docs", DOMAINS: "docs"}),
    ("chore maintenance housekeeping", {TYPE: "chore"}),
    ("dependencies", {TYPE: "chore", DOMAINS: "dependencies"}),
    ("investigation research spike", {TYPE: "investigation"}),
    ("security vulnerability", {RISK: "High", DOMAINS: "security"}),
    ("critical risk-critical critical-risk p0 sev1", {RISK: "Critical"}),
    ("risk-high high-risk", {RISK: "High"}),
    ("needs-human-review risk-medium medium-risk", {RISK: "Medium"}),
    ("risk-low low-risk", {RISK: "Low"}),
    ("breaking breaking-change", {RISK: "High", ARCHITECTURE: "yes"}),
    ("migration migrations database schema", {RISK: "High", DOMAINS: "database"}),
    ("ci infrastructure infra deployment", {RISK: "High", DOMAINS: "infrastructure"}),
    ("payments billing", {RISK: "High", DOMAINS: "payments"}),
    ("performance", {DOMAINS: "performance"}),
    ("ui ux frontend accessibility a11y", {UI: "yes", DOMAINS: "ui"}),
    ("no-ui backend", {UI: "no"}),
    ("architecture", {ARCHITECTURE: "yes", DOMAINS: "architecture"}),
    ("size-xs size-s small trivial typo good-first-issue complexity-small", {COMPLEXITY: "Small"}),
    ("size-m medium complexity-medium", {COMPLEXITY: "Medium"}),
    ("size-l size-xl large epic complexity-large", {COMPLEXITY: "Large"}),
    ("idea needs-shaping", {MATURITY: "idea"}),
    ("shaped", {MATURITY: "shaped"}),
    ("specified spec-ready ready-to-implement", {MATURITY: "specified"}),
)
"""Labels as `plain` gives them."""

PIPELINE_LABELS: Mapping[str, Says] = {
    "feature": {},
    "implement": {MATURITY: "specified"},
    "quick": {},
    "review": {},
    "bugfix": {TYPE: "bug-fix"},
}
"""What a label says of the task that the workspace lets choose a pipeline."""

PATHS: tuple[tuple[str, Says], ...] = (
    (r"(^|/)(migrations?|alembic)/|\.sql$", {RISK: "High", DOMAINS: "database"}),
    (
        r"^\.github/(workflows|actions)/|^\.gitlab-ci|^\.circleci/|(^|/)Jenkinsfile$",
        {RISK: "High", DOMAINS: "infrastructure"},
    ),
    (
        r"(^|/)(Dockerfile|docker-compose|compose\.ya?ml$)|\.tf$"
        r"|(^|/)(deploy|terraform|helm|k8s|kubernetes)/",
        {RISK: "High", DOMAINS: "infrastructure"},
    ),
    (r"^\.worktrain/", {RISK: "Critical", DOMAINS: "worktrain"}),
    (
        r"(^|/)(auth|authn|authz|security|crypto|permissions?|secrets?)(/|_|\.\w+$)",
        {RISK: "High", DOMAINS: "security"},
    ),
    (r"(^|/)(payments?|billing)(/|_|\.\w+$)", {RISK: "High", DOMAINS: "payments"}),
    (
        r"\.(tsx|jsx|vue|svelte|css|scss|sass|less|html)$|(^|/)(ui|frontend|components|screens)/",
        {UI: "yes", DOMAINS: "ui"},
    ),
    (
        r"\.proto$|(^|/)(openapi|swagger)\.(ya?ml|json)$|(^|/)ARCHITECTURE\.md$",
        {ARCHITECTURE: "yes", DOMAINS: "architecture"},
    ),
    (
        r"(^|/)(package(-lock)?\.json|pyproject\.toml|requirements[\w-]*\.txt|go\.(mod|sum)"
        r"|Cargo\.(toml|lock)|pom\.xml|Gemfile|[\w-]+\.lock)$",
        {RISK: "Medium", DOMAINS: "dependencies"},
    ),
    (r"\.(md|rst|adoc)$|^docs?/", {DOMAINS: "docs"}),
)
"""Patterns of paths. A path that is named need not be changed: so they raise, and never lower."""


@dataclass(frozen=True)
class Words:
    """Words and phrases, parted by commas, that count as whole words in any case."""

    any_of: str
    says: Says
    strength: int = WORD
    only_title: bool = False


WORDS: tuple[Words, ...] = (
    Words(
        "bug, bugs, crash, crashes, broken, fails, failing, failure, regression, flaky, wrong, "
        "incorrect, deadlock, hangs, leak, leaks",
        {TYPE: "bug-fix"}, only_title=True,
    ),
    Words("fix, fixes, repair, mend, correct", {TYPE: "bug-fix"}, FAINT, only_title=True),
    Words(
        "steps to reproduce, expected behaviour, expected behavior, actual behaviour, "
        "actual behavior, traceback, stack trace", {TYPE: "bug-fix"}, FAINT,
    ),
    Words("feature, add support", {TYPE: "feature"}, only_title=True),
    Words("add, adds, offer, introduce, allow", {TYPE: "feature"}, FAINT, True),
    Words(
        "refactor, refactoring, restructure, clean up, simplify, deduplicate, extract, rename, "
        "split, move", {TYPE: "refactor"}, only_title=True,
    ),
    Words(
        "docs, documentation, readme, docstring, changelog, typo, typos, spelling, wording",
        {TYPE: "docs", UI: "no", ARCHITECTURE: "no"}, only_title=True,
    ),
    Words("bump, upgrade, pin, housekeeping", {TYPE: "chore"}, only_title=True),
    Words("investigate, find out, analyse, analyze, research, why", {TYPE: "investigation"},
          only_title=True),
    Words("typo, typos, spelling, wording", {COMPLEXITY: "Small", RISK: "Low"}, only_title=True),
    Words("one line, one-line, one-liner", {COMPLEXITY: "Small"}, only_title=True),
    Words("rewrite, redesign, overhaul, migrate, migration, everywhere, multi-tenant, re-architect",
          {COMPLEXITY: "Large"}, only_title=True),
    Words(
        "data loss, loses data, lose data, remote code execution, rce, privilege escalation, "
        "sql injection, production is down", {RISK: "Critical"},
    ),
    Words(
        "migration, migrations, migrate, schema change, alter table, drop table, backfill",
        {RISK: "High", DOMAINS: "database"},
    ),
    Words(
        "security, vulnerability, vulnerabilities, cve, password, passwords, credential, "
        "credentials, secret, secrets, encryption, authentication, authorization, authorisation, "
        "oauth, permission, permissions, access control, xss, csrf, command injection, private key",
        {RISK: "High", DOMAINS: "security"},
    ),
    Words("payment, payments, billing, refund, refunds", {RISK: "High", DOMAINS: "payments"}),
    Words("personal data, gdpr", {RISK: "High", DOMAINS: "privacy"}),
    Words("race condition, deadlock, concurrency", {RISK: "High", DOMAINS: "concurrency"}),
    Words("ci pipeline, github actions, deployment, rollout, kubernetes, terraform",
          {RISK: "High", DOMAINS: "infrastructure"}),
    Words("breaking change, backwards incompatible, backward incompatible",
          {RISK: "High", ARCHITECTURE: "yes"}),
    Words("dependency, dependencies", {RISK: "Medium", DOMAINS: "dependencies"}),
    Words(
        "ui, ux, gui, screen, screens, button, buttons, dialog, dialogs, dropdown, modal, tooltip, "
        "css, stylesheet, frontend, front-end, user interface, web page, dark mode, responsive, "
        "accessibility", {UI: "yes", DOMAINS: "ui"},
    ),
    Words(
        "architecture, architectural, decouple, public api, data model, module boundary, "
        "module boundaries, new service, plug-in system, plugin system, file format, wire format",
        {ARCHITECTURE: "yes", DOMAINS: "architecture"},
    ),
    Words("slow, latency, throughput, performance", {DOMAINS: "performance"}),
    Words("acceptance criteria", {MATURITY: "specified"}, FAINT),
    Words("out of scope, not in scope, non-goals, no-gos, appetite", {MATURITY: "shaped"}, FAINT),
)  # fmt: skip

CRITERION = re.compile(
    r"^[ \t>*+-]{0,20}(?:\[[ xX]\][ \t]{0,4})?\*{0,3}(AC[1-9][0-9]?)\*{0,3}[ \t]{0,4}[:.)]",
    re.MULTILINE,
)
"""A criterion that is written out with its id is a fact, not a turn of phrase."""

COMMENT = re.compile(r"<!--(?:-?>|.*?(?:-->|\Z))", re.DOTALL)
"""As a browser reads it: one that is never closed hides the rest."""
GROUP = re.compile(r"^(?:type|kind|area|component|priority|severity|topic|pipeline)-(?=.)")
BETWEEN = re.compile(r"[\s`'\"()\[\]{}<>,;|]+")
PATH_CHARACTERS = re.compile(r"[\w./@~+*-]{2,200}")
FILE_NAME = re.compile(
    r"[\w.-]+\.(?:py|pyi|js|jsx|ts|tsx|vue|svelte|css|scss|sass|less|html|md|rst|adoc|txt|json|toml"
    r"|ya?ml|xml|ini|cfg|sql|sh|go|rs|java|kt|rb|php|c|h|cc|cpp|hpp|cs|swift|tf|proto|lock|mod)"
    r"|Dockerfile|Jenkinsfile|Makefile|Gemfile"
)
SHOWN_MAX = 60
READ_CHARACTERS_MAX = 50_000
"""Of a text; a workflow stands still while it is read."""


def classified(
    task: Task, model: Classification | None, files: int, config: WorkspaceConfig
) -> TaskClass:
    """Signs first, then the model, then the careful value.

    `model` is None before any model was asked; `files` is the number of files of the repository,
    0 when nobody knows.
    """
    task = _as_seen(task)
    signs = (*_labelled(task, config), *_named(task), *_worded(task), *_sized(task))
    said = _said(model)
    judged = {
        name: _judged(name, [sign for sign in signs if sign.name == name], said.get(name), files)
        for name in CARE
    }
    domains, by_which = _domains([sign for sign in signs if sign.name == DOMAINS], model)
    return TaskClass.model_validate(
        {
            "task_type": judged[TYPE].value,
            "complexity": judged[COMPLEXITY].value,
            "risk": judged[RISK].value,
            "has_ui": judged[UI].value == "yes",
            "touches_architecture": judged[ARCHITECTURE].value == "yes",
            "maturity": judged[MATURITY].value,
            "domains": domains,
            "judged": (*judged.values(), by_which),
        }
    )


def plain(label: str) -> str:
    """A label as the tables have it: `Type: Bug` and `kind/bug` are `bug`."""
    words = "-".join(re.findall(r"[^\W_]+", label.lower()))
    return GROUP.sub("", words) if words else label.strip()


@dataclass(frozen=True)
class _Sign:
    name: str
    value: str
    by: By
    strength: int
    why: str


# --- finding signs ---------------------------------------------------------------------------


def _as_seen(task: Task) -> Task:
    """The task without what neither a reader nor a model is shown of it."""
    shown = {"title": COMMENT.sub("", task.title), "body": COMMENT.sub("", task.body)}
    return task.model_copy(update=shown)


def _labelled(task: Task, config: WorkspaceConfig) -> Iterator[_Sign]:
    of_workspace = {plain(label): PIPELINE_LABELS[kind] for label, kind in config.labels.items()}
    for label in task.labels:
        meant = plain(label)
        rows = [says for labels, says in LABELS if meant in labels.split()]
        for says in (*rows, of_workspace.get(meant, {})):
            yield from _signs(says, "label", LABEL, f"label {_shown(label)}")


def _named(task: Task) -> Iterator[_Sign]:
    paths = _parted(f"{task.title}\n{task.body}"[:READ_CHARACTERS_MAX])[0]
    for pattern, says in PATHS:
        for path in paths:
            if re.search(pattern, path):
                yield from _signs(says, "path", PATH, f"path {_shown(path)}")
                break
    if len(paths) >= MEDIUM_PATHS_MIN:
        size = "Large" if len(paths) >= LARGE_PATHS_MIN else "Medium"
        yield _Sign(COMPLEXITY, size, "path", PATH, f"it names {len(paths)} paths")


def _worded(task: Task) -> Iterator[_Sign]:
    title = _parted(task.title[:READ_CHARACTERS_MAX])[1]
    text = f"{title} {_parted(task.body[:READ_CHARACTERS_MAX])[1]}"
    for row in WORDS:
        if word := _word(row.any_of, title):
            yield from _signs(row.says, "word", row.strength, f"word {word!r} in the title")
        elif not row.only_title and (word := _word(row.any_of, text)):
            yield from _signs(row.says, "word", row.strength, f"word {word!r} in the text")
    criteria = list(dict.fromkeys(CRITERION.findall(task.body)))
    if criteria:
        why = f"it has acceptance criteria, the first of which is {criteria[0]}"
        yield _Sign(MATURITY, "specified", "word", PATH, why)


def _sized(task: Task) -> Iterator[_Sign]:
    """A long text says much; a short one says nothing, as a large wish has few words."""
    length = len(task.body)
    if length >= MEDIUM_CHARACTERS_MIN:
        size = "Large" if length >= LARGE_CHARACTERS_MIN else "Medium"
        yield _Sign(COMPLEXITY, size, "size", SIZE, f"its text has {length:,} characters")


def _signs(says: Says, by: By, strength: int, why: str) -> Iterator[_Sign]:
    for name, value in says.items():
        yield _Sign(name, value, by, strength, why)


def _parted(text: str) -> tuple[tuple[str, ...], str]:
    """The paths that a text names, each once, and its words without paths and addresses."""
    paths: dict[str, None] = {}
    words: list[str] = []
    for token in BETWEEN.split(text):
        bare = token.strip(":!?").rstrip(".").removeprefix("./")
        if "://" in token:
            continue
        if _is_path(bare):
            paths[bare] = None
        else:
            words.append(token)
    return tuple(paths), " ".join(words)


def _is_path(token: str) -> bool:
    """Whether it can be nothing else: `UI/UX` and `and/or` are words."""
    if not PATH_CHARACTERS.fullmatch(token):
        return False
    if FILE_NAME.fullmatch(token):
        return True
    last = token.rpartition("/")[2]
    return "/" in token and (not last or "." in last or token[0] == "." or token.count("/") > 1)


def _word(any_of: str, text: str) -> str | None:
    """The first of the words that stands in the text as a whole."""
    phrases = "|".join(map(re.escape, any_of.split(", ")))
    found = re.search(rf"(?<!\w)(?:{phrases})(?!\w)", text, re.IGNORECASE)
    return found[0].lower() if found else None


# --- weighing them ---------------------------------------------------------------------------


def _judged(name: str, signs: Sequence[_Sign], model: str | None, files: int) -> Judged:
    sign = _capped(name, _standing(name, signs), files)
    if sign is None:
        return _without_sign(name, model, files)
    if model is None:
        return Judged(name=name, value=sign.value, by=sign.by, why=sign.why)
    if model == sign.value:
        return Judged(name=name, value=model, by=sign.by, why=f"{sign.why}; the model agrees")
    if _model_stands(name, sign, model):
        why = f"the model says {model}, and outweighs what {sign.why} says: {sign.value}"
        return Judged(name=name, value=model, by="model", why=why)
    why = f"{sign.why}; it outweighs the model, which says {model}"
    return Judged(name=name, value=sign.value, by=sign.by, why=why)


def _without_sign(name: str, model: str | None, files: int) -> Judged:
    if model is not None:
        why = "no sign says anything, so the model's look decides"
        return Judged(name=name, value=model, by="model", why=why)
    if name == COMPLEXITY and _tiny(files):
        why = f"nothing says anything, and {_few(files)}"
        return Judged(name=name, value="Medium", by="size", why=why)
    why = "nothing says anything, so the careful value stands"
    return Judged(name=name, value=UNKNOWN[name], by="default", why=why)


def _model_stands(name: str, sign: _Sign, model: str) -> bool:
    more_careful = CARE[name].index(model) > CARE[name].index(sign.value)
    if name in ONLY_RAISED:
        return more_careful
    if sign.strength >= PATH:
        return False
    # A verb in a title says little about a change, and no type is a safe one.
    return name == TYPE or more_careful


def _standing(name: str, signs: Sequence[_Sign]) -> _Sign | None:
    """What the signs say together: the strongest, and of equally strong ones the more careful.

    Of a risk always the more careful: no sign makes another one harmless.
    """
    if not signs:
        return None
    strongest = max(sign.strength for sign in signs)
    weighed = [sign for sign in signs if name == RISK or sign.strength == strongest]
    value = max((sign.value for sign in weighed), key=CARE[name].index)
    chosen = max((sign for sign in weighed if sign.value == value), key=lambda sign: sign.strength)
    against = next((sign for sign in weighed if sign.value != value), None)
    if against is None:
        return chosen
    why = f"{chosen.why}, more careful than {against.why}, which says {against.value}"
    return _Sign(name, value, chosen.by, chosen.strength, why)


def _capped(name: str, sign: _Sign | None, files: int) -> _Sign | None:
    """Only a label or the model can make a task in a tiny repository large."""
    if name != COMPLEXITY or sign is None or sign.value != "Large":
        return sign
    if sign.by == "label" or not _tiny(files):
        return sign
    return _Sign(name, "Medium", "size", SIZE, f"{sign.why}, but {_few(files)}")


def _tiny(files: int) -> bool:
    return 0 < files <= TINY_FILES_MAX


def _few(files: int) -> str:
    return f"the repository has {files} file{'' if files == 1 else 's'}"


def _said(model: Classification | None) -> Says:
    if model is None:
        return {}
    return {
        TYPE: model.taskType,
        COMPLEXITY: model.taskComplexity,
        RISK: model.riskLevel,
        UI: "yes" if model.hasUI else "no",
        ARCHITECTURE: "yes" if model.touchesArchitecture else "no",
        MATURITY: model.maturity,
    }


def _domains(
    signs: Sequence[_Sign], model: Classification | None
) -> tuple[tuple[str, ...], Judged]:
    """What any sign or the model names."""
    named = model.affectedDomains if model else ()
    domains: dict[str, str] = {}
    for domain in (*(sign.value for sign in signs), *named):
        domains.setdefault(domain.casefold(), domain)
    found = [f"{sign.why}: {sign.value}" for sign in signs]
    if named:
        found.append(f"the model names {', '.join(named)}")
    judged = Judged(
        name=DOMAINS,
        value=", ".join(domains.values()) or "none",
        by=signs[0].by if signs else "model" if named else "default",
        why="; ".join(dict.fromkeys(found)) or "nothing names one",
    )
    return tuple(domains.values()), judged


def _shown(text: str) -> str:
    """A label or path as it may stand in a sentence: it was written by anybody."""
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= SHOWN_MAX else flat[: SHOWN_MAX - 1] + "…")
