# Tests, fuzz targets and the bench: included by the Makefile at the top.

# ---- units: tests/unit/test_X.c includes or links the real source (it names what it needs by #include "../../dir/file.c")
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
TEST_LIBS := -lcmocka -lseccomp -lcurl -lcrypto -lpthread

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libipc.a
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -Wno-missing-prototypes -Wno-unused-function -MF $@.d $(LINK) -o $@ $< $(BUILD)/libipc.a $(TEST_LIBS)

-include $(wildcard $(BUILD)/tests/unit/*.d)

check-unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

# ---- fuzz: tests/fuzz/fuzz_X.c is a libFuzzer target, tests/fuzz/corpus/X its committed seeds
FUZZ_SECONDS ?= 20
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS := -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-DSANDBOX_WIDE -DFUZZING $(CPPFLAGS)

build-fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard ipc/*.[ch] netproc/*.[ch] diskproc/*.[ch] parent/*/*.[ch])
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) -o $@ $< $(IPC) -lseccomp -lcurl -lcrypto -lpthread

fuzz: $(FUZZ:%=build-fuzz/fuzz_%)
	@for f in $(FUZZ); do \
		mkdir -p build-fuzz/corpus/$$f tests/fuzz/corpus/$$f build-fuzz/crash; \
		echo "fuzz $$f: $(FUZZ_SECONDS) s"; \
		build-fuzz/fuzz_$$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=build-fuzz/crash/$$f- build-fuzz/corpus/$$f tests/fuzz/corpus/$$f > build-fuzz/$$f.log 2>&1 \
			|| { tail -40 build-fuzz/$$f.log; exit 1; }; \
		grep -E 'number_of_executed_units|peak_rss' build-fuzz/$$f.log; \
	done

.PHONY: check-unit fuzz
