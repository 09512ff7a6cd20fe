// SPDX-License-Identifier: BSD-3-Clause
// `--vhost-user TYPE,socket=PATH,...` (virtio 1.2, section 5, for what configuration spaces hold).
#include "ctl/remote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/opt.h"
#include "vm/remote.h"

enum {
	TAG_BYTES = 36, /* of virtio-fs, section 5.11.4 */
	MAC_BYTES = 6,
	MAC_MULTICAST = 1,
	CID_MIN = 3, /* section 5.10.4: those below and the highest are reserved */
	QUEUES_MAX = 63,
	ID_MAX = 63, /* PCI has device ids for so many, section 4.1.2.1 */
};

#define NET_F_MAC (1ull << 5)

struct remote_cfg {
	char socket[UNIX_PATH_BYTES];
	u32 id, queues, queue_size, config_bytes;
	char tag[TAG_BYTES + 1];
	u32 cid;
	bool mac_given;
	u8 mac[MAC_BYTES];
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int option_mac(void *options, const struct opt *opt, const char *value, struct err *e)
{
	struct remote_cfg *cfg = options;
	bool good = strlen(value) == 3 * MAC_BYTES - 1;

	for (u32 i = 0; i < MAC_BYTES && good; i++) {
		int high = hex_digit(value[3 * i]), low = hex_digit(value[3 * i + 1]);

		good = high >= 0 && low >= 0 && (i == MAC_BYTES - 1 || value[3 * i + 2] == ':');
		cfg->mac[i] = (u8)((u32)high << 4 | (u32)low);
	}
	if (!good || cfg->mac[0] & MAC_MULTICAST)
		return err_set(e, -EINVAL, "%s=%s: not a card's address such as 52:54:00:12:34:56",
			       opt->name, value);
	cfg->mac_given = true;
	return 0;
}

static const struct opt remote_opts[] = {
	{ .name = "socket", OPT_TEXT(struct remote_cfg, socket), .arg = "PATH" },
	{ .name = "id", OPT_U32(struct remote_cfg, id, 1, ID_MAX), .arg = "N" },
	{ .name = "queues", OPT_U32(struct remote_cfg, queues, 1, QUEUES_MAX), .arg = "N" },
	{ .name = "queue_size", OPT_U32(struct remote_cfg, queue_size, 2, 32768), .arg = "N" },
	{ .name = "config_bytes",
	  OPT_U32(struct remote_cfg, config_bytes, 1, VFRONT_CONFIG_BYTES_MAX),
	  .arg = "N" },
	{ .name = "tag", OPT_TEXT(struct remote_cfg, tag), .arg = "NAME" },
	{ .name = "cid", OPT_U32(struct remote_cfg, cid, CID_MIN, UINT32_MAX - 1), .arg = "N" },
	{ .name = "mac", OPT_CALL(option_mac), .arg = "MAC" },
	{ .name = NULL },
};

static const char *type_name(const void *cookie, u32 i)
{
	(void)cookie;
	return remote_type_at(i) ? remote_type_at(i)->name : NULL;
}

/* The type of that word; without one, the last, which has no name. Return: its index or -EINVAL. */
static int find_type(const char *word, struct err *e)
{
	const char *nearest = word_nearest(word, type_name, NULL);
	u32 i;

	for (i = 0; remote_type_at(i)->name; i++)
		if (strcmp(remote_type_at(i)->name, word) == 0)
			return (int)i;
	if (!word[0])
		return (int)i;
	return err_set(e, -EINVAL, "no type '%s'%s%s%s: blk, console, fs, net, rng, vsock, or id=N",
		       word, nearest ? " (did you mean '" : "", nearest ? nearest : "",
		       nearest ? "'?)" : "");
}

/* What only some types have. */
static int check_words(const struct remote_cfg *cfg, const struct remote_type *type, struct err *e)
{
	const bool is_any = !type->name;

	if (!cfg->socket[0])
		return err_set(e, -EINVAL, "socket=PATH is needed");
	if (is_any && (cfg->id == 0 || cfg->queues == 0))
		return err_set(e, -EINVAL, "a device without a type needs id=N and queues=N");
	if (!is_any && (cfg->id > 0 || cfg->config_bytes > 0))
		return err_set(e, -EINVAL, "id= and config_bytes= are for devices without a type");
	if (cfg->queues > 0 && type->rings_per_queue == 0)
		return err_set(e, -EINVAL, "queues=%u: this type's number is fixed", cfg->queues);
	if (cfg->queue_size & (cfg->queue_size - 1))
		return err_set(e, -EINVAL, "queue_size=%u: not a power of two", cfg->queue_size);
	if (cfg->tag[0] && type->virtio_id != 26)
		return err_set(e, -EINVAL, "tag=%s: only fs has one", cfg->tag);
	if (cfg->cid && type->virtio_id != 19)
		return err_set(e, -EINVAL, "cid=%u: only vsock has one", cfg->cid);
	if (cfg->mac_given && type->virtio_id != 1)
		return err_set(e, -EINVAL, "mac=: only net has one");
	return 0;
}

/* The user's part of configuration space. The number of queues is put in by the vm process. */
static void give_config(const struct remote_cfg *cfg, struct vm_setup_remote *remote)
{
	if (cfg->tag[0]) {
		memcpy(remote->given, cfg->tag, TAG_BYTES);
		remote->given_bytes = TAG_BYTES + sizeof(le32);
	} else if (cfg->cid) {
		const le64 cid = le64_make(cfg->cid);

		memcpy(remote->given, &cid, sizeof(cid));
		remote->given_bytes = sizeof(cid);
	} else if (cfg->mac_given) {
		memcpy(remote->given, cfg->mac, MAC_BYTES);
		remote->given_bytes = MAC_BYTES;
		remote->given_features = NET_F_MAC;
	}
}

static int fill(struct vm_setup_vdev *vdev, const struct remote_cfg *cfg, u32 index, struct err *e)
{
	const struct remote_type *type = remote_type_at(index);

	if (check_words(cfg, type, e) < 0)
		return e->code;
	*vdev = (struct vm_setup_vdev){
		.virtio_id = type->name ? type->virtio_id : (u16)cfg->id,
		.queue_size_max = cfg->queue_size ? (u16)cfg->queue_size : type->queue_size,
		.config_bytes = type->name ? type->config_bytes : cfg->config_bytes,
		.socket_index = -1,
		.remote = { .type = index, .queues = cfg->queues },
	};
	memcpy(vdev->remote.path, cfg->socket, sizeof(vdev->remote.path));
	give_config(cfg, &vdev->remote);
	return 0;
}

const char *remote_parse(const char *text, struct vm_setup_vdev *vdev, struct err *e)
{
	size_t len = strcspn(text, ",=");
	struct remote_cfg cfg = { 0 };
	char word[16] = "";
	int index;

	/* "id=26,..." has no type before its keys. */
	if (text[len] == '=')
		len = 0;
	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	index = find_type(word, e);
	if (index < 0)
		return NULL;
	text += len + (text[len] == ',');
	opt_defaults(remote_opts, &cfg);
	if ((*text && opt_parse_pairs(remote_opts, &cfg, text, e) < 0) ||
	    fill(vdev, &cfg, (u32)index, e) < 0) {
		err_prefix(e, "%s", word[0] ? word : "device");
		return NULL;
	}
	return word[0] ? remote_type_at((u32)index)->name : "device";
}
