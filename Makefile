# Every command of the project; `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help env demo serve test lint bench clean

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.normnet
PORT ?= 8000
.PRECIOUS: $(READY) # an interrupted install goes on where the marker is

# The first interpreter here that is a 3.11 or a 3.12.
SUPPORTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(firstword $(shell for name in python3.11 python3.12 python3; do \
	$$name -c '$(SUPPORTED)' 2>/dev/null && echo $$name; done))

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

env: $(READY) ## make the environment in .venv from constraints.txt (PYTHON=python3.12 picks the interpreter)

# constraints.txt names every package with its version, so nothing is left to resolve: uv and pip install the same,
# and neither builds sam2, which constraints.txt leaves out. Compiled once here, as pip does of itself: otherwise, where
# Python may not write bytecode, every command compiles torch and MONAI again, over 10 s each time. Nothing but $(VENV) is
# written to, whatever is active; a folder of that name without the marker file is someone's own. The marker is as old
# as can be until all is installed.
$(READY): pyproject.toml constraints.txt
	@test ! -e $(VENV) || test -e $@ || { echo "$(VENV): expected an environment made by 'make env',"\
		"found another: move it away, or 'make env VENV=.venv-normnet'." >&2; exit 1; }
	@test -n "$(PYTHON)" || { echo "python3: expected Python 3.11 or 3.12, found neither:"\
		"install one, or 'make env PYTHON=path/to/python'." >&2; exit 1; }
	mkdir -p $(VENV)
	touch -t 200001010000 $@
	if command -v uv >/dev/null; then \
		uv venv --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --python $(BIN)/python --compile-bytecode --no-deps -r constraints.txt -e .; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --no-deps -r constraints.txt -e .; \
	fi
	touch $@

demo: env ## train and evaluate on generated chests: at most 10 minutes on 2 CPU cores
	$(BIN)/python scripts/demo.py

serve: env ## serve STUDIES (a folder or a DICOMweb address) to OHIF, 3D Slicer and other clients, on this machine alone
	@test -n "$(STUDIES)" || { echo "make serve STUDIES=<folder of NIfTI or DICOM, or a DICOMweb address>" >&2; exit 1; }
	$(BIN)/python -m monailabel.main start_server --app monailabel_app --studies "$(STUDIES)" \
		--host 127.0.0.1 --port $(PORT)

test: env ## run the tests
	$(BIN)/python -m pytest

lint: env ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: env ## measure the generator's speed against the literal reading of the paper
	OMP_NUM_THREADS=1 $(BIN)/python scripts/benchmark.py generator

clean: ## remove caches, build leftovers and the demo's output; the environment stays
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist demo *.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
