// SPDX-License-Identifier: BSD-3-Clause
// kiln version: what this binary is.
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "util/build_info.h"
#include "util/bytes.h"

/* The linker's note, in this very image: it tells builds of one version apart. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static const u8 *find_build_id(u32 *len)
{
	const u8 *image = (const u8 *)&__ehdr_start;
	const Elf64_Phdr *phdr = (const Elf64_Phdr *)(const void *)(image + __ehdr_start.e_phoff);

	for (u32 i = 0; i < __ehdr_start.e_phnum; i++) {
		const u8 *at = image + phdr[i].p_vaddr, *end = at + phdr[i].p_memsz;
		Elf64_Nhdr note;

		if (phdr[i].p_type != PT_NOTE)
			continue;
		for (; at + sizeof(note) <= end;
		     at += sizeof(note) + ALIGN_UP(note.n_namesz, 4) + ALIGN_UP(note.n_descsz, 4)) {
			memcpy(&note, at, sizeof(note));
			if (note.n_type == NT_GNU_BUILD_ID) {
				*len = note.n_descsz;
				return at + sizeof(note) + ALIGN_UP(note.n_namesz, 4);
			}
		}
	}
	return NULL;
}

struct version_options {
	bool config;
};

static const struct opt version_opts[] = {
	{ .name = "config",
	  OPT_FLAG(struct version_options, config),
	  .help = HELP("print the configuration this binary was built with") },
	{ .name = NULL },
};

static int version_run(const struct command *self, int argc, char *const *argv)
{
	struct version_options options = { 0 };
	int code = command_parse(self, &options, argc, argv, NULL);
	u32 len = 0;
	const u8 *id = find_build_id(&len);

	if (code)
		return code;
	if (options.config) {
		if (!IS_ENABLED(CONFIG_EMBED_CONFIG)) {
			fputs("kiln: version: this binary holds no configuration "
			      "(CONFIG_EMBED_CONFIG is off)\n",
			      stderr);
			return 1;
		}
		fputs(build_config, stdout);
		return 0;
	}
	printf("kiln %s (%s)\nbuild ", build_version, build_arch);
	for (u32 i = 0; i < len; i++)
		printf("%02x", id[i]);
	putchar('\n');
	return 0;
}

static const struct command version_command = {
	.name = "version",
	.summary = "Print version and build id, or the configuration",
	.opts = version_opts,
	.run = version_run,
};
COMMAND(version_command);
