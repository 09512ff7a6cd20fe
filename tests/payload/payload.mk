# SPDX-License-Identifier: BSD-3-Clause
# Bare guests for the boot tests: each tests/payload/NAME.S becomes $(O)/tests/payload/NAME.elf.

payloads := $(patsubst tests/payload/%.S,$(O)/tests/payload/%.elf,$(sort $(wildcard tests/payload/*.S)))
payload-bits = $(if $(filter entry_linux first,$*),64,32)

$(O)/tests/payload/%.elf: tests/payload/%.S tests/payload/payload.inc tests/payload/payload.lds
	$(say) PAYLOAD '$<'
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -m$(payload-bits) -nostdlib -static -no-pie -Wl,--build-id=none,-T,tests/payload/payload.lds \
		-Wa,-Itests/payload -o $@ $<

payloads: $(payloads)
.PHONY: payloads
