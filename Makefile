# `make demo` and `make test` work on a clone with nothing but Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

.PHONY: demo test types pytest test-trl docs clean

demo: $(VENV)/installed
	$(RUN)/cal-grpo train --preset demo

test: $(VENV)/installed-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/deptry src
	$(RUN)/deptry src --extend-exclude '.*/engines/' --optional-dependencies-dev-groups tunix,trl,dev,docs --ignore DEP002
	$(RUN)/deptry . benchmarks scripts --ignore DEP002,DEP004
	$(MAKE) --no-print-directory --jobs 2 --keep-going types pytest

# Side by side: the type checker takes most of a minute on one core.
types:
	$(RUN)/mypy

pytest:
	$(RUN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# The engine trl in an environment of its own, without jax.
test-trl: .venv-trl/installed
	OMP_NUM_THREADS=1 .venv-trl/bin/pytest --numprocesses 2 --dist loadfile tests/engines/test_engine_contract.py tests/engines/test_chosen_settings.py tests/engines/trl

# A warning is an error: a broken link, anchor or reference stops the build.
docs: $(VENV)/installed-docs
	$(RUN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs . site
	@echo "site/index.html"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tunix]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tunix,dev]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tunix,docs]'
	touch $@

.venv-trl/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[trl]' pytest pytest-xdist
	touch $@

clean:
	rm -rf $(VENV) .venv-trl runs build dist site
