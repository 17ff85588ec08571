# Every verb that people and CI use. Only make and Python 3.11+ are needed beforehand; the rest is installed here.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES := vitals schemas connectors metrics models analytics streams sinks api embedded batch

.DEFAULT_GOAL := help
.PHONY: help up down status test test-fast verify bench lint format types page lock clean

help: ## Show the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(BIN)/.runtime page ## Install what is missing and start Vitals (DATA=folder for real data, SPEED=source seconds a second)
	$(BIN)/vitals up $(if $(DATA),--data $(DATA)) $(if $(SPEED),--speed $(SPEED)) $(if $(STATE),--state $(STATE)) $(ARGS)

down: ## Stop it
	$(BIN)/vitals down $(if $(STATE),--state $(STATE))

status: ## Show what runs and what was counted
	$(BIN)/vitals status $(if $(STATE),--state $(STATE))

test: lint types test-fast ## Everything that must hold: lint, types, tests on the real parts, the page in a browser

test-fast: $(BIN)/.dev page ## The tests alone
	cd dashboard && PATH="$$PWD/node_modules/.bin:$$PATH" $(CURDIR)/$(BIN)/python build_page.py --test
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

verify: $(BIN)/.dev page ## The long suite: all ten years, kill tests; writes docs/verification/
	$(BIN)/python -m tests.verify $(ARGS)

bench: $(BIN)/.dev ## Benchmarks: ratios against a floor measured in the same run (BENCH=rollup: the long one)
	@for bench in $(or $(BENCH),$(basename $(notdir $(wildcard benchmarks/[a-z]*.py)))); do \
	  echo "== $$bench"; $(BIN)/python -m benchmarks.$$bench $(ARGS) || exit 1; done

lint: $(BIN)/.dev ## Ruff, and the layering contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(BIN)/.dev ## Strict type checking
	$(BIN)/mypy

format: $(BIN)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

page: $(BIN)/.runtime ## Build the web page if its sources changed
	$(BIN)/python dashboard/build_page.py

lock: $(BIN)/.dev ## Pin the newest versions of every dependency, with hashes
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate pyproject.toml --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate requirements/spark.in -o requirements/spark.txt
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate requirements/flink.in -o requirements/flink.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate benchmarks/rollup/requirements/quix.in -o benchmarks/rollup/requirements/quix.txt

clean: ## Remove what was installed and built (not the state folder)
	rm -rf $(VENV) dashboard/node_modules dashboard/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Vitals needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make up PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian, apt-get install python3-venv."; exit 1; }

$(BIN)/.runtime: requirements/runtime.txt pyproject.toml | $(BIN)/python
	@echo "Installing Vitals and what it needs (the first time takes a minute or two) …"
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e . 2>/dev/null || $(PIP) install --no-deps -e .
	@touch $@

$(BIN)/.dev: requirements/dev.txt $(BIN)/.runtime
	@echo "Installing the tools of development …"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
