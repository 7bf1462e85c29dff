"""Test reports in JUnit XML, as written by code that may wish us ill.

Read as a stream by expat, never as a tree. A document type is refused where it begins, so no
entity is ever declared: neither one that expands to gigabytes nor one that names a file. Size,
number of tests and length of names are bounded, and the file is opened without following links.
"""

import os
import stat
from pathlib import Path
from xml.parsers import expat

from worktrain.adapters.reports.report import TESTS_MAX, TestReport, reported, shortened

BYTES_MAX = 32_000_000

_OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}
_GRAVITY = {"passed": 0, "skipped": 1, "error": 2, "failed": 3}
"""Of what one test case says of itself."""


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
        self._ended: list[tuple[str, str]] = []
        self._test: str | None = None
        self._outcome = "passed"
        self._suites = 0

    def refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type, which a test report never needs")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in ("testsuite", "testsuites"):
            self._suites += 1
        elif tag == "testcase":
            self._test = shortened(
                f"{attributes.get('classname', '')}::{attributes.get('name', '')}"
            )
            self._outcome = "passed"
        elif self._test is not None:
            said = _OUTCOMES.get(tag, "passed")
            self._outcome = max(self._outcome, said, key=_GRAVITY.__getitem__)

    def end(self, tag: str) -> None:
        if tag != "testcase" or self._test is None:
            return
        self._ended.append((self._test, self._outcome))
        self._test = None
        if len(self._ended) > 2 * TESTS_MAX:
            raise ValueError(f"it names more than {TESTS_MAX:,} tests")

    def report(self) -> TestReport:
        if not self._suites:
            raise ValueError("it holds no test suite")
        return reported(self._ended)
