PYTHON ?= python3
BIN := .venv/bin

# Without its byte code every process compiles the project anew, for a second.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test test-fast lint format lock bench soak clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

.venv/.installed: requirements.txt requirements-bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say which: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.txt requirements-bootstrap.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/.installed ## Install everything into .venv

demo: setup ## The main job, end to end, against a simulated OpenAI
	$(BIN)/finops demo

ui: setup ## The Dagster UI on 127.0.0.1:3000
	$(BIN)/finops ui

test: setup ## Every test, with coverage
	$(BIN)/pytest

test-fast: setup ## The tests that start no processes, in under 90 seconds
	$(BIN)/pytest -m "not slow" --no-cov -q

lint: setup ## Style, types, import rules, SQL, licences
	$(BIN)/pre-commit run --all-files

format: setup ## Mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## Resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header --quiet --output-file requirements.txt
	$(BIN)/uv pip compile requirements-bootstrap.in --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --output-file requirements-bootstrap.txt

bench: setup ## The side-by-side measurements
	$(BIN)/python -m benchmarks

soak: setup ## The long random tests
	$(BIN)/pytest -m "soak" --no-cov -q

clean: ## Remove what was installed and the demonstration's data
	rm -rf .venv demo_data .mypy_cache .pytest_cache .ruff_cache .coverage
