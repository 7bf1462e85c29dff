from lengths.converting import converted


def test_kilometres_are_a_thousand_metres() -> None:
    assert converted("2.5 km", "m") == 2500
