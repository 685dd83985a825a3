# The probe: one program for each role, and its runner; tests/probe/test_probe.py drives them.

PROBE_ROLES := inspect resolver dialer netproc diskproc create
PROBES := $(PROBE_ROLES:%=$(BUILD)/tests/probe/probe-%)
PROBE_FLAGS = $(filter-out -Wmissing-prototypes,$(ALL_CFLAGS)) -Itests/probe

$(PROBES): $(BUILD)/tests/probe/probe-%: tests/probe/probe.c tests/probe/attempts.c $(BUILD)/libipc.a
	@mkdir -p $(@D)
	$(CC) $(PROBE_FLAGS) -DPROBE_ROLE=ROLE_$(shell echo $* | tr a-z A-Z) -MF $@.d $(LINK) -o $@ tests/probe/probe.c tests/probe/attempts.c \
		$(BUILD)/libipc.a -lseccomp

PROBE_PARENT := parent/launcher.c parent/launch.c parent/ids.c

$(BUILD)/tests/probe/run_probe: tests/probe/run_probe.c tests/probe/attempts.c $(PROBE_PARENT) $(BUILD)/libipc.a
	@mkdir -p $(@D)
	$(CC) $(PROBE_FLAGS) -MF $@.d $(LINK) -o $@ tests/probe/run_probe.c tests/probe/attempts.c $(PROBE_PARENT) \
		$(BUILD)/libipc.a -lseccomp

$(BUILD)/tests/probe/without: tests/probe/without.c
	@mkdir -p $(@D)
	$(CC) $(PROBE_FLAGS) -MF $@.d $(LINK) -o $@ $< -lseccomp

# A probe without walls, to test the judge.
$(BUILD)/tests/probe/glass/probe-netproc: tests/probe/probe.c tests/probe/attempts.c $(IPC) $(wildcard ipc/*.h)
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(PROBE_FLAGS)) -DSANDBOX_WIDE -DPROBE_ROLE=ROLE_NETPROC $(LINK) -o $@ $(filter %.c,$^) -lseccomp
	for r in inspect resolver dialer diskproc create; do ln -sf probe-netproc $(@D)/probe-$$r; done

-include $(wildcard $(BUILD)/tests/probe/*.d)

check-probe: $(PROBES) $(BUILD)/tests/probe/run_probe $(BUILD)/tests/probe/without $(BUILD)/tests/probe/glass/probe-netproc
	PROBE_FOLDER=$(BUILD)/tests/probe $(PYTHON) -m pytest -q tests/probe

# What the walls cost a system call; see docs/sandbox.md.
$(BUILD)/tests/probe/cost: tests/probe/cost.c $(BUILD)/libipc.a
	@mkdir -p $(@D)
	$(CC) $(PROBE_FLAGS) -MF $@.d $(LINK) -o $@ $< $(BUILD)/libipc.a -lseccomp

# Through a pipe: behind the walls no file may grow.
probe-cost: $(BUILD)/tests/probe/cost
	$< | cat

.PHONY: check-probe probe-cost
