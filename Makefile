# `make demo` and `make test` work on a clone with nothing but Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

.PHONY: demo test check docs clean

demo: $(VENV)/installed
	$(RUN)/cal-grpo train

test: $(VENV)/installed-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# A warning is an error: a broken link, anchor or reference stops the build.
docs: $(VENV)/installed-docs
	$(RUN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs . site
	@echo "site/index.html"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

# The CPU build of torch is only for tests: logits are compared against transformers'.
$(VENV)/installed-dev: $(VENV)/installed
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist site
