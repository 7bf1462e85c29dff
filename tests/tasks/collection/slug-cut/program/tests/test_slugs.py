from slugs import slug_of


def test_words_are_joined_by_dashes() -> None:
    assert slug_of("  Spring, at last! ") == "spring-at-last"


def test_a_long_title_is_cut() -> None:
    assert slug_of("abcdefgh", length_max=5) == "abcde"


def test_a_cut_leaves_no_dash_at_the_end() -> None:
    title = "Notes on the twenty-second annual meeting of gardeners"
    assert slug_of(title) == "notes-on-the-twenty-second-annual"
