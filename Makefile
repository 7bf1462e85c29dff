# Everything here runs in .venv, which `setup` makes from the hashed lock file.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help setup check test test-long tasks replay record bench demo up lock clean

help: ## Say what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## Make the environment; does nothing when it is up to date.

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "WorkTrain needs Python 3.11 or newer; name one with make PYTHON=/path/to/python3 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

check: setup ## Format, lint, types, import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup ## Every test but the long drills, with a real Temporal server; about ten minutes.
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-long: setup ## The long drills too: every kill in every phase.
	WORKTRAIN_LONG=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

tasks: setup ## Real small tasks, end to end to their merge; prints what each took.
	$(BIN)/python -m tests.tasks

replay: setup ## Replay every recorded history under three hash seeds.
	WORKTRAIN_LONG=1 $(BIN)/python -m pytest tests/replay

record: setup ## Record histories for what has none yet; a recorded one is never changed.
	$(BIN)/python -m tests.replay.record

bench: setup ## What an advance, a turn and a delivery cost, each against something to compare with.
	$(BIN)/python -m bench.engine
	$(BIN)/python -m bench.turns
	$(BIN)/python -m bench.delivery

demo: setup ## From nothing to a merged change: a sample repository, a scripted model, no key.
	$(BIN)/worktrain demo --dir .demo

up: setup ## Server and worker in the background; `worktrain down` ends them.
	$(BIN)/worktrain up

lock: ## Write requirements.lock anew (needs uv); names no registry.
	uv pip compile pyproject.toml --group dev --extra postgres --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --quiet --upgrade --output-file requirements.lock

clean: ## Remove what the targets above made.
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache
