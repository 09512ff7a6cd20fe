// SPDX-License-Identifier: BSD-3-Clause
// The back-end of vhost-user (vhost-user specification, "Front-end message types").
#include "vhost/vhost_backend.h"

#include <errno.h>
#include <stdlib.h>

#include "util/checked.h"
#include "util/fd.h"
#include "vhost/vhost_message.h"

enum {
	SEND_MS = 1000,    /* a front-end that does not read its answers is given up on */
	RECEIVE_MS = 1000, /* as one that ends in the middle of a message */
};

enum {
	PROTOCOL_FEATURES = VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK |
			    VHOST_USER_PROTOCOL_F_RESET_DEVICE,
	PROTOCOL_FEATURES_OF_CONFIG = VHOST_USER_PROTOCOL_F_BACKEND_REQ |
				      VHOST_USER_PROTOCOL_F_CONFIG,
};

/* What SET_VRING_ENABLE said; before it says anything, the features decide. */
enum vring_enable { VRING_ENABLE_UNSAID, VRING_ENABLE_ON, VRING_ENABLE_OFF };

struct vhost_backend_vring {
	u32 size; /* 0: not said yet */
	u64 desc_user, avail_user, used_user;
	u16 base;
	bool addr_said, base_said, kick_said;
	enum vring_enable enable;
	bool running; /* between ring_start and ring_stop */
	int kick_fd, call_fd, err_fd;
};

/* --- Rings ------------------------------------------------------------------------------------ */

static struct vhost_backend_vring *vring_get(struct vhost_backend *b, u32 qi)
{
	return qi < b->nr_queues ? &b->vrings[qi] : NULL;
}

static bool vring_is_enabled(const struct vhost_backend *b, const struct vhost_backend_vring *v)
{
	if (v->enable == VRING_ENABLE_UNSAID)
		return !(b->features & VHOST_USER_F_PROTOCOL_FEATURES);
	return v->enable == VRING_ENABLE_ON;
}

static bool vring_is_complete(const struct vhost_backend *b, const struct vhost_backend_vring *v)
{
	return b->features_set && v->size > 0 && v->addr_said && v->base_said && v->kick_said &&
	       vring_is_enabled(b, v);
}

/* From where the front-end has [user, user + len) to the guest's address. Return: 0 or -EFAULT. */
static int user_to_gpa(const struct vhost_backend *b, u64 user, u64 len, gpa_t *gpa)
{
	for (u32 i = 0; i < b->mem.nr_regions; i++) {
		const struct gmem_region *region = &b->mem.regions[i];
		u64 offset;

		if (checked_sub(user, b->user_addr[i], &offset) &&
		    range_fits(offset, len, region->size_bytes)) {
			*gpa = region->base_gpa + offset;
			return 0;
		}
	}
	return -EFAULT;
}

/* Start the ring if all was said that it takes, and it does not run yet. */
static int vring_try_start(struct vhost_backend *b, u32 qi)
{
	struct vhost_backend_vring *v = &b->vrings[qi];
	struct vhost_backend_ring ring = { .size = v->size, .base = v->base };
	int status;

	if (v->running || !vring_is_complete(b, v))
		return 0;
	if (user_to_gpa(b, v->desc_user, vhost_desc_bytes(v->size), &ring.desc_gpa) < 0 ||
	    user_to_gpa(b, v->avail_user, vhost_avail_bytes(v->size), &ring.avail_gpa) < 0 ||
	    user_to_gpa(b, v->used_user, vhost_used_bytes(v->size), &ring.used_gpa) < 0)
		return -EFAULT;
	status = b->ops->ring_start(b, qi, &ring, v->kick_fd, v->call_fd);
	v->running = status == 0;
	return status;
}

static void vring_stop(struct vhost_backend *b, u32 qi)
{
	struct vhost_backend_vring *v = &b->vrings[qi];

	if (!v->running)
		return;
	v->running = false;
	v->base = b->ops->ring_stop(b, qi);
}

static void vrings_stop(struct vhost_backend *b)
{
	for (u32 qi = 0; qi < b->nr_queues; qi++)
		vring_stop(b, qi);
}

static int vrings_try_start(struct vhost_backend *b)
{
	int status = 0;

	for (u32 qi = 0; qi < b->nr_queues; qi++) {
		int started = vring_try_start(b, qi);

		if (status == 0)
			status = started;
	}
	return status;
}

