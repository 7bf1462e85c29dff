from preferences import DEFAULTS, preferences


def test_what_is_missing_is_filled_in() -> None:
    assert preferences("{}") == DEFAULTS


def test_what_is_set_counts() -> None:
    assert preferences('{"name": "Ada", "volume": 3}')["volume"] == 3


def test_what_nobody_knows_is_not_kept() -> None:
    assert set(preferences('{"colour": "red"}')) == set(DEFAULTS)


def test_false_and_0_are_values() -> None:
    chosen = preferences('{"sound": false, "volume": 0}')
    assert (chosen["sound"], chosen["volume"]) == (False, 0)
