"""Test reports: the shapes that tools write, and the ones that an attacker does."""

import os
import time
from pathlib import Path

import pytest

from worktrain.adapters.reports import TestReport, junit
from worktrain.adapters.reports.report import ID_CHARACTERS_MAX, TESTS_MAX


def suite(*cases: str) -> bytes:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()


def test_tests_are_sorted_by_outcome() -> None:
    report = junit.parse(
        suite(
            '<testcase classname="t.m" name="b"/>',
            '<testcase classname="t.m" name="a[x-1]"><system-out>hi</system-out></testcase>',
            '<testcase classname="t.m" name="f"><failure message="x">trace</failure></testcase>',
            '<testcase classname="t.m" name="e"><error/></testcase>',
            '<testcase classname="t.m" name="s"><skipped type="pytest.xfail"/></testcase>',
        )
    )
    assert report.passed == ("t.m::a[x-1]", "t.m::b")
    assert report.failed == ("t.m::e", "t.m::f")
    assert report.skipped == ("t.m::s",)
    assert report.errors == ("t.m::e",)


def test_a_test_that_failed_and_whose_teardown_failed_too_came_to_its_assertion() -> None:
    case = '<testcase classname="c" name="n">{}</testcase>'
    for cases in (["<failure/><error/>"], ["<error/><failure/>"], ["<failure/>", "<error/>"]):
        report = junit.parse(suite(*map(case.format, cases)))
        assert (report.failed, report.errors) == (("c::n",), ())


def test_a_test_that_is_reported_twice_has_its_gravest_outcome() -> None:
    case = '<testcase classname="c" name="n">{}</testcase>'
    for first, second in (("", "<error/>"), ("<error/>", ""), ("<failure/><skipped/>", "")):
        report = junit.parse(suite(case.format(first), case.format(second)))
        assert (report.passed, report.failed) == ((), ("c::n",))


def test_a_suite_without_tests_is_a_report() -> None:
    assert junit.parse(suite()) == TestReport((), (), ())


def test_entities_are_refused_before_they_are_expanded() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "lol">{levels}]><testsuite name="&e11;"/>'
    began = time.monotonic()
    with pytest.raises(ValueError, match="document type"):
        junit.parse(bomb.encode())
    assert time.monotonic() - began < 1


def test_a_file_named_by_an_entity_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    xml = (
        f'<!DOCTYPE x [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]>'
        '<testsuite><testcase classname="c" name="n">&s;</testcase></testsuite>'
    )
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(ValueError, match="document type"):
            junit.parse(xml.encode(encoding))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not XML"),
        (b"not xml", "not XML"),
        (b"<testsuite>", "not XML"),
        (b"<testsuite/><testsuite/>", "not XML"),
        (b'<?xml version="1.0" encoding="no-such"?><testsuite/>', "not XML"),
        (b"<html/>", "no test suite"),
        (b"<testsuite>" + b" " * junit.BYTES_MAX + b"</testsuite>", "more than"),
        (b"<testsuite>&lol;</testsuite>", "not XML"),
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        junit.parse(content)


def test_a_million_nested_elements_are_read_without_a_tree() -> None:
    depth = 1_000_000
    content = b"<testsuite>" + b"<a>" * depth + b"</a>" * depth + b"</testsuite>"
    assert junit.parse(content) == TestReport((), (), ())


def test_more_tests_than_any_project_has_are_refused() -> None:
    cases = (f'<testcase name="{number}"/>' for number in range(TESTS_MAX + 1))
    with pytest.raises(ValueError, match="more than 200,000 tests"):
        junit.parse(suite(*cases))


def test_long_names_are_shortened_and_stay_apart() -> None:
    names = ["x" * 5000 + end for end in ("1", "2")]
    report = junit.parse(suite(*(f'<testcase classname="c" name="{n}"/>' for n in names)))
    assert len(report.passed) == 2
    assert {len(test) for test in report.passed} == {ID_CHARACTERS_MAX}


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    report = tmp_path / "r.xml"
    assert junit.read(report) is None
    report.write_bytes(suite())
    assert junit.read(report) == TestReport((), (), ())
    (tmp_path / "link.xml").symlink_to(report)
    os.mkfifo(tmp_path / "fifo.xml")
    for name in ("link.xml", "fifo.xml", "."):
        with pytest.raises(ValueError, match="file"):
            junit.read(tmp_path / name)
