# Only Python 3.11 or newer, make and git are assumed; everything else is set up in .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EVIDENCE := $(BIN)/evidence
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2
PORT ?= 8000
SOURCE ?= pubmed

$(VENV)/.base:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "error: Python 3.11 or newer is needed; name it with make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV) (once; a few minutes on a slow line)" >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

COMPILED := setup.py evidence/pubmed/_shapes.c

$(VENV)/.runtime: requirements.lock pyproject.toml $(COMPILED) | $(VENV)/.base
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'from evidence.pubmed import regular; regular.COMPILED or print("note: no C compiler was found; large files of PubMed take about six times as long to read")' >&2
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "setting up the test tools" >&2
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: help setup update figures tables check test lint wider bench serve lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.runtime ## make the virtual environment and install the locked packages

update: $(VENV)/.runtime ## search, rank, pool and publish every claim (SOURCE=mirror: offline)
	@$(EVIDENCE) update --source $(SOURCE)

figures: $(VENV)/.runtime ## redraw the forest plots from the extracted data
	@$(EVIDENCE) plot

tables: $(VENV)/.runtime ## rewrite the evidence tables (CSV and JSON)
	@$(EVIDENCE) table

check: $(VENV)/.runtime ## check claims and extracted data; every fault with file and line
	@$(EVIDENCE) check

test: $(VENV)/.dev ## run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

lint: $(VENV)/.dev ## formatting, types and the import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

wider: $(VENV)/.dev ## the slow checks, and those that need reference material
	@$(BIN)/python -m pytest -n $(WORKERS) -m "slow or shared"

bench: $(VENV)/.dev ## measure speed side by side with the peers
	@$(BIN)/python -m benchmarks

serve: $(VENV)/.runtime ## look at the built site on this machine (PORT=8000)
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory site $(PORT)

lock: $(VENV)/.base ## resolve the lock files again (for maintainers)
	@$(PIP) uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade --extra build pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --extra build --extra dev pyproject.toml -c requirements.lock -o requirements-dev.lock

clean: ## delete what can be built again (site, caches); keeps var/, the store
	@rm -rf site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
