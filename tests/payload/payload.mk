# SPDX-License-Identifier: BSD-3-Clause
# Bare guests for the boot tests: each tests/payload/NAME.S becomes $(O)/tests/payload/NAME.elf.

payloads := $(patsubst tests/payload/%.S,$(O)/tests/payload/%.elf,$(sort $(wildcard tests/payload/*.S)))
payload-bits = $(if $(filter entry_linux first,$*),64,32)

$(O)/tests/payload/%.elf: tests/payload/%.S tests/payload/payload.inc tests/payload/payload.lds
	$(say) PAYLOAD '$<'
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -m$(payload-bits) -nostdlib -static -no-pie -Wl,--build-id=none,-T,tests/payload/payload.lds \
		-Wa,-Itests/payload -o $@ $<

# The hostile guest is C: all of tests/payload/hostile in one go.
hostile := $(O)/tests/payload/hostile.elf
hostile-flags := -std=gnu11 -m64 -Os -g -ffreestanding -fno-pic -fno-stack-protector -fcf-protection=none \
	-mgeneral-regs-only -mno-red-zone -fno-asynchronous-unwind-tables -Isrc $(warnings)
$(hostile): $(wildcard tests/payload/hostile/*) tests/payload/payload.mk
	$(say) PAYLOAD 'tests/payload/hostile'
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(hostile-flags) -nostdlib -static -no-pie -Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments \
		-Wl,-T,tests/payload/hostile/hostile.lds -o $@ $(filter %.S %.c,$^)

payloads: $(payloads) $(hostile)
.PHONY: payloads
