# make demo: set up, train for about a minute on Python's own source, and sample.   make test: all that CI runs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test docs clean

demo: $(READY)
	$(BIN)/seqgen train python --time 60s
	@echo
	$(BIN)/seqgen sample python --seed "def "
	@echo
	@echo "Try:   $(BIN)/seqgen sample python --seed 'class ' -n 500 -t 0.6"
	@echo "Yours: $(BIN)/seqgen train path/to/your-text-or-folder --time 3m"
	@echo "More:  $(BIN)/seqgen --help"

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

docs: $(READY)
	$(BIN)/python docs/make.py

clean:
	rm -rf .venv build dist

# One install, made again when what it depends on changes.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "seqgen needs Python 3.11 or newer; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)
