# SPDX-License-Identifier: BSD-3-Clause
# Shell functions for what is made once and then kept by its content in the cache. Sourced, never
# run, after common.sh and use_cache.

# cached NAME KEY COMMAND...: prints the path of the file that "COMMAND... PATH" makes. KEY is text
# that says everything its content depends on. A file is complete before it gets its name.
cached()
{
	cached_file=$cache/$1-$(printf '%s' "$2" | sha256sum | cut -c 1-32)
	shift 2
	if [ ! -e "$cached_file" ]; then
		mkdir -p "${cached_file%/*}"
		find "${cached_file%/*}" -type f -atime +30 -delete
		cached_new=$(mktemp "$cached_file.XXXXXX")
		"$@" "$cached_new" || {
			rm -f "$cached_new"
			return 1
		}
		chmod 755 "$cached_new"
		mv "$cached_new" "$cached_file"
	fi
	echo "$cached_file"
}

# print_sums FILE...: the checksums of the files' content, without their names.
print_sums()
{
	for file; do
		sha256sum <"$file"
	done
}

# cached_initramfs ARG...: prints the path of what "images/mkinitramfs ARG..." makes. A kernel's
# folder has its version in its name; of every other file that ARG names the content counts.
cached_initramfs()
{
	need busybox busybox-static
	initramfs_key=$(
		print_sums "$tree/images/mkinitramfs" "$tree/images/guest-init" \
			"$(command -v busybox)"
		for arg; do
			echo "$arg"
			[ ! -f "${arg%%:*}" ] || print_sums "${arg%%:*}"
		done
	)
	cached images/initramfs "$initramfs_key" "$tree/images/mkinitramfs" "$@"
}

# compile_relay OUT: compiles scripts/lib/relay.c to one static program.
compile_relay()
{
	$relay_cc -o "$1" "$tree/scripts/lib/relay.c"
}

# cached_relay: prints the path of the compiled relay.
cached_relay()
{
	relay_cc="musl-gcc -std=gnu11 -O2 -static -s"
	need musl-gcc musl-tools
	cached tools/relay "$relay_cc $(print_sums "$tree/scripts/lib/relay.c")" compile_relay
}
