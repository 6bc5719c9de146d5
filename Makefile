# The user's first two commands are `make demo` and `make test`. Both need Python 3.11+, make and a package index.
PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check
OUT     ?= demo
WORKERS ?= 2
# COVERAGE=yes counts the lines that tests reach, and fails under 90 %: about a fifth slower (.ci/run)
COVERAGE ?=
FRONT   := front/package-lock.json front/vite.config.js $(wildcard front/src/*)

.PHONY: demo serve test test-slow lint bench clean

$(VENV)/.core: pyproject.toml constraints/cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "dopascope needs Python 3.11 to 3.13, found " + sys.version.split()[0] + ". Name one with: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing dopascope into $(VENV) ..."
	@DOPASCOPE_FRONT=later $(PIP) install --quiet -e . -c constraints/cpu.txt  # the web app's scripts are not needed yet
	@touch $@

$(VENV)/.dev: $(VENV)/.core $(FRONT)
	@echo "Installing the development tools into $(VENV) ..."
	@$(PIP) install --quiet -e '.[learn,web,dev]' -c constraints/cpu.txt
	@touch $@

$(VENV)/.web: $(VENV)/.core $(FRONT)
	@echo "Installing the web app into $(VENV) ..."
	@$(PIP) install --quiet -e '.[web]' -c constraints/cpu.txt
	@touch $@

demo: $(VENV)/.core
	@$(BIN)/dopascope demo --out $(OUT)
	@echo "  make serve opens the web app, for scans of your own."

serve: $(VENV)/.web
	@$(BIN)/dopascope serve

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One thread a worker: two workers fill two cores, and a test that measures a second is not slowed by its neighbours.
# A file's tests stay on one worker, so that what they share is made once; the order is that of tests/conftest.py.
test test-slow: export OMP_NUM_THREADS := 1

test: $(VENV)/.dev
	$(if $(filter yes,$(COVERAGE)),$(BIN)/coverage erase)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow" $(if $(filter yes,$(COVERAGE)),--cov --cov-report=term) --durations=30

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) -m slow --durations=30

bench: $(VENV)/.dev
	@status=0; for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || status=1; done; exit $$status

clean:
	rm -rf $(VENV) $(OUT) .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache
