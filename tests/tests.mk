# SPDX-License-Identifier: BSD-3-Clause
# Tests: host builds of units, fuzz targets, checks of the text, boots on real KVM. All speak TAP.
#
# Each test program names what it links in one comment of its own:
#   // test-sources: src/bus/bus.c tests/lib/fake_machine.c aml:arch/x86_64/dsdt.asl policies
# and the rules below read that line. `policies` stands for all compiled filters, `fake_guest` for
# tests/lib/fake_guest.c with the queues and floors it drives a device through.

PROVE ?= prove
PROVE_FLAGS ?=
FUZZ_SECONDS ?= 60
CONFIGS ?= 6
TEST_JOBS ?= 2

unit-tests := $(sort $(wildcard src/*/*_test.c arch/*/*_test.c drivers/*/*/*_test.c tests/unit/*_test.c))
fuzz-targets := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz-names := $(patsubst tests/fuzz/fuzz_%.c,%,$(fuzz-targets))

# --- Host builds: every symbol chosen, glibc, sanitizers -----------------------------------------
host := $(O)/host
$(host)/include/generated/autoconf.h: $(kconfig-files) $(DRIVER_KCONFIG)
	$(Q)mkdir -p $(host)/include/generated $(host)/include/config
	$(Q)for step in allyesconfig silentoldconfig; do \
		($(call kconfig-run,$(host)) kconfig-conf --$$step Kconfig); done >$(host)/kconfig.log 2>&1 || \
		{ cat $(host)/kconfig.log; exit 1; }

sanitizers := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
host-flags = $(common-flags) -I$(CURDIR) -include $(host)/include/generated/autoconf.h -O1 $(sanitizers)
FUZZCC ?= clang
fuzz-flags = $(filter-out -Wimplicit-fallthrough=5,$(common-flags)) -Wno-gnu-variable-sized-type-not-at-end -I$(CURDIR) \
	-include $(host)/include/generated/autoconf.h -O1 $(sanitizers) -fsanitize=fuzzer-no-link

$(host)/unit/%.o: %.c $(host)/include/generated/autoconf.h
	$(say) HOSTCC '$<'
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) $(host-flags) -MMD -MP -c $< -o $@
$(host)/unit/gen/%.o: $(O)/gen/%.c $(host)/include/generated/autoconf.h
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) $(host-flags) -MMD -MP -c $< -o $@
$(host)/fuzz/%.o: %.c $(host)/include/generated/autoconf.h
	$(say) FUZZCC '$<'
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZCC) $(fuzz-flags) -MMD -MP -c $< -o $@
$(host)/fuzz/gen/%.o: $(O)/gen/%.c $(host)/include/generated/autoconf.h
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZCC) $(fuzz-flags) -MMD -MP -c $< -o $@

# sources-of FILE KIND: objects for its test-sources line.
fake-guest-sources := tests/lib/fake_guest.c src/virtio/vdev.c src/virtio/vdev_class.c src/virtio/virtq.c \
	src/mem/guest_cursor.c src/mem/guest_mem.c src/evl/evl.c src/util/err.c src/util/fd.c src/util/fdset.c src/util/log.c
test-words = $(foreach word,$(shell sed -n 's,^// test-sources: *,,p' $(1)),$(if $(filter fake_guest,$(word)),$(fake-guest-sources),$(word)))
policy-words = $(if $(filter policies,$(1)),$(all-policies:%.policy=gen/%_policy) gen/syscall_names)
test-objs = $(patsubst %,$(host)/$(2)/%.o,$(1:.c=) \
	$(patsubst %.c,%,$(filter %.c,$(call test-words,$(1)))) \
	$(patsubst aml:%.asl,gen/%_aml,$(filter aml:%,$(call test-words,$(1)))) \
	$(call policy-words,$(call test-words,$(1))))

define unit-rule
$(O)/tests/$(1:.c=): $(call test-objs,$(1),unit)
	$(say) HOSTLD '$$@'
	$(Q)mkdir -p $$(@D)
	$(Q)$(HOSTCC) $(sanitizers) $$^ -o $$@ -lcmocka -lpthread
endef
define fuzz-rule
$(O)/tests/$(1:.c=): $(call test-objs,$(1),fuzz)
	$(say) FUZZLD '$$@'
	$(Q)mkdir -p $$(@D)
	$(Q)$(FUZZCC) $(sanitizers) -fsanitize=fuzzer $$^ -o $$@ -lpthread
endef
test-goals := check% fuzz% host-% $(O)/tests/%
ifneq ($(filter $(test-goals),$(MAKECMDGOALS)),)
$(foreach test,$(unit-tests),$(eval $(call unit-rule,$(test))))
$(foreach target,$(fuzz-targets),$(eval $(call fuzz-rule,$(target))))
-include $(shell find $(host) -name '*.d' 2>/dev/null)
endif

unit-programs := $(unit-tests:%.c=$(O)/tests/%)
fuzz-programs := $(fuzz-targets:%.c=$(O)/tests/%)
host-tests: $(unit-programs)

check:
	$(Q)scripts/check
check-unit: $(unit-programs) $(O)/seccompc
	$(Q)SECCOMPC=$(O)/seccompc CMOCKA_MESSAGE_OUTPUT=TAP $(PROVE) $(PROVE_FLAGS) -j$(TEST_JOBS) --exec '' $(unit-programs)
check-tools: $(O)/seccompc $(O)/kiln
	$(Q)KILN=$(O)/kiln SECCOMPC=$(O)/seccompc $(PROVE) $(PROVE_FLAGS) -j$(TEST_JOBS) $(sort $(wildcard tests/*.t))

# --- Fuzzing ------------------------------------------------------------------------------------
check-fuzz: $(fuzz-programs)
	$(Q)for name in $(fuzz-names); do \
		$(O)/tests/tests/fuzz/fuzz_$$name -runs=0 tests/fuzz/corpus/$$name >$(O)/tests/fuzz_$$name.log 2>&1 \
			&& echo "ok - the corpus of $$name replays" || { tail -n 30 $(O)/tests/fuzz_$$name.log; exit 1; }; done
fuzz-%: $(O)/tests/tests/fuzz/fuzz_%
	$(Q)mkdir -p $(O)/fuzz/$*
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $(O)/fuzz/$* tests/fuzz/corpus/$*

# --- Bare guests ---------------------------------------------------------------------------------
include tests/payload/payload.mk

# --- The text -------------------------------------------------------------------------------------
c-files := $(shell find src arch drivers tests scripts -name '*.[ch]' | sort)
check-layers:
	$(Q)scripts/check-layers
check-format:
	$(Q)clang-format --dry-run -Werror $(c-files) && echo 'ok - the layout of the sources'
check-lint: $(AUTOCONF_H) $(uapi)/.done $(host)/include/generated/autoconf.h
	$(Q)scripts/check-lint $(O) $(ARCH)
check-configs:
	$(Q)scripts/check-configs $(O)/configs $(CONFIGS)
check-boot: $(O)/kiln
	$(Q)scripts/check-boot $(if $(PROVE_FLAGS),-v) -j $(TEST_JOBS) $(O)
bench: $(O)/kiln
	$(Q)scripts/bench $(O)

.PHONY: check host-tests check-unit check-tools check-fuzz check-layers check-format check-lint \
	check-configs check-boot bench
