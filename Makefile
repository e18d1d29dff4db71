# make run    the whole workflow with config.yaml; the report lands in results/report/index.html
# make test   the tests
# make extras what only some archives need: PDF pages, signed derivatives, ONNX
# Each first makes .venv from the exact pins in envs/ when it is missing or the pins changed.
# More for Snakemake: make run ARGS='colorize --config archive=/scans'

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test extras lint format bench clean pins

VENV ?= .venv
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
ARGS ?=

# Stamps carry the digest of the pins: other pins, another stamp, a new environment.
RUN_DIGEST := $(shell cat envs/requirements.txt | sha256sum | cut -c1-16)
DEV_DIGEST := $(shell cat envs/requirements.txt envs/requirements-extras.txt envs/requirements-dev.txt | sha256sum | cut -c1-16)
RUN_STAMP := $(VENV)/pins-$(RUN_DIGEST)
DEV_STAMP := $(VENV)/pins-dev-$(DEV_DIGEST)
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
PIP := "$(BIN)/python" -m pip install --disable-pip-version-check

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(RUN_STAMP):
	@test -n "$(PYTHON)" || { echo 'photochrom: Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'photochrom: installing the pinned packages into $(VENV) (about 6 GB, some minutes, once)'
	@rm -rf "$(VENV)"
	@$(PYTHON) -m venv "$(VENV)"
	@$(PIP) -r envs/requirements.txt
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@$(PIP) --quiet -r envs/requirements-dev.txt
	@touch $@

run: $(RUN_STAMP)
	@python workflow/rules/alive.py
	@snakemake --cores all $(ARGS)

test: $(DEV_STAMP)
	@python -m pytest tests $(ARGS)

extras: $(RUN_STAMP)
	@$(PIP) -r envs/requirements-extras.txt

lint: $(DEV_STAMP)
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/rules
	mypy

format: $(DEV_STAMP)
	ruff check --fix --quiet .
	ruff format --quiet .
	snakefmt Snakefile workflow/rules

bench: $(DEV_STAMP)
	@for script in benchmarks/bench_*.py; do echo "== $$script"; python "$$script"; done

# Everything made here: results, the environment, caches. Never your photographs.
clean:
	rm -rf results/* results/.cache results/.running .snakemake .venv .mypy_cache .ruff_cache .pytest_cache

# The newest versions that fit requirements.in, in an environment of their own, written as pins.
pins:
	rm -rf .venv-pins && $(PYTHON) -m venv .venv-pins
	.venv-pins/bin/python -m pip install -q -r envs/requirements.in
	{ sed -n '/^#/p' envs/requirements.txt; .venv-pins/bin/python -m pip freeze --all --exclude pip; } > envs/pins.tmp
	mv envs/pins.tmp envs/requirements.txt
	{ sed '/==/d' envs/photochrom.yaml; sed -n '/==/s/^/      - /p' envs/requirements.txt; } > envs/pins.tmp
	mv envs/pins.tmp envs/photochrom.yaml
	rm -rf .venv-pins
