# Everything here needs make and Python 3.11 or newer, nothing else: PostgreSQL comes with the Python packages.
# A server of your own: DATABASE_URL=postgresql://… in the environment, which also keeps the password off command lines.

PYTHON ?= python3
JOBS ?= auto
ARGS ?=
BIN = .venv/bin
# Also where the checkout was moved: the scripts in .venv name the folder that they were made in.
MOVED = env PYTHONPATH=tools $(BIN)/python -m pgyoyo
# Without compiled files every process of a test run compiles the tests anew: three seconds each.
KEEPING = env -u PYTHONDONTWRITEBYTECODE
# What was installed, with which of the extras in pyproject.toml; dev includes embedded.
INSTALLED = $(or $(wildcard .venv/.dev),.venv/.embedded)

ifdef PG
export PGYOYO_SERVER_VERSION := $(PG)
export PGYOYO_TEST_POSTGRES := $(PG)
endif
# Given as `make DATABASE_URL=…`: without this, make would take a $ in the password for a variable of its own.
ifeq ($(origin DATABASE_URL),command line)
override DATABASE_URL := $(value DATABASE_URL)
export DATABASE_URL
endif
export NAME

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
.PHONY: help install migrate rollback status schema verify review new psql stop test test-browser trial bench bench-backfill lint clean

help:  ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "ARGS='…' is passed on (make rollback ARGS=--all); PG=16 takes PostgreSQL 16 in place of 18."

install: $(INSTALLED)  ## install pgyoyo and PostgreSQL into .venv (the other targets do it themselves)

migrate: $(INSTALLED)  ## apply the pending migrations; starts PostgreSQL if need be
	@$(BIN)/pgyoyo apply $(ARGS)

rollback: $(INSTALLED)  ## roll back the last migration
	@$(BIN)/pgyoyo rollback $(ARGS)

status: $(INSTALLED)  ## show what is applied and what is pending
	@$(BIN)/pgyoyo status $(ARGS)

verify: $(INSTALLED)  ## compare files with the ledger, and the live schema with what they give
	@$(BIN)/pgyoyo verify $(ARGS)

review: $(INSTALLED)  ## rehearse what is pending: what each statement locks and changes, and what is wrong with it
	@$(BIN)/pgyoyo review --data sql/sample_data.sql $(ARGS)

schema: $(INSTALLED)  ## write sql/schema.sql and sql/schema.md: what all migrations give
	@$(BIN)/pgyoyo schema $(ARGS)

new: $(INSTALLED)  ## start a migration: make new NAME=add_grade
	@test -n "$$NAME" || { echo "a migration needs a name: make new NAME=add_grade" >&2; exit 2; }
	@$(BIN)/pgyoyo new "$$NAME" $(ARGS)

psql: $(INSTALLED)  ## open psql on the database
	@$(BIN)/pgyoyo server psql $(ARGS)

stop:  ## stop PostgreSQL; the data stays
	@test ! -x $(BIN)/python || $(MOVED) server stop $(ARGS)

