# Every command sets up what it needs, from pyproject.toml; bench also what benchmarks/peers.txt names.

PYTHON ?= python3
OLDEST_PYTHON ?= python3.11
BIN := .venv/bin
OLDEST := .venv-oldest/bin
# One thread of BLAS each: tests run beside each other.
PYTEST := MPLBACKEND=Agg OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help demo docs docs-check test test-oldest fuzz lint format bench coverage clean

help:  ## Show these lines
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/demo  ## Run the examples, and write their figures to build/demo/
	$(BIN)/python examples/demo.py

docs: .venv/docs  ## Build the site, in build/docs/
	$(BIN)/sphinx-build -n -W --keep-going -j 2 -d build/doctrees docs build/docs

docs-check: docs  ## Look for broken links, missing pictures and script errors in the site (needs Chromium)
	$(BIN)/python docs/check.py

test: .venv/test  ## Run all tests
	$(PYTEST) $(BIN)/python -m pytest -n 2

test-oldest: .venv-oldest/test  ## Run all tests on the oldest supported dependencies
	$(PYTEST) $(OLDEST)/python -m pytest -n 2 sknw tests README.md

fuzz: .venv/test  ## Look for counterexamples to the laws, longer than the tests do
	$(PYTEST) $(BIN)/python -m pytest -n 2 --hypothesis-profile=fuzz tests/test_laws.py

lint: .venv/lint  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/lint  ## Mend the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Whatever fails is to be told, though its output goes through tee.
bench: SHELL := bash -o pipefail
bench: .venv/bench  ## Compare speed and memory with other ways to compute the same; tables in build/bench/
ifdef BENCH
	$(BIN)/python benchmarks/bench.py $(BENCH)
else
	mkdir -p build/bench
	$(BIN)/python benchmarks/bench.py | tee build/bench/speed.md
	$(BIN)/python benchmarks/tasks.py | tee build/bench/searches.md
	$(BIN)/python benchmarks/threads.py | tee build/bench/threads.md
	$(BIN)/python benchmarks/devices.py | tee build/bench/devices.md
endif

coverage: .venv/demo  ## Simulate how often intervals and bands cover what they should
	$(BIN)/python benchmarks/interval_coverage.py
	$(BIN)/python benchmarks/coverage_by_place.py

clean:  ## Remove everything that these commands made
	rm -rf .venv .venv-oldest build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf docs/api docs/gallery docs/tutorial docs/generated docs/_static/*.svg

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sknw needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/demo: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . pandas
	touch $@

.venv/docs .venv/test .venv/lint: .venv/%: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[$*,fast]'
	touch $@

# Each peer alone: one that cannot be installed is a line of the table that says so.
.venv/bench: .venv/python pyproject.toml benchmarks/peers.txt
	$(BIN)/python -m pip install --quiet --editable '.[bench,fast,array-api]'
	while read -r peer; do $(BIN)/python -m pip install --quiet $$peer || echo "left out: $$peer"; done < benchmarks/peers.txt
	touch $@

.venv-oldest/test: pyproject.toml
	$(OLDEST_PYTHON) -m venv .venv-oldest
	$(OLDEST)/python -m pip install --quiet uv
	$(OLDEST)/python -m uv pip install --quiet --resolution lowest-direct --editable '.[test]'
	touch $@
