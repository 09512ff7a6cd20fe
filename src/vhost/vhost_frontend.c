// SPDX-License-Identifier: BSD-3-Clause
// The front-end of vhost-user (vhost-user specification, "Front-end message types").
#include "vhost/vhost_frontend.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "vhost/vhost_message.h"

/* The rest of a back-end's request, once it began: longer than it takes, short for who waits. */
enum { NEWS_MS = 100 };

static const u64 protocol_features_wanted =
	VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK |
	VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG;

/* --- One request ------------------------------------------------------------------------------ */

static u32 frontend_timeout_ms(const struct vhost_frontend *f, u32 request)
{
	if (f->reply_ms)
		return f->reply_ms;
	return request == VHOST_USER_GET_VRING_BASE ? VHOST_STOP_MS : VHOST_REPLY_MS;
}

static bool frontend_has(const struct vhost_frontend *f, u64 protocol_feature)
{
	return f->protocol_features & protocol_feature;
}

/* The connection is dead: say so. Return: the code the header promises for it. */
static int frontend_fail(struct vhost_frontend *f, int status, struct err *e)
{
	f->dead = true;
	if (status == -ECONNRESET)
		status = -EPIPE;
	if (status == -EAGAIN)
		status = -ETIMEDOUT;
	if (status == -EPIPE)
		err_set(e, status, "the vhost-user back-end is gone");
	else if (status == -ETIMEDOUT)
		err_set(e, status, "the vhost-user back-end gave no answer in %u ms", f->waited_ms);
	else if (status == -EPROTO)
		err_set(e, status, "the vhost-user back-end's answer makes no sense");
	else
		err_errno(e, status, "talk to the vhost-user back-end");
	return status;
}

static int frontend_send(struct vhost_frontend *f, const struct vhost_message *m, struct err *e)
{
	int status;

	if (f->dead || f->fd < 0)
		return frontend_fail(f, -EPIPE, e);
	f->waited_ms = frontend_timeout_ms(f, vhost_message_request(m));
	status = vhost_message_send(f->fd, m, f->waited_ms);
	return status < 0 ? frontend_fail(f, status, e) : 0;
}

/* The answer to `request`: any size, no descriptors. */
static int frontend_receive(struct vhost_frontend *f, u32 request, struct vhost_message *m,
			    struct err *e)
{
	int status = vhost_message_receive(f->fd, m, f->waited_ms);

	if (status < 0)
		return frontend_fail(f, status, e);
	if (vhost_message_request(m) != request || !(vhost_message_flags(m) & VHOST_USER_REPLY) ||
	    m->nr_fds > 0) {
		vhost_message_close_fds(m);
		return frontend_fail(f, -EPROTO, e);
	}
	return 0;
}

/* Send *m and put its answer in its place. */
static int frontend_ask(struct vhost_frontend *f, struct vhost_message *m, struct err *e)
{
	u32 request = vhost_message_request(m);
	int status = frontend_send(f, m, e);

	return status < 0 ? status : frontend_receive(f, request, m, e);
}

static int frontend_get_number(struct vhost_frontend *f, u32 request, u64 *number, struct err *e)
{
	struct vhost_message m;
	int status;

	*number = 0;
	vhost_message_init(&m, request, 0, 0);
	status = frontend_ask(f, &m, e);
	if (status < 0)
		return status;
	if (vhost_message_size(&m) != sizeof(m.payload.number))
		return frontend_fail(f, -EPROTO, e);
	*number = le64_get(m.payload.number);
	return 0;
}

/*
 * Send a request that has no answer of its own, and wait for an acknowledgement if the back-end
 * gives any; if it does not, a refusal shows at frontend_settle.
 */
