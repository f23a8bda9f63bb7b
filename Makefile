# For a fresh machine: `make demo` and `make test`; `make demo-weights` trains what the demo uses. All make their own environment in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo demo-weights test test-fast test-lower-isa test-kernels lint docs clean

demo: $(VENV)/installed
	$(BIN)/python -m apnet_fast.demo --output demo

# The demo weights, as they are shipped: 10,000 simulated spectra, four epochs. Give it again to go on after a stop.
TRAINING = demo-training
demo-weights: $(VENV)/installed
	test -e $(TRAINING)/snr60/truth.parquet || $(BIN)/python -m apnet_fast.simulate --stars 2500 --visits 1 --snr 60 \
		--layout sdss5 --seed 21 --output $(TRAINING)/snr60
	test -e $(TRAINING)/snr100/truth.parquet || $(BIN)/python -m apnet_fast.simulate --stars 2500 --visits 1 --snr 100 \
		--layout sdss5 --seed 22 --output $(TRAINING)/snr100
	test -e $(TRAINING)/snr200/truth.parquet || $(BIN)/python -m apnet_fast.simulate --stars 2500 --visits 1 --snr 200 \
		--layout sdss5 --seed 23 --output $(TRAINING)/snr200
	test -e $(TRAINING)/survey/truth.parquet || $(BIN)/python -m apnet_fast.simulate --stars 2500 --visits 1 \
		--layout sdss5 --seed 24 --output $(TRAINING)/survey
	$(BIN)/python -m apnet_fast.train \
		--tree $(TRAINING)/snr60 --labels $(TRAINING)/snr60/truth.parquet \
		--tree $(TRAINING)/snr100 --labels $(TRAINING)/snr100/truth.parquet \
		--tree $(TRAINING)/snr200 --labels $(TRAINING)/snr200/truth.parquet \
		--tree $(TRAINING)/survey --labels $(TRAINING)/survey/truth.parquet \
		--model-args apnet_fast/data/demo.yaml --epochs 4 --batch-size 16 --learning-rate 2e-3 --validation 0.05 \
		--origin "demo: for simulated spectra only" --output $(TRAINING)/demo.safetensors

# After a test that ends its process, pytest-xdist may wait for ever for the tests it had; so it stops instead. Three
# processes for two cores, because many tests wait for clusters and time-outs. Threads that wait for each other must not
# spin meanwhile: with OpenMP's default the numerical tests take 1.7 times as long.
PYTEST = OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --dist loadfile --max-worker-restart=0

# Tests on real apStar files run where APNET_FAST_TEST_DATA names their folder, and skip elsewhere.
test: lint
	$(PYTEST) -n 3

# For those who work on the code: without the tests that are marked slow.
test-fast: $(VENV)/installed-dev
	$(PYTEST) -n 2 -m "not slow"

# The numerical tests with every library held to AVX2, as on a processor without AVX-512. A test checks that each of
# these variables takes effect. Labels must stay within the same tolerances; their last digits may differ.
LOWER_ISA = APNET_FAST_TEST_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_CBWR=COMPATIBLE \
	OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" \
	NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES= NUMBA_CACHE_DIR=$(CURDIR)/$(VENV)/numba-avx2
NUMERICAL = tests/engines tests/recipes tests/networks tests/backends tests/kernels tests/test_api.py tests/test_reprocess.py
test-lower-isa: $(VENV)/installed-dev
	$(LOWER_ISA) $(PYTEST) -n 2 -m "not slow" $(NUMERICAL)

# Every launch of every tuning table compiled for every architecture: no spills, shared memory, matrix instructions.
# `make test` compiles the tables of sm80, sm90 and sm100 alone.
test-kernels: $(VENV)/installed-dev
	$(BIN)/python -W ignore -m benchmarks.kernels --compile-only

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in build/docs; a warning is an error. Its tools (200 MB) are an extra of their own, so `make test` does not
# build it; it checks the links of the pages and runs the notebook.
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

# The notebook of the site once more, with its output: after a change of what it shows.
notebook: $(VENV)/installed-docs
	$(BIN)/jupyter execute --inplace docs/first-star.ipynb

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[plots]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) demo $(TRAINING) build dist *.egg-info
