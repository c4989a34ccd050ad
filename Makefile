#-------------------------------------------------------------------------
#
# Makefile
#	  Build, install and check vkindex (PGXS).
#
#	  make                 build the extension
#	  make install         install it for the server of PG_CONFIG
#	  make test            install what is missing, build, run every test
#	                       (STAGES="regress tap" runs some of them)
#	  make stress          crashes, mixes and replication at length (an hour)
#	  make test-clients    drivers, ORMs and vector stores, each from its registry
#	                       (CLIENTS="psycopg go" takes some of them)
#	  make matrix          every test on each version of PostgreSQL that Debian
#	                       has (SERVERS="18 assert" takes some of them)
#	  make check-kernels   build and run the kernel checker; needs no server
#	                       (VKCHECK_ARGS="--bench" is passed on to it)
#	  make check-kernels-arm
#	                       the same for arm64, cross-compiled and emulated
#	  make check-arm64     regression tests in an emulated arm64 PostgreSQL
#	  make sanitize        tests under sanitizers and valgrind (STAGES)
#	  make deb             Debian packages, for each PostgreSQL that this Debian
#	                       has (SUITE=trixie: another one; CHECK=1: install them
#	                       in a fresh Debian and try them)
#	  make lint            check the rules of the tree
#	  make analyze         static analysis: cppcheck, clang-tidy, scan-build
#	  make coverage        which lines the tests run (STAGES as for test)
#	  make demo            both indexes over real data (QUERY="your words")
#	  make bench           measure against other engines (BENCH_ARGS)
#	  make profile         where the time of a query goes (BENCH_ARGS)
#	  make clean           remove what was built
#
#	  Variables: PG_CONFIG, CC, WERROR=1 (warnings are errors).
#
# NOTES
#	  No file is compiled for the machine that builds it.  A kernel file
#	  gets the flags of its own instruction set and nothing else does; which
#	  file runs is decided when the library is loaded.
#
#-------------------------------------------------------------------------

MODULE_big = vkindex
EXTENSION = vkindex vkindex_pgvector
# scripts that make a version, and those that lead from one to the next
DATA := $(sort $(foreach extension,$(EXTENSION),$(wildcard $(extension)--*.sql)))
PGFILEDESC = "vkindex - index access methods for vectors"

