"""What common test runners print: pytest, unittest, cargo test, `go test -json`, TAP.

Weaker than a report, since whatever a test prints stands in the same text: where a runner says
how many tests there were, the number counts too, and those without a name are told apart.
"""

import json
import re
from collections.abc import Callable, Iterator

from worktrain.adapters.reports import tap
from worktrain.adapters.reports.report import Counts, TestReport, reported, shortened

LINE_CHARACTERS_MAX = 2_000

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def parse(output: str) -> TestReport | None:
    """The report of the first runner that is recognised; None when none is.

    Raises ValueError for more tests than any project has.
    """
    plain = _ANSI.sub("", output).replace("\r\n", "\n")
    # No runner says how a test ended at such length, and no pattern is to meet it.
    text = "\n".join(line for line in plain.split("\n") if len(line) <= LINE_CHARACTERS_MAX)
    for reader in _READERS:
        found = reader(text)
        if found is not None:
            return found
    return None


# --- pytest ---------------------------------------------------------------------------------

_PYTEST_END = re.compile(
    r"^=* ?((?:\d+ [a-z]+, )*\d+ [a-z]+|no tests ran) in [\d.]+s(?: \([\d:, a-z]+\))?(?: =+)?$",
    re.MULTILINE,
)
_PYTEST_SUMMARY = re.compile(r"^=+ short test summary info =+$", re.MULTILINE)
_PYTEST_SUMMED = re.compile(
    r"^(?P<word>PASSED|FAILED|ERROR|XFAIL|XPASS) (?P<test>[^\s\[][^\[\n]*?(?:\[.*?\])?)(?: - .*)?$",
    re.MULTILINE,
)
_PYTEST_LIVE = re.compile(
    r"^(?P<test>\S+::.*?) (?P<word>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*$", re.MULTILINE
)
_PYTEST_WORDS = {
    "PASSED": "passed",
    "XPASS": "passed",
    "FAILED": "failed",
    "ERROR": "error",
    "SKIPPED": "skipped",
    "XFAIL": "skipped",
}


def _pytest(text: str) -> TestReport | None:
    ends = _PYTEST_END.findall(text)
    if not ends:
        return None
    said = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", ends[-1])}
    # Before the summary anything may stand, as printed by a test.
    *_, summary = _PYTEST_SUMMARY.split(text)
    named = [*_PYTEST_LIVE.finditer(text)]
    if summary != text:
        named += _PYTEST_SUMMED.finditer(summary)
    ended = [(shortened(found["test"]), _PYTEST_WORDS[found["word"]]) for found in named]
    return reported(
        ended,
        Counts(
            passed=said.get("passed", 0) + said.get("xpassed", 0),
            failed=said.get("failed", 0) + said.get("error", 0) + said.get("errors", 0),
            skipped=said.get("skipped", 0) + said.get("xfailed", 0),
        ),
    )


# --- unittest -------------------------------------------------------------------------------

_UNITTEST_END = re.compile(
    r"^Ran (?P<ran>\d+) tests? in [\d.]+s\n+(?:OK|FAILED|NO TESTS RAN)(?: \((?P<told>[^)\n]*)\))?$",
    re.MULTILINE,
)
_UNITTEST_BEGIN = re.compile(r"(?P<name>\w+) \((?P<place>[\w.<>]+)\)(?P<rest>$| \.\.\. .*)")
_UNITTEST_ENDED = re.compile(
    r"(ok|FAIL|ERROR|skipped (?=['\"]).*|expected failure|unexpected success)$"
)
_TOLD = re.compile(r"([a-z ]+)=(\d+)")
_UNITTEST_HEAD = re.compile(
    r"^(?P<word>FAIL|ERROR): (?P<name>\w+) \((?P<place>[\w.<>]+)\)", re.MULTILINE
)
_UNITTEST_WORDS = {
    "ok": "passed",
    "FAIL": "failed",
    "ERROR": "error",
    "skipped": "skipped",
    "expected failure": "skipped",
    "unexpected success": "failed",
}


def _unittest(text: str) -> TestReport | None:
    end = next(reversed(list(_UNITTEST_END.finditer(text))), None)
    if end is None:
        return None
    said = {word.strip(): int(number) for word, number in _TOLD.findall(end["told"] or "")}
    ended = [*_unittest_lines(text)]
    ended += [
        (_unittest_id(head["name"], head["place"]), _UNITTEST_WORDS[head["word"]])
        for head in _UNITTEST_HEAD.finditer(text)
    ]
    failed = sum(said.get(word, 0) for word in ("failures", "errors", "unexpected successes"))
    skipped = sum(said.get(word, 0) for word in ("skipped", "expected failures"))
    passed = max(0, int(end["ran"]) - failed - skipped)
    return reported(ended, Counts(passed=passed, failed=failed, skipped=skipped))


def _unittest_lines(text: str) -> Iterator[tuple[str, str]]:
    """What -v prints: a test, perhaps lines of its own or of its docstring, then its ending."""
    test = ""
    for line in text.split("\n"):
        begun = _UNITTEST_BEGIN.match(line)
        if begun:
            test = _unittest_id(begun["name"], begun["place"])
        ended = _UNITTEST_ENDED.search(begun["rest"] if begun else line)
        if test and ended:
            yield test, _UNITTEST_WORDS[ended[1].partition(" '")[0].partition(' "')[0]]
            test = ""


def _unittest_id(name: str, place: str) -> str:
    # From Python 3.11 on the place ends with the name.
    return shortened(f"{place.removesuffix(f'.{name}')}::{name}")


# --- cargo test -----------------------------------------------------------------------------

_CARGO_END = re.compile(
    r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.MULTILINE
)
# A doc test is named by its line too, which moves with every change above it.
_CARGO_NAMED = re.compile(
    r"^test (?P<test>\S.*?)(?: \(line \d+\))?(?: - [a-z ]+)? \.\.\. (?P<word>ok|FAILED|ignored)\b",
    re.MULTILINE,
)
_CARGO_WORDS = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}


def _cargo(text: str) -> TestReport | None:
    ends = _CARGO_END.findall(text)
    if not ends:
        return None
    passed, failed, skipped = (sum(map(int, numbers)) for numbers in zip(*ends, strict=True))
    ended = [
        (shortened(found["test"]), _CARGO_WORDS[found["word"]])
        for found in _CARGO_NAMED.finditer(text)
    ]
    return reported(ended, Counts(passed=passed, failed=failed, skipped=skipped))


# --- go test -json --------------------------------------------------------------------------

_GO_WORDS = {"run": "error", "pass": "passed", "fail": "failed", "skip": "skipped"}
"""A test that began and never ended went down with its process."""


def _go(text: str) -> TestReport | None:
    ended: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        if not line.startswith('{"'):
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        package, test = event.get("Package"), event.get("Test", "")
        outcome = _GO_WORDS.get(str(event.get("Action")))
        if isinstance(package, str) and isinstance(test, str) and outcome:
            ended[package, test] = outcome
    if not ended:
        return None
    # A package ends too; that counts where it failed and none of its tests did.
    fallen = {package for (package, test), outcome in ended.items() if test and outcome == "failed"}
    named = [
        (shortened(f"{package}::{test}" if test else package), outcome if test else "error")
        for (package, test), outcome in ended.items()
        if test or (outcome == "failed" and package not in fallen)
    ]
    return reported(named)


_READERS: tuple[Callable[[str], TestReport | None], ...] = (
    _go,
    _pytest,
    _unittest,
    _cargo,
    tap.parse,
)
