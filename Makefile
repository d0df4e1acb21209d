# Tasks of a fresh clone. Only Python 3.10 or newer is needed beforehand.
PYTHON ?= python3
DEMO := cleanplate-demo
PORT ?= 8000
export COMFYUI COMFYUI_PYTHON SPACE_PYTHON

.PHONY: help demo test test-runtimes test-mobile test-notebooks test-slow test-long test-hosts lint docs bench soak web serve-web test-web clean
help:
	@echo "make demo    cut the sample photo and clip into $(DEMO)/"
	@echo "make test    run the tests (pytest options in ARGS=...)"
	@echo "make test-slow        those that take minutes: single-file graphs, C++, long training"
	@echo "make test-long        the longest of them, which CI leaves out: more single-file graphs, Ray and Ctrl-C"
	@echo "make test-hosts       in other programs that are installed, such as Blender, with LibTorch at HD and 2K, in those named by"
	@echo "                      COMFYUI=folder COMFYUI_PYTHON=python (ComfyUI), SPACE_PYTHON=python (Gradio), and in apps"
	@echo "                      of webpack and Next (from npm) with the package for the web"
	@echo "make test-notebooks   the notebooks, from top to bottom"
	@echo "make test-mobile      ExecuTorch and Core ML, in an environment of their own"
	@echo "make test-runtimes    those of TensorFlow and OpenVINO, in an environment of their own"
	@echo "make lint    ruff, mypy and the import rules"
	@echo "make docs    build the documentation into site/ and check it (its links, no other hosts)"
	@echo "make bench   frames per second on this machine"
	@echo "make soak    ten minutes of a live session: no growth of memory or delay"
	@echo "make web        build the web page into web/dist (needs Node 20.19 or newer)"
	@echo "make serve-web  the web page on http://localhost:$(PORT) (PORT=... for another port)"
	@echo "make test-web   test the web page in headless Chromium"
	@echo "make clean   remove the virtual environments and caches"

# Two environments: what a user gets (core), and what a developer needs (dev). Their stamps are renewed when
# the dependencies change; the developer's install is editable, the user's is renewed with the sources.
SOURCES := $(shell find src -type f -not -name '*.pyc' | sed 's/ /\\ /g')

MAKE_VENV = $(PYTHON) -m venv $(@D) || { echo "No virtual environment could be made: on Debian and Ubuntu, install python3-venv."; exit 1; }

.venv/core/stamp: pyproject.toml $(SOURCES)
	@$(MAKE_VENV)
	.venv/core/bin/python -m pip install --quiet --disable-pip-version-check --upgrade .
	@touch $@

.venv/dev/stamp: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	.venv/dev/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: .venv/core/stamp
	@mkdir -p $(DEMO)
	.venv/core/bin/cleanplate image samples/photo.jpg --plate samples/plate.jpg -o $(DEMO)/photo.png --save cutout composite --background '#00b140' --overwrite
	.venv/core/bin/cleanplate video samples/clip.mp4 --plate samples/clip_plate.jpg -o $(DEMO)/cut.mov --overwrite
	.venv/core/bin/cleanplate video samples/clip.mp4 --plate samples/clip_plate.jpg -o $(DEMO)/comp.mp4 --background blur --overwrite
	@echo
	@echo "Look at these in $(DEMO)/:"
	@echo "  photo.png            the person of samples/photo.jpg alone, transparent around: mind the hair"
	@echo "  photo.composite.png  the same over green"
	@echo "  cut.mov              the clip's subject with real alpha and sound (ProRes 4444, for any editor)"
	@echo "  comp.mp4             the clip with its background blurred, for any player"

# One process of tests for each core, each with one thread.
PYTEST = OMP_NUM_THREADS=1 .venv/dev/bin/python -m pytest -n logical --dist worksteal

test: .venv/dev/stamp
	$(PYTEST) $(ARGS)

test-slow: .venv/dev/stamp
	$(PYTEST) -m "slow and not long and not hosts" $(ARGS)

test-long: .venv/dev/stamp
	$(PYTEST) -m "long and not hosts" $(ARGS)

# In the programs of others, where they are installed (Blender); the others are skipped, with the reason.
# For the programs in C++: make test-hosts ORT_INCLUDE=path/of/ONNX/Runtime/headers OPENFX=path/of/openfx
test-hosts: .venv/dev/stamp web
	.venv/dev/bin/python -m pytest -m hosts $(ARGS)
	cd web && npm run --silent test:hosts

test-notebooks: .venv/dev/stamp
	CLEANPLATE_NOTEBOOK_MINUTES=0.3 .venv/dev/bin/python -m pytest -n logical --nbmake --nbmake-timeout 600 notebooks

# tensorflow-cpu in the place of the extra's tensorflow: half the download, the same library.
.venv/runtimes/stamp: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	.venv/runtimes/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[export,openvino]' tensorflow-cpu hypothesis pytest pytest-timeout pytest-xdist
	@touch $@

test-runtimes: .venv/runtimes/stamp
	.venv/runtimes/bin/python -m pytest -n logical -k "tensorflow or openvino" tests/contracts/test_runtimes.py tests/runtimes tests/export/test_tensorflow.py tests/export/test_openvino.py $(ARGS)

# Converters that bring much with them have environments of their own.
.venv/mobile/stamp: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	.venv/mobile/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[executorch,coreml]' pytest pytest-timeout hypothesis onnx
	@touch $@

test-mobile: .venv/mobile/stamp
	.venv/mobile/bin/python -m pytest tests/export/test_mobile.py $(ARGS)

lint: .venv/dev/stamp
	.venv/dev/bin/ruff check .
	.venv/dev/bin/ruff format --check .
	.venv/dev/bin/mypy
	.venv/dev/bin/lint-imports

.venv/docs/stamp: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	.venv/docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '.[docs]'
	@touch $@

# Names and docstrings are read from src/, without importing it.
docs: .venv/docs/stamp
	NO_MKDOCS_2_WARNING=1 .venv/docs/bin/python -m mkdocs build --strict --quiet
	.venv/docs/bin/python docs/check_site.py site

bench: .venv/core/stamp
	.venv/core/bin/cleanplate bench --size 1280x720
	.venv/core/bin/cleanplate bench --size 1920x1080
	.venv/core/bin/cleanplate bench --size 3840x2160

soak: .venv/dev/stamp
	.venv/dev/bin/python benchmarks/live.py --seconds 600 --check

# The web page. Its packages are installed anew when the lock file changes.
web/node_modules/stamp: web/package-lock.json
	@command -v npm > /dev/null || { echo "Node 20.19 or newer is needed, with npm."; exit 1; }
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web: web/node_modules/stamp
	cd web && npm run --silent build

serve-web:
	@test -f web/dist/index.html || $(MAKE) --no-print-directory web
	@node web/scripts/serve.mjs $(PORT)

test-web: .venv/dev/stamp web
	cd web && npm run --silent lint && PYTHON=../.venv/dev/bin/python npm run --silent test

clean:
	rm -rf site web/node_modules web/dist web/engine/dist web/test-results .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
