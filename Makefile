# Two commands on a fresh machine: make run, make test. Each makes .venv once, from pyproject.toml, with what it needs.

# The first Python from 3.11 on.
PYTHON ?= $(firstword $(foreach one,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(one) >/dev/null 2>&1 && $(one) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(one))) none)
VENV := .venv/made
RUNS := .venv/runs
BIN := .venv/bin
JOBS ?= 2

.PHONY: run test test-all ci check bench torture simulate attacks clean

run: $(RUNS)
	$(BIN)/greenroom serve $(ARGS)

# The everyday tests; with CI=1 all of them, the slow ones and the browser's too.
test: $(VENV)
ifeq ($(CI),1)
	@CI=1 $(BIN)/pytest -q -n $(JOBS) -m "not browser" $(ARGS)
	@CI=1 $(BIN)/pytest -q -m browser $(ARGS)
else
	@$(BIN)/pytest -q -n $(JOBS) -m "not ci" $(ARGS)
endif

test-all ci: check
	$(MAKE) test CI=1

check: $(VENV)
	$(BIN)/ruff check .
	$(BIN)/mypy

# Ratios and work per CPU-second, one table; ARGS="--only NAME" for one of them, ARGS=--quick to see that all work.
bench: $(VENV)
	$(BIN)/python -m greenroom.tests.bench.run $(ARGS)

# A node under load, killed again and again, and all of its promises judged; ARGS="--seed N" for the same kills again.
KILLS ?= 25
torture: $(VENV)
	$(BIN)/python -m greenroom.tests.torture.run --kills $(KILLS) $(ARGS)

# The whole node in virtual time, a seed a run: SEEDS=N of them, or SEED=K alone; ARGS="--trace FILE", ARGS="--bug NAME".
simulate: $(VENV)
	$(BIN)/python -m greenroom.tests.simulation.run $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),300)) $(ARGS)

# Every attack that the tables of routes and requests allow, and those on the memory, beside honest clients; a table says
# what each costs. CI makes a sample: ATTACK_SEED=K makes the same one again.
attacks: $(VENV)
	@ATTACKS=all $(BIN)/pytest -q -s tests/node/test_attack_corpus.py $(ARGS)

# The folder is the package `greenroom`. The editable install says so to Python, the link in .venv/types to mypy.
.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "greenroom needs Python 3.11 or newer: apt install python3.11, or make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: apt install python3-venv" >&2; exit 1; }
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

# Only what a node needs.
$(RUNS): pyproject.toml .venv/bin/python
	@echo "installing greenroom and its libraries into .venv (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

# And what the tests need.
$(VENV): pyproject.toml $(RUNS)
	@echo "installing what the tests need into .venv (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@mkdir -p .venv/types
	@ln -sfn ../.. .venv/types/greenroom
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .services
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