KERNEL_SRCS := $(sort $(wildcard src/kernels/*.c))
QUANT_SRCS := $(sort $(wildcard src/quant/*.c))
SERVER_SRCS := $(sort $(wildcard src/*.c src/types/*.c src/am/*.c src/batch/*.c))
OBJS := $(patsubst %.c,%.o,$(SERVER_SRCS) $(KERNEL_SRCS) $(QUANT_SRCS))

EXTRA_CLEAN = build results $(wildcard src/*.d src/*/*.d)

REGRESS ?= $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=vkindex --launcher=$(CURDIR)/test/plans-as-15

# -isystem quiets the warnings of the server's own headers.  What remains is
# code that the server's conventions ask for: a callback has every parameter
# of its type, used or not, and tables are closed by an entry of one zero.
WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
ifdef WERROR
WARNINGS += -Werror
endif

# The last bit of a distance must not depend on what a compiler fuses.
NUMERIC_FLAGS = -ffp-contract=off

# Kernels and codes: plain C that knows no server, where speed is made.
PLAIN_FLAGS = -O3 -fno-math-errno -fno-trapping-math -Wno-declaration-after-statement

# The reference is what every other kernel is compared with, so it must stay
# scalar (clang takes gcc's names for these two).
REF_FLAGS = -fno-tree-vectorize -fno-tree-slp-vectorize

# Commands, scripts that install what they need; they and the kernel checker work before
# a server is installed.
COMMANDS = test stress test-clients matrix sanitize check-kernels-arm check-arm64 deb lint analyze coverage demo bench profile
SERVERLESS = $(COMMANDS) check-kernels vkcheck

GOALS := $(or $(MAKECMDGOALS),all)
PG_CONFIG ?= pg_config

ifeq ($(filter-out $(SERVERLESS),$(GOALS)),)
WITHOUT_SERVER = yes
else
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
ifneq ($(GOALS),clean)
$(error no PGXS from "$(PG_CONFIG)": install postgresql-server-dev, or set PG_CONFIG)
endif
WITHOUT_SERVER = yes
endif
endif

ifdef WITHOUT_SERVER

.DEFAULT_GOAL = all

clean:
	rm -rf $(EXTRA_CLEAN) $(OBJS) $(OBJS:.o=.bc) $(MODULE_big).so

else

PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CFLAGS = $(WARNINGS) $(NUMERIC_FLAGS) -MMD -MP
SHLIB_LINK = -lm

# PGXS's own tracking keys its files by base name only; -MMD above does not.
override autodepend = no

include $(PGXS)

endif

#-------------------------------------------------------------------------
# Instruction sets: tools/probe-cc asks the compiler, once for each compiler
#-------------------------------------------------------------------------

EMPTY =
SPACE = $(EMPTY) $(EMPTY)
PROBE := build/probe-$(subst /,_,$(subst $(SPACE),_,$(strip $(CC)))).mk

$(PROBE): tools/probe-cc
	@mkdir -p $(@D)
	@tools/probe-cc $(CC) >$@.tmp
	@mv $@.tmp $@

ifneq ($(filter-out clean $(COMMANDS),$(GOALS)),)
include $(PROBE)
endif

# Flags of one kernel or quant file; $(1) is its path without suffix.
file_flags = $(PLAIN_FLAGS) $(ISA_$(notdir $(1))) $(if $(filter src/kernels/ref,$(1)),$(REF_FLAGS))

#-------------------------------------------------------------------------
# The extension
#-------------------------------------------------------------------------

ifndef WITHOUT_SERVER

override CFLAGS += $(CC_FLAGS)

# Built again when flags may have changed.
$(OBJS): Makefile $(PROBE)

-include $(OBJS:.o=.d)

PLAIN_OBJS = $(patsubst %.c,%.o,$(KERNEL_SRCS) $(QUANT_SRCS))

define plain_object
$(1): override CFLAGS += $$(call file_flags,$(basename $(1)))

endef
$(eval $(foreach o,$(PLAIN_OBJS),$(call plain_object,$(o))))

# Bitcode lets the server inline functions into compiled expressions, for the
# CPU at hand and by another compiler.  Ours are too long to gain by it, and
# their answers must be those of the library: nothing is offered for inlining
# (-fno-inline marks each function so) and kernels have no bitcode at all.
override BITCODE_CFLAGS += $(NUMERIC_FLAGS) -fno-inline

ifeq ($(with_llvm),yes)
$(OBJS:.o=.bc): %.bc: %.o

$(PLAIN_OBJS:.o=.bc):
	$(COMPILE.c.bc) -o $@ -x c /dev/null
endif

endif

#-------------------------------------------------------------------------
# The kernel checker: the same files and flags, no server
#-------------------------------------------------------------------------

# another folder for another compiler; VKCHECK_LDFLAGS = -static for an emulator
VKCHECK_DIR = build/kernels
VKCHECK_LDFLAGS =
VKCHECK = $(VKCHECK_DIR)/vkcheck
VKCHECK_SRCS := $(sort $(wildcard test/kernels/*.c))
VKCHECK_OBJS = $(patsubst %.c,$(VKCHECK_DIR)/%.o,$(VKCHECK_SRCS) $(KERNEL_SRCS) $(QUANT_SRCS))

check-kernels: $(if $(VKCHECK_SRCS),$(VKCHECK))
ifeq ($(VKCHECK_SRCS),)
	@echo "vkcheck: 0 passed, 0 failed"
else
	$(VKCHECK) $(VKCHECK_ARGS)
endif

vkcheck: $(VKCHECK)

$(VKCHECK): $(VKCHECK_OBJS)
	$(CC) $(VKCHECK_LDFLAGS) -o $@ $^ -lm

# the kernels and what measures them, for bench/kernels.py
VKLIB = $(VKCHECK_DIR)/libvkkernels.so
VKLIB_OBJS = $(filter $(VKCHECK_DIR)/src/kernels/%,$(VKCHECK_OBJS)) \
	$(patsubst %,$(VKCHECK_DIR)/test/kernels/%.o,bench_case bench_slots pages support)

$(VKLIB): $(VKLIB_OBJS)
	$(CC) -shared -o $@ $^ -lm

$(VKCHECK_DIR)/%.o: %.c Makefile $(PROBE)
	@mkdir -p $(@D)
	$(CC) -g -O2 -fPIC -Isrc $(WARNINGS) $(CC_FLAGS) $(NUMERIC_FLAGS) -MMD -MP $(if $(filter src/%,$*),$(call file_flags,$*)) -c -o $@ $<

-include $(VKCHECK_OBJS:.o=.d)

#-------------------------------------------------------------------------
# Everything else is a script
#-------------------------------------------------------------------------

test:
	@test/run $(STAGES)

stress:
	@test/run stress

test-clients:
	@CLIENTS='$(CLIENTS)' test/run clients

matrix:
	@tools/matrix $(SERVERS)

sanitize:
	@test/sanitize $(STAGES)

check-kernels-arm:
	@tools/check-kernels-arm $(VKCHECK_ARGS)

check-arm64:
	@tools/check-arm64

deb:
	@tools/deb

lint:
	@tools/lint

analyze:
	@tools/analyze

coverage:
	@tools/coverage $(STAGES)

demo:
	@QUERY='$(subst ','\'',$(QUERY))' demo/run

bench:
	@bench/run $(BENCH_ARGS)

profile:
	@bench/profile $(BENCH_ARGS)

.PHONY: $(COMMANDS) check-kernels vkcheck
