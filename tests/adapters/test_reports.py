"""What common runners print, read as a report: real outputs, noise in them, and none at all."""

import time
from pathlib import Path

import pytest

from worktrain.adapters import reports
from worktrain.adapters.reports import TestReport, console
from worktrain.adapters.reports.report import TESTS_MAX

PYTEST_QUIET = """\
.F.
=========================== short test summary info ============================
FAILED tests/test_s.py::T::test_d[a - b] - AssertionError: None
ERROR tests/test_s.py::test_four - ValueError
1 failed, 3 passed, 2 skipped, 1 xfailed, 1 error in 0.46s
"""
PYTEST_VERBOSE = """\
tests/test_s.py::test_one \x1b[32mPASSED\x1b[0m\x1b[32m      [ 10%]\x1b[0m
tests/test_s.py::test_two FAILED                              [ 20%]
tests/test_s.py::test_three SKIPPED (later)                   [ 30%]
tests/test_s.py::test_five XFAIL                              [ 60%]
----------------------------- Captured stdout call -----------------------------
FAILED to reach the printer
ERROR    root:test_s.py:1 not a test
=========================== short test summary info ============================
FAILED tests/test_s.py::test_two - assert 0
=============== 1 failed, 1 passed, 1 skipped, 1 xfailed in 0.43s ===============
"""
UNITTEST_VERBOSE = """\
test_a (test_s.T.test_a) ... WARNING: a line of its own
another one
ok
test_b (test_s.T)
A docstring. ... ok
test_c (test_s.T.test_c) ... skipped 'why'
test_d (test_s.T.test_d) ... FAIL
test_e (test_s.T.test_e) ... ERROR
test_f (test_s.T.test_f) ... expected failure

======================================================================
ERROR: test_e (test_s.T.test_e)
----------------------------------------------------------------------
Ran 6 tests in 0.001s

FAILED (failures=1, errors=1, skipped=1, expected failures=1)
"""
UNITTEST_QUIET = """\
.EF.
======================================================================
FAIL: test_d (test_s.T.test_d)
----------------------------------------------------------------------
Ran 4 tests in 0.001s

FAILED (failures=1, errors=1)
"""
CARGO = """\
     Running unittests src/lib.rs (target/debug/deps/x-b885370c02d1f6ea)
running 4 tests
test tests::a ... ok
test tests::c ... ignored, too slow
test tests::d - should panic ... ok
test tests::b ... FAILED
test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.15s
   Doc-tests x
test src/lib.rs - f (line 1) ... ok
test src/lib.rs - f (line 9) ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.08s
"""
GO = """\
go: downloading something
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL: TestB\\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"fail","Package":"p","Test":"TestA/sub"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"run","Package":"p","Test":"TestDied"}
{"Action":"fail","Package":"p"}
{"Action":"fail","Package":"does/not/build"}
{"Action":"pass","Package":"fine"}
{"broken
"""
TAP = """\
TAP version 13
# Subtest: top
ok 1 - top
# Subtest: group
    # Subtest: inner
    ok 1 - inner
      ---
      duration_ms: 0.5
      ...
    # Subtest: inner bad
    not ok 2 - inner bad
    1..2
not ok 2 - group
ok 3 - not now # SKIP no network
not ok 4 - one day # TODO write it
ok
1..6
"""


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (
            PYTEST_QUIET,
            TestReport(
                (),
                ("tests/test_s.py::T::test_d[a - b]", "tests/test_s.py::test_four"),
                (),
                ("tests/test_s.py::test_four",),
                passed_unnamed=3,
                skipped_unnamed=3,
            ),
        ),
        (
            PYTEST_VERBOSE,
            TestReport(
                ("tests/test_s.py::test_one",),
                ("tests/test_s.py::test_two",),
                ("tests/test_s.py::test_five", "tests/test_s.py::test_three"),
            ),
        ),
        ("== no tests ran in 0.01s ==", TestReport((), (), ())),
        ("12 passed in 61.02s (0:01:01)", TestReport((), (), (), passed_unnamed=12)),
        (
            UNITTEST_VERBOSE,
            TestReport(
                ("test_s.T::test_a", "test_s.T::test_b"),
                ("test_s.T::test_d", "test_s.T::test_e"),
                ("test_s.T::test_c", "test_s.T::test_f"),
                ("test_s.T::test_e",),
            ),
        ),
        (
            UNITTEST_QUIET,
            TestReport((), ("test_s.T::test_d",), (), passed_unnamed=2, failed_unnamed=1),
        ),
        ("Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", TestReport((), (), ())),
        (
            CARGO,
            TestReport(
                ("src/lib.rs - f", "tests::a", "tests::d"),
                ("tests::b",),
                ("tests::c",),
                passed_unnamed=1,
            ),
        ),
        (
            GO,
            TestReport(
                ("p::TestA",),
                ("does/not/build", "p::TestA/sub", "p::TestDied"),
                ("p::TestC",),
                ("does/not/build", "p::TestDied"),
            ),
        ),
        (
            TAP,
            TestReport(
                ("group > inner", "test 5", "top"),
                ("group", "group > inner bad", "test 6 of the plan"),
                ("not now", "one day"),
                ("test 6 of the plan",),
            ),
        ),
        ("1..0 # skipped", TestReport((), (), ())),
        (
            "1..2\nok 1 - a\nBail out! no database\n",
            TestReport(
                ("a",),
                ("test 2 of the plan", "the run, which bailed out"),
                (),
                ("test 2 of the plan", "the run, which bailed out"),
            ),
        ),
    ],
)
def test_a_runner_is_known_by_what_it_prints(output: str, wanted: TestReport) -> None:
    assert console.parse(output) == wanted
    assert console.parse(output.replace("\n", "\r\n")) == wanted


@pytest.mark.parametrize(
    "output",
    [
        "",
        "All checks passed!\n",
        "FAILED tests/test_a.py::test_b - it only looks like one\n",
        "ok 1 - without a plan\n",
        "1..5 of something else\n",
        '{"Action": 5}\n{"a": {"b": 1}}\n',
        "test tests::a ... ok\n",
        "Ran 4 tests\n",
    ],
)
def test_what_no_runner_prints_is_no_report(output: str) -> None:
    assert console.parse(output) is None


def test_a_hostile_output_is_read_in_little_time() -> None:
    began = time.monotonic()
    for piece in ("::", "ok ", "1..9\n", "test ", "\x1b[", "a::b ", "1 passed, ", '{"', "a (b)\n"):
        console.parse(piece * (2_000_000 // len(piece)))
        console.parse((piece * 900)[:1900].replace("\n", "") + "\n" + "1 passed in 1s\n")
    assert time.monotonic() - began < 8


def test_more_tests_than_any_project_has_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 200,000 tests"):
        console.parse(f"{TESTS_MAX + 1} passed in 1s\n")


def test_a_junit_report_comes_before_the_output_and_must_be_usable(tmp_path: Path) -> None:
    report = tmp_path / "r.xml"
    assert reports.read(report, "3 passed in 1s") == TestReport((), (), (), passed_unnamed=3)
    assert reports.read(None, "") is None
    report.write_text('<testsuite><testcase classname="c" name="n"/></testsuite>')
    assert reports.read(report, "3 passed in 1s") == TestReport(("c::n",), (), ())
    report.write_text("<testsuite>")
    with pytest.raises(ValueError, match="not XML"):
        reports.read(report, "3 passed in 1s")
