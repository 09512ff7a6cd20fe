// SPDX-License-Identifier: BSD-3-Clause
// A virtio device, on its own side of the seam: what one folder under drivers/virtio/ declares.
#pragma once

#include "evl/evl.h"
#include "mem/guest_mem.h"
#include "util/err.h"
#include "util/fdset.h"
#include "util/log.h"
#include "util/opt.h"
#include "util/types.h"
#include "virtio/virtq.h"

enum {
	VDEV_QUEUES_MAX = 64,
	VDEV_CONFIG_BYTES_MAX = 256, /* of a device's configuration space */
	VDEV_CFG_BYTES_MAX = 8192,   /* of a class's options struct */
};

struct serial_cfg;
struct vdev;

/*
 * An option of `kiln run` that makes an instance: `--disk FILE` is --device virtio-blk,path=FILE,ro.
 * Those that are `joined` tell of one instance together, which the first of them makes. Tables end
 * with an entry whose name is NULL.
 */
struct vdev_shorthand {
	const char *name; /* the word after "--" */
	char letter;      /* after a single "-"; 0 for none */
	bool joined;
	const char *arg;   /* what the value is, as help shows it */
	const char *key;   /* of the class's options: takes the value as it is, commas too */
	const char *pairs; /* further options, "ro"; NULL for none */
	/* params - words for the kernel's command line; "%c" is the instance's letter, from 'a'. */
	const char *params;
	const char *help; /* one line, HELP("...") */
};

/*
 * A kind of virtio device. One const object per driver, registered with VDEV_CLASS. A driver has no
 * file-scope variables, opens nothing after `start` began, takes time and events from v->evl, and
 * does not know whether it runs in a process of its own or on a thread.
 */
struct vdev_class {
	const char *name;       /* "virtio-rng" */
	const char *summary;    /* SUMMARY("one line for `kiln devices` and the manual") */
	u16 virtio_id;          /* virtio 1.2, section 5 */
	u16 queue_size_max;     /* a power of two, at most VIRTQ_SIZE_MAX */
	u32 nr_queues;          /* the most an instance may have */
	u64 features;           /* offered beside those that every device has (vdev.c) */
	u32 config_bytes;       /* of configuration space, at most VDEV_CONFIG_BYTES_MAX */
	u32 priv_bytes;         /* zeroed private state, found at v->priv */
	u32 cfg_bytes;          /* options struct: plain old data without pointers */
	const struct opt *opts; /* of the cfg struct; NULL when there are none */
	const struct vdev_shorthand *shorthands; /* NULL when there are none */
	const char *policy;                      /* the baked seccomp policy of its process */

	/*
	 * open - open what the configuration names, put descriptors into `fds` and their indices
	 * into the cfg. Return: 0 or -errno with words. May be NULL. Context: supervisor: it has
	 * the user's rights and never sees a guest's byte.
	 */
	int (*open)(void *cfg, struct fdset *fds, struct err *e);
	/*
	 * serial - the part of the cfg that says where a serial line leads, for the supervisor to
	 * give it standard input. NULL for devices that are not one.
	 * cleanup - remove what open left in the file system (a socket). May be NULL.
	 * Context: supervisor.
	 */
	struct serial_cfg *(*serial)(void *cfg);
	void (*cleanup)(const void *cfg);
	/*
	 * grant - the running device, which may have been taken over, asks for descriptor `what`:
	 * the class decides what that is and whether it may have it. Does not wait for anybody.
	 * NULL for classes that never ask. Return: the descriptor or -errno. Context: supervisor,
	 * confined by the policy "supervisor_grants".
	 * granted - the answer to an ask (vdev_host) by its cookie: a descriptor, the device's now,
	 * or -errno. Context: worker.
	 */
	int (*grant)(const void *cfg, u32 what);
	void (*granted)(struct vdev *v, u32 cookie, int fd);
	/*
	 * start - take descriptors from `fds`, prepare v->priv; may lower v->nr_queues and change
	 * v->features_offered. Return: 0 or -errno with words; after a failure destroy is called.
	 * Context: worker, jailed, before any guest byte.
	 */
	int (*start)(struct vdev *v, const void *cfg, struct fdset *fds, struct err *e);
	/* destroy - release everything, also after a start that failed half way. May be NULL. */
	void (*destroy)(struct vdev *v);
	/*
	 * kick - ring `qi` has requests, or had. Handles at most a ring's worth, then returns:
	 * vdev_pop sees to it, and vdev_kick that it is called again for the rest.
	 * Return: 0, or -EPROTO for a guest's mistake that vdev_broken was told of.
	 */
	int (*kick)(struct vdev *v, u32 qi);
	/*
	 * queue_start, queue_stop - ring `qi` was enabled; it is about to be disabled, in any
	 * state: when queue_stop returns, no request of the ring is in flight. May be NULL.
	 * A queue_start that lets somebody else serve the ring (virtio/vhost_kernel.h) sets the
	 * ring's is_elsewhere; its queue_stop leaves in next_avail where that one stopped.
	 * queue_call - the ring's call_fd was replaced. May be NULL.
	 */
	int (*queue_start)(struct vdev *v, u32 qi);
	void (*queue_stop)(struct vdev *v, u32 qi);
	void (*queue_call)(struct vdev *v, u32 qi);
	/*
	 * config_read - fill `config` (class->config_bytes). May be NULL: all zeros.
	 * config_write - the driver wrote [offset, offset + len), which lies in configuration
	 * space. May be NULL: ignored.
	 */
	void (*config_read)(struct vdev *v, u8 *config);
	void (*config_write)(struct vdev *v, u32 offset, const u8 *src, u32 len);
	/*
	 * terminal_size - of a serial line: the terminal it leads to has so many columns and rows
	 * now. May be NULL. Context: worker.
	 */
	void (*terminal_size)(struct vdev *v, u16 cols, u16 rows);
};

