# `make demo` runs the main job on real models and real text, `make test` the tests, `make check` all that CI asks.
PYTHON ?= python3
DEMO = .make/demo
TEST = .make/test

.PHONY: demo test check lint clean

demo: $(DEMO)/installed
	$(DEMO)/bin/python examples/demo.py

test: $(TEST)/installed
	$(TEST)/bin/python -m pytest

check: lint test

lint: $(TEST)/installed
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports --no-cache

# torch and all else are resolved in one call, so that no second call replaces what the first one chose.
$(DEMO)/installed: pyproject.toml
	rm -rf $(DEMO)
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --editable .
	touch $@

$(TEST)/installed: pyproject.toml
	rm -rf $(TEST)
	$(PYTHON) -m venv $(TEST)
	$(TEST)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .make demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache
