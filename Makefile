# make setup | demo | test | check | bench | docs    (PY=python3.12 picks the interpreter; PYTEST_ARGS, DEMO_ARGS add words to the commands;
# EXTRAS=music installs less than all). demo trains for as long as its recipes say (training.minutes), as many of their steps as fit;
# DEMO_ARGS=training.minutes=null trains all of them
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
# what is installed beside the core: dev (all, and what checks and tests need), or any of
# text, images, music, hf, curation, ray with commas between
EXTRAS ?= dev
STAMP := $(VENV)/.setup$(if $(filter-out dev,$(EXTRAS)),-$(EXTRAS))
SITE := docs/_build/html
DEMO_RUN ?= runs/tunes
DEMO_ARGS ?=
DEMO_REWARD_ARGS ?= $(DEMO_ARGS)
PYTEST_ARGS ?= -n 2 --dist worksteal
NAME ?=
ARGS ?=

.PHONY: setup demo test check bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PY) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"error: Python {v[0]}.{v[1]} is too old; install 3.11 or newer, or name one: make PY=python3.12")'
	@test -x $(BIN)/python || $(PY) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PY) cannot make a virtual environment; install its venv module (Debian: python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

# steps are a run each; one that was stopped goes on, and one that is done is not trained again
demo: setup
	@echo "Fiddle tunes, in about three minutes on two cores (slow ones train fewer steps in that time):"
	@echo "  1. a small transformer learns from some 3,800 old tunes (a minute and a half);"
	@echo "  2. it is rewarded for tunes that end on their tonic (half a minute);"
	@echo "  3. a page shows and plays tunes of before and after (a quarter of a minute)."
	@echo "Ctrl-C stops it; make demo goes on from there."
	$(BIN)/genwright train tunes --run $(DEMO_RUN) $(if $(wildcard $(DEMO_RUN)/recipe.yaml),--resume) $(DEMO_ARGS)
	$(BIN)/genwright train tunes-endings --run $(DEMO_RUN)-endings $(if $(wildcard $(DEMO_RUN)-endings/recipe.yaml),--resume,--from $(DEMO_RUN)) $(DEMO_REWARD_ARGS)
	$(BIN)/genwright report $(DEMO_RUN)-endings
	@echo
	@echo "Open $(DEMO_RUN)-endings/report.html in a browser. Then, for example:"
	@echo "  $(BIN)/genwright sample $(DEMO_RUN)-endings -n 4 --condition type=jig key=G"
	@echo "  $(BIN)/genwright train code"
	@echo "  $(BIN)/genwright recipes"

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
