# SPDX-License-Identifier: BSD-3-Clause
# Kiln's build: Kconfig chooses, folder Makefiles list, this file compiles. `make help` tells the targets.
#
# In order: where things are, configuration, what was chosen, how to compile, generated sources,
# the product, the tests, and the words for people.

VERSION := 0.1.0
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

# --- Where things are ------------------------------------------------------------------------
# Run from another folder (make -C, or an out-of-tree O=), paths stay relative to this tree, so
# that messages, debug information and the bytes of the product do not depend on where it lies.
O ?= build
ARCH ?= $(patsubst arm64,aarch64,$(shell uname -m))
ARCHS := $(notdir $(wildcard arch/*))
ifeq ($(filter $(ARCH),$(ARCHS)),)
$(error ARCH=$(ARCH) is not one of: $(ARCHS))
endif

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
MAKEFLAGS += --no-print-directory
endif

# --- Configuration (kconfig-frontends) --------------------------------------------------------
CONFIG := $(O)/.config
AUTOCONF_MK := $(O)/include/config/auto.conf
AUTOCONF_H := $(O)/include/generated/autoconf.h
DRIVER_KCONFIG := $(O)/Kconfig.drivers

# kconfig-frontends has no globs: the list of drivers' Kconfig files is made here.
$(shell mkdir -p $(O)/include/config $(O)/include/generated && \
	for f in drivers/*/*/Kconfig; do printf 'source "%s"\n' "$$f"; done >$(DRIVER_KCONFIG).new && \
	{ cmp -s $(DRIVER_KCONFIG).new $(DRIVER_KCONFIG) || cp $(DRIVER_KCONFIG).new $(DRIVER_KCONFIG); })

# need TOOL: says how to get a tool that is missing.
need = command -v $(1) >/dev/null || { echo "make: $(1) is missing: scripts/setup build installs it" >&2; exit 1; }

# kconfig-run FOLDER: a frontend's environment. It runs inside FOLDER, because it keeps a file for
# each symbol below include/config of wherever it runs; srctree leads it back here.
kconfig-run = cd $(1) && srctree=$(CURDIR) KCONFIG_CONFIG=.config \
	KCONFIG_AUTOCONFIG=include/config/auto.conf KCONFIG_AUTOHEADER=include/generated/autoconf.h \
	KCONFIG_TRISTATE=include/config/tristate.conf CONFIG_=CONFIG_ \
	ARCH=$(ARCH) KILN_VERSION=$(VERSION) DRIVER_KCONFIG=$(abspath $(DRIVER_KCONFIG))
kconfig := $(call kconfig-run,$(O))
# kconfig-quiet WORDS: what a frontend prints is shown only when it fails.
kconfig-quiet = $(call need,kconfig-conf); ($(kconfig) kconfig-conf $(1) Kconfig) >$(O)/kconfig.log 2>&1 || { cat $(O)/kconfig.log; exit 1; }

DEFCONFIG := $(if $(filter x86_64,$(ARCH)),,$(ARCH)_)defconfig

config-targets := menuconfig nconfig config oldconfig olddefconfig defconfig savedefconfig \
	allnoconfig allyesconfig randconfig

menuconfig:
	$(Q)$(kconfig) kconfig-mconf Kconfig
nconfig:
	$(Q)$(kconfig) kconfig-nconf Kconfig
config:
	$(Q)$(kconfig) kconfig-conf --oldaskconfig Kconfig
oldconfig olddefconfig allnoconfig allyesconfig randconfig:
	$(Q)$(call kconfig-quiet,--$@)
defconfig:
	$(Q)$(call kconfig-quiet,--defconfig=$(CURDIR)/configs/$(DEFCONFIG))
%_defconfig: configs/%_defconfig
	$(Q)$(call kconfig-quiet,--defconfig=$(abspath $<))
savedefconfig:
	$(Q)$(call kconfig-quiet,--savedefconfig=defconfig)
	$(say) SAVED '$(O)/defconfig'

.PHONY: $(config-targets)

# Goals that need no configuration do not make one.
no-config-goals := $(config-targets) %_defconfig help clean distclean payloads \
	check check-unit check-layers check-format check-fuzz check-configs fuzz-%
ifneq ($(filter-out $(no-config-goals),$(or $(MAKECMDGOALS),all)),)
need-config := y
endif

kconfig-files := Kconfig $(wildcard arch/*/Kconfig src/*/Kconfig drivers/*/*/Kconfig)

ifeq ($(need-config),y)
-include $(AUTOCONF_MK)
endif

$(CONFIG):
	$(say) DEFCONF '$@'
	$(Q)$(call kconfig-quiet,--defconfig=$(CURDIR)/configs/$(DEFCONFIG))

$(AUTOCONF_MK): $(CONFIG) $(kconfig-files) $(DRIVER_KCONFIG)
	$(say) KCONFIG '$(CONFIG)'
	$(Q)$(call kconfig-quiet,--olddefconfig)
	$(Q)$(call kconfig-quiet,--silentoldconfig)
	$(Q)touch $@
$(AUTOCONF_H): $(AUTOCONF_MK)

# --- What was chosen --------------------------------------------------------------------------
# What no configuration can choose, for builds that only tests run: tests/escape.
TEST_FOLDERS ?=
folders := $(patsubst %/,%,$(dir $(wildcard src/*/Makefile))) arch/$(ARCH) \
	$(patsubst %/,%,$(dir $(wildcard drivers/*/*/Makefile))) seccomp $(TEST_FOLDERS)

objs :=
asls :=
policies :=
define read-folder
obj-y :=
asl-y :=
policy-y :=
include $(1)/Makefile
objs += $$(addprefix $(1)/,$$(obj-y))
asls += $$(addprefix $(1)/,$$(asl-y))
policies += $$(addprefix $(1)/,$$(policy-y))
endef
$(foreach folder,$(folders),$(eval $(call read-folder,$(folder))))
ifneq ($(CONFIG_ACPI),y)
asls :=
endif
ifneq ($(CONFIG_SECCOMP),y)
policies :=
endif

# --- How to compile ---------------------------------------------------------------------------
CROSS_COMPILE ?= $(if $(filter $(ARCH),$(shell uname -m)),,$(ARCH)-linux-gnu-)
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
STRIP ?= $(CROSS_COMPILE)strip
HOSTCC ?= gcc
triplet := $(ARCH)-linux-musl
SYSROOT ?=
musl-include := $(SYSROOT)/usr/include/$(triplet)
musl-lib := $(SYSROOT)/usr/lib/$(triplet)

warnings := -Wall -Wextra -Werror -Wvla -Wshadow -Wcast-qual -Wmissing-prototypes \
	-Wimplicit-fallthrough -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings
is-clang := $(findstring clang,$(shell $(CC) --version 2>/dev/null | head -n 1))
# KVM's structs end in flexible arrays, and our tables follow them.
warnings += $(if $(is-clang),-Wno-gnu-variable-sized-type-not-at-end,-Wimplicit-fallthrough=5)
common-flags := -std=gnu11 -D_GNU_SOURCE -Isrc $(warnings) -g -fno-strict-aliasing \
	-fno-delete-null-pointer-checks -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(O)=build

# cc-option FLAGS: these, if the compiler takes them.
cc-option = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo '$(1)')
# clang 14 and 15 want to be asked twice.
zero-init = $(or $(call cc-option,-ftrivial-auto-var-init=zero),$(call cc-option,-ftrivial-auto-var-init=zero \
	-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang))
