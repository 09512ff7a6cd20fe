// SPDX-License-Identifier: BSD-3-Clause
// What the hostile guest does to a device. Each attack leaves it reset, and counts what it did.
#pragma once

#include "device.h"

/* Requests and data, behind the rings. */
#define BUFFERS_GPA (ARENA_GPA + MIB(8))
#define BUFFERS_BYTES MIB(8)

/* --- Requests as a good driver makes them (requests.c) ---------------------------------------- */

/* eager_queue - the ring whose requests the device takes as soon as it is kicked. */
u32 eager_queue(const struct dev *d);

/* request_build - one from descriptor `head` on, which uses `slot` of the buffers. Return: how many
 * descriptors it took. */
u32 request_build(struct ring *r, u16 head, u32 slot);

/* headers_fill - the first bytes of requests of this kind of device, by chance, at BUFFERS_GPA. */
enum { HEADER_BYTES = 64, NR_HEADERS = 64 };
void headers_fill(const struct dev *d);

/* dev_serves - start the device in order and have one request answered. */
bool dev_serves(struct dev *d);

/* The device that is driven in order all the time, while others are attacked. */
void witness_begin(struct dev *d);
bool witness_draws(void);

/* --- Attacks. Return: how many steps. --------------------------------------------------------- */

u32 attack_sizes(struct dev *d);             /* rings of impossible sizes */
u32 attack_addresses(struct dev *d);         /* rings in impossible places */
u32 attack_frozen(struct dev *d);            /* a ring that changes while it runs */
u32 attack_chains(struct dev *d);            /* each kind of broken request */
u32 attack_chaos(struct dev *d, u32 rounds); /* rings and requests by chance */

/* attack_with_two_cpus - start the second CPU. attack_by_two - with it. */
void attack_with_two_cpus(void);
u32 attack_by_two(struct dev *d, u32 rounds);

u32 attack_registers(struct dev *d, u32 rounds); /* every register, every width */
u32 attack_pci_config(struct dev *d, u32 rounds);
u32 attack_bars(struct dev *d, const struct dev *witness); /* BARs onto whatever there is */

u32 attack_statuses(struct dev *d, u32 rounds); /* every status in every state */
u32 attack_negotiation(struct dev *d);
u32 attack_resets(struct dev *d, u32 rounds); /* resets with requests in flight */
u32 attack_haste(struct dev *d, u32 rounds);  /* a mistake, then a reset at once */
