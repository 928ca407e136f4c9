# make lab     investigate in JupyterLab         PORT=8888  BROWSER=none (no browser is opened)
# make test    every check, pytest last          PYTEST_ARGS="-k diff" narrows pytest; of examples that are slow some
#                                                are tried, and all with PYTEST_ARGS=--hypothesis-profile=thorough
# make bench   the benchmark table               BENCH_ARGS="--quick"
# make notebooks / make lock                     for maintainers: run the notebooks again, pin again
#
# The first run fills .venv from constraints.txt (exact versions, each with its hashes); later runs reuse it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PORT ?= 8888
BROWSER ?=
NOTEBOOK ?= notebooks/quickstart.ipynb
PYTEST_ARGS ?=
JOBS ?= auto
BENCH_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
# JupyterLab's first start otherwise covers a corner with a question about news, and asks the network for updates.
LAB_SETTINGS := {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
LOCK := uv pip compile pyproject.toml --extra notebook --extra dev --universal --python-version 3.11 \
	--generate-hashes --annotation-style line --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" --quiet --output-file constraints.txt

.PHONY: lab test bench lint types notebooks lock clean
.NOTPARALLEL:

lab: $(STAMP)
	$(BIN)/jupyter lab --ip=127.0.0.1 --port=$(PORT) --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(NOTEBOOK) \
		$(if $(filter none,$(BROWSER)),--no-browser) $(if $(filter 0,$(shell id -u)),--allow-root)

# One pytest run closes the output: it holds the tests, the properties, the notebooks and the built wheel. Files are
# shared out among the processors; JOBS=0 runs them in one process, as a debugger likes it.
test: lint types
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg \
		tests notebooks $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy --strict

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

notebooks: $(STAMP)
	$(BIN)/python tools/run_notebooks.py notebooks/*.ipynb

lock: $(STAMP)
	$(PIP) install --quiet uv
	$(BIN)/$(LOCK) $(LOCK_ARGS)

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache

# Two steps: pip refuses a local project among hashed requirements, so the project itself comes second, without its
# dependencies and without a build environment of its own (hatchling and editables are pinned above it).
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("replaykit needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with PYTHON=" if sys.version_info < (3, 11) else 0)'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --require-hashes -r constraints.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@mkdir -p $(VENV)/share/jupyter/lab/settings
	@echo '$(LAB_SETTINGS)' >$(VENV)/share/jupyter/lab/settings/overrides.json
	@touch $@