static bool any_vring_runs(const struct vhost_backend *b)
{
	for (u32 qi = 0; qi < b->nr_queues; qi++)
		if (b->vrings[qi].running)
			return true;
	return false;
}

/* Stop the ring until another kick descriptor starts it. */
static void vring_end(struct vhost_backend *b, u32 qi)
{
	struct vhost_backend_vring *v = &b->vrings[qi];

	vring_stop(b, qi);
	fd_close(&v->kick_fd);
	v->kick_said = false;
}

/* --- Features --------------------------------------------------------------------------------- */

/* Make the request its own answer. */
static void answer(struct vhost_message *m, u32 size)
{
	m->header.flags = le32_make(VHOST_USER_VERSION | VHOST_USER_REPLY);
	m->header.size = le32_make(size);
}

static int answer_number(struct vhost_message *m, u64 number)
{
	m->payload.number = le64_make(number);
	answer(m, sizeof(m->payload.number));
	return 0;
}

static u64 features_offered(struct vhost_backend *b)
{
	return (b->ops->features(b) & ~VHOST_USER_F_UNSUPPORTED) | VHOST_USER_F_PROTOCOL_FEATURES;
}

static int get_features(struct vhost_backend *b, struct vhost_message *m)
{
	return answer_number(m, features_offered(b));
}

/* A front-end with several devices on one connection says the same more than once. */
static int set_features(struct vhost_backend *b, struct vhost_message *m)
{
	u64 features = le64_get(m->payload.number);
	int status;

	if (features & ~features_offered(b))
		return -EINVAL;
	if (any_vring_runs(b))
		return features == b->features ? 0 : -EBUSY;
	status = b->ops->set_features(b, features & ~VHOST_USER_F_PROTOCOL_FEATURES);
	if (status < 0)
		return status;
	b->features = features;
	b->features_set = true;
	return vrings_try_start(b);
}

/* A front-end may warn of a configuration space that it does not expect. */
static u64 protocol_features_offered(struct vhost_backend *b)
{
	return PROTOCOL_FEATURES | (b->ops->has_config(b) ? PROTOCOL_FEATURES_OF_CONFIG : 0);
}

static int get_protocol_features(struct vhost_backend *b, struct vhost_message *m)
{
	return answer_number(m, protocol_features_offered(b));
}

static int set_protocol_features(struct vhost_backend *b, struct vhost_message *m)
{
	u64 features = le64_get(m->payload.number);

	if (features & ~protocol_features_offered(b))
		return -EINVAL;
	b->protocol_features = features;
	return 0;
}

static int get_queue_num(struct vhost_backend *b, struct vhost_message *m)
{
	return answer_number(m, b->nr_queues);
}

/* --- Owner, reset ----------------------------------------------------------------------------- */

static int set_owner(struct vhost_backend *b, struct vhost_message *m)
{
	(void)b;
	(void)m;
	return 0;
}

/* Deprecated; the specification asks to disable the rings or to do nothing. */
static int reset_owner(struct vhost_backend *b, struct vhost_message *m)
{
	(void)m;
	for (u32 qi = 0; qi < b->nr_queues; qi++) {
		vring_end(b, qi);
		b->vrings[qi].enable = VRING_ENABLE_UNSAID;
	}
	return 0;
}

/* The memory table and the calls stay: a front-end sends them when they change. */
static int reset_device(struct vhost_backend *b, struct vhost_message *m)
{
	(void)m;
	for (u32 qi = 0; qi < b->nr_queues; qi++) {
		vring_end(b, qi);
		b->vrings[qi] = (struct vhost_backend_vring){ .kick_fd = -1,
							      .call_fd = b->vrings[qi].call_fd,
							      .err_fd = b->vrings[qi].err_fd };
	}
	b->features_set = false;
	b->features = 0;
	return 0;
}

/* --- Memory ----------------------------------------------------------------------------------- */

/* A new memory table, while the old one is still in use. */
struct memory_table {
	struct gmem mem;
	u64 user_addr[GMEM_REGIONS_MAX];
};

_Static_assert((int)VHOST_REGIONS_MAX <= (int)GMEM_REGIONS_MAX, "a memory table fits");

/* Whether the front-end's addresses tell this region from those before it. */
static bool user_range_is_free(const struct memory_table *table, u64 user, u64 size_bytes)
{
	u64 end;

	if (!checked_add(user, size_bytes, &end))
		return false;
	for (u32 i = 0; i < table->mem.nr_regions; i++)
		if (ranges_overlap(user, size_bytes, table->user_addr[i],
				   table->mem.regions[i].size_bytes))
			return false;
	return true;
}

