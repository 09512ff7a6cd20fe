// SPDX-License-Identifier: BSD-3-Clause
// virtio-vsock: the options, a connection (conn.c) and the device that carries them (vsock.c).
#pragma once

#include "util/bytes.h"
#include "util/fdset.h"
#include "util/opt.h"
#include "util/unix_socket.h"
#include "virtio/vdev.h"
#include "virtio/vhost_kernel.h"

enum {
	VSOCK_PATH_BYTES = 97, /* with "_4294967295" it fits a socket's address */

	VSOCK_RX = 0, /* virtio 1.2, section 5.10.2 */
	VSOCK_TX = 1,
	VSOCK_EVENT = 2,
	VSOCK_RINGS = 3,
	VSOCK_RING_MAX = 128,

	/* Bounds: what a connection holds for a host that does not read, and how many there are. */
	VSOCK_BUFFER_BYTES = 65536,
	VSOCK_CONNS_MAX = 512,
	VSOCK_RESETS_MAX = 128, /* answers that wait for receive buffers; then the guest waits */

	VSOCK_GREETING_BYTES = 32, /* "CONNECT 4294967295\n" fits */
};

enum vsock_backend {
	VSOCK_AUTO,  /* with socket= the user's, else the kernel's */
	VSOCK_VHOST, /* the kernel's: the host's programs use AF_VSOCK */
	VSOCK_USER,  /* ours: the host's programs use Unix sockets */
};

/* Plain data: the options, and what open found. */
struct vsock_cfg {
	u32 cid;
	u32 backend; /* enum vsock_backend; never VSOCK_AUTO behind open */
	char socket[VSOCK_PATH_BYTES];
	int listen_index, vhost_index; /* in the fdset; -1: the other back end */
	struct unix_id listener;
};

extern const struct opt vsock_opts[];

/*
 * vsock_open, vsock_cleanup, vsock_grant - the class's verbs for the supervisor. A grant's number is a
 * port, what is granted a connection to the Unix socket SOCKET_PORT.
 */
int vsock_open(void *cfg, struct fdset *fds, struct err *e);
void vsock_cleanup(const void *cfg);
int vsock_grant(const void *cfg, u32 port);

/* --- On the rings ----------------------------------------------------------------------------- */

/* Section 5.10.6 */
struct vsock_header {
	le64 src_cid, dst_cid;
	le32 src_port, dst_port, len;
	le16 type, op;
	le32 flags, buf_alloc, fwd_cnt;
};
_Static_assert(sizeof(struct vsock_header) == 44, "as the specification has it");

enum {
	VSOCK_CID_HOST = 2, /* section 5.10.4 */
	VSOCK_CID_MIN = 3,
	VSOCK_CID_MAX = 0xfffffffe,
	VSOCK_TYPE_STREAM = 1, /* section 5.10.6.2 */

	VSOCK_OP_REQUEST = 1, /* section 5.10.6 */
	VSOCK_OP_RESPONSE = 2,
	VSOCK_OP_RST = 3,
	VSOCK_OP_SHUTDOWN = 4,
	VSOCK_OP_RW = 5,
	VSOCK_OP_CREDIT_UPDATE = 6,
	VSOCK_OP_CREDIT_REQUEST = 7,

	VSOCK_SHUTDOWN_RECEIVE = 1, /* section 5.10.6.5: who says so will not receive any more */
	VSOCK_SHUTDOWN_SEND = 2,    /* ... will not send any more */
	VSOCK_SHUTDOWN_BOTH = 3,
};

/* --- Connections ------------------------------------------------------------------------------ */

enum vsock_state {
	VSOCK_FREE,
	VSOCK_GREETING, /* a host's client is to say which port it wants */
	VSOCK_CALLING,  /* the guest is to answer that client's call */
	VSOCK_ASKING,   /* the guest called; the supervisor looks for the host's socket */
	VSOCK_CONNECTED,
	VSOCK_DRAINING,  /* the guest is done with it; the host has still to read what it sent */
	VSOCK_LINGERING, /* the host is done with it; the guest has still to confirm */
};

/*
 * A connection. Bytes for the guest are never held: they are read from the socket straight into its
 * buffers. Bytes for the host that its socket does not take are, up to VSOCK_BUFFER_BYTES, and that
 * is what the guest is told it may send (section 5.10.6.3).
 */
struct vsock_conn {
	struct vsock *vs;
	enum vsock_state state;
	u16 index, serial; /* in the table; how often it was used */
	u32 guest_port, host_port;
	int fd; /* of the host's side; -1: none yet, or no more */
	struct evl_source source;
	bool readable;     /* the socket may have bytes; while it may, it is not watched for them */
	bool hung_up;      /* the socket would tell that for ever: it is not watched at all */
	bool queued;       /* in vs->ready */
	bool asked_credit; /* since it last had some */
	u8 ticks;          /* left until it is given up; 0: without a limit */
	u16 owed;          /* packets due, a bit for each VSOCK_OP */
	u8 guest_done, host_done; /* VSOCK_SHUTDOWN flags each side has said */
	u8 host_told;             /* of guest_done, what the socket was told */
	u8 guest_told;            /* of host_done, what the guest was told */

	/* To the guest: its buffer, what it consumed, what was sent. */
	u32 peer_alloc, peer_fwd, sent;
	/* From the guest: what came, of it what the host took; that as it was told last. */
	u32 received, forwarded, told;
	u32 buffer_at, buffer_len;
	bool buffer_used; /* its memory was touched */

	u8 greeting_len;
	char greeting[VSOCK_GREETING_BYTES];
};