hardening-$(CONFIG_HARDENING) := -fstack-protector-strong -fstack-clash-protection \
	$(zero-init) $(if $(filter x86_64,$(ARCH)),-fcf-protection=full,-mbranch-protection=standard)
optimize-$(CONFIG_OPTIMIZE_SIZE) := $(or $(call cc-option,-Oz),-Os)
optimize-$(CONFIG_OPTIMIZE_SPEED) := -O2
optimize-$(CONFIG_OPTIMIZE_DEBUG) := -Og
sanitize-$(CONFIG_UBSAN_TRAP) := -fsanitize=undefined -fsanitize-undefined-trap-on-error

uapi := $(O)/uapi
product-flags = $(common-flags) -include $(AUTOCONF_H) -nostdinc -isystem $(musl-include) \
	-isystem $(shell $(CC) -print-file-name=include) -isystem $(uapi) \
	-fPIE -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	$(optimize-y) $(hardening-y) $(sanitize-y) $(CFLAGS)

# Kernel headers alone, so that nothing of glibc's is found by accident.
$(uapi)/.done:
	$(Q)[ -e $(musl-lib)/rcrt1.o ] || { echo "make: musl for $(ARCH) is missing ($(musl-lib)): scripts/setup build installs it" >&2; exit 1; }
	$(Q)mkdir -p $(uapi)
	$(Q)ln -sfn $(SYSROOT)/usr/include/linux $(uapi)/linux
	$(Q)ln -sfn $(SYSROOT)/usr/include/asm-generic $(uapi)/asm-generic
	$(Q)ln -sfn $(or $(wildcard $(SYSROOT)/usr/include/$(ARCH)-linux-gnu/asm),/usr/include/asm) $(uapi)/asm
	$(Q)touch $@

