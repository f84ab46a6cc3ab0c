# Every target uses the virtual environment in .venv and makes it when it is not there.
PYTHON ?= python3
# Three workers on two cores, each with servers of its own: the tests wait more than they compute.
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := dbplanmon_pipeline dbplanmon_pipeline_tests

.PHONY: install demo test check format audit bench bench-real soak docs clean

install: $(VENV)/.installed  ## a virtual environment with everything that demo, tests and checks need

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[demo]"
	touch $@

demo: $(VENV)/.demo  ## a real PostgreSQL gets slower, and the pipeline says why
	$(BIN)/dbplanmon demo $(DEMO_ARGS)

test: install  ## the whole suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: install  ## format, lint, types, architecture, definitions
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q dbplanmon_pipeline_tests/test_architecture.py dbplanmon_pipeline_tests/test_docs.py
	DBPLANMON_CONFIG= $(BIN)/python -W ignore -m dagster definitions validate -w workspace.yaml

format: install
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

audit: install  ## known weaknesses of the installed libraries; exit code 3 where nobody can be asked
	$(BIN)/python -m dbplanmon_pipeline_tests.audit

bench: install  ## the figures of docs/benchmarks.md
	$(BIN)/python -m dbplanmon_pipeline_tests.bench

bench-real: install  ## half an hour of normal life of a real PostgreSQL, then twelve faults: found, missed, false
	$(BIN)/python -m dbplanmon_pipeline_tests.bench.real $(REAL_ARGS)

soak: install  ## the whole program for 45 minutes under all kinds of faults; see docs/reliability.md
	$(BIN)/python -m dbplanmon_pipeline_tests.soak $(SOAK_ARGS)

docs: install  ## rewrite the generated pages
	$(BIN)/python -m dbplanmon_pipeline.settings.reference

clean:
	rm -rf .dbplanmon build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
