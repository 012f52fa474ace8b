# make app        set everything up and open the app
# make test       set everything up and run all tests except the long ones
# make test-fast  only tests without a browser, pages, a database, processes of their own or seconds of computing
# make test-long  only the long ones: more seeds and examples, larger files
# make bench      run the benchmarks, quickly
# make fuzz       fuzz the file readers, FUZZ_SECONDS each
# make lock       update the lock files after a change in requirements*.txt

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0 torchaudio==2.11.0
CPU_INDEX := https://download.pytorch.org/whl/cpu

FUZZ_SECONDS ?= 60
FUZZ_TARGETS := annotations textgrid elan emu subtitles rttm raven transcriber chat into words tables model estimator sound

.PHONY: app test test-fast test-long lint bench fuzz lock samples pictures clean

# By default glibc creates up to eight arenas per processor, and memory freed in one cannot be used by another.
app: $(VENV)/.installed samples
	MALLOC_ARENA_MAX=2 $(BIN)/streamlit run app.py

# The tests of a file run in one worker, because they share costly fixtures. Three workers keep two processors busy
# while one waits for a browser, and each computes with one thread. Python stores compiled files; otherwise each worker
# would compile all tests.
TEST_WORKERS ?= 3
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev samples lint
	$(PYTEST)

test-fast: $(VENV)/.dev samples
	$(PYTEST) -m "not (browser or database or page or process or slow or long)"

test-long: $(VENV)/.dev samples
	$(PYTEST) -m "long or hypothesis" --hypothesis-profile long

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/oxlint pages

bench: $(VENV)/.dev
	@for benchmark in benchmarks/[a-z]*.py; do $(BIN)/python $$benchmark --quick || exit 1; done

# Stops at the first crash. atheris is not in requirements-dev.txt, because it is only built for some Python versions.
fuzz: $(VENV)/.dev
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --disable-pip-version-check -q atheris==3.0.0
	@for target in $(FUZZ_TARGETS); do echo "$$target, $(FUZZ_SECONDS) s"; \
	  $(BIN)/python fuzz/readers.py $$target -max_total_time=$(FUZZ_SECONDS) -verbosity=0 || exit 1; done

# Public-domain speech to try the app with; the app works without it.
samples: $(VENV)/.installed
	@$(BIN)/python -m ser_core.corpora.samples || \
	  echo "The samples could not be fetched. Everything else works without them."

# The pictures of the README, from the running app in Chromium.
pictures: $(VENV)/.dev samples
	$(BIN)/python docs/make_pictures.py

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Hear Why needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1)."; \
	  echo "Install it, or name it: make app PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }

# All packages except torch and torchaudio are checked by their hashes, and the lock file names every package, so that
# no other is installed. PyPI's torch for Linux includes several GB of CUDA; PyTorch's own index has a small one for
# CPUs. If that index does not answer within five seconds, PyPI is used; pip would retry it for ten minutes.
PIP := $(BIN)/pip install --disable-pip-version-check -q
LOCKED := --no-deps --require-hashes -r

$(VENV)/.installed: requirements.lock | $(VENV)/bin/python
	$(PIP) $(LOCKED) requirements.lock
	@if $(BIN)/python -c "import urllib.request as u; u.urlopen('$(CPU_INDEX)/torch/', timeout=5)" 2>/dev/null; \
	  then $(PIP) $(TORCH) --index-url $(CPU_INDEX); \
	  else $(PIP) $(TORCH); fi
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) $(LOCKED) requirements-dev.lock
	@touch $@

# For all platforms. The packages that torch for CUDA needs are left out, because pip installs them with that torch.
CUDA := cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
  --excludes $(VENV)/cuda.txt --no-emit-package torch --no-emit-package torchaudio

lock: $(VENV)/bin/python
	$(PIP) uv==0.13.8
	@printf '%s\n' $(CUDA) > $(VENV)/cuda.txt
	$(COMPILE) requirements.txt -o requirements.lock
	$(COMPILE) requirements-dev.txt -c requirements.lock -o requirements-dev.lock
