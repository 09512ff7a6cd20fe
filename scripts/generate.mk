# SPDX-License-Identifier: BSD-3-Clause
# Sources that tools make: seccomp filters, ACPI machine language, build information.

# --- Seccomp: policy text -> C, by a host tool on libseccomp ------------------------------------
$(O)/seccompc: $(wildcard scripts/seccompc/*.[ch])
	$(say) HOSTCC '$@'
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) -O1 -std=gnu11 -D_GNU_SOURCE -Isrc $(filter-out -Wimplicit-fallthrough=5,$(warnings)) $(filter %.c,$^) -o $@ -lseccomp

all-policies := $(wildcard seccomp/*.policy src/*/*.policy drivers/*/*/*.policy)
seccompc = $(O)/seccompc --arch $(ARCH)

# Constants named in a policy get their values from the target's headers: compiled, never run.
$(O)/gen/%_constants.c: %.policy $(O)/seccompc
	$(Q)mkdir -p $(@D)
	$(Q)$(seccompc) --names -o $@ -M $@.d $<
$(O)/gen/%_constants.o: $(O)/gen/%_constants.c $(uapi)/.done
	$(Q)$(CC) -std=gnu11 -nostdinc -isystem $(musl-include) \
		-isystem $(shell $(CC) -print-file-name=include) -isystem $(uapi) -c $< -o $@

# Unit tests, which read no configuration, share these files with the product: one answer for both.
seccomp-default := $(if $(shell grep -s '^CONFIG_SECCOMP_REPORT=y' $(AUTOCONF_MK)),trap,kill)
$(O)/gen/%_policy.c: %.policy $(O)/gen/%_constants.o $(AUTOCONF_H)
	$(say) POLICY '$<'
	$(Q)$(seccompc) --default $(seccomp-default) --name $(notdir $*) \
		--constants $(O)/gen/$*_constants.o -o $@ -M $@.d $<
-include $(wildcard $(all-policies:%.policy=$(O)/gen/%_policy.c.d) $(all-policies:%.policy=$(O)/gen/%_constants.c.d))

$(O)/gen/syscall_names.c: $(O)/seccompc
	$(Q)mkdir -p $(@D)
	$(Q)$(seccompc) --syscall-names -o $@

# --- ACPI: ASL -> AML -> C ----------------------------------------------------------------------
$(O)/gen/%.aml: %.asl
	$(say) IASL '$<'
	$(Q)mkdir -p $(@D)
	$(Q)$(call need,iasl)
	$(Q)iasl -we -vs -p $(basename $@) $< >$@.log 2>&1 || { cat $@.log; exit 1; }
$(O)/gen/%_aml.c: $(O)/gen/%.aml
	$(Q)scripts/aml-to-c $(notdir $*) $< >$@

# --- What the binary says of itself ---------------------------------------------------------------
$(O)/gen/build_info.c: $(AUTOCONF_MK) $(flags-file) scripts/build-info
	$(Q)mkdir -p $(@D)
	$(Q)scripts/build-info '$(VERSION)' '$(ARCH)' $(if $(CONFIG_EMBED_CONFIG),$(CONFIG)) >$@
