# Everything a user or a developer runs, each with its own set-up.
#
#   make demo    make test    make venv [HOST=tilelang]    make bench    make docs    make lint

PYTHON ?= python3
HOST ?= tvm
VENV ?= $(if $(filter tvm,$(HOST)),.venv,.venv-$(HOST))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The package is installed as a user installs it, so a changed source makes the environment stale.
SOURCES := CMakeLists.txt pyproject.toml $(shell find src tilelang tilelang_tt_pytest -name '__pycache__' -prune -o -type f -print)

.PHONY: demo test venv bench docs lint check-tools clean

demo: $(VENV)/.installed
	$(BIN)/python examples/gemm.py
	$(if $(filter tilelang,$(HOST)),$(BIN)/python examples/flash_attention.py)

test: $(VENV)/.installed
	$(BIN)/pytest -n auto

venv: $(VENV)/.installed
	@echo "The environment is ready: . $(BIN)/activate"

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/work_split.py
	$(BIN)/python benchmarks/check.py
	$(BIN)/python benchmarks/tilize.py
	$(BIN)/python benchmarks/footprint.py
	$(BIN)/python benchmarks/cli.py
	$(BIN)/python benchmarks/execution.py
	$(BIN)/python benchmarks/target.py
	$(BIN)/python benchmarks/service.py
	$(BIN)/python benchmarks/many.py
	$(BIN)/python benchmarks/comparison.py

docs lint: $(VENV)/.developer
	$(BIN)/python -m nox -s $@

check-tools:
	@sh tools/check_tools.sh $(PYTHON)

$(VENV)/.created: | check-tools
	$(PYTHON) -m venv $(VENV)
	@touch $@

# TileLang asks for some torch; the CPU build of this version keeps a GPU's libraries away.
$(VENV)/.host: $(VENV)/.created
	$(if $(filter tilelang,$(HOST)),$(PIP) install --quiet torch==2.13.0)
	@touch $@

$(VENV)/.installed: $(VENV)/.host $(SOURCES)
	@echo "Installing into $(VENV), which takes two or three minutes"
	$(PIP) install --quiet '.[$(HOST),test]'
	@touch $@

$(VENV)/.developer: $(VENV)/.installed
	$(PIP) install --quiet '.[dev]'
	@touch $@

clean:
	rm -rf .venv .venv-* .nox build dist docs/_build
