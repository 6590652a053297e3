# Everything runs from Python 3.11+, pip and make: the first target that needs it makes .venv from requirements.lock.
# With a folder wheelhouse/ (see `make wheelhouse`) the installation asks no package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Three processes for two cores, as some tests wait; each with its own database, broker and corner of the store.
PYTEST_ARGS ?= -n 3
# What mypy and the import contract read.
TYPED := config registry lineage lifecycle protocols console tests manage.py client/src examples/pipeline

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

PIP_INSTALL = $(BIN)/python -m pip install -qq --progress-bar off $(if $(wildcard wheelhouse/*),--no-index --find-links wheelhouse)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo up test test-browser test-all check lint format types contracts migrations locks lock clean mutate wheelhouse

help: ## list the targets
	@grep -hE '^[a-zA-Z_%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## /\1|/' | awk -F'|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

$(INSTALLED): requirements.lock client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Assay needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.13 ..." >&2; exit 1; }
	@echo "Installing the locked dependencies into $(VENV)$(if $(wildcard wheelhouse/*), from wheelhouse/): a minute or two, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable client
	@touch $@

venv: $(INSTALLED) ## make .venv with the locked dependencies and the client

demo: $(INSTALLED) ## train, publish, gate, approve, promote, trace, roll back, archive: the main job, on real services
	@$(BIN)/python manage.py demo

up: $(INSTALLED) ## run Assay here: Postgres, Valkey, S3, web, workers, beat (Ctrl-C stops all)
	@$(BIN)/python manage.py up

test: $(INSTALLED) ## the test suite, on real services, in three processes (options: PYTEST_ARGS='-n 0 -k promotion')
	@$(BIN)/python -m pytest -m "not browser" $(PYTEST_ARGS)

test-browser: $(INSTALLED) ## the pages, driven in a chromium that is on the PATH
	@$(BIN)/python -m pytest -m browser

test-all: $(INSTALLED) ## both at once: the services are started once
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: lint types contracts migrations locks test-all ## everything that must hold before a change is merged

lint: $(INSTALLED) ## format and lint, changing nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: $(INSTALLED) ## format, and fix what ruff can fix
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

types: $(INSTALLED) ## mypy, strict, with the Django plugin
	@ASSAY_SETTINGS=build $(BIN)/mypy $(TYPED)

contracts: $(INSTALLED) ## the import contracts: which module may know which
	@PYTHONPATH=.:client/src $(BIN)/lint-imports --no-cache

migrations: $(INSTALLED) ## no model has changed without its migration
	@ASSAY_SETTINGS=build $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

locks: $(INSTALLED) ## the lock files are whole: every package hashed, every dependency there, no index address
	@$(BIN)/python -m pytest -c /dev/null --rootdir . --noconftest --import-mode importlib -p no:cacheprovider --quiet --no-header tests/architecture/test_lock_files.py

lock: ## resolve the dependencies anew (needs uv); what is locked stays unless UV_ARGS='--upgrade' or '-P name'
	uv pip compile $(UV_ARGS) --universal --no-strip-extras --generate-hashes --no-emit-index-url --python-version 3.11 --all-extras \
	  --no-emit-package assay-client --custom-compile-command 'make lock' -o requirements.lock pyproject.toml client/pyproject.toml
	uv pip compile --universal --no-strip-extras --generate-hashes --no-emit-index-url --python-version 3.11 --constraint requirements.lock \
	  --no-emit-package assay-client --custom-compile-command 'make lock' -o requirements-server.lock pyproject.toml
	echo 'dvc>=3.67,<4' | uv pip compile $(UV_ARGS) --universal --no-strip-extras --generate-hashes --no-emit-index-url --python-version 3.11 \
	  --custom-compile-command 'make lock' -o requirements-dvc.lock -

wheelhouse: ## fill wheelhouse/ with every wheel this platform needs, to install where there is no package index
	@echo "Downloading the locked wheels for this platform into wheelhouse/."
	@mkdir -p wheelhouse
	@$(PYTHON) -m pip download -qq --progress-bar off --only-binary :all: --require-hashes -r requirements.lock -d wheelhouse
	@echo "wheelhouse/: $$(ls wheelhouse | wc -l) files, $$(du -sh wheelhouse | cut -f1). Copy it beside the checkout's Makefile on the other machine and run make there."

bench-%: $(INSTALLED) ## run one benchmark (tests/benchmarks/NAME.py): one JSON line a figure
	@$(BIN)/python -m tests.benchmarks.$(subst -,_,$*)

campaign-%: $(INSTALLED) ## run one campaign (tests/campaigns/NAME.py): one JSON line a run
	@$(BIN)/python -m tests.campaigns.$(subst -,_,$*)

mutate: $(INSTALLED) ## change the lifecycle a little, many times, and see which tests notice (options: MUTATE='--count 150 --seed 7')
	@$(BIN)/python -m tests.campaigns.mutate $(MUTATE)

clean: ## remove the venv, caches and build output (the data in .assay stays)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis client/dist
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
