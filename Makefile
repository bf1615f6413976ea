# make demo: set up, train on Python's own source, on Bach's chorales and on messages; sample the first two, and answer.   make test: all that CI runs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test docs clean

demo: $(READY)
	$(BIN)/seqgen train python --time 60s
	@echo
	$(BIN)/seqgen sample python --seed "def "
	@echo
	$(BIN)/seqgen train bach --time 90s
	@echo
	$(BIN)/seqgen sample bach --seed G4 --bars 8 -o chorale.mid -o chorale.png --force
	@echo
	$(BIN)/seqgen train replies --time 60s
	@echo
	$(BIN)/seqgen reply replies "Are you free on Thursday at 3?"
	@echo
	@echo "Open chorale.mid in a music program, and look at chorale.png."
	@echo "Try:   $(BIN)/seqgen sample python --seed 'class ' -n 500 -t 0.6"
	@echo "       $(BIN)/seqgen sample bach --seed 'C4 E4 G4' --bars 12 -o piece.mid -o piece.musicxml"
	@echo "       $(BIN)/seqgen reply replies 'Thank you for your help yesterday!'"
	@echo "Yours: $(BIN)/seqgen train path/to/your-text-or-folder --time 3m"
	@echo "More:  $(BIN)/seqgen --help"

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

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
