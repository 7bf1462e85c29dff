import unittest

from parcels import NEXT, after


class TheWayOfAParcel(unittest.TestCase):
    def test_it_is_packed_sent_and_delivered(self) -> None:
        assert after(["pack", "send", "deliver"]) == "delivered"

    def test_what_cannot_happen_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "a parcel that is new cannot deliver"):  # noqa: PT027
            after(["deliver"])

    def test_a_parcel_that_is_brought_back_is_returned(self) -> None:
        assert after(["pack", "send", "bring back"]) == "returned"

    def test_every_state_but_the_first_is_reached(self) -> None:
        assert {state for state, _ in NEXT} - set(NEXT.values()) == {"new"}


if __name__ == "__main__":
    unittest.main()
