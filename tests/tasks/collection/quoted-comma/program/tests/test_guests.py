from guests import export, guests_of


def test_a_plain_list_is_read() -> None:
    assert guests_of(["name,table\n", "Ada,1\n", "Alan,2\n"]) == {"Ada": 1, "Alan": 2}


def test_a_list_is_exported_by_name() -> None:
    assert export({"Grace": 2, "Ada": 1}) == "name,table\nAda,1\nGrace,2\n"
