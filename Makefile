# make quickstart   from a fresh clone to a grown, certified network
# make test         the tests
# make lint         style and types
# make clean        remove the environment and caches; runs stay

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# On busy cores waiting OpenMP threads spin and make torch ten times slower; small networks gain
# nothing from a second thread, and two test workers share the cores better without.
export OMP_WAIT_POLICY = PASSIVE
export GOMP_SPINCOUNT = 0
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: quickstart environment test lint clean

quickstart: $(READY)
	$(BIN)/easearch grow recipes/quickstart.yaml

environment: $(READY)

test: $(READY)
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict easearch

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find easearch tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Touched last: an install that was interrupted is begun again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "easearch needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making the environment in .venv, about a minute of downloading and unpacking."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq -c constraints.txt -e ".[dev]"
	@touch $@
