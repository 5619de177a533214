# What people do here: make up, make down, make test. For those who change it: make check, make lock, make oracle.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory --no-builtin-rules
.SILENT:
.DEFAULT_GOAL := help

# The stacks that live in the lab. Where one isn't root, no VM comes alive in it: then the application runs beside it.
lab_stacks := lab lab-docker
STACK ?= $(if $(filter 0,$(shell id -u)),lab,lab-docker)
DATA ?= keep
PYTHON ?= python3

python := .venv/bin/python
# Tests that start simulators or labs of their own; all others share one lab, or look at what the machine has of labs.
beside := tests/conformance tests/esxi tests/stand_ins tests/vic
typed := $(wildcard providers components ops lab bench settings.py __main__.py)
# What was never started needs no taking down.
lab_is_there := $(shell [ -d "$${DRYDOCK_LAB_STATE:-.lab}" ] && echo yes)
# The last command of a recipe replaces its shell, so that our commands are children of make and end with it.
in_the_lab = site=$$($(python) -m lab env) && eval "$$site" && exec

ifneq ($(filter down,$(MAKECMDGOALS)),)
ifeq ($(filter $(DATA),keep delete),)
$(error DATA is '$(DATA)': say DATA=delete to delete the application's data as well, or leave it out to keep it)
endif
endif
ifeq ($(DATA),delete)
data_arguments := --data delete
endif

.PHONY: help setup up down test check style types imports fast go oracle lock

help:
	echo "make up    [STACK=lab]    makes everything, ends with the address of the running application"
	echo "make down  [DATA=delete]  takes it down again; the application's data stay, unless DATA=delete"
	echo "make test                 all tests"
	echo "make check                style, types, imports and the fast tests, for those who change something"
	echo "make oracle               asks docker compose again what tests/compose/corpus means, after a change of it"
	echo "make lock                 pins the Python packages again after a change of pyproject.toml"

setup:
	$(PYTHON) -m ops setup

up: setup
ifneq ($(filter $(lab_stacks),$(STACK)),)
	$(python) -m lab up
	$(in_the_lab) $(python) -m ops up --stack '$(STACK)' --look-hint 'eval "$$($(python) -m lab env)"'
else
	$(python) -m ops up --stack '$(STACK)'
endif

# A lab that is down is started first: what is in it can only be destroyed while it answers.
down: setup
ifeq ($(filter $(lab_stacks),$(STACK)),)
	$(python) -m ops down --stack '$(STACK)' $(data_arguments)
else ifeq ($(lab_is_there),yes)
	$(python) -m lab up
	$(in_the_lab) $(python) -m ops down --stack '$(STACK)' $(data_arguments)
	$(python) -m lab down
else
	echo "There is no lab here: nothing to take down."
endif

test: style types imports go fast
	$(python) -m pytest -m lab --numprocesses 2 --dist loadfile $(beside)
	$(python) -m pytest -m lab $(addprefix --ignore=,$(beside))

check: style types imports fast

style: setup
	.venv/bin/ruff check --quiet .
	.venv/bin/ruff format --check --quiet .

types: setup
	.venv/bin/mypy $(typed)

imports: setup
	.venv/bin/lint-imports --no-logo --no-cache

fast: setup
	$(python) -m pytest -q -m "not lab" --numprocesses auto

# The same flags as in our builds, so that Go's cache serves both.
go: setup
ifneq ($(wildcard lab/vcenter/go.mod),)
	cd lab/vcenter && CGO_ENABLED=0 GOWORK=off GOFLAGS='-buildvcs=false -trimpath' go test ./...
endif

# Its answers are data in the checkout, so that the fast tests need no docker compose.
oracle: setup
	$(python) -m tests.compose.oracle

lock:
	$(PYTHON) -m ops setup --lock
