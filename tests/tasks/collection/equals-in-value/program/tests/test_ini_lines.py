import pytest
from ini_lines import settings_of


def test_names_and_values_are_read() -> None:
    assert settings_of("a = 1\n\n# remark\nb=two words\n") == {"a": "1", "b": "two words"}


def test_a_line_without_an_equals_sign_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="line 2"):
        settings_of("a = 1\nnonsense")


def test_the_later_line_counts() -> None:
    assert settings_of("a = 1\na = 2") == {"a": "2"}
