# SPDX-License-Identifier: BSD-3-Clause
# Shell functions that several scripts share: messages, folders, tools. Sourced, never run.
# The script that sources this has set "tree", the physical path of the project's tree.

# die [-x STATUS] TEXT: one line on stderr, then the end with STATUS (default 1).
die()
{
	die_status=1
	if [ "$1" = -x ]; then
		die_status=$2
		shift 2
	fi
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit "$die_status"
}

# say TEXT: one line of progress on stderr.
say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# need COMMAND PACKAGE: ends with the way out if COMMAND is not installed.
need()
{
	command -v "$1" >/dev/null || die "$1 is not installed: run scripts/setup demo (package $2)"
}

# print_home: the user's home folder, also where HOME is not set (as in some CI).
print_home()
{
	if [ -n "${HOME:-}" ]; then
		printf '%s\n' "$HOME"
	else
		getent passwd "$(id -u)" | cut -d: -f6
	fi
}

# use_cache: sets "cache" to the folder for what is fetched or made once, and creates it.
use_cache()
{
	cache=${XDG_CACHE_HOME:-}
	[ -n "$cache" ] || cache=$(print_home)/.cache
	case $cache in
	/?*) ;;
	*) die "the cache folder '$cache' is not an absolute path: set XDG_CACHE_HOME" ;;
	esac
	mkdir -p "$cache/kiln" 2>/dev/null || [ -d "$cache/kiln" ] ||
		die "cannot create $cache/kiln: set XDG_CACHE_HOME to a folder you may write to"
	cache=$(cd "$cache/kiln" && pwd -P)
}

# with_lock FILE COMMAND...: runs COMMAND while no other process holds the lock on FILE.
with_lock()
{
	(
		flock 9 || die "cannot lock $1"
		shift
		"$@"
	) 9>"$1"
}
