from folders import Folder, depth, names

HOME = Folder("home", (Folder("ada", (Folder("notes"), Folder("bin"))), Folder("guest")))


def test_names_go_from_the_outside_to_the_inside() -> None:
    assert names(HOME) == ["home", "ada", "notes", "bin", "guest"]


def test_a_single_folder_has_the_depth_1() -> None:
    assert depth(Folder("alone")) == 1


def test_the_deepest_branch_counts() -> None:
    assert depth(HOME) == 3
