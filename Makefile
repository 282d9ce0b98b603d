# PYTHON selects another interpreter: `make setup PYTHON=python3.13`. ARGS is passed to `mm` or pytest: `make test ARGS=-x`.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
DIST := dist
STAMP := .venv/installed
DOCS := .venv-docs
UV := $(shell uv --version 2>/dev/null)
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras

# The tests start many processes. Without cached bytecode, each of them would compile the code again.
unexport PYTHONDONTWRITEBYTECODE

# Disable the plugins that a quick run does not need: each takes a fraction of a second to load.
QUICK := --quick --durations 5 --durations-min 1 $(addprefix -p no:,schemathesis randomly cov rerunfailures)

.PHONY: help setup console demo run quick test test-outside check fix fuzz proof bench docs openapi migration sbom lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Create .venv from the lock file, with uv if it is installed, otherwise with pip

console: $(STAMP) ## Build the console if its sources changed, with Node from the system or PyPI
	@$(BIN)/python frontend/build.py

demo: console ## Serve a demo plant with realistic data on this machine, until Ctrl-C
	$(BIN)/mm demo $(ARGS)

run: console ## Serve the configured database
	$(BIN)/mm serve $(ARGS)

quick: $(STAMP) ## Run the quick tests, on SQLite only; for one file: ARGS=tests/query/test_filters.py
	$(BIN)/python -m pytest $(QUICK) $(if $(findstring tests/,$(ARGS)),,-n 2 --dist worksteal) $(ARGS)

test: console ## Run all tests on SQLite and PostgreSQL, with coverage
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov -m 'not outside' $(ARGS)

test-outside: $(STAMP) ## Run the tests that need external programs, such as Caddy; .ci/run installs them
	$(BIN)/python -m pytest -m outside $(ARGS)

check: $(STAMP) ## Check lint rules, formatting, types and import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/ty check
	$(BIN)/lint-imports

fix: $(STAMP) ## Fix what ruff can fix, and format the code
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format

fuzz: $(STAMP) ## Fuzz the API with schemathesis, as a user of every role
	$(BIN)/python -m pytest tests/reliability/inputs/test_schemathesis.py --long $(ARGS)

proof: $(STAMP) ## Run the fault and attack tests at full length (half an hour) and print a table of results
	$(BIN)/python -m pytest -n 2 --dist worksteal -m proof --long $(ARGS)

bench: $(STAMP) ## Benchmark against a naive app, a theoretical limit and other frameworks; ROWS=1000000 for the published run
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DOCS)/installed ## Make the site of the documentation in .site/site; it needs no other host
	$(DOCS)/bin/python docs/build.py

openapi: $(STAMP) ## Write docs/openapi.json and the tables of docs/reference, which tests hold fresh
	$(BIN)/mm openapi > docs/openapi.json
	$(BIN)/python docs/tables.py

migration: $(STAMP) ## Generate a migration from the changed models: make migration NAME=add_location
	@$(BIN)/python -m machine_monitor.database.schema.autogenerate $(NAME)

sbom: $(STAMP) ## Write the software bills of materials (CycloneDX) of the locked packages, in dist/
	@mkdir -p $(DIST)
	@$(BIN)/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml \
		--mc-type application --output-reproducible --output-file $(DIST)/machine-monitor.cdx.json
	@cd frontend && npm sbom --sbom-format cyclonedx --sbom-type application --package-lock-only \
		> $(abspath $(DIST))/console.cdx.json

lock: ## Update the lock files from pyproject.toml with uv; ARGS=--upgrade selects the newest versions
	$(COMPILE) pyproject.toml $(ARGS) --output-file requirements-dev.lock --group dev --all-extras
	$(COMPILE) pyproject.toml $(ARGS) --output-file requirements.lock --extra tracing --constraint requirements-dev.lock
	$(COMPILE) frontend/node.in $(ARGS) --output-file frontend/node.lock
	$(COMPILE) --group docs $(ARGS) --output-file docs/requirements.lock

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Requires Python 3.11 or newer: make setup PYTHON=/path/to/python3.11'; exit 1; }
ifneq ($(UV),)
	uv venv --quiet --allow-existing --python $(PYTHON) .venv
	uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
else
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endif
	@touch $@

$(DOCS)/installed: docs/requirements.lock
ifneq ($(UV),)
	uv venv --quiet --allow-existing --python $(PYTHON) $(DOCS)
	uv pip sync --quiet --python $(DOCS)/bin/python --require-hashes docs/requirements.lock
else
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --require-hashes --requirement docs/requirements.lock
endif
	@touch $@
