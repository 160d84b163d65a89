# Every target works as the first command of a fresh clone: it makes .venv and installs there only.
# Needed on the machine: Python >= 3.10 with headers, a C compiler, make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KERNEL := $(wildcard csrc/*.c csrc/*.h csrc/*.inc)
CALLS := nbt_embed/_calls.c nbt_embed/_selfcheck.c nbt_embed/_nlms.c
STEP := nbt_embed/_step.c
RECIPE := pyproject.toml setup.py nbt_embed/_build.py $(CALLS) $(CALLS:.c=.h) $(STEP)

# `make test SLOW=1` runs the long tests too. PYTEST_FLAGS adds options, as in PYTEST_FLAGS='-k math'.
SLOW ?= 0
PYTEST_FLAGS ?=
ifneq ($(SLOW),0)
MARKERS := -m 'slow or not slow'
endif

# Documents hold what their author measured: they change only on request, `make size DOCUMENT=1`.
# $(call documented,options,other options): the first on request, else the second.
DOCUMENT ?= 0
documented = $(if $(filter-out 0,$(DOCUMENT)),$1,$2)

# Parts that need nothing of each other, on every processor; what one part prints stays together where
# make can do that. (nproc takes OMP_NUM_THREADS for an answer.)
JOBS := $(shell unset OMP_NUM_THREADS; nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
SIDE_BY_SIDE := +$(MAKE) --no-print-directory -j$(JOBS) \
                $(if $(filter output-sync,$(.FEATURES)),--output-sync)

WARNINGS := -std=c99 -O2 -ffp-contract=off -Wall -Wextra -Wpedantic -Wconversion \
            -Wdouble-promotion -Werror

.PHONY: help demo test package accuracy streams peers intervals nab faults false-alarms flat drift desk \
        fleet fleet-scale live soak targets board size rates scaling cost losses amalgamation ecosystems packagers misra \
        learning \
        learning-quick \
        paper bench bench-quick instructions fuzz fuzz-coverage prove notebook readme site docs check lint \
        compilers analyse step clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo         learn a simulated sensor stream and show the result'
	@echo 'make test         run the tests; SLOW=1 adds the long ones (minutes)'
	@echo 'make package      the sdist tests itself; gcc, clang and hostile CFLAGS give the same bits'
	@echo 'make accuracy     error on recorded streams (../shared/data) and memory, with their targets (docs/evidence/accuracy.md)'
	@echo 'make streams      the learner compared with simple forecasters on recorded streams (docs/evidence/streams.md); minutes'
	@echo 'make peers        the estimators for river compared with its own models (docs/evidence/river.md); minutes'
	@echo 'make live         live streams: rates, memory, a broker killed, a device unplugged, watch killed (docs/evidence/live.md)'
	@echo 'make intervals    coverage, width and score of forecast intervals (docs/evidence/uncertainty.md); minutes'
	@echo 'make nab          anomalies on labelled series (docs/evidence/uncertainty.md); NAB_DATA=FOLDER: other series'
	@echo 'make false-alarms  how often the anomaly score is high where nothing is wrong (docs/evidence/uncertainty.md)'
	@echo 'make faults       faults put into a simulated machine, and who finds them (docs/evidence/uncertainty.md)'
	@echo 'make fleet        10,000 devices: speed, memory, lost workers, interrupted runs (docs/evidence/fleet.md); minutes'
	@echo 'make fleet-scale  cost by devices and samples, the scheduler, a million devices (docs/evidence/scale.md); minutes'
	@echo 'make flat         leaks that nbt_embed.testing finds, and 200 runs without any (docs/guide/testing.md)'
	@echo 'make drift        how fast the learner is back after a lasting change of the sensor (docs/design.md)'
	@echo 'make desk         speed and memory of run and compare, imports, a page in Chromium (docs/evidence/command-line.md); minutes'
	@echo 'make targets      the same bits on emulated microcontrollers (docs/reference/porting.md)'
	@echo 'make board        the kernel as WebAssembly in a web page, docs/board/index.html (docs/guide/virtual-board.md)'
	@echo 'make size         flash, stack and instructions on microcontrollers, against the baseline (docs/evidence/size.md, README.md)'
	@echo 'make rates        which learner runs at which rate on processors without an FPU (docs/evidence/size.md); minutes'
	@echo 'make scaling      instructions against units, part by part, on a Cortex-M4F (docs/evidence/size.md)'
	@echo 'make cost         instructions, flash and stack of any learner, measured and fitted (docs/evidence/cost.md)'
	@echo 'make losses       the error that each smaller learner of nbt-embed size adds (docs/evidence/cost.md); minutes'
	@echo 'make amalgamation the kernel as two files, nbt.c and nbt.h, into build/amalgamation'
	@echo 'make ecosystems   a library for Arduino, PlatformIO, ESP-IDF, Zephyr and CMake, into build/library'
	@echo 'make packagers    what tests pack that library with: PlatformIO, compote, west, in an environment of their own'
	@echo 'make misra        where the kernel departs from MISRA C:2012 (docs/evidence/misra.md)'
	@echo 'make soak         10^9 steps (docs/design.md); half an hour, may be interrupted'
	@echo 'make learning     learning curves compared with PyTorch (docs/evidence/learning.md); hours, may be interrupted;'
	@echo '                  LEARNING=symbols, series or columns: that part; OWN=1: without the competitors;'
	@echo '                  GOALS=1: of columns what has a goal, alone; REPORT=1: measures nothing, writes what is there'
	@echo 'make learning-quick  the same questions in minutes, into build/learning-quick'
	@echo 'make paper        what the paper of the method claims, measured again (docs/evidence/paper.md); minutes'
	@echo 'make bench        the default learner compared with river, reservoirpy, PyTorch, ...; the limit of the machine (docs/evidence/speed.md)'
	@echo 'make bench-quick  the same in a minute, into build/'
	@echo 'make instructions  instructions a step under valgrind, against the baseline'
	@echo 'make fuzz         hostile checkpoints, flash and calls; FUZZ_SECONDS each (60); needs clang'
	@echo 'make fuzz-coverage  lines of the parsers that the kept corpora reach'
	@echo 'make prove        absence of run-time errors in some parts, for every input; needs frama-c'
	@echo 'make notebook     execute docs/guide/tutorial.ipynb and compare what it prints with what is stored'
	@echo 'make readme       run what README.md and guides show: demo, test, guards, faults'
	@echo 'make site         the documents as a site, build/site/index.html; make docs also runs the programs in them'
	@echo 'make check        formatter, linter, spelling, types, and the kernel through compilers and analysers'
	@echo 'make clean        remove everything that make made, .venv included'
	@echo 'DOCUMENT=1        as in `make size DOCUMENT=1`: puts what was measured into the document in brackets,'
	@echo '                  which no target changes otherwise'
	@echo 'PYTHON=python3.12 make ...  chooses the interpreter (now: $(PYTHON))'

demo: $(VENV)/package
	@mkdir -p build
	$(BIN)/nbt-embed demo --report build/demo.html

# One process of tests on each processor, and one thread in each.
test: $(VENV)/tools
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(MARKERS) $(PYTEST_FLAGS)

package: $(VENV)/tools
	$(BIN)/python -m tools.package

accuracy: $(VENV)/package
	$(BIN)/python -m tools.accuracy $(call documented,--document docs/evidence/accuracy.md)

streams: $(VENV)/package
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.streams \
	    $(call documented,--document docs/evidence/streams.md --readme README.md)

peers: $(VENV)/tools
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.peers $(call documented,--document docs/evidence/river.md)

intervals: $(VENV)/report
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.intervals \
	    $(call documented,--document docs/evidence/uncertainty.md --pictures docs/evidence/uncertainty)

# `make nab NAB_DATA=FOLDER` scores other series of the same shape, with its windows.json.
NAB_DATA ?=
nab: $(VENV)/report
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.nab $(if $(NAB_DATA),--data $(NAB_DATA)) \
	    $(call documented,--document docs/evidence/uncertainty.md --pictures docs/evidence/uncertainty)

faults: $(VENV)/report
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.faults \
	    $(call documented,--document docs/evidence/uncertainty.md --pictures docs/evidence/uncertainty)

false-alarms: $(VENV)/package
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.false_alarms $(call documented,--document docs/evidence/uncertainty.md)

flat: $(VENV)/tools
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.flat

drift: $(VENV)/package
	$(BIN)/python -m tools.drift $(call documented,--document docs/design.md)

# Needs Chromium for the page.
desk: $(VENV)/tools
	$(BIN)/python -m tools.desk $(call documented,--document docs/evidence/command-line.md --picture docs/guide/desk/page.png)

# Needs mosquitto.
live: $(VENV)/tools
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m tools.live $(call documented,--document docs/evidence/live.md)

# `make fleet FLEET_FLAGS='--devices 400 --rows 4000 --memory 10000 1000'` is done in a minute.
FLEET_FLAGS ?=
fleet: $(VENV)/tools
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.fleet $(FLEET_FLAGS) \
	    $(call documented,--document docs/evidence/fleet.md)

# `make fleet-scale SCALE_FLAGS=--quick` measures little of everything, in seconds.
SCALE_FLAGS ?=
fleet-scale: $(VENV)/tools
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.fleet.scale $(SCALE_FLAGS) \
	    $(call documented,--document docs/evidence/scale.md)

soak: $(VENV)/report
	$(BIN)/python -m tools.soak \
	    $(call documented,--picture docs/evidence/soak.png --document docs/design.md,--picture build/soak.png)

# Needs the cross compilers and emulators of docs/reference/porting.md.
TARGET_STEPS ?= 2000
targets: $(VENV)/package
	$(BIN)/python -m tools.targets --steps $(TARGET_STEPS) \
	    $(call documented,--document docs/reference/porting.md)

# Needs clang and lld.
board: $(VENV)/package
	$(BIN)/python -m tools.board

amalgamation: $(VENV)/package
	$(BIN)/python -m tools.amalgamate

ecosystems: $(VENV)/package
	$(BIN)/python -m tools.library

# An environment of their own: they hold other packages back.
packagers: $(VENV)-packagers/ready
$(VENV)-packagers/ready: tools/library/packagers.txt $(VENV)/python
	$(BIN)/python -m venv --clear $(VENV)-packagers
	$(VENV)-packagers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Minutes; needs cppcheck with its addon.
misra: $(VENV)/package
	$(BIN)/python -m tools.misra $(call documented,--document docs/evidence/misra.md)

# `make size SIZE_FLAGS=--accept` makes what is measured the baseline.
size: $(VENV)/package
	$(BIN)/python -m tools.targets.size $(SIZE_FLAGS) \
	    $(call documented,--document docs/evidence/size.md --readme README.md)

rates: $(VENV)/package
	$(BIN)/python -m tools.targets.rates $(call documented,--document docs/evidence/size.md)

scaling: $(VENV)/package
	$(BIN)/python -m tools.targets.scaling $(call documented,--document docs/evidence/size.md)

# A quarter of an hour when everything is measured again (`make cost COST_FLAGS=--again`, after a change
# of the kernel); else what is not in tools/targets/cost.json, and the fit.
cost: $(VENV)/tools
	$(BIN)/python -m tools.targets.cost $(COST_FLAGS) \
	    $(call documented,--document docs/evidence/cost.md --guide docs/guide/size.md)

losses: $(VENV)/package
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.targets.losses $(call documented,--document docs/evidence/cost.md)

# `make learning LEARNING=series` measures that part alone; there are symbols and columns too. OWN=1
# leaves the competitors out, and their figures as they are. GOALS=1 measures of the columns
# what has a goal (losses in bytes; 20 seeds, six tasks, a million steps), alone. REPORT=1 writes what is
# measured already.
LEARNING ?=
OWN ?= 0
GOALS ?= 0
REPORT ?= 0
LEARNERS := $(VENV)/$(if $(filter-out 0,$(OWN)),report,learning)
LEARN := OMP_NUM_THREADS=1 $(BIN)/python -m tools.learning $(LEARNING) \
         $(if $(filter-out 0,$(OWN)),--own) $(if $(filter-out 0,$(GOALS)),--goals) \
         $(if $(filter-out 0,$(REPORT)),--report)
learning: $(LEARNERS)
	$(LEARN) $(call documented,--document docs/evidence/learning.md)

learning-quick: $(LEARNERS)
	$(LEARN) --quick

# `make paper CLAIMS="cost filters"` measures these alone.
CLAIMS ?=
paper: $(VENV)/report
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.paper $(CLAIMS) \
	    $(call documented,--document docs/evidence/paper.md)

# Some minutes; one thread of one core.
bench: $(VENV)/bench
	$(BIN)/python -m tools.bench --output build/bench.json $(call documented,\
	    --document docs/evidence/speed.md --picture docs/evidence/speed/cost.png,--picture build/bench.png)

bench-quick: $(VENV)/bench
	$(BIN)/python -m tools.bench --quick --output build/bench-quick.json \
	    --picture build/bench-quick.png

# `make instructions INSTRUCTION_FLAGS=--accept` makes what is counted the baseline.
instructions: $(VENV)/package
	$(BIN)/python -m tools.bench.instructions $(INSTRUCTION_FLAGS)

# tests/fuzz/corpus.tar.gz holds what earlier runs found; new finds go to build/fuzz/corpus.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := load store steps
FUZZ_FLAGS := -std=c99 -g1 -O1 -ffp-contract=off -fsanitize=fuzzer,address,undefined \
              -fno-sanitize-recover=all -Icsrc
FUZZ_OBJECTS := $(patsubst csrc/%.c,build/fuzz/kernel/%.o,$(wildcard csrc/*.c))
fuzz:
	@command -v clang >/dev/null || { \
	    echo 'error: clang not found. Debian, Ubuntu: apt-get install clang' >&2; exit 1; }
	@mkdir -p build/fuzz/kernel && tar -C build/fuzz -xzf tests/fuzz/corpus.tar.gz
	@$(SIDE_BY_SIDE) $(FUZZ_TARGETS:%=build/fuzz/%)
	@$(SIDE_BY_SIDE) -j$(words $(FUZZ_TARGETS)) $(FUZZ_TARGETS:%=fuzz-%)

$(FUZZ_OBJECTS): build/fuzz/kernel/%.o: csrc/%.c $(filter %.h,$(KERNEL)) Makefile
	@clang $(FUZZ_FLAGS) -c $< -o $@

$(FUZZ_TARGETS:%=build/fuzz/%): build/fuzz/%: tests/fuzz/%.c $(FUZZ_OBJECTS)
	@clang $(FUZZ_FLAGS) $^ -lm -o $@

.PHONY: $(FUZZ_TARGETS:%=fuzz-%)
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%:
	@build/fuzz/$* -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -verbosity=0 \
	    -print_final_stats=1 -artifact_prefix=build/fuzz/ build/fuzz/corpus/$*
	@echo '$*: nothing found in $(FUZZ_SECONDS) s'

# Which lines of the parsers the kept corpora reach, and what they are.
fuzz-coverage:
	@mkdir -p build/fuzz && tar -C build/fuzz -xzf tests/fuzz/corpus.tar.gz
	@for target in load store steps; do \
	    clang -std=c99 -g -O1 -ffp-contract=off -fsanitize=fuzzer -fprofile-instr-generate \
	        -fcoverage-mapping -Icsrc tests/fuzz/$$target.c csrc/*.c -lm -o build/fuzz/cover_$$target && \
	    LLVM_PROFILE_FILE=build/fuzz/$$target.profraw build/fuzz/cover_$$target -runs=0 -verbosity=0 \
	        build/fuzz/corpus/$$target || exit 1; \
	done
	@llvm-profdata merge build/fuzz/*.profraw -o build/fuzz/all.profdata
	@llvm-cov report build/fuzz/cover_load -object build/fuzz/cover_store \
	    -object build/fuzz/cover_steps -instr-profile=build/fuzz/all.profdata $(PARSERS) \
	    -show-region-summary=false -show-branch-summary=false
PARSERS := csrc/nbt_checkpoint.c csrc/nbt_walk.c csrc/nbt_store.c csrc/nbt_config.c csrc/nbt_intake.c

# Frama-C's Eva on what can be proved free of run-time errors, for every input; minutes (docs/evidence/security.md).
PROVED := math rng ring header
prove:
	@command -v frama-c >/dev/null || { \
	    echo 'error: frama-c not found. Debian, Ubuntu: apt-get install frama-c-base' >&2; exit 1; }
	@mkdir -p build
	@for part in $(PROVED); do \
	    frama-c -machdep gcc_x86_64 -cpp-extra-args="-Icsrc -DNBT_LANES=1" -warn-special-float none \
	        -main prove_$$part -eva -eva-precision 2 -eva-slevel 200000 -eva-split-return auto \
	        -eva-partition-history 1 tests/eva/eva.c csrc/*.c > build/prove_$$part.txt 2>&1; \
	    grep -q '^  0 alarms generated' build/prove_$$part.txt || { \
	        grep -A1 'eva:alarm' build/prove_$$part.txt; exit 1; }; \
	    echo "$$part: 0 alarms"; \
	done

notebook: $(VENV)/tools
	$(BIN)/python -m tools.notebook $(call documented,--document)

readme: $(VENV)/tools
	$(BIN)/python -m tools.readme demo test $(call documented,--document README.md)
	$(BIN)/python -m tools.readme guards faults $(call documented,--document docs/guide/sensor-faults.md)

# NO_MKDOCS_2_WARNING: no advertisement of a successor. (Not --quiet: then --strict overlooks warnings.)
site: $(VENV)/tools
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs: site
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal \
	    tests/test_documents.py tests/test_links.py tests/test_questions.py

check: lint compilers analyse step

# The C that is formatted; the pinned version is that of pyproject.toml.
FORMATTED := $(wildcard csrc/*.[ch] csrc/*.inc src/*.[ch] nbt_embed/*.[ch] nbt_embed/firmware/*.[ch] \
             examples/*.c tests/*.c tests/fuzz/*.c tools/*/*.[ch] tools/*/*/*.[ch])
FORMATTED := $(filter-out nbt_embed/_kernel.c,$(FORMATTED))
lint: $(VENV)/tools
	$(BIN)/clang-format --dry-run --Werror $(FORMATTED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/python -m tools.prose
	$(BIN)/python -m tools.vocabulary
	$(BIN)/mypy

# With what is compiled on request only.
EVERYTHING := -DNBT_SOFT_FLOAT=2
# NBT_REQUIRE_TOOLS=1 (the CI sets it) turns a missing compiler from a note into an error.
COMPILED := gcc-1 gcc-16 clang-1 clang-16
compilers:
	@$(SIDE_BY_SIDE) $(COMPILED:%=compile-%)

.PHONY: $(COMPILED:%=compile-%)
$(COMPILED:%=compile-%): compile-%:
	@cc=$(firstword $(subst -, ,$*)); lanes=$(lastword $(subst -, ,$*)); \
	$(call if_installed,$$cc,the kernel was not checked with it); \
	echo "$$cc, NBT_LANES=$$lanes"; \
	for source in csrc/*.c $(CALLS); do \
	    $$cc $(WARNINGS) $(EVERYTHING) -DNBT_LANES=$$lanes -Icsrc -c -o /dev/null $$source || exit 1; \
	done

# The same rule as for compilers.
ANALYSED := clang-tidy gcc cppcheck
.PHONY: $(ANALYSED:%=analyse-%)
analyse:
	@$(SIDE_BY_SIDE) $(ANALYSED:%=analyse-%)

# At -O2 gcc takes an array of one lane apart before its analyser looks, which then misses the values
# it was given.
analyse-gcc:
	@$(call if_installed,gcc,the kernel was not analysed with it); \
	echo 'gcc, static analysis'; \
	for source in csrc/*.c $(CALLS); do \
	    gcc $(WARNINGS) $(EVERYTHING) -O1 -fanalyzer -DNBT_LANES=1 -Icsrc -c -o /dev/null $$source || exit 1; \
	done

analyse-clang-tidy:
	@$(call if_installed,clang-tidy,the kernel was not analysed with it); \
	echo 'clang-tidy, static analysis'; \
	clang-tidy --quiet csrc/*.c $(CALLS) -- -std=c99 $(EVERYTHING) -DNBT_LANES=16 -Icsrc 2>/dev/null

analyse-cppcheck:
	@$(call if_installed,cppcheck,the kernel was not analysed with it); \
	echo 'cppcheck, static analysis'; \
	cppcheck --quiet --std=c99 --language=c --error-exitcode=1 --inline-suppr --enable=warning \
	    $(EVERYTHING) -DNBT_LANES=16 -Icsrc csrc $(CALLS)

# What Python loads through its own interface and NumPy's, whose headers are not ours to check, and
# which asks for functions as void pointers.
HEADERS = $(shell $(BIN)/python -c 'import sysconfig, numpy; \
            print("-isystem", sysconfig.get_path("include"), "-isystem", numpy.get_include())')
STEP_FLAGS = $(filter-out -Wpedantic,$(WARNINGS)) -Icsrc $(HEADERS)
step: $(VENV)/package
	@for cc in gcc clang; do \
	    ( $(call if_installed,$$cc,$(STEP) was not checked with it); \
	    echo "$$cc, $(STEP)"; $$cc $(STEP_FLAGS) -c -o /dev/null $(STEP) ) || exit 1; \
	done
	@$(call if_installed,gcc,$(STEP) was not analysed with it); \
	gcc $(STEP_FLAGS) -O1 -fanalyzer -c -o /dev/null $(STEP)
	@$(call if_installed,clang-tidy,$(STEP) was not analysed with it); \
	clang-tidy --quiet $(STEP) -- -std=c99 -Icsrc $(HEADERS) 2>/dev/null

# $(call if_installed,program,what not to have it means): ends the recipe where it is missing.
if_installed = command -v $1 >/dev/null || { \
    echo "$1 is not installed: $2"; test "$$NBT_REQUIRE_TOOLS" != 1; exit; }

clean:
	rm -rf $(VENV) $(VENV)-packagers build dist *.egg-info nbt_embed/_kernel.c nbt_embed/_*.so nbt_embed/_choices.py
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The package is installed in place: Python files are used as they are, and the kernel is compiled
# into nbt_embed/ again whenever a source of it changes.
$(VENV)/package: $(VENV)/python $(VENV)/built-with $(KERNEL) $(RECIPE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[app]'
	@touch $@

$(VENV)/tools: $(VENV)/python $(VENV)/built-with $(KERNEL) $(RECIPE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/package

# What the kernel was compiled with. It is looked at every time, and is newer only if it has changed.
$(VENV)/built-with: $(VENV)/python FORCE
	@env | LC_ALL=C grep -E '^(CC|CFLAGS|CPPFLAGS|LDFLAGS|LDSHARED)=' | LC_ALL=C sort > $@.now; \
	if cmp -s $@.now $@; then rm $@.now; else mv $@.now $@; fi

.PHONY: FORCE
FORCE:

# This index has PyTorch for the CPU alone, a tenth of the size. `make learning TORCH_INDEX=` takes what
# pip is set up for.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
$(VENV)/learning: $(VENV)/package
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[learning]' \
	    $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	@touch $@

# The index comes into play for PyTorch alone, as above.
$(VENV)/bench: $(VENV)/package
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' \
	    $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	@touch $@

$(VENV)/report: $(VENV)/package
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[report]'
	@touch $@

# An interpreter that was asked for replaces the environment of another one.
ifneq ($(filter command environment,$(firstword $(origin PYTHON))),)
python_of = $(shell $1 -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null)
ifneq ($(call python_of,$(PYTHON)),$(call python_of,$(BIN)/python))
.PHONY: $(VENV)/python
endif
endif

$(VENV)/python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo 'error: $(PYTHON) not found. Debian, Ubuntu: apt-get install python3' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo 'error: $(PYTHON) is older than 3.10. Choose another: make PYTHON=python3.12 ...' >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo 'error: $(PYTHON) has no venv module. Debian, Ubuntu: apt-get install python3-venv' >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(os.path.join(s.get_path("include"), "Python.h")))' || { \
	    echo 'error: Python.h is missing. Debian, Ubuntu: apt-get install python3-dev' >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || { \
	    echo 'error: no C compiler. Debian, Ubuntu: apt-get install gcc libc6-dev' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@
