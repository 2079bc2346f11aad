# make setup | demo | test | check | bench | docs    (PY=python3.12 picks the interpreter; PYTEST_ARGS, DEMO_ARGS add words to the commands)
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
SITE := docs/_build/html
DEMO_RUN ?= runs/code
DEMO_ARGS ?=
PYTEST_ARGS ?= -n 2 --dist worksteal
NAME ?=
ARGS ?=

.PHONY: setup demo test check bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PY) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"error: Python {v[0]}.{v[1]} is too old; install 3.11 or newer, or name one: make PY=python3.12")'
	@test -x $(BIN)/python || $(PY) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PY) cannot make a virtual environment; install its venv module (Debian: python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	$(BIN)/genwright train code --run $(DEMO_RUN) $(if $(wildcard $(DEMO_RUN)/recipe.yaml),--resume) $(DEMO_ARGS)
	$(BIN)/genwright sample $(DEMO_RUN) --prompt "def " --prompt "class " --prompt "import " --seed 1
	$(BIN)/genwright report $(DEMO_RUN)

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/check.py

docs: setup
	@rm -rf $(SITE)
	$(BIN)/python -m sphinx -q -W --keep-going -n -d docs/_build/read docs $(SITE)
	$(BIN)/python tools/check_site.py $(SITE)
	@echo "open $(SITE)/index.html"

bench: setup  # all benchmarks with their bars and last figures; NAME=audit_speed [ARGS="..."] runs one
	@$(BIN)/python benchmarks/bench.py $(NAME) $(ARGS)

clean:
	rm -rf $(VENV) docs/_build build dist .mypy_cache .pytest_cache .ruff_cache
