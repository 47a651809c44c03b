# `make demo` and `make test` do all set-up on a fresh machine, then run.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
READY := $(VENV)/.ready
OUT ?= demo-output
WORKERS ?= 2

.PHONY: demo test check bench system clean

demo: $(READY) system
	$(BIN)/structdistill demo --out $(OUT)

test: $(READY) system
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --doctest-modules hf_structdistill

bench: $(READY) system
	$(BIN)/python -m benchmarks.run

# torch first and pinned, so that no later requirement pulls another build of it.
# codebleu is an oracle for the tests only; its own pins do not fit today's grammars, hence --no-deps.
$(READY): pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) -e ".[languages,test]"
	$(PIP) --no-deps codebleu==0.7.0
	touch $@

# bubblewrap isolates candidate code; chromium shows the report in the browser test. Neither is fatal when missing.
system:
	@sh .ci/system-packages bwrap:bubblewrap chromium:chromium

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
