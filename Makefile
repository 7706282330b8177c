# Everything a newcomer needs: `make` lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
export VENV
BIN := $(VENV)/bin

# What `make demo` shows: local, amqp or stomp.
PROVIDER ?= local

# More arguments for pytest: make test ARGS="-k order -x".
ARGS ?=

# The interpreter the virtual environment is made from; empty takes the first of 3.11, 3.12, 3.13, 3.10 that works.
PYTHON ?=
export PYTHON

SETUP = @tools/setup
# One worker per processor, and none for a single file; -n 0 in ARGS runs all in one process.
PYTEST = $(BIN)/python -m pytest -n auto
BROKER = $(BIN)/python -m aspyx_event.testing.broker_cli
COMPOSE = docker/docker-compose.yml
SOURCES = src tests examples benchmarks tools noxfile.py

.PHONY: help
help: ## Show this table
	@echo "make <target>, for example: make demo, make test, make demo PROVIDER=amqp, make test ARGS='-k retry -x'"
	@echo
	@sed -n -E 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  %-12s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: ## Run the example application; PROVIDER=local (default), amqp or stomp
	$(SETUP) package
ifeq ($(PROVIDER),local)
	@PROVIDER=local $(BIN)/python examples/order_story/main.py
else
	@PROVIDER=$(PROVIDER) $(BROKER) run -- $(BIN)/python examples/order_story/main.py
endif

.PHONY: test
test: ## Run all tests, those with a real Artemis broker included
	$(SETUP) test
	@$(PYTEST) $(ARGS)

.PHONY: test-fast
test-fast: ## Run the tests that need no broker
	$(SETUP) test
	@$(PYTEST) -m "not broker" $(ARGS)

.PHONY: coverage
coverage: ## Run all tests, measure the coverage of src, and fail if it is lower than pyproject.toml demands
	$(SETUP) test
	@$(PYTEST) --cov --cov-report= --cov-fail-under=0 $(ARGS)
	@$(BIN)/coverage report

.PHONY: faults
faults: ## Run the long set of fault tests, forty minutes, and print what was lost and how long recovery took
	$(SETUP) test
	@FAULTS=long $(BIN)/python -m pytest -m faults_long $(ARGS)

.PHONY: lint
lint: ## Check format, style, spelling and types
	$(SETUP) test lint
	$(BIN)/ruff format --check $(wildcard $(SOURCES))
	$(BIN)/ruff check $(wildcard $(SOURCES))
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(PYTEST) tests/docs/test_typed_samples.py

.PHONY: format
format: ## Bring the code into the project's format
	$(SETUP) lint
	$(BIN)/ruff format $(wildcard $(SOURCES))
	$(BIN)/ruff check --fix $(wildcard $(SOURCES))

.PHONY: docs
docs: export NO_MKDOCS_2_WARNING = 1
docs: ## Build the documentation into site/
	$(SETUP) docs
	$(BIN)/mkdocs build --strict

.PHONY: bench
bench: ## Measure beside raw clients, FastStream, kombu and others: table, verdicts, plots; about ten minutes
	$(SETUP) package bench
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-growth
bench-growth: ## Measure how the cost grows: listeners, types, sizes, processes, a million events; about fifteen minutes
	$(SETUP) package bench
	@$(BIN)/python -m benchmarks --growth $(ARGS)

.PHONY: bench-quick
bench-quick: ## Guard against regressions of speed by ratios with generous bounds, under a minute
	$(SETUP) package
	@$(BIN)/python -m benchmarks --quick $(ARGS)

.PHONY: nox
nox: ## Run tests, lint and docs on every Python from 3.10 that this machine has
	$(SETUP) nox
	@$(BIN)/nox $(ARGS)

.PHONY: broker-up
broker-up: ## Start an Artemis broker at 127.0.0.1:61616 that stays (Docker, or Java and Maven)
	$(SETUP) package
	@$(BROKER) up --compose $(COMPOSE)

.PHONY: broker-down
broker-down: ## Stop it; its data is kept
	$(SETUP) package
	@$(BROKER) down --compose $(COMPOSE)

.PHONY: clean
clean: ## Remove the environment and everything built; the downloaded broker stays in ~/.cache/aspyx_event
	@rm -rf .venv .nox .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis site dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
