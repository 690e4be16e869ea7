# make run   fit, score and report on a table (DATA, TARGET, OUT, ARGS can be set)
# make test  build the environment and run every test
# make test-oldest  run the core tests with the oldest versions allowed (downloads 3 GB)
# make audit        ask PyPI for known vulnerabilities of the locked versions
# make fuzz         fuzz every target, led by coverage (EXECUTIONS each)
# make docs  build the documentation in build/docs; make tutorials runs the notebooks again
PYTHON ?= python3
VENV ?= .venv
DATA ?= builtin:breast_cancer
TARGET ?=
OUT ?= report
ARGS ?=
BIN := $(VENV)/bin
OLDEST ?= .venv-oldest
EXECUTIONS ?= 20000
FUZZED := load_model read_csv read_formula predict predict_csv
CORE := functions layers_families layers_constraints network nodes training training_minibatch \
	estimators persistence golden csv_table formula formula_json explain

.PHONY: run test test-oldest audit fuzz lint docs tutorials clean

$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[progress]'
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev -e '.[progress,onnx]'
	touch $@

run: $(VENV)/.run
	$(BIN)/kanx fit '$(DATA)' $(if $(TARGET),--target '$(TARGET)') --out '$(OUT)' $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

test-oldest:
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints-oldest.txt . pytest hypothesis pandas polars pyarrow
	$(OLDEST)/bin/python -m pytest -W ignore::DeprecationWarning $(CORE:%=tests/test_%.py)

$(VENV)/.trust: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group trust
	touch $@

audit: $(VENV)/.trust
	$(BIN)/pip-audit -r constraints.txt --no-deps --disable-pip

fuzz: $(VENV)/.trust
	cd tests && for target in $(FUZZED); do \
		$(abspath $(BIN))/python -m fuzz.run $$target --executions $(EXECUTIONS) || exit 1; done

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group docs
	touch $@

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

tutorials: $(VENV)/.docs
	$(BIN)/jupytext --to ipynb --set-kernel python3 --execute tutorials/*.py

clean:
	rm -rf $(VENV) $(OLDEST) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache
