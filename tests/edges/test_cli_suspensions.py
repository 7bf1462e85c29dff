"""`worktrain suspensions` and `lift`: what holds merges back is listed, cleared for a reason."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from worktrain.adapters.stores.sql import SqlStore
from worktrain.cli.main import cli
from worktrain.contracts.delivery import Suspension
from worktrain.settings import load

ONE = Suspension(
    id="suspension/shop-1a2b/fix-the-login-3c4d",
    repo="/srv/shop",
    paths=("src/login", "docs"),
    why="The check tests turned red on main.",
    since_s=1_700_000_000,
)
TWO = ONE.model_copy(
    update={"id": "suspension/shop-1a2b/tidy-up-5e6f", "paths": (".",), "since_s": 1_700_000_100}
)

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Calls the command line with a home of its own; no server runs."""
    for name in [n for n in os.environ if n.startswith(("TEMPORAL_", "WORKTRAIN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = Olive Owner\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


def suspend(*these: Suspension) -> None:
    async def put() -> None:
        store = await SqlStore.open(load(os.environ).store_url)
        for one in these:
            await store.suspend(one)
        await store.close()

    load(os.environ).open_home()
    asyncio.run(put())


def standing(run: Run) -> list[str]:
    listed = run("suspensions", "--json")
    assert listed.exit_code == 0, listed.output
    return [one["id"] for one in json.loads(listed.stdout)]


def test_where_nothing_is_suspended_that_is_said(run: Run) -> None:
    listed = run("suspensions")
    assert listed.exit_code == 0, listed.output
    assert listed.stdout == "nothing is suspended\n"
    assert standing(run) == []


def test_suspensions_are_listed_with_paths_and_reason_the_oldest_first(run: Run) -> None:
    suspend(TWO, ONE)
    shown = run("suspensions").stdout
    for said in (ONE.id, "/srv/shop", "src/login, docs", ONE.why, "worktrain lift ID"):
        assert said in shown
    assert shown.index(ONE.id) < shown.index(TWO.id)
    assert standing(run) == [ONE.id, TWO.id]


def test_a_suspension_is_lifted_by_a_part_of_its_id_and_only_once(run: Run) -> None:
    suspend(ONE, TWO)
    lifted = run("lift", "fix-the-login", "--reason", "Mended by\n hand.", "--json")
    assert lifted.exit_code == 0, lifted.output
    assert json.loads(lifted.stdout) == {
        "id": ONE.id,
        "lifted": True,
        "paths": ["src/login", "docs"],
    }
    assert standing(run) == [TWO.id]
    again = run("lift", ONE.id, "--reason", "Mended.")
    assert again.exit_code == 2
    assert "there is no suspension" in again.stderr
    assert (
        "lifted; merges into . follow the rules"
        in run("lift", TWO.id, "--reason", "Mended.").stdout
    )
    assert standing(run) == []


def test_a_part_that_could_mean_several_lifts_none(run: Run) -> None:
    suspend(ONE, TWO)
    refused = run("lift", "shop", "--reason", "Mended.")
    assert refused.exit_code == 2
    assert f"could be any of: {ONE.id}, {TWO.id}" in refused.stderr
    assert standing(run) == [ONE.id, TWO.id]


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 501])
def test_nothing_is_lifted_without_a_reason(run: Run, reason: str) -> None:
    suspend(ONE)
    refused = run("lift", ONE.id, "--reason", reason)
    assert refused.exit_code == 2
    assert "needs a sentence of 1 to 500 characters" in refused.stderr
    assert run("lift", ONE.id).exit_code == 2
    assert standing(run) == [ONE.id]
