# Tests, fuzz targets and the bench: included by the Makefile at the top.

# ---- units: tests/unit/test_X.c includes or links the real source (it names what it needs by #include "../../dir/file.c")
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
TEST_LIBS := -lcmocka -lseccomp -lcurl -lssl -lcrypto -lpthread

# What a test does not include comes from here: all of netproc but its main.
NETPROC := $(filter-out netproc/main.c,$(wildcard netproc/*.c))
$(BUILD)/libnetproc.a: $(call obj,$(NETPROC))
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libnetproc.a $(BUILD)/libipc.a
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -Wno-missing-prototypes -Wno-unused-function -MF $@.d $(LINK) -o $@ $< \
		$(BUILD)/libnetproc.a $(BUILD)/libipc.a $(TEST_LIBS)

-include $(wildcard $(BUILD)/tests/unit/*.d)

check-unit: $(UNIT)
	@$(UNIT_WRAP) tests/units.sh "units in $(BUILD)" $(UNIT)

# ---- fuzz: tests/fuzz/fuzz_X.c is a libFuzzer target, tests/fuzz/corpus/X its committed seeds
FUZZ_SECONDS ?= 20
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS := -std=gnu11 -O1 -g -fno-sanitize-recover=all -fno-omit-frame-pointer -DSANDBOX_WIDE -DFUZZING $(CPPFLAGS)
FUZZ_OBJ := $(patsubst %.c,build-fuzz/obj/%.o,$(IPC) $(NETPROC))

build-fuzz/obj/%.o: %.c $(wildcard ipc/*.h netproc/*.h)
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

build-fuzz/libfuzzed.a: $(FUZZ_OBJ)
	@rm -f $@
	ar rcs $@ $^

build-fuzz/fuzz_%: tests/fuzz/fuzz_%.c build-fuzz/libfuzzed.a $(wildcard tests/unit/*.h tests/fuzz/*.h ipc/*.[ch] netproc/*.[ch] diskproc/*.[ch] parent/*/*.[ch])
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< build-fuzz/libfuzzed.a -lseccomp -lcurl -lssl -lcrypto -lpthread

$(FUZZ:%=run-fuzz-%): run-fuzz-%: build-fuzz/fuzz_%
	@mkdir -p build-fuzz/corpus/$* tests/fuzz/corpus/$* build-fuzz/crash
	@$< -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=build-fuzz/crash/$*- build-fuzz/corpus/$* tests/fuzz/corpus/$* > build-fuzz/$*.log 2>&1 \
		|| { echo "fuzz $*:"; tail -40 build-fuzz/$*.log; exit 1; }
	@echo "fuzz $*: $(FUZZ_SECONDS) s" $$(grep -E 'number_of_executed_units|peak_rss' build-fuzz/$*.log)

# With -jN so many at once.
fuzz: $(FUZZ:%=run-fuzz-%)

# The same, counted as a suite.
check-fuzz:
	@if $(MAKE) --no-print-directory -k -j$(shell nproc) fuzz FUZZ_SECONDS=$(FUZZ_SECONDS); then \
		echo "== fuzz, $(FUZZ_SECONDS) s each: $(words $(FUZZ)) passed, 0 failed"; \
	else echo "== fuzz, $(FUZZ_SECONDS) s each: 0 passed, 1 failed"; exit 1; fi

# ---- the program as a whole, against real and hostile peers: as root (when root) and as an ordinary user
check-world: all
	@PYTHON=$(PYTHON) tests/world.sh $(BUILD) "world in $(BUILD)" $(WORLD)

check-user: all
	@WHO=$(if $(filter 0,$(shell id -u)),user,self) PYTHON=$(PYTHON) tests/world.sh $(BUILD) "world in $(BUILD)" $(WORLD)

# ---- tests/probe: a program that acts as a compromised compartment
-include tests/probe/probe.mk

# ---- all of it: units, probe, and the world, in the release build and in the one that kills unlisted system calls
check:
	tests/packages.sh test
	@BUILD=$(BUILD) tests/check.sh release; a=$$?; tests/check.sh kill; b=$$?; cat build-check-release.log build-check-kill.log > build-check.log; \
		tests/sum.sh build-check.log && [ $$a$$b = 00 ]

# Units, and a few downloads, with sanitizers.  They prove nothing about walls: SANDBOX_WIDE lets the sanitizers work.
check-san:
	tests/packages.sh test
	@tests/check.sh san; a=$$?; tests/sum.sh build-check-san.log && [ $$a = 0 ]

coverage:
	tests/packages.sh test
	$(MAKE) BUILD=build-cov COV=1 CFLAGS='-O0 -g' check-unit
	tests/coverage.sh build-cov

# ---- the main job, on a swarm of its own
demo:
	tests/packages.sh demo
	$(MAKE) -s --no-print-directory all
	$(PYTHON) tests/demo.py $(BUILD)

# ---- speed and memory beside other clients (tests/bench/README.md)
BENCH_ARGS ?= --scenario core --rounds 3
bench: all
	$(PYTHON) tests/bench/bench.py $(BENCH_ARGS) --bulkhead '$(abspath $(BUILD))/bulkhead get {torrent} -d {outdir} --port {port} --allow-net 127.0.0.0/8 -q'

.PHONY: check-unit check-fuzz check-world check-user check check-san coverage demo bench fuzz $(FUZZ:%=run-fuzz-%)
