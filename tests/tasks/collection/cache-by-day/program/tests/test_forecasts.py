from forecasts import Forecasts

WARMER_EVERY_DAY = {("Ulm", 0): 11, ("Ulm", 1): 14, ("Bonn", 0): 12}


def test_each_town_has_its_own_forecast() -> None:
    forecasts = Forecasts(lambda town, day: WARMER_EVERY_DAY[town, day])
    assert (forecasts.degrees("Ulm", 0), forecasts.degrees("Bonn", 0)) == (11, 12)


def test_what_is_known_is_not_fetched_again() -> None:
    asked: list[tuple[str, int]] = []

    def fetch(town: str, day: int) -> int:
        asked.append((town, day))
        return 10

    forecasts = Forecasts(fetch)
    assert [forecasts.degrees("Ulm", 0) for _ in range(3)] == [10, 10, 10]
    assert asked == [("Ulm", 0)]


def test_each_day_has_its_own_forecast() -> None:
    forecasts = Forecasts(lambda town, day: WARMER_EVERY_DAY[town, day])
    assert (forecasts.degrees("Ulm", 0), forecasts.degrees("Ulm", 1)) == (11, 14)