link-flags := -nostdlib -nostartfiles -static \
	-Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now,-z,noexecstack,-z,separate-code \
	-Wl,--gc-sections,--build-id=sha1,--fatal-warnings

# Commands change when flags do: their text is kept, and a change rebuilds.
flags-file := $(O)/.flags
flags-text = $(CC) $(product-flags) $(link-flags) $(VERSION)
ifeq ($(need-config),y)
$(shell echo '$(flags-text)' | cmp -s - $(flags-file) 2>/dev/null || \
	echo '$(flags-text)' >$(flags-file))
endif

$(O)/%.o: %.c $(AUTOCONF_H) $(uapi)/.done $(flags-file)
	$(say) CC '$<'
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(product-flags) -MMD -MP -c $< -o $@
$(O)/gen/%.o: $(O)/gen/%.c $(AUTOCONF_H) $(uapi)/.done $(flags-file)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(product-flags) -MMD -MP -c $< -o $@

# --- Generated sources ------------------------------------------------------------------------
include scripts/generate.mk

# --- The product ------------------------------------------------------------------------------
gen-objs := $(asls:%.asl=$(O)/gen/%_aml.o) $(policies:%.policy=$(O)/gen/%_policy.o) \
	$(if $(CONFIG_SYSCALL_NAMES),$(O)/gen/syscall_names.o) $(O)/gen/build_info.o
product-objs := $(sort $(objs:%=$(O)/%)) $(sort $(gen-objs))
deps := $(product-objs:.o=.d)

crt = $(shell $(CC) -print-file-name=$(1))
$(O)/kiln.debug: $(product-objs) $(flags-file)
	$(say) LINK '$@'
	$(Q)$(CC) $(link-flags) -Wl,-Map=$(O)/kiln.map -o $@ \
		$(musl-lib)/rcrt1.o $(musl-lib)/crti.o $(call crt,crtbeginS.o) $(product-objs) \
		-Wl,--start-group $(musl-lib)/libc.a $(shell $(CC) -print-libgcc-file-name) -Wl,--end-group \
		$(call crt,crtendS.o) $(musl-lib)/crtn.o
$(O)/kiln: $(O)/kiln.debug
	$(say) STRIP '$@'
	$(Q)$(STRIP) -s -R .comment -o $@ $<

all: $(O)/kiln
size: $(O)/kiln
	$(Q)scripts/size-by-symbol $(O)

-include $(deps)

# --- Tests ------------------------------------------------------------------------------------
include tests/tests.mk

# --- Words for people -------------------------------------------------------------------------
clean:
	$(Q)rm -rf $(O)/src $(O)/arch $(O)/drivers $(O)/gen $(O)/host $(O)/tests $(O)/uapi $(O)/seccompc \
		$(O)/kiln $(O)/kiln.debug $(O)/kiln.map $(O)/.flags
distclean:
	$(Q)rm -rf $(O)
help:
	@sed -n 's/^#h //p' $(firstword $(MAKEFILE_LIST))

.PHONY: all size clean distclean help

#h make [O=build] [ARCH=x86_64] [V=1] TARGET
#h
#h Configuration:
#h   menuconfig, nconfig        choose in a menu
#h   defconfig                  everything stable
#h   tiny_defconfig             the least that boots a kernel with disk, network and serial line
#h   bare_defconfig             the same without virtio: a serial line and an initramfs
#h   debug_defconfig            traces, traps on undefined behaviour, every device
#h   olddefconfig               defaults for symbols that are new
#h   savedefconfig              write $(O)/defconfig, the difference from the defaults
#h   allnoconfig allyesconfig randconfig
#h
#h Product:
#h   all (default)              $(O)/kiln, one static file; $(O)/kiln.debug keeps the symbols
#h   size                       bytes by Kconfig symbol
#h
#h Tests:
#h   check                      scripts/check: installs what is missing, runs all of these
#h   check-unit                 unit and policy tests, host build with ASan and UBSan
#h   check-tools                the policy compiler and the command line
#h   check-layers check-format check-lint
#h   check-fuzz                 replay the corpora; fuzz-NAME runs one target for FUZZ_SECONDS
#h   check-configs              random configurations build (CONFIGS=n of them)
#h   check-boot                 real kernels on real KVM, through scripts/kvm-host
#h   payloads                   the bare guests of the boot tests
#h   bench                      ratios against QEMU in one run
#h
#h   clean, distclean