test: .venv/.dev  ## run the tests
	@$(KEEPING) $(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

test-browser: .venv/.dev  ## run the tests that need Chromium, and install it first (as root, with apt)
	@sh -c "$$CHROMIUM"
	@$(KEEPING) $(BIN)/pytest -m browser $(ARGS)

trial: .venv/.dev  ## kill runners a thousand times, and count what is found
	@$(BIN)/python tests/trial.py $(ARGS)

bench: .venv/.dev  ## time it beside psql, yoyo, Alembic, dbmate and others
	@$(BIN)/python tests/benchmarks/speed $(ARGS)

bench-backfill: .venv/.dev  ## measure what a live table notices of a backfill (ROWS=2000000)
	@$(BIN)/python tests/benchmarks/backfill.py $(ROWS) $(ARGS)

lint: .venv/.dev  ## check the code: ruff, mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

clean:  ## stop PostgreSQL, then remove it with its data, .venv and caches
	@for v in 16 18; do env -u DATABASE_URL PGYOYO_SERVER_VERSION=$$v $(MOVED) server stop; done >/dev/null 2>&1 || true
	@rm -rf "$$(readlink .postgres/tests || echo .postgres)" "$$(readlink .postgres/scratch || echo .postgres)" .venv .postgres .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	@find sql tools tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps hold the folder they were made in, the Python, and what pyproject.toml asked for. An install in a moved or
# copied checkout is done again; so is one for which make got another PYTHON, and one that was interrupted: .installing
# becomes the stamp when all is done.
ifneq ($(CURDIR),$(shell for s in .venv/.embedded .venv/.dev; do sed 1q $$s; done 2>/dev/null | sort -u))
.PHONY: .venv/.embedded .venv/.dev
else ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) -c 'import os, sys; print(os.path.realpath(sys._base_executable))' 2>&1),$(shell sed -n 2p $(INSTALLED)))
.PHONY: .venv/.embedded .venv/.dev
endif
endif
.venv/.embedded .venv/.dev: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there; $$PYTHON_WANTED" >&2; exit 1; }
	@$(PYTHON) -c "$$PREPARE" $@ "$(origin PYTHON)"
	@test ! -e .venv/.installing || $(BIN)/python -m pip install $(PIP_OPTIONS) --editable '.[$(@:.venv/.%=%)]'
	@test ! -e .venv/.installing && touch $@ || mv .venv/.installing $@

define CHROMIUM
for name in chromium chromium-browser google-chrome; do ! command -v $$name >/dev/null || exit 0; done
if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Chromium is not installed; on Debian: apt-get update && apt-get install chromium" >&2; exit 1
fi
echo "Installing Chromium."
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
endef
export CHROMIUM

PIP_OPTIONS = --quiet --disable-pip-version-check --no-input
export PYTHON_WANTED = pgyoyo needs Python 3.11 or newer: install it, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)
define PREPARE
import signal
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ctrl-C ends it without a traceback
import hashlib, os, shutil, subprocess, sys
if sys.version_info < (3, 11):
    sys.exit("$(PYTHON) is Python %d.%d; %s" % (sys.version_info[:2] + (os.environ["PYTHON_WANTED"],)))
try:
    import ensurepip, tomllib, venv
except ImportError:
    sys.exit("$(PYTHON) can't make virtual environments; on Debian and Ubuntu: apt install python3-venv")
wanted, origin = sys.argv[1:]
stamps = [stamp for stamp in (".venv/.embedded", ".venv/.dev") if os.path.exists(stamp)]
made = [(open(stamp).read() + "\n\n").split("\n")[:3] for stamp in stamps]
python = os.path.realpath(sys._base_executable)
if origin == "file" and made and made[0][1]:  # no Python was named: that of .venv will do
    python = made[0][1]
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
asked = hashlib.sha256(repr([project["project"], project["build-system"], project["tool"]["hatch"]]).encode()).hexdigest()
now = [os.getcwd(), python, asked]
def is_whole():
    if os.path.exists(".venv/.installing") or any(lines[:2] != now[:2] for lines in made):
        return False
    try:
        return subprocess.call(["$(BIN)/python", "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False
whole = is_whole()
if whole and (wanted, now) in zip(stamps, made):
    sys.exit()
print("Installing pgyoyo and PostgreSQL into .venv; the first time takes about a minute.")
sys.stdout.flush()
# First of all, so that nothing that is interrupted from here on passes for whole.
os.makedirs(".venv", exist_ok=True)
with open(".venv/.installing", "w") as stamp:
    stamp.write("\n".join(now))
if not whole:
    for entry in os.scandir(".venv"):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name != ".installing":
            os.remove(entry.path)
    venv.create(".venv", with_pip=True, symlinks=True)
for stamp in filter(os.path.exists, stamps):
    os.remove(stamp)
endef
export PREPARE
