# `make demo` and `make test` set everything up themselves: they need Python 3.11 or newer, a C++ compiler and make.
#
#   PYTHON       the Python that the environment is made from           make test PYTHON=python3.12
#   TORCH_INDEX  where to look for torch before PyPI, e.g. the CPU build (PyPI's build for Linux brings CUDA along)
#                make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
#   JOBS         test processes

IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11; do \
    $$python -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done),python3)
TORCH_INDEX ?=
JOBS ?= 2
EXTRAS := dev,cuda
VENV := .venv
INSTALLED := $(VENV)/.installed

# Several OpenMP runtimes in one process otherwise spin against each other, 10 to 100 times slower.
export OMP_WAIT_POLICY := PASSIVE
export GOMP_SPINCOUNT := 0

.PHONY: demo test lint install clean
.DELETE_ON_ERROR:

demo: install
	PYTHONWARNINGS='ignore:_get_vc_env' $(VENV)/bin/python training/train.py --config training/configs/demo.yaml

test: install
	$(VENV)/bin/pytest -n $(JOBS) --dist loadgroup

lint: install
	$(VENV)/bin/ruff check .

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(IS_NEW_ENOUGH)' 2>/dev/null || { \
	  echo "twincortex needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@command -v $${CXX:-g++} >/dev/null || { \
	  echo "twincortex needs a C++ compiler, but '$${CXX:-g++}' was not found. Brian2 compiles its simulations with it."; \
	  echo "Install one (Debian and Ubuntu: apt install g++; macOS: xcode-select --install), or set CXX."; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed. Debian and Ubuntu: apt install python3-venv."; exit 1; }
	$(VENV)/bin/python -m pip install --quiet -e '.[$(EXTRAS)]' -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	@rm -rf twincortex.egg-info   # a by-product that would hide a newer installation from Python started here
	@touch $@

clean:
	rm -rf $(VENV)
