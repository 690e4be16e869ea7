# make run   fit, score and report on a table (DATA, TARGET, OUT, ARGS can be set)
# make test  build the environment and run every test
# make docs  build the documentation in build/docs; make tutorials runs the notebooks again
PYTHON ?= python3
VENV ?= .venv
DATA ?= builtin:breast_cancer
TARGET ?=
OUT ?= report
ARGS ?=
BIN := $(VENV)/bin

.PHONY: run test lint docs tutorials clean

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
	rm -rf $(VENV) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache
