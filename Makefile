# livegrad's common commands. Each works on a machine that has only Python 3.11+ (with venv), git and make.

VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python -m
PYTEST := $(RUN) pytest

# One thread a process: two test workers with a thread pool each would fight over the cores.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test slow lint format docs figures bench clean

help:
	@echo "make demo    watch a deep network that does not learn, and write a report that says why"
	@echo "make test    the environment and the whole default test suite"
	@echo "make slow    the tests that take longer"
	@echo "make lint    ruff, pyright and import-linter"
	@echo "make format  let ruff rewrite the code"
	@echo "make docs    the documentation as a web site in build/site"
	@echo "make figures all figures of the documentation, by the lab, in half an hour"
	@echo "make bench   what watching costs, measured on this machine"
	@echo "make clean   remove the environment and everything built"

demo: $(VENV)/.demo
	$(BIN)/livegrad run examples/deep_sigmoid_digits.py
	@report=$$(ls -td livegrad-runs/*/report.html | head -n 1); echo "Open the report: $$PWD/$$report"

test: $(VENV)/.dev
	$(PYTEST) -n 2

slow: $(VENV)/.dev
	$(PYTEST) -n 2 -m slow

lint: $(VENV)/.dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) pyright
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo "Open $$PWD/build/site/index.html"

figures: $(VENV)/.dev
	$(BIN)/livegrad lab all --save docs/figures

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/overhead.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src -name '*.egg-info' -prune -exec rm -rf {} +
	find src -name '_kernel*.so' -delete

# The stamps say what was installed last; a change of dependencies, versions or C source makes them old.
SOURCES := pyproject.toml constraints.txt $(wildcard setup.py) $(wildcard src/livegrad/probe/*.c)

$(VENV)/.python:
	@for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	    if $$candidate -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        echo "$$candidate -m venv $(VENV)"; \
	        $$candidate -m venv $(VENV) && touch $@ && exit 0; \
	        exit 1; \
	    fi; \
	done; \
	echo "livegrad needs Python 3.11 or newer with the venv module, and found none." >&2; \
	echo "Install one (on Debian: apt-get install python3 python3-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	exit 1

$(VENV)/.demo: $(VENV)/.python $(SOURCES)
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[examples]'
	@touch $@

$(VENV)/.dev: $(VENV)/.python $(SOURCES)
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo
