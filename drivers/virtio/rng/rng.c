// SPDX-License-Identifier: BSD-3-Clause
// virtio-rng: random bytes from the host's generator (virtio 1.2, section 5.4)
#include <errno.h>
#include <sys/random.h>

#include "virtio/vdev.h"

enum {
	RNG_QUEUE_SIZE = 64,
	RNG_REQUEST_BYTES_MAX = 65536, /* a longer request gets so many: the used length tells */
};

/* A long draw may be cut short by a signal. Return: 0 or -errno. */
static int rng_fill(u8 *bytes, size_t len)
{
	while (len > 0) {
		ssize_t got = getrandom(bytes, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		bytes += got;
		len -= (size_t)got;
	}
	return 0;
}

/* Return: how many bytes of the request's buffers were filled. */
static u32 rng_serve(struct vdev *v, struct virtq_chain *chain)
{
	u32 len = (u32)MIN(gcur_left(&chain->in), (u64)RNG_REQUEST_BYTES_MAX), written = 0;
	struct iovec iov[RNG_QUEUE_SIZE];
	u32 nr = gcur_iov(&chain->in, len, iov, ARRAY_SIZE(iov));
	int status;

	for (u32 i = 0; i < nr; i++) {
		status = rng_fill(iov[i].iov_base, iov[i].iov_len);
		if (status < 0) {
			vdev_log(v, "no random bytes: errno %d", -status);
			break;
		}
		written += (u32)iov[i].iov_len;
	}
	return written;
}

static int rng_kick(struct vdev *v, u32 qi)
{
	struct virtq *q = vdev_queue(v, qi);
	struct virtq_chain chain;
	struct iovec iov[RNG_QUEUE_SIZE];
	int status;

	while ((status = vdev_pop(v, qi, &chain, iov, ARRAY_SIZE(iov))) > 0)
		virtq_push(q, chain.head, rng_serve(v, &chain));
	virtq_call(q);
	return status;
}

/* A host that has just booted may still gather its seed: wait for that here, and never in a kick. */
static int rng_start(struct vdev *v, const void *cfg, struct fdset *fds, struct err *e)
{
	u8 byte;
	int status = rng_fill(&byte, sizeof(byte));

	(void)v;
	(void)cfg;
	(void)fds;
	return status < 0 ? err_errno(e, status, "the host's random numbers") : 0;
}

static const struct vdev_class rng_class = {
	.name = "virtio-rng",
	.summary = SUMMARY("random numbers from the host"),
	.virtio_id = 4,
	.queue_size_max = RNG_QUEUE_SIZE,
	.nr_queues = 1,
	.policy = "virtio_rng",
	.start = rng_start,
	.kick = rng_kick,
};

VDEV_CLASS(rng_class);
