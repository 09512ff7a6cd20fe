// SPDX-License-Identifier: BSD-3-Clause
// What this binary is: written by scripts/build-info.
#pragma once

extern const char build_version[];
extern const char build_arch[];
extern const char build_config[]; /* the .config as text; empty unless CONFIG_EMBED_CONFIG */
