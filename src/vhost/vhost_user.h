// SPDX-License-Identifier: BSD-3-Clause
// What vhost-user puts on the wire: requests, payloads, feature bits, limits (vhost-user
// specification, "Message Specification"). Numbers are in the machine's byte order: little-endian.
#pragma once

#include "util/bytes.h"
#include "util/types.h"

/* Section "Front-end message types". */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_RESET_DEVICE = 34,
};

/* Section "Back-end message types": requests over the back-end's own channel. */
enum { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2 };

/* Section "Header": the flags. */
enum {
	VHOST_USER_VERSION_MASK = 3,
	VHOST_USER_VERSION = 1,
	VHOST_USER_REPLY = 1 << 2,
	VHOST_USER_NEED_REPLY = 1 << 3,
};

/* Section "Communication": the feature bit that virtio leaves to this protocol. */
#define VHOST_USER_F_PROTOCOL_FEATURES (1ull << 30)

/* Features that change what this protocol carries: dirty logs (section "Migration"), addresses of
 * an IOMMU (section "IOMMU support"), rings without the split layout (virtio 1.2, section 2.8). */
#define VHOST_USER_F_UNSUPPORTED (1ull << 26 | 1ull << 33 | 1ull << 34)

/* Section "Protocol features", those that Kiln knows. */
enum {
	VHOST_USER_PROTOCOL_F_MQ = 1 << 0,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 1 << 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 1 << 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 1 << 9,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 1 << 13,
};

enum {
	VHOST_FDS_MAX = 8,            /* with one message */
	VHOST_REGIONS_MAX = 8,        /* in a memory table */
	VHOST_CONFIG_BYTES_MAX = 256, /* of configuration space in one message */
	VHOST_RING_SIZE_MAX = 32768,  /* virtio 1.2, section 2.7 */
};

/* SET_VRING_KICK, CALL, ERR: a number that holds the ring's index and whether no fd comes along. */
enum { VHOST_RING_INDEX_MASK = 0xff, VHOST_RING_NO_FD = 1 << 8 };

/* SET_CONFIG: what the front-end may write, section "Virtio device config space". */
enum { VHOST_CONFIG_WRITABLE = 0 };

struct vhost_user_header {
	le32 request, flags, size; /* size: bytes of payload */
};

/* Section "A vring state description". */
struct vhost_user_ring_state {
	le32 index, num;
};

/* Section "A vring address description": addresses as the front-end has the memory mapped. */
struct vhost_user_ring_addr {
	le32 index, flags;
	le64 desc_user, used_user, avail_user, log_gpa;
};

/* Section "Memory regions description". */
struct vhost_user_region {
	le64 base_gpa, size_bytes, user_addr, mmap_offset;
};

struct vhost_user_memory {
	le32 nr_regions, padding;
	struct vhost_user_region regions[VHOST_REGIONS_MAX];
};

/* Section "Virtio device config space". */
struct vhost_user_config {
	le32 offset, size, flags;
	u8 bytes[VHOST_CONFIG_BYTES_MAX];
};

/* How long the payloads are without their regions and bytes. */
enum {
	VHOST_MEMORY_BYTES = offsetof(struct vhost_user_memory, regions),
	VHOST_CONFIG_BYTES = offsetof(struct vhost_user_config, bytes),
};

union vhost_user_payload {
	le64 number;
	struct vhost_user_ring_state state;
	struct vhost_user_ring_addr addr;
	struct vhost_user_memory memory;
	struct vhost_user_config config;
};

_Static_assert(sizeof(struct vhost_user_header) == 12 &&
		       sizeof(struct vhost_user_ring_state) == 8 &&
		       sizeof(struct vhost_user_ring_addr) == 40 &&
		       sizeof(struct vhost_user_region) == 32 && VHOST_MEMORY_BYTES == 8 &&
		       VHOST_CONFIG_BYTES == 12,
	       "as on the wire");

/* How far the parts of a split ring of `size` entries reach (virtio 1.2, section 2.7). */
static inline u64 vhost_desc_bytes(u32 size)
{
	return 16ull * size;
}

static inline u64 vhost_avail_bytes(u32 size)
{
	return 6 + 2ull * size;
}

static inline u64 vhost_used_bytes(u32 size)
{
	return 6 + 8ull * size;
}
