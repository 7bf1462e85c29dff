from phonebook import found

PEOPLE = ["Weiß, Anna", "Weber, Max", "Ångström, Anders"]


def test_capitals_do_not_matter() -> None:
    assert found(PEOPLE, "webe") == found(PEOPLE, "WEBE") == ["Weber, Max"]


def test_who_does_not_match_is_not_found() -> None:
    assert found(PEOPLE, "Bach") == []


def test_a_sharp_s_is_two_in_capitals() -> None:
    assert found(PEOPLE, "WEISS") == ["Weiß, Anna"]