#define VDEV_CLASS(object) REGISTER("kiln_vdevs", object)

extern const struct vdev_class *const __start_kiln_vdevs[] __attribute__((weak));
extern const struct vdev_class *const __stop_kiln_vdevs[] __attribute__((weak));

#define vdev_class_for_each(p) \
	for (const struct vdev_class *const *p = __start_kiln_vdevs; p < __stop_kiln_vdevs; p++)

/* What a device may ask of whoever hosts it (virtio/worker.c, or a test's fake guest). */
struct vdev_host {
	/* config_changed - configuration space changed; the driver will be told. */
	void (*config_changed)(struct vdev_host *host, struct vdev *v);
	/* broken - the driver made a mistake on ring `qi`; the device needs a reset. Called from
	 * inside of the class: rings are not to be stopped before it returned. */
	void (*broken)(struct vdev_host *host, struct vdev *v, u32 qi);
	/*
	 * ask - have the supervisor open something: class->grant(cfg, what) there, and its answer
	 * by class->granted here, later. Return: 0, or -errno when it does not listen.
	 */
	int (*ask)(struct vdev_host *host, u32 what, u32 cookie);
};

/* Owner: the thread that runs v->evl. */
struct vdev {
	const struct vdev_class *cls;
	char name[32]; /* "virtio-rng.0" */
	struct vdev_host *host;
	struct evl *evl;
	struct gmem mem; /* guest memory as mapped here; the host's, who changes it between rings */
	u64 features_offered; /* with those every device has */
	u64 features;         /* acknowledged by the driver */
	u32 nr_queues;        /* of this instance */
	bool is_broken;       /* since the driver's mistake, until every ring was stopped */
	struct virtq *kicked; /* while its class's kick runs: that ring, */
	u16 kick_base;        /* and where it stood when the kick began */
	struct virtq queues[VDEV_QUEUES_MAX];
	void *priv;
	struct log_limit log;
};

/* vdev_class_find - the class of that name, or NULL. Context: any. */
const struct vdev_class *vdev_class_find(const char *name);

/*
 * vdev_create - allocate instance `index` and run its class's start. Return: the device, or NULL
 * with words prefixed by its name. Context: worker.
 */
struct vdev *vdev_create(const struct vdev_class *cls, u32 index, struct evl *evl,
			 struct vdev_host *host, const void *cfg, struct fdset *fds, struct err *e);

/* vdev_destroy - stop what still runs and release; NULL is accepted. */
void vdev_destroy(struct vdev *v);

/* vdev_queue - ring `qi` if this instance has it, else NULL. */
static inline struct virtq *vdev_queue(struct vdev *v, u32 qi)
{
	return qi < v->nr_queues ? &v->queues[qi] : NULL;
}

/* vdev_has - whether feature `bit` was negotiated. */
static inline bool vdev_has(const struct vdev *v, u32 bit)
{
	return v->features >> bit & 1;
}

/* vdev_queue_start - check and enable a ring (virtq_enable), then tell the class. Return: 0, -errno. */
int vdev_queue_start(struct vdev *v, u32 qi, const struct virtq_config *config, u16 base,
		     struct err *e);

/* vdev_queue_stop - let the class finish, then disable. Return: the entry to begin again at. */
u16 vdev_queue_stop(struct vdev *v, u32 qi);

/*
 * vdev_kick - the ring's eventfd fired: drain it and let the class look, unless device or ring are
 * broken.
 */
void vdev_kick(struct vdev *v, u32 qi);

/*
 * vdev_broken - the driver made a mistake on ring `qi`: log once (rate-limited), tell the host, and
 * look at no ring until the driver reset the device. Return: -EPROTO.
 */
int vdev_broken(struct vdev *v, u32 qi, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* vdev_log - a rate-limited warning a guest caused, prefixed with the device's name. */
void vdev_log(struct vdev *v, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * vdev_pop - virtq_pop on ring `qi` that calls vdev_broken for a broken ring, and that finds nothing
 * more once a kick of that ring had a whole ring of requests. Return: 1, 0 or -EPROTO.
 */
int vdev_pop(struct vdev *v, u32 qi, struct virtq_chain *chain, struct iovec *iov, u32 max);
