# Nothing to remember: `make` prints this list.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.latchd-ready
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv osdp-peer demo test test-system soak lint format types walls mutation bench fuzz audit lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP)  ## .venv with the locked dependencies, latchd and latchctl

# The lock carries hashes and is complete, so exactly the listed files are installed and nothing is resolved again:
# pip 23 takes `pydantic[email]` in a dependency for something else than the pinned pydantic, and refuses it as soon
# as a newer one is out. hatchling and editables are in the lock too: the project itself needs no further download.
# Where python3-venv is missing, Debian's python3 says so and leaves an environment without pip: hence `test -x pip`.
$(STAMP): requirements/dev.txt pyproject.toml LICENSE README.md
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --require-hashes --no-deps -r requirements/dev.txt
	$(PIP) check
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Its module bears the name of libosdp's, so it never goes where that is.
osdp-peer: .venv-osdp/.ready  ## .venv-osdp with the package osdp, a second opinion for one test

.venv-osdp/.ready: requirements/osdp-peer.txt | $(STAMP)
	$(PYTHON) -m venv --without-pip .venv-osdp
	$(PIP) --python .venv-osdp/bin/python install --quiet --require-hashes --no-deps -r requirements/osdp-peer.txt
	touch $@

demo: venv  ## a short day against real peers; KEEP=1 leaves it running
	$(BIN)/python tests/demo/day.py $(if $(KEEP),--keep)

# The rooms whose branches are measured run first and once, with the tracer; the rest runs without it.
ROOMS := tests/daemon/decision tests/cache/reconcile tests/daemon/doors/door

test: lint osdp-peer  ## everything that CI runs: lint, types, walls, tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ROOMS) --cov --cov-report=term
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(addprefix --ignore=,$(ROOMS))

soak: venv  ## the attacks that take minutes: noise, churn, a year of badges; SEEDS=fixed for no new examples
	HYPOTHESIS_PROFILE=$(or $(SEEDS),new) $(BIN)/python -m pytest -n $(WORKERS) --dist load -m soak

# Installs QEMU and what else it needs with apt, so as root; what it builds stays in .system-test/.
test-system: venv  ## whole machines in QEMU: the units, GPIO, power cuts; SUITES="gpio systemd power"
	PYTHONPATH=. $(BIN)/python tests/system/run.py $(SUITES)

lint: venv  ## ruff, mypy strict, import-linter, the habits of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house

format: venv  ## rewrite the files as ruff would have them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mutmut is no part of the development environment: it joins it here, with what it brings, from a lock of its own.
mutation: venv  ## mutation testing of the rules and the doors, about an hour; the figures: docs/mutation.md
	$(PIP) install --quiet --require-hashes --no-deps -r requirements/mutation.txt
	rm -rf mutants
	nice $(BIN)/python -m mutmut run --max-children $(WORKERS) | tr '\r' '\n' | tail -n 1
	$(BIN)/python -m mutmut results --all true | $(BIN)/python -m tests.mutation.score

bench: venv  ## the figures behind the claims of speed and size
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; PYTHONPATH=. $(BIN)/python $$file; done

# Repeatable by its seed; then, where there is atheris (x86-64), new ground by coverage.
fuzz: venv  ## random and mutated frames into every codec; FRAMES=10000000 SECONDS=60
	$(BIN)/python -m tests.fuzz --frames $(or $(FRAMES),200000)
	$(BIN)/python -m tests.fuzz --coverage $(or $(SECONDS),10)

audit: venv  ## known vulnerabilities in what the lock installs (asks the network)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements/runtime.txt

# uv is used here and nowhere else, so it lives in its own throw-away environment. An existing lock is
left as it is as far as it still fits: `make lock UPGRADE=1` takes what is new.
LOCK = $(VENV)-lock/bin/uv pip compile pyproject.toml --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --quiet $(if $(UPGRADE),--upgrade) \
	--custom-compile-command 'make lock'
lock:  ## requirements/*.txt from pyproject.toml; UPGRADE=1 takes new versions
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --disable-pip-version-check install --quiet uv
	$(LOCK) -o requirements/runtime.txt
	$(LOCK) --group dev -o requirements/dev.txt
	$(LOCK) --group mutation -c requirements/dev.txt -o requirements/mutation.txt
	echo osdp==1.6 | $(subst pyproject.toml,-,$(LOCK)) -o requirements/osdp-peer.txt
	rm -rf $(VENV)-lock

clean:  ## everything that make made
	rm -rf $(VENV) $(VENV)-lock .venv-osdp mutants .system-test demo-run build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
