from mailing import batches


def test_full_batches_come_in_order() -> None:
    assert list(batches("abcd", 2)) == [["a", "b"], ["c", "d"]]


def test_nothing_makes_no_batch() -> None:
    assert list(batches([], 2)) == []


def test_addresses_are_taken_one_batch_at_a_time() -> None:
    addresses = iter("abcdef")
    assert next(batches(addresses, 2)) == ["a", "b"]
    assert next(addresses) == "c"