static int frontend_tell(struct vhost_frontend *f, struct vhost_message *m, struct err *e)
{
	int status;

	if (!frontend_has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return frontend_send(f, m, e);
	m->header.flags = le32_make(vhost_message_flags(m) | VHOST_USER_NEED_REPLY);
	status = frontend_ask(f, m, e);
	if (status < 0)
		return status;
	if (vhost_message_size(m) != sizeof(m->payload.number))
		return frontend_fail(f, -EPROTO, e);
	if (le64_get(m->payload.number) != 0)
		return err_set(e, -EREMOTEIO, "the vhost-user back-end refused request %u",
			       vhost_message_request(m));
	return 0;
}

/* Wait until everything told so far was done: requests are handled in order. */
static int frontend_settle(struct vhost_frontend *f, struct err *e)
{
	u64 ignored;

	if (frontend_has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return 0;
	return frontend_get_number(f, VHOST_USER_GET_FEATURES, &ignored, e);
}

static int frontend_tell_number(struct vhost_frontend *f, u32 request, u64 number, struct err *e)
{
	struct vhost_message m;

	vhost_message_init(&m, request, 0, sizeof(m.payload.number));
	m.payload.number = le64_make(number);
	return frontend_tell(f, &m, e);
}

static int frontend_tell_state(struct vhost_frontend *f, u32 request, u32 qi, u32 num,
			       struct err *e)
{
	struct vhost_message m;

	vhost_message_init(&m, request, 0, sizeof(m.payload.state));
	m.payload.state.index = le32_make(qi);
	m.payload.state.num = le32_make(num);
	return frontend_tell(f, &m, e);
}

/* SET_VRING_KICK and its like. */
static int frontend_tell_event(struct vhost_frontend *f, u32 request, u32 qi, int event_fd,
			       struct err *e)
{
	struct vhost_message m;

	vhost_message_init(&m, request, 0, sizeof(m.payload.number));
	m.payload.number = le64_make(event_fd < 0 ? qi | VHOST_RING_NO_FD : qi);
	if (event_fd >= 0)
		m.fds[m.nr_fds++] = event_fd;
	return frontend_tell(f, &m, e);
}

/* --- Greeting --------------------------------------------------------------------------------- */

/* A channel is for news of configuration space; without that it would carry nothing. */
static u64 protocol_features_choose(u64 offered)
{
	u64 chosen = offered & protocol_features_wanted;

	if (!(chosen & VHOST_USER_PROTOCOL_F_CONFIG))
		chosen &= ~(u64)VHOST_USER_PROTOCOL_F_BACKEND_REQ;
	return chosen;
}

/* Acknowledgements begin after the request that agrees on them, so this one has none. */
static int frontend_agree(struct vhost_frontend *f, struct err *e)
{
	u64 offered, chosen;
	int status = frontend_get_number(f, VHOST_USER_GET_PROTOCOL_FEATURES, &offered, e);

	if (status < 0)
		return status;
	chosen = protocol_features_choose(offered);
	status = frontend_tell_number(f, VHOST_USER_SET_PROTOCOL_FEATURES, chosen, e);
	f->protocol_features = chosen;
	return status;
}

static int frontend_count_queues(struct vhost_frontend *f, struct err *e)
{
	u64 nr;
	int status = frontend_get_number(f, VHOST_USER_GET_QUEUE_NUM, &nr, e);

	if (status == 0 && (nr == 0 || nr > UINT32_MAX))
		status = frontend_fail(f, -EPROTO, e);
	if (status == 0)
		f->nr_queues_max = (u32)nr;
	return status;
}

static int frontend_make_channel(struct vhost_frontend *f, struct err *e)
{
	struct vhost_message m;
	int ends[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, -errno, "make a socket for the vhost-user back-end");
	f->channel_fd = ends[0];
	vhost_message_init(&m, VHOST_USER_SET_BACKEND_REQ_FD, 0, 0);
	m.fds[m.nr_fds++] = ends[1];
	status = frontend_tell(f, &m, e);
	fd_close(&ends[1]);
	return status;
}

static int frontend_greet(struct vhost_frontend *f, struct err *e)
{
	struct vhost_message m;
	int status;

	vhost_message_init(&m, VHOST_USER_SET_OWNER, 0, 0);
	status = frontend_tell(f, &m, e);
	if (status == 0)
		status = frontend_get_number(f, VHOST_USER_GET_FEATURES, &f->features, e);
	f->has_protocol_features = f->features & VHOST_USER_F_PROTOCOL_FEATURES;
	f->features &= ~(VHOST_USER_F_PROTOCOL_FEATURES | VHOST_USER_F_UNSUPPORTED);
	if (status == 0 && f->has_protocol_features)
		status = frontend_agree(f, e);
	if (status == 0 && frontend_has(f, VHOST_USER_PROTOCOL_F_MQ))
		status = frontend_count_queues(f, e);
	if (status == 0 && frontend_has(f, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		status = frontend_make_channel(f, e);
	return status;
}

int vhost_frontend_start(struct vhost_frontend *f, int *fd, struct err *e)
{
	*f = (struct vhost_frontend){
		.fd = fd_take(fd), .channel_fd = -1, .err_fd = -1, .reply_ms = f->reply_ms
	};
	return frontend_greet(f, e);
}

void vhost_frontend_destroy(struct vhost_frontend *f)
{
	fd_close(&f->channel_fd);
	fd_close(&f->fd);
	f->dead = true;
}

/* --- Memory, features ------------------------------------------------------------------------- */

_Static_assert((int)GMEM_REGIONS_MAX <= (int)VHOST_REGIONS_MAX, "guest memory fits a table");

int vhost_frontend_set_memory(struct vhost_frontend *f, const struct gmem *mem, struct err *e)
{
	struct vhost_message m;
	int status;

	if (mem->memfd < 0)
		return err_set(e, -EINVAL, "guest memory without a file cannot be shared");
	vhost_message_init(&m, VHOST_USER_SET_MEM_TABLE, 0,
			   VHOST_MEMORY_BYTES +
				   mem->nr_regions * (u32)sizeof(struct vhost_user_region));
	m.payload.memory.nr_regions = le32_make(mem->nr_regions);
	for (u32 i = 0; i < mem->nr_regions; i++) {
		const struct gmem_region *region = &mem->regions[i];

		m.payload.memory.regions[i] = (struct vhost_user_region){
			.base_gpa = le64_make(region->base_gpa),
			.size_bytes = le64_make(region->size_bytes),
			.user_addr = le64_make((uintptr_t)region->host),
			.mmap_offset = le64_make(region->fd_offset),
		};
		m.fds[m.nr_fds++] = mem->memfd;
	}
	status = frontend_tell(f, &m, e);
	return status < 0 ? status : frontend_settle(f, e);
}

int vhost_frontend_set_features(struct vhost_frontend *f, u64 features, struct err *e)
{
	int status;

	if (features & ~f->features)
		return err_set(e, -EINVAL, "features 0x%llx: the vhost-user back-end has 0x%llx",
			       (unsigned long long)features, (unsigned long long)f->features);
	if (f->has_protocol_features)
		features |= VHOST_USER_F_PROTOCOL_FEATURES;
	status = frontend_tell_number(f, VHOST_USER_SET_FEATURES, features, e);
	return status < 0 ? status : frontend_settle(f, e);
}

/* --- Rings ------------------------------------------------------------------------------------ */

static int ring_index_check(u32 qi, struct err *e)
{
	if (qi > VHOST_RING_INDEX_MASK)
		return err_set(e, -EINVAL, "ring %u: vhost-user has 0 to %d", qi,
			       VHOST_RING_INDEX_MASK);
	return 0;
}

/* Where this process has the ring: the table gave the back-end these very addresses. */
static int ring_addr_make(struct vhost_user_ring_addr *addr, u32 qi, const struct vhost_ring *ring,
			  const struct gmem *mem, struct err *e)
{
	const void *desc = NULL, *avail = NULL, *used = NULL;

	if (ring->size > 0 && ring->size <= VHOST_RING_SIZE_MAX) {
		desc = gmem_ptr(mem, ring->desc_gpa, vhost_desc_bytes(ring->size));
		avail = gmem_ptr(mem, ring->avail_gpa, vhost_avail_bytes(ring->size));
		used = gmem_ptr(mem, ring->used_gpa, vhost_used_bytes(ring->size));
	}
	if (!desc || !avail || !used)
		return err_set(e, -EINVAL, "ring %u of %u entries does not lie in memory", qi,
			       ring->size);
	*addr = (struct vhost_user_ring_addr){
		.index = le32_make(qi),
		.desc_user = le64_make((uintptr_t)desc),
		.used_user = le64_make((uintptr_t)used),
		.avail_user = le64_make((uintptr_t)avail),
	};
	return 0;
}

/* All but the kick, which is last: with it the back-end begins. */
static int ring_describe(struct vhost_frontend *f, u32 qi, const struct vhost_ring *ring,
			 const struct vhost_user_ring_addr *addr, struct err *e)
{
	struct vhost_message m;
	int status = frontend_tell_state(f, VHOST_USER_SET_VRING_NUM, qi, ring->size, e);

	if (status == 0)
		status = frontend_tell_state(f, VHOST_USER_SET_VRING_BASE, qi, ring->base, e);
	if (status < 0)
		return status;
	vhost_message_init(&m, VHOST_USER_SET_VRING_ADDR, 0, sizeof(m.payload.addr));
	m.payload.addr = *addr;
	status = frontend_tell(f, &m, e);
	if (status == 0)
		status = frontend_tell_event(f, VHOST_USER_SET_VRING_CALL, qi, ring->call_fd, e);
	if (status == 0 && f->err_fd >= 0)
		status = frontend_tell_event(f, VHOST_USER_SET_VRING_ERR, qi, f->err_fd, e);
	return status;
}

int vhost_frontend_start_ring(struct vhost_frontend *f, u32 qi, const struct vhost_ring *ring,
			      const struct gmem *mem, struct err *e)
{
	struct vhost_user_ring_addr addr;
	int status = ring_index_check(qi, e);

	if (status == 0)
		status = ring_addr_make(&addr, qi, ring, mem, e);
	if (status == 0)
		status = ring_describe(f, qi, ring, &addr, e);
	if (status == 0)
		status = frontend_tell_event(f, VHOST_USER_SET_VRING_KICK, qi, ring->kick_fd, e);
	if (status == 0 && f->has_protocol_features)
		status = frontend_tell_state(f, VHOST_USER_SET_VRING_ENABLE, qi, 1, e);
	return status < 0 ? status : frontend_settle(f, e);
}

int vhost_frontend_stop_ring(struct vhost_frontend *f, u32 qi, u16 *base, struct err *e)
{
	struct vhost_message m;
	int status = ring_index_check(qi, e);

	if (status < 0)
		return status;
	vhost_message_init(&m, VHOST_USER_GET_VRING_BASE, 0, sizeof(m.payload.state));
	m.payload.state.index = le32_make(qi);
	status = frontend_ask(f, &m, e);
	if (status < 0)
		return status;
	if (vhost_message_size(&m) != sizeof(m.payload.state) ||
	    le32_get(m.payload.state.index) != qi || le32_get(m.payload.state.num) > UINT16_MAX)
		return frontend_fail(f, -EPROTO, e);
	*base = (u16)le32_get(m.payload.state.num);
	return 0;
}

int vhost_frontend_set_call(struct vhost_frontend *f, u32 qi, int call_fd, struct err *e)
{
	int status = ring_index_check(qi, e);

	if (status == 0)
		status = frontend_tell_event(f, VHOST_USER_SET_VRING_CALL, qi, call_fd, e);
	return status < 0 ? status : frontend_settle(f, e);
}

/* --- Configuration space ---------------------------------------------------------------------- */

static int config_check(const struct vhost_frontend *f, u32 len, struct err *e)
{
	if (!frontend_has(f, VHOST_USER_PROTOCOL_F_CONFIG))
		return err_set(e, -EREMOTEIO, "the vhost-user back-end has no configuration space");
	if (len == 0 || len > VHOST_CONFIG_BYTES_MAX)
		return err_set(e, -EINVAL, "%u bytes of configuration space: 1 to %d are possible",
			       len, VHOST_CONFIG_BYTES_MAX);
	return 0;
}

static void config_message_init(struct vhost_message *m, u32 request, u32 offset, u32 len)
{
	vhost_message_init(m, request, 0, VHOST_CONFIG_BYTES + len);
	m->payload.config.offset = le32_make(offset);
	m->payload.config.size = le32_make(len);
}

/* A refusal has no payload, or, from some, no bytes. */
static bool config_is_refused(const struct vhost_message *m)
{
	u32 size = vhost_message_size(m);

	return size == 0 || (size == VHOST_CONFIG_BYTES && le32_get(m->payload.config.size) == 0);
}

int vhost_frontend_get_config(struct vhost_frontend *f, u32 offset, void *dst, u32 len,
			      struct err *e)
{
	struct vhost_message m;
	int status = config_check(f, len, e);

	if (status < 0)
		return status;
	config_message_init(&m, VHOST_USER_GET_CONFIG, offset, len);
	status = frontend_ask(f, &m, e);
	if (status < 0)
		return status;
	if (config_is_refused(&m))
		return err_set(e, -EREMOTEIO,
			       "the vhost-user back-end refused %u bytes of configuration space",
			       len);
	if (vhost_message_size(&m) != VHOST_CONFIG_BYTES + len ||
	    le32_get(m.payload.config.offset) != offset || le32_get(m.payload.config.size) != len)
		return frontend_fail(f, -EPROTO, e);
	memcpy(dst, m.payload.config.bytes, len);
	return 0;
}

int vhost_frontend_set_config(struct vhost_frontend *f, u32 offset, const void *src, u32 len,
			      struct err *e)
{
	struct vhost_message m;
	int status = config_check(f, len, e);

	if (status < 0)
		return status;
	config_message_init(&m, VHOST_USER_SET_CONFIG, offset, len);
	memcpy(m.payload.config.bytes, src, len);
	status = frontend_tell(f, &m, e);
	return status < 0 ? status : frontend_settle(f, e);
}

/* --- News ------------------------------------------------------------------------------------- */

/* A request of the back-end that nobody here serves is answered as refused. */
static int news_answer(struct vhost_frontend *f, struct vhost_message *m, bool refused)
{
	if (!(vhost_message_flags(m) & VHOST_USER_NEED_REPLY) ||
	    !frontend_has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return 0;
	vhost_message_init(m, vhost_message_request(m), VHOST_USER_REPLY,
			   sizeof(m->payload.number));
	m->payload.number = le64_make(refused);
	return vhost_message_send(f->channel_fd, m, NEWS_MS);
}

enum vhost_news vhost_frontend_news(struct vhost_frontend *f)
{
	struct pollfd channel = { .fd = f->channel_fd, .events = POLLIN };
	struct vhost_message m;
	bool changed;

	if (f->channel_fd < 0)
		return VHOST_NEWS_GONE;
	if (poll(&channel, 1, 0) <= 0)
		return VHOST_NEWS_NONE;
	if (vhost_message_receive(f->channel_fd, &m, NEWS_MS) < 0)
		return VHOST_NEWS_GONE;
	vhost_message_close_fds(&m);
	changed = vhost_message_request(&m) == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	if (vhost_message_flags(&m) & VHOST_USER_REPLY ||
	    (changed && vhost_message_size(&m) != 0) || news_answer(f, &m, !changed) < 0)
		return VHOST_NEWS_GONE;
	return changed ? VHOST_NEWS_CONFIG_CHANGED : VHOST_NEWS_NONE;
}