static int memory_table_add(struct memory_table *table, const struct vhost_user_region *region,
			    int fd)
{
	u64 size_bytes = le64_get(region->size_bytes), user = le64_get(region->user_addr);
	u32 at = table->mem.nr_regions;
	struct err e = { 0 };
	int status;

	if (!user_range_is_free(table, user, size_bytes))
		return -EINVAL;
	status = gmem_attach(&table->mem, fd, le64_get(region->base_gpa), size_bytes,
			     le64_get(region->mmap_offset), &e);
	if (status == 0)
		table->user_addr[at] = user;
	return status;
}

static int memory_table_make(struct memory_table *table, const struct vhost_message *m)
{
	const struct vhost_user_memory *memory = &m->payload.memory;
	u32 nr = le32_get(memory->nr_regions);
	int status = 0;

	*table = (struct memory_table){ .mem = { .memfd = -1 } };
	if (nr > VHOST_REGIONS_MAX || nr != m->nr_fds ||
	    vhost_message_size(m) != VHOST_MEMORY_BYTES + nr * sizeof(memory->regions[0]))
		return -EINVAL;
	for (u32 i = 0; i < nr && status == 0; i++)
		status = memory_table_add(table, &memory->regions[i], m->fds[i]);
	if (status < 0)
		gmem_destroy(&table->mem);
	return status;
}

/* Rings that run are stopped around the change; one that the new table does not hold stays so. */
static int set_mem_table(struct vhost_backend *b, struct vhost_message *m)
{
	struct memory_table table;
	int status = memory_table_make(&table, m);

	if (status < 0)
		return status;
	vrings_stop(b);
	gmem_destroy(&b->mem);
	b->mem = table.mem;
	memcpy(b->user_addr, table.user_addr, sizeof(b->user_addr));
	status = b->ops->memory_changed(b);
	return status < 0 ? status : vrings_try_start(b);
}

/* --- What a ring is --------------------------------------------------------------------------- */

static int set_vring_num(struct vhost_backend *b, struct vhost_message *m)
{
	u32 qi = le32_get(m->payload.state.index), size = le32_get(m->payload.state.num);
	struct vhost_backend_vring *v = vring_get(b, qi);

	if (!v || size == 0 || size > VHOST_RING_SIZE_MAX)
		return -EINVAL;
	if (v->running)
		return v->size == size ? 0 : -EBUSY;
	v->size = size;
	return vring_try_start(b, qi);
}

/* The log's address means nothing: VHOST_F_LOG_ALL is not offered. */
static int set_vring_addr(struct vhost_backend *b, struct vhost_message *m)
{
	const struct vhost_user_ring_addr *addr = &m->payload.addr;
	u32 qi = le32_get(addr->index);
	struct vhost_backend_vring *v = vring_get(b, qi);
	u64 desc = le64_get(addr->desc_user), avail = le64_get(addr->avail_user),
	    used = le64_get(addr->used_user);
	gpa_t gpa;

	if (!v)
		return -EINVAL;
	if (v->running)
		return v->desc_user == desc && v->avail_user == avail && v->used_user == used
			       ? 0
			       : -EBUSY;
	if (b->mem.nr_regions > 0 &&
	    (user_to_gpa(b, desc, 1, &gpa) < 0 || user_to_gpa(b, avail, 1, &gpa) < 0 ||
	     user_to_gpa(b, used, 1, &gpa) < 0))
		return -EFAULT;
	v->desc_user = desc;
	v->avail_user = avail;
	v->used_user = used;
	v->addr_said = true;
	return vring_try_start(b, qi);
}

static int set_vring_base(struct vhost_backend *b, struct vhost_message *m)
{
	u32 qi = le32_get(m->payload.state.index), base = le32_get(m->payload.state.num);
	struct vhost_backend_vring *v = vring_get(b, qi);

	if (!v || base > UINT16_MAX)
		return -EINVAL;
	if (v->running)
		return -EBUSY;
	v->base = (u16)base;
	v->base_said = true;
	return vring_try_start(b, qi);
}

/* Stops the ring for good: only another kick descriptor starts it again. */
static int get_vring_base(struct vhost_backend *b, struct vhost_message *m)
{
	u32 qi = le32_get(m->payload.state.index);
	struct vhost_backend_vring *v = vring_get(b, qi);

	if (!v)
		return -EINVAL;
	vring_end(b, qi);
	m->payload.state.num = le32_make(v->base);
	answer(m, sizeof(m->payload.state));
	return 0;
}

