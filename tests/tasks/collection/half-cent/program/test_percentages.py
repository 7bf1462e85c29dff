import unittest

from percentages import share_of


class SharesOfAnAmount(unittest.TestCase):
    def test_whole_cents_stay_as_they_are(self) -> None:
        assert share_of(1_000, 19) == 190

    def test_less_than_half_a_cent_is_dropped(self) -> None:
        assert share_of(249, 1) == 2

    def test_half_a_cent_goes_up(self) -> None:
        assert [share_of(cents, 1) for cents in (250, 350, 450)] == [3, 4, 5]


if __name__ == "__main__":
    unittest.main()
