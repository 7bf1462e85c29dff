"""Test reports in JUnit XML, as written by code that may wish us ill.

Read as a stream by expat, never as a tree. A document type is refused where it begins, so no
entity is ever declared: neither one that expands to gigabytes nor one that names a file. Size,
number of tests and length of names are bounded, and the file is opened without following links.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from worktrain.contracts.base import digest

BYTES_MAX = 32_000_000
TESTS_MAX = 200_000
ID_CHARACTERS_MAX = 300

_OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}
# A test may be reported more than once (a teardown that failed): the gravest outcome stands.
_GRAVITY = {"skipped": 0, "passed": 1, "failed": 2}


@dataclass(frozen=True)
class TestReport:
    """Test ids (`classname::name`), each in one of three, sorted."""

    __test__ = False

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]


def read(path: Path) -> TestReport | None:
    """The report in a regular file, or None when there is no such file.

    Raises ValueError, saying why, when there is one that cannot be used.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ValueError(f"it cannot be opened as a file ({error.strerror})") from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ValueError("it is not a regular file")
        with os.fdopen(file, "rb", closefd=False) as stream:
            content = stream.read(BYTES_MAX + 1)
    finally:
        os.close(file)
    return parse(content)


def parse(content: bytes) -> TestReport:
    """Raises ValueError, saying why, when this is not a JUnit report that can be used."""
    if len(content) > BYTES_MAX:
        raise ValueError(f"it has more than {BYTES_MAX:,} bytes")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"it is not XML ({error})") from error
    return reader.report()


class _Reader:
    def __init__(self) -> None:
        self._outcomes: dict[str, str] = {}
        self._test: str | None = None
        self._outcome = "passed"
        self._suites = 0

    def refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type, which a test report never needs")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in ("testsuite", "testsuites"):
            self._suites += 1
        elif tag == "testcase":
            self._test = _test_id(attributes.get("classname", ""), attributes.get("name", ""))
            self._outcome = "passed"
        elif self._test is not None and self._outcome != "failed":
            self._outcome = _OUTCOMES.get(tag, self._outcome)

    def end(self, tag: str) -> None:
        if tag != "testcase" or self._test is None:
            return
        known = self._outcomes.get(self._test, self._outcome)
        self._outcomes[self._test] = max(known, self._outcome, key=_GRAVITY.__getitem__)
        self._test = None
        if len(self._outcomes) > TESTS_MAX:
            raise ValueError(f"it names more than {TESTS_MAX:,} tests")

    def report(self) -> TestReport:
        if not self._suites:
            raise ValueError("it holds no test suite")
        by_outcome: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
        for test, outcome in sorted(self._outcomes.items()):
            by_outcome[outcome].append(test)
        return TestReport(**{outcome: tuple(tests) for outcome, tests in by_outcome.items()})


def _test_id(classname: str, name: str) -> str:
    whole = f"{classname}::{name}"
    if len(whole) <= ID_CHARACTERS_MAX:
        return whole
    return f"{whole[: ID_CHARACTERS_MAX - 13]}…{digest(whole)[:12]}"