static int set_vring_enable(struct vhost_backend *b, struct vhost_message *m)
{
	u32 qi = le32_get(m->payload.state.index), on = le32_get(m->payload.state.num);
	struct vhost_backend_vring *v = vring_get(b, qi);

	if (!v || on > 1)
		return -EINVAL;
	v->enable = on ? VRING_ENABLE_ON : VRING_ENABLE_OFF;
	if (!on)
		vring_stop(b, qi);
	return vring_try_start(b, qi);
}

/*
 * The ring and the descriptor of SET_VRING_KICK and its like. A write or read of it must not block
 * the loop: eventfds of a front-end's are shared, so this is what it gets, too.
 * Return: the ring, with the message's descriptor, or -1, in *fd; NULL for nonsense.
 */
static struct vhost_backend_vring *vring_event(struct vhost_backend *b, struct vhost_message *m,
					       u32 *qi, int *fd)
{
	u64 number = le64_get(m->payload.number);
	bool no_fd = number & VHOST_RING_NO_FD;

	*qi = (u32)(number & VHOST_RING_INDEX_MASK);
	*fd = -1;
	if (number & ~(u64)(VHOST_RING_INDEX_MASK | VHOST_RING_NO_FD) || m->nr_fds != !no_fd ||
	    !vring_get(b, *qi))
		return NULL;
	if (no_fd)
		return vring_get(b, *qi);
	if (fd_set_nonblock(m->fds[0], true) < 0)
		return NULL;
	*fd = fd_take(&m->fds[0]);
	return vring_get(b, *qi);
}

static int set_vring_kick(struct vhost_backend *b, struct vhost_message *m)
{
	u32 qi;
	int fd;
	struct vhost_backend_vring *v = vring_event(b, m, &qi, &fd);

	if (!v)
		return -EINVAL;
	vring_stop(b, qi);
	fd_close(&v->kick_fd);
	v->kick_fd = fd;
	v->kick_said = true;
	return vring_try_start(b, qi);
}

static int set_vring_call(struct vhost_backend *b, struct vhost_message *m)
{
	u32 qi;
	int fd, old_fd;
	struct vhost_backend_vring *v = vring_event(b, m, &qi, &fd);

	if (!v)
		return -EINVAL;
	old_fd = v->call_fd;
	v->call_fd = fd;
	if (v->running)
		b->ops->ring_call(b, qi, fd);
	fd_close(&old_fd);
	return 0;
}

static int set_vring_err(struct vhost_backend *b, struct vhost_message *m)
{
	u32 qi;
	int fd;
	struct vhost_backend_vring *v = vring_event(b, m, &qi, &fd);

	if (!v)
		return -EINVAL;
	fd_close(&v->err_fd);
	v->err_fd = fd;
	return 0;
}

void vhost_backend_ring_broken(struct vhost_backend *b, u32 qi)
{
	const struct vhost_backend_vring *v = vring_get(b, qi);
	const u64 one = 1;

	if (v && v->err_fd >= 0)
		fd_write(v->err_fd, &one, sizeof(one)); /* a full counter is a rung one */
}

/* --- Configuration space, channel ------------------------------------------------------------- */

static bool config_is_sound(const struct vhost_message *m)
{
	u32 size = le32_get(m->payload.config.size);

	return size > 0 && size <= VHOST_CONFIG_BYTES_MAX &&
	       vhost_message_size(m) == VHOST_CONFIG_BYTES + size;
}

/* An answer without payload is the specification's way to say no. */
static int get_config(struct vhost_backend *b, struct vhost_message *m)
{
	struct vhost_user_config *config = &m->payload.config;
	u32 size = le32_get(config->size);

	if (!config_is_sound(m))
		return -EINVAL;
	memset(config->bytes, 0, sizeof(config->bytes));
	if (b->ops->config_read(b, le32_get(config->offset), config->bytes, size) < 0)
		answer(m, 0);
	else
		answer(m, VHOST_CONFIG_BYTES + size);
	return 0;
}

static int set_config(struct vhost_backend *b, struct vhost_message *m)
{
	const struct vhost_user_config *config = &m->payload.config;

	if (!config_is_sound(m))
		return -EINVAL;
	if (le32_get(config->flags) != VHOST_CONFIG_WRITABLE)
		return -EOPNOTSUPP;
	return b->ops->config_write(b, le32_get(config->offset), config->bytes,
				    le32_get(config->size));
}