/* An answer to a packet that belongs to no connection. */
struct vsock_reset {
	u64 cid; /* who seems to answer */
	u32 guest_port, host_port;
	u16 type;
};

/* The kernel's back end. Rings 0 and 1 are the kernel's; the event ring lies idle. */
struct vsock_vhost {
	int fd;       /* /dev/vhost-vsock; -1: not in use */
	bool running; /* it serves the rings */
	u32 started;  /* a bit for each ring it was given */
	struct vhost_kernel_fault faults[VSOCK_EVENT];
};

/* Owner: the thread that runs v->evl. */
struct vsock {
	struct vdev *v;
	u32 cid;
	struct vsock_vhost vhost;
	int listen_fd;
	struct evl_source listen_source;
	struct evl_timer next_turn; /* work that is left for after others had their turn */
	struct evl_timer tick;      /* once a second while a connection has a limit */
	u32 nr_ticking;
	u32 next_port, next_slot;
	u16 rx_base;               /* where the receive ring stopped */
	bool owes_event;           /* the driver is to hear that its connections are gone */
	bool tx_waits;             /* requests wait until resets went out */
	u8 *buffers;               /* VSOCK_BUFFER_BYTES for each connection */
	u64 keys[VSOCK_CONNS_MAX]; /* ports of each connection that the guest may name */
	struct vsock_conn conns[VSOCK_CONNS_MAX];
	/* Connections that have something for the guest, in turn. */
	u32 ready_at, nr_ready;
	u16 ready[VSOCK_CONNS_MAX];
	u32 reset_at, nr_resets;
	struct vsock_reset resets[VSOCK_RESETS_MAX];
	struct iovec chain_iov[VSOCK_RING_MAX], data_iov[VSOCK_RING_MAX];
};

/*
 * vsock_conns_create, vsock_conns_destroy - the table, all free; and all closed.
 * vsock_conns_are_full - whether vsock_conn_alloc would find none.
 * vsock_conns_drop - a driver that knows of no connection begins: those that the last one knew of
 * are abandoned. Return: whether there were any.
 * vsock_conns_tick - a second is over: give up what has waited too long.
 */
void vsock_conns_create(struct vsock *vs);
void vsock_conns_destroy(struct vsock *vs);
bool vsock_conns_are_full(struct vsock *vs);
bool vsock_conns_drop(struct vsock *vs);
void vsock_conns_tick(struct vsock *vs);

/*
 * vsock_conn_find - the connection with these ports that the guest knows of, or NULL.
 * vsock_conn_alloc - a free one, or one the guest alone still knows; NULL: all are in use.
 * vsock_conn_free - close and forget. Context of all verbs: worker.
 */
struct vsock_conn *vsock_conn_find(struct vsock *vs, u32 guest_port, u32 host_port);
struct vsock_conn *vsock_conn_alloc(struct vsock *vs, enum vsock_state state);
void vsock_conn_free(struct vsock_conn *c);

/* vsock_conn_name - the guest will know it by these ports. */
void vsock_conn_name(struct vsock_conn *c, u32 guest_port, u32 host_port);

/* vsock_conn_accept - a host's client, just accepted, while not all are in use; *fd is taken. */
void vsock_conn_accept(struct vsock *vs, int *fd);

/* vsock_conn_attach - the host's side of what the guest asked for; *fd is taken. */
void vsock_conn_attach(struct vsock_conn *c, int *fd);

/* vsock_conn_answered - the guest took the call: the host's client hears so, and the stream begins. */
void vsock_conn_answered(struct vsock_conn *c);

/* vsock_conn_data - `len` bytes of `out` from the guest. Return: false when it was not to send them. */
bool vsock_conn_data(struct vsock_conn *c, struct gcur *out, u32 len);

/* vsock_conn_shutdown - the guest will not send, or receive, any more (`flags`). */
void vsock_conn_shutdown(struct vsock_conn *c, u32 flags);

/*
 * vsock_conn_abandon - the guest knows it no more; what it sent still goes to the host.
 * vsock_conn_fail - it comes to nothing: the guest is told by a RST, the host's side is closed.
 */
void vsock_conn_abandon(struct vsock_conn *c);
void vsock_conn_fail(struct vsock_conn *c);

/*
 * vsock_conn_packet - the next packet for the guest: what h says beside ports and cids, and bytes of
 * it in `room`, which begins behind the header. Return: whether there is one; `c` may be free then.
 */
bool vsock_conn_packet(struct vsock_conn *c, struct vsock_header *h, const struct gcur *room);

/* vsock_conn_settle - after whatever changed: what follows from it, what to watch, and whose turn. */
void vsock_conn_settle(struct vsock_conn *c);

/* vsock_conn_has_packet - whether vsock_conn_packet may find one. */
bool vsock_conn_has_packet(const struct vsock_conn *c);

/*
 * The kernel's back end (vhost.c): the class's verbs of these names while it is in use.
 * vsock_vhost_start - take over *fd. Return: 0 or -errno with words.
 */
int vsock_vhost_start(struct vsock *vs, int *fd, struct err *e);
void vsock_vhost_destroy(struct vsock *vs);
int vsock_vhost_queue_start(struct vsock *vs, u32 qi);
void vsock_vhost_queue_stop(struct vsock *vs, u32 qi);
void vsock_vhost_queue_call(struct vsock *vs, u32 qi);

/* vsock_pump - send the guest what there is for it. */
void vsock_pump(struct vsock *vs);

/* vsock_listen - whether to take clients. */
void vsock_listen(struct vsock *vs, bool wanted);
