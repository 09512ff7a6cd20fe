// SPDX-License-Identifier: BSD-3-Clause
// virtio-net: the options, which the supervisor's half (open.c) fills in for the worker's (net.c).
#pragma once

#include <net/if.h>

#include "util/err.h"
#include "util/fdset.h"
#include "util/opt.h"
#include "util/types.h"

enum {
	NET_PAIRS_MAX = 16,
	NET_MTU_MIN = 68,    /* virtio 1.2, section 5.1.4.1 */
	NET_MTU_MAX = 65521, /* of a tap; passt's largest frame without its Ethernet header */
	NET_MAC_BYTES = 6,
	NET_PATH_BYTES = 108, /* of a Unix socket */
};

enum net_kind {
	NET_TAP,
	NET_PASST,
	NET_PACKETS, /* a tap's frames over a packet socket, which has no ioctls: for tests */
};

/* An IPv4 address as it stands in a packet. */
struct net_ipv4 {
	bool given;
	u8 bytes[4];
};

struct net_cfg {
	char tap[IFNAMSIZ];
	char passt[NET_PATH_BYTES];
	struct net_ipv4 ip, netmask;
	bool mac_given;
	u8 mac[NET_MAC_BYTES];
	u32 mtu;    /* 0: whatever the driver likes */
	u32 queues; /* pairs asked for; 0: as many as there are descriptors */
	bool vhost; /* the host's kernel moves a tap's frames */
	u32 nr_given;
	int given[NET_PAIRS_MAX]; /* numbers of inherited descriptors */

	/* What net_open found. */
	u32 kind; /* enum net_kind */
	u32 nr_pairs;
	int fd_index[NET_PAIRS_MAX];    /* in the fdset: one for each pair */
	int vhost_index[NET_PAIRS_MAX]; /* with `vhost`: its /dev/vhost-net */
};

extern const struct opt net_opts[];

/* net_open - vdev_class.open: connect or create the back end. Context: supervisor. */
int net_open(void *cfg, struct fdset *fds, struct err *e);