static int set_backend_req_fd(struct vhost_backend *b, struct vhost_message *m)
{
	if (m->nr_fds != 1)
		return -EINVAL;
	fd_close(&b->channel_fd);
	b->channel_fd = fd_take(&m->fds[0]);
	return 0;
}

int vhost_backend_config_changed(struct vhost_backend *b)
{
	struct vhost_message m;
	int status;

	if (b->channel_fd < 0 || !(b->protocol_features & VHOST_USER_PROTOCOL_F_CONFIG))
		return -ENOTCONN;
	vhost_message_init(&m, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, 0);
	status = vhost_message_send(b->channel_fd, &m, 0);
	return status == -ETIMEDOUT ? -EAGAIN : status;
}

/* --- Messages --------------------------------------------------------------------------------- */

struct request {
	int (*handle)(struct vhost_backend *b, struct vhost_message *m); /* 0, answered; -errno */
	const char *refused; /* why the connection ends when this is refused and nobody listens */
	u32 bytes;           /* of payload; with `more`: at least */
	u32 fds_max;
	u64 needs; /* a protocol feature that was agreed on */
	bool more;
	bool answers; /* the handler makes the answer itself */
	bool mild;    /* a guest can cause a refusal: the connection goes on */
};

/* clang-format off */
#define REQUEST(name, verb, ...) \
	[VHOST_USER_##name] = { .handle = verb, .refused = #name " was refused", __VA_ARGS__ }
#define NUMBER .bytes = sizeof(le64)
#define STATE .bytes = sizeof(struct vhost_user_ring_state)

static const struct request requests[] = {
	REQUEST(GET_FEATURES, get_features, .answers = true),
	REQUEST(SET_FEATURES, set_features, NUMBER),
	REQUEST(SET_OWNER, set_owner),
	REQUEST(RESET_OWNER, reset_owner),
	REQUEST(SET_MEM_TABLE, set_mem_table, .bytes = VHOST_MEMORY_BYTES, .more = true,
		.fds_max = VHOST_REGIONS_MAX),
	REQUEST(SET_VRING_NUM, set_vring_num, STATE),
	REQUEST(SET_VRING_ADDR, set_vring_addr, .bytes = sizeof(struct vhost_user_ring_addr)),
	REQUEST(SET_VRING_BASE, set_vring_base, STATE),
	REQUEST(GET_VRING_BASE, get_vring_base, STATE, .answers = true),
	REQUEST(SET_VRING_KICK, set_vring_kick, NUMBER, .fds_max = 1),
	REQUEST(SET_VRING_CALL, set_vring_call, NUMBER, .fds_max = 1),
	REQUEST(SET_VRING_ERR, set_vring_err, NUMBER, .fds_max = 1),
	REQUEST(GET_PROTOCOL_FEATURES, get_protocol_features, .answers = true),
	REQUEST(SET_PROTOCOL_FEATURES, set_protocol_features, NUMBER),
	REQUEST(GET_QUEUE_NUM, get_queue_num, .answers = true),
	REQUEST(SET_VRING_ENABLE, set_vring_enable, STATE),
	REQUEST(SET_BACKEND_REQ_FD, set_backend_req_fd, .fds_max = 1,
		.needs = VHOST_USER_PROTOCOL_F_BACKEND_REQ),
	REQUEST(GET_CONFIG, get_config, .bytes = VHOST_CONFIG_BYTES, .more = true, .answers = true,
		.needs = VHOST_USER_PROTOCOL_F_CONFIG),
	REQUEST(SET_CONFIG, set_config, .bytes = VHOST_CONFIG_BYTES, .more = true, .mild = true,
		.needs = VHOST_USER_PROTOCOL_F_CONFIG),
	REQUEST(RESET_DEVICE, reset_device, .needs = VHOST_USER_PROTOCOL_F_RESET_DEVICE),
};
/* clang-format on */

static const struct request *request_find(u32 number)
{
	if (number >= ARRAY_SIZE(requests) || !requests[number].handle)
		return NULL;
	return &requests[number];
}

/* Whether the message has the shape of its request, in this phase. */
static bool request_is_sound(const struct vhost_backend *b, const struct request *request,
			     const struct vhost_message *m)
{
	u32 size = vhost_message_size(m);

	return (size == request->bytes || (request->more && size > request->bytes)) &&
	       m->nr_fds <= request->fds_max &&
	       (b->protocol_features & request->needs) == request->needs;
}

static const char *backend_reply(struct vhost_backend *b, const struct vhost_message *m)
{
	return vhost_message_send(b->fd, m, SEND_MS) < 0 ? "it does not take its answer" : NULL;
}

/* Do what was asked and answer. Return: why the connection cannot go on, or NULL. */
static const char *backend_serve(struct vhost_backend *b, struct vhost_message *m)
{
	const struct request *request = request_find(vhost_message_request(m));
	u32 flags = vhost_message_flags(m);
	int status = -ENOSYS;

	if (flags & VHOST_USER_REPLY)
		return "an answer that nobody asked for";
	if (request)
		status = request_is_sound(b, request, m) ? request->handle(b, m) : -EINVAL;
	vhost_message_close_fds(m);
	if (request && request->answers)
		return status < 0 ? request->refused : backend_reply(b, m);
	if ((flags & VHOST_USER_NEED_REPLY) &&
	    (b->protocol_features & VHOST_USER_PROTOCOL_F_REPLY_ACK)) {
		answer_number(m, status < 0);
		return backend_reply(b, m);
	}
	if (!request)
		return "a request that is not known";
	return status < 0 && !request->mild ? request->refused : NULL;
}

/* The last thing a handler does: `gone` may destroy the back-end. */
static void backend_leave(struct vhost_backend *b, const char *why)
{
	vrings_stop(b);
	evl_remove(b->evl, &b->source);
	fd_close(&b->fd);
	fd_close(&b->channel_fd);
	b->ops->gone(b, why);
}

static void socket_ready(struct evl_source *source, u32 epoll_events)
{
	struct vhost_backend *b = container_of(source, struct vhost_backend, source);
	struct vhost_message m;
	const char *why = NULL;
	int status = vhost_message_receive(b->fd, &m, RECEIVE_MS);

	(void)epoll_events;
	if (status == 0)
		why = backend_serve(b, &m);
	else if (status == -ECONNRESET || status == -ETIMEDOUT)
		why = "it ended in the middle of a message";
	else if (status != -EPIPE && status != -EAGAIN)
		why = "what it sent is no message";
	vhost_message_close_fds(&m);
	if (why || status == -EPIPE)
		backend_leave(b, why);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int vrings_create(struct vhost_backend *b, struct err *e)
{
	b->nr_queues = b->ops->nr_queues(b);
	if (b->nr_queues == 0 || b->nr_queues > VHOST_BACKEND_RINGS_MAX)
		return err_set(e, -EINVAL, "vhost-user: %u queues: 1 to %d are possible",
			       b->nr_queues, VHOST_BACKEND_RINGS_MAX);
	b->vrings = calloc(b->nr_queues, sizeof(*b->vrings));
	if (!b->vrings)
		return err_errno(e, -ENOMEM, "vhost-user: %u queues", b->nr_queues);
	for (u32 qi = 0; qi < b->nr_queues; qi++)
		b->vrings[qi] =
			(struct vhost_backend_vring){ .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
	return 0;
}

int vhost_backend_start(struct vhost_backend *b, const struct vhost_backend_ops *ops,
			struct evl *evl, int *fd, struct err *e)
{
	int status;

	*b = (struct vhost_backend){
		.ops = ops, .evl = evl, .fd = fd_take(fd), .channel_fd = -1, .mem = { .memfd = -1 }
	};
	status = vrings_create(b, e);
	if (status == 0) {
		status = evl_add(evl, &b->source, b->fd, EPOLLIN, socket_ready);
		if (status < 0)
			err_errno(e, status, "vhost-user: watch the front-end's socket");
	}
	if (status < 0)
		vhost_backend_destroy(b);
	return status;
}

void vhost_backend_destroy(struct vhost_backend *b)
{
	if (b->vrings)
		vrings_stop(b);
	evl_remove(b->evl, &b->source);
	for (u32 qi = 0; b->vrings && qi < b->nr_queues; qi++) {
		fd_close(&b->vrings[qi].kick_fd);
		fd_close(&b->vrings[qi].call_fd);
		fd_close(&b->vrings[qi].err_fd);
	}
	free(b->vrings);
	b->vrings = NULL;
	b->nr_queues = 0;
	b->mem.memfd = -1; /* what is attached has no file of ours */
	gmem_destroy(&b->mem);
	fd_close(&b->channel_fd);
	fd_close(&b->fd);
}
