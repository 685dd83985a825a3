# bulkhead - see README.md.  make help lists the targets.
#
# Variables: BUILD (folder), CC, SAN=address,undefined | thread, KILL=1 (unlisted
# system calls kill: the test build), COV=1, PREFIX, DESTDIR.

PREFIX ?= /usr/local
BUILD ?= build
CC = gcc
PYTHON ?= /usr/bin/python3
VERSION := 0.1.0

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wformat=2 -Wundef
HARD := -fPIE -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero -fno-common -fno-strict-aliasing \
	-fno-delete-null-pointer-checks
LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
ifeq ($(shell uname -m),x86_64)
HARD += -fcf-protection=full
endif
# clang before 16 wants to be asked twice.
ifneq ($(findstring clang,$(CC)),)
ifeq ($(shell $(CC) -ftrivial-auto-var-init=zero -E -x c /dev/null >/dev/null 2>&1 || echo no),no)
HARD += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
endif
ifdef SAN
HARD += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -DSANDBOX_WIDE
LINK += -fsanitize=$(SAN)
else
HARD += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ifdef KILL
HARD += -DSANDBOX_KILL
endif
ifdef COV
HARD += --coverage -DSANDBOX_WIDE
LINK += --coverage
endif

# One hash over all that crosses a wall: both ends must be of one build.
BUILD_HASH := $(shell cat ipc/*.h | sha256sum | cut -c1-32)

CPPFLAGS += -D_GNU_SOURCE -Iipc -DBULKHEAD_VERSION='"$(VERSION)"' -DBUILD_HASH='"$(BUILD_HASH)"' \
	-DLIBEXECDIR='"$(PREFIX)/libexec/bulkhead"'
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) $(HARD) $(CPPFLAGS) -MMD -MP

IPC := $(wildcard ipc/*.c)
SRC_bulkhead := $(wildcard parent/*.c)
SRC_bulkhead-inspect := $(wildcard parent/inspect/*.c)
SRC_bulkhead-resolver := $(wildcard parent/resolver/*.c)
SRC_bulkhead-dialer := $(wildcard parent/dialer/*.c)
SRC_bulkhead-netproc := $(wildcard netproc/*.c)
SRC_bulkhead-diskproc := $(wildcard diskproc/*.c)
SRC_bulkhead-create := $(wildcard parent/create/*.c)
PROGRAMS := bulkhead bulkhead-inspect bulkhead-resolver bulkhead-dialer bulkhead-netproc bulkhead-diskproc bulkhead-create

LIBS_bulkhead := -lseccomp
LIBS_bulkhead-inspect := -lseccomp -lcrypto
LIBS_bulkhead-resolver := -lseccomp -lpthread
LIBS_bulkhead-dialer := -lseccomp
LIBS_bulkhead-netproc := -lseccomp -lcurl -lssl -lcrypto
LIBS_bulkhead-diskproc := -lseccomp -lcrypto -lpthread
LIBS_bulkhead-create := -lseccomp -lcrypto -lpthread

all: $(PROGRAMS:%=$(BUILD)/%)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# What every program shares, as an archive: each program maps only the objects that it uses.
$(BUILD)/libipc.a: $(call obj,$(IPC))
	@rm -f $@
	ar rcs $@ $^

define program
$(BUILD)/$(1): $(call obj,$(SRC_$(1))) $(BUILD)/libipc.a
	$$(CC) $$(LINK) -o $$@ $$(filter %.o,$$^) $(BUILD)/libipc.a $$(LIBS_$(1))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# A build folder holds one build: with other flags all of it is made anew.
$(BUILD)/flags: .flags
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(ALL_CFLAGS) $(LINK))' | cmp -s - $@ || echo '$(CC) $(subst ','\'',$(ALL_CFLAGS) $(LINK))' >$@
.flags:

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The hash over the headers is in one place.
$(BUILD)/obj/ipc/build.o: $(wildcard ipc/*.h)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

include tests/tests.mk

deps:
	tests/packages.sh build

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/bulkhead $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(BUILD)/bulkhead $(DESTDIR)$(PREFIX)/bin/
	for p in $(filter-out bulkhead,$(PROGRAMS)); do install -m 755 $(BUILD)/$$p $(DESTDIR)$(PREFIX)/libexec/bulkhead/; done
	install -m 644 docs/bulkhead.1 $(DESTDIR)$(PREFIX)/share/man/man1/

clean:
	rm -rf build build-*

help:
	@echo 'all demo check deps install fuzz bench clean; SAN=address,undefined  SAN=thread  KILL=1  COV=1'

.PHONY: all deps install clean help .flags
.DEFAULT_GOAL := all
