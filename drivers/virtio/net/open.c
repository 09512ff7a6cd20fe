// SPDX-License-Identifier: BSD-3-Clause
// virtio-net's half in the supervisor: options, taps (Linux, networking/tuntap.rst), passt's socket.
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"
#include "util/fd.h"
#include "util/log.h"

enum {
	TAP_FLAGS = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	VNET_HEADER_BYTES = 12, /* struct virtio_net_hdr with num_buffers (section 5.1.6) */
	MAC_MULTICAST = 0x01,
	MAC_LOCAL = 0x02,
};

/* --- Options ---------------------------------------------------------------------------------- */

static int option_fd(void *options, const struct opt *opt, const char *value, struct err *e)
{
	struct net_cfg *cfg = options;
	u64 fd;

	if (opt_parse_u64(value, &fd) < 0 || fd > INT32_MAX)
		return err_set(e, -EINVAL, "%s=%s: not the number of a descriptor", opt->name,
			       value);
	if (cfg->nr_given == NET_PAIRS_MAX)
		return err_set(e, -EINVAL, "%s=%s: at most %d descriptors", opt->name, value,
			       NET_PAIRS_MAX);
	cfg->given[cfg->nr_given++] = (int)fd;
	return 0;
}

/* Four decimal numbers; none begins with a zero, which elsewhere makes it an octal one. */
static bool ipv4_from_text(u8 bytes[4], const char *text)
{
	for (u32 i = 0; i < 4; i++) {
		u32 number = 0, digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 3; digits++)
			number = 10 * number + (u32)(*text++ - '0');
		if (digits == 0 || (digits > 1 && text[-(int)digits] == '0') ||
		    number > UINT8_MAX || *text++ != (i < 3 ? '.' : 0))
			return false;
		bytes[i] = (u8)number;
	}
	return true;
}

static int parse_ipv4(struct net_ipv4 *to, const struct opt *opt, const char *value, struct err *e)
{
	if (to->given)
		return err_set(e, -EINVAL, "%s: given twice", opt->name);
	if (!ipv4_from_text(to->bytes, value))
		return err_set(e, -EINVAL, "%s=%s: not an IPv4 address such as 192.0.2.1",
			       opt->name, value);
	to->given = true;
	return 0;
}

static int option_ip(void *options, const struct opt *opt, const char *value, struct err *e)
{
	struct net_cfg *cfg = options;

	return parse_ipv4(&cfg->ip, opt, value, e);
}

static u32 ipv4_number(const struct net_ipv4 *ip)
{
	return (u32)ip->bytes[0] << 24 | (u32)ip->bytes[1] << 16 | (u32)ip->bytes[2] << 8 |
	       ip->bytes[3];
}

static int option_netmask(void *options, const struct opt *opt, const char *value, struct err *e)
{
	struct net_cfg *cfg = options;
	int status = parse_ipv4(&cfg->netmask, opt, value, e);
	u32 host_bits;

	if (status < 0)
		return status;
	host_bits = ~ipv4_number(&cfg->netmask);
	if (host_bits & (host_bits + 1))
		return err_set(e, -EINVAL, "%s=%s: not a mask such as 255.255.255.0", opt->name,
			       value);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_mac(u8 mac[NET_MAC_BYTES], const char *text)
{
	for (u32 i = 0; i < NET_MAC_BYTES; i++, text += 3) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || text[2] != (i + 1 < NET_MAC_BYTES ? ':' : 0))
			return false;
		mac[i] = (u8)(high << 4 | low);
	}
	return true;
}

static int option_mac(void *options, const struct opt *opt, const char *value, struct err *e)
{
	static const u8 zero[NET_MAC_BYTES];
	struct net_cfg *cfg = options;

	if (cfg->mac_given)
		return err_set(e, -EINVAL, "%s: given twice", opt->name);
	if (!parse_mac(cfg->mac, value))
		return err_set(e, -EINVAL, "%s=%s: not an address such as 52:54:00:12:34:56",
			       opt->name, value);
	if ((cfg->mac[0] & MAC_MULTICAST) || memcmp(cfg->mac, zero, sizeof(zero)) == 0)
		return err_set(e, -EINVAL,
			       "%s=%s: a card's own address has an even first byte "
			       "and is not all zeros",
			       opt->name, value);
	cfg->mac_given = true;
	return 0;
}

const struct opt net_opts[] = {
	{
		.name = "tap",
		OPT_TEXT(struct net_cfg, tap),
		.arg = "NAME",
		.help = HELP("use this tap interface of the host"),
	},
	{
		.name = "fd",
		OPT_CALL(option_fd),
		.arg = "N",
		.help = HELP("use the tap that is open as descriptor N; once for each queue pair"),
	},
	{
		.name = "ip",
		OPT_CALL(option_ip),
		.arg = "ADDRESS",
		.help = HELP("make a tap and give this address to the host"),
	},
	{
		.name = "netmask",
		OPT_CALL(option_netmask),
		.arg = "MASK",
		.help = HELP("of ip="),
	},
	{
		.name = "passt",
		OPT_TEXT(struct net_cfg, passt),
		.arg = "PATH",
		.help = HELP("use passt, which listens on this socket; needs no rights"),
	},
	{
		.name = "mac",
		OPT_CALL(option_mac),
		.arg = "XX:XX:XX:XX:XX:XX",
		.help = HELP("the guest's address; without it one by chance"),
	},
	{
		.name = "mtu",
		OPT_U32(struct net_cfg, mtu, NET_MTU_MIN, NET_MTU_MAX),
		.arg = "BYTES",
		.help = HELP("tell the guest the largest packet"),
	},
	{
		.name = "queues",
		OPT_U32(struct net_cfg, queues, 1, NET_PAIRS_MAX),
		.arg = "N",
		.help = HELP("pairs of queues, for as many vCPUs; taps only (without it: 1)"),
	},
	{
		.name = "vhost",
		OPT_FLAG(struct net_cfg, vhost),
		.help = HELP("let the host's kernel move the frames of a tap (/dev/vhost-net)"),
	},
	{ .name = NULL },
};

/* --- Taps ------------------------------------------------------------------------------------- */

static int tap_prepare(int fd, const char *name, struct err *e)
{
	int header_bytes = VNET_HEADER_BYTES, status;

	if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0)
		return err_errno(e, -errno, "tap '%s': set the header's size", name);
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		return err_errno(e, -errno, "tap '%s': set its offloads", name);
	status = fd_set_nonblock(fd, true);
	return status < 0 ? err_errno(e, status, "tap '%s': set non-blocking", name) : 0;
}

static void ifreq_for(struct ifreq *r, const char *name)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
}

static int tap_attach_fault(struct err *e, int code, const char *name, bool multi)
{
	const char *made = multi ? "without multi_queue: make it with, or leave out queues="
				 : "with multi_queue: give queues=2 or more, or make it without";

	if (code == -EPERM)
		return err_set(e, code,
			       "tap '%s': not permitted: 'ip tuntap add dev %s mode tap user NAME' "
			       "makes one for a user, or give CAP_NET_ADMIN, or use passt=PATH",
			       name, name);
	if (code == -EBUSY)
		return err_set(e, code, "tap '%s': in use by another process", name);
	if (code == -EINVAL)
		return err_set(e, code, "tap '%s': not a tap, or made %s", name, made);
	return err_errno(e, code, "tap '%s'", name);
}

/* One queue of tap `r->ifr_name`, which may hold a %d; the name that came of it is left there. */
static int tap_attach(struct ifreq *r, bool multi, struct err *e)
{
	cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, -errno, "open '/dev/net/tun'");
	r->ifr_flags = (short)(TAP_FLAGS | (multi ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd, TUNSETIFF, r) < 0)
		return tap_attach_fault(e, -errno, r->ifr_name, multi);
	if (tap_prepare(fd, r->ifr_name, e) < 0)
		return e->code;
	return fd_take(&fd);
}

static int put_fd(struct net_cfg *cfg, struct fdset *fds, int *fd, struct err *e)
{
	int index = fdset_put(fds, fd);

	if (index < 0)
		return err_errno(e, index, "more than %d descriptors", FDSET_MAX);
	cfg->fd_index[cfg->nr_pairs++] = index;
	return 0;
}

static int tap_attach_all(struct net_cfg *cfg, struct fdset *fds, struct ifreq *r, struct err *e)
{
	u32 pairs = MAX(cfg->queues, (u32)1);

	cfg->kind = NET_TAP;
	while (cfg->nr_pairs < pairs) {
		cleanup_fd int fd = tap_attach(r, pairs > 1, e);

		if (fd < 0 || put_fd(cfg, fds, &fd, e) < 0)
			return e->code;
	}
	return 0;
}

/* A tap that exists: a misspelt name makes none. */
static int open_named(struct net_cfg *cfg, struct fdset *fds, struct err *e)
{
	cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r;

	if (sock < 0)
		return err_errno(e, -errno, "tap '%s': socket", cfg->tap);
	ifreq_for(&r, cfg->tap);
	if (ioctl(sock, SIOCGIFFLAGS, &r) < 0)
		return err_set(e, -ENODEV,
			       "tap '%s': there is no such interface: 'ip tuntap add dev %s mode "
			       "tap' makes it, or give ip= and netmask= in place of tap=",
			       cfg->tap, cfg->tap);
	if (!(r.ifr_flags & IFF_UP))
		log_warn("virtio-net: tap '%s' is down: 'ip link set %s up' lets frames pass",
			 cfg->tap, cfg->tap);
	ifreq_for(&r, cfg->tap);
	return tap_attach_all(cfg, fds, &r, e);
}

static int set_address(int sock, struct ifreq *r, unsigned long request,
		       const struct net_ipv4 *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	memcpy(&in.sin_addr, address->bytes, sizeof(address->bytes));
	memcpy(&r->ifr_addr, &in, sizeof(in));
	return ioctl(sock, request, r) < 0 ? -errno : 0;
}

static int tap_configure(const struct net_cfg *cfg, struct ifreq *r, struct err *e)
{
	cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int status;

	if (sock < 0)
		return err_errno(e, -errno, "tap '%s': socket", r->ifr_name);
	status = set_address(sock, r, SIOCSIFADDR, &cfg->ip);
	if (status < 0)
		return err_errno(e, status, "tap '%s': set ip", r->ifr_name);
	status = set_address(sock, r, SIOCSIFNETMASK, &cfg->netmask);
	if (status < 0)
		return err_errno(e, status, "tap '%s': set netmask", r->ifr_name);
	r->ifr_mtu = (int)cfg->mtu;
	if (cfg->mtu && ioctl(sock, SIOCSIFMTU, r) < 0)
		return err_errno(e, -errno, "tap '%s': set mtu %u", r->ifr_name, cfg->mtu);
	if (ioctl(sock, SIOCGIFFLAGS, r) < 0)
		return err_errno(e, -errno, "tap '%s'", r->ifr_name);
	r->ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, r) < 0)
		return err_errno(e, -errno, "tap '%s': set it up", r->ifr_name);
	return 0;
}

static int open_created(struct net_cfg *cfg, struct fdset *fds, struct err *e)
{
	struct ifreq r;

	if (!cfg->ip.given || !cfg->netmask.given)
		return err_set(e, -EINVAL, "ip= and netmask= belong together");
	ifreq_for(&r, "kiln%d");
	if (tap_attach_all(cfg, fds, &r, e) < 0)
		return e->code;
	return tap_configure(cfg, &r, e);
}

static int check_given(int fd, const char *first_name, struct ifreq *r, bool multi, struct err *e)
{
	memset(r, 0, sizeof(*r));
	if (fcntl(fd, F_GETFD) < 0)
		return err_errno(e, -errno, "fd=%d", fd);
	if (ioctl(fd, TUNGETIFF, r) < 0)
		return err_set(e, -EINVAL, "fd=%d: not a tap", fd);
	if ((r->ifr_flags & (IFF_TUN | TAP_FLAGS)) != TAP_FLAGS)
		return err_set(e, -EINVAL,
			       "fd=%d: '%s' was opened with flags %#x: IFF_TAP, "
			       "IFF_NO_PI and IFF_VNET_HDR are needed",
			       fd, r->ifr_name, r->ifr_flags & 0xffff);
	if (multi && !(r->ifr_flags & IFF_MULTI_QUEUE))
		return err_set(e, -EINVAL, "fd=%d: '%s' was opened without IFF_MULTI_QUEUE", fd,
			       r->ifr_name);
	if (first_name[0] && strncmp(r->ifr_name, first_name, IFNAMSIZ) != 0)
		return err_set(e, -EINVAL, "fd=%d is of '%s', an earlier one of '%s'", fd,
			       r->ifr_name, first_name);
	return 0;
}

/* From here on the descriptors are the machine's. */
static int open_given(struct net_cfg *cfg, struct fdset *fds, struct err *e)
{
	char name[IFNAMSIZ] = "";
	struct ifreq r;

	cfg->kind = NET_TAP;
	if (cfg->queues && cfg->queues != cfg->nr_given)
		return err_set(e, -EINVAL, "queues=%u: with %u descriptors; give fd= once for each",
			       cfg->queues, cfg->nr_given);
	for (u32 i = 0; i < cfg->nr_given; i++) {
		int fd = cfg->given[i];

		if (check_given(fd, name, &r, cfg->nr_given > 1, e) < 0 ||
		    tap_prepare(fd, r.ifr_name, e) < 0)
			return e->code;
		memcpy(name, r.ifr_name, sizeof(name));
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_errno(e, -errno, "fd=%d", fd);
		if (put_fd(cfg, fds, &fd, e) < 0)
			return e->code;
	}
	return 0;
}

/* --- passt ------------------------------------------------------------------------------------ */

static int open_passt(struct net_cfg *cfg, struct fdset *fds, struct err *e)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int status;

	cfg->kind = NET_PASST;
	if (cfg->queues > 1)
		return err_set(e, -EINVAL, "queues=%u: passt has one pair; leave queues= out",
			       cfg->queues);
	if (fd < 0)
		return err_errno(e, -errno, "passt: socket");
	memcpy(address.sun_path, cfg->passt, sizeof(cfg->passt));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_errno(e, -errno, "passt=%s: is 'passt --socket %s' running? connect",
				 cfg->passt, cfg->passt);
	status = fd_set_nonblock(fd, true);
	if (status < 0)
		return err_errno(e, status, "passt=%s: set non-blocking", cfg->passt);
	return put_fd(cfg, fds, &fd, e);
}

/* --- Which of them ---------------------------------------------------------------------------- */

static int check_one_back_end(const struct net_cfg *cfg, struct err *e)
{
	bool created = cfg->ip.given || cfg->netmask.given;
	int nr = !!cfg->tap[0] + !!cfg->passt[0] + (cfg->nr_given > 0) + created;

	if (nr == 0)
		return err_set(e, -EINVAL,
			       "one of tap=NAME, fd=N, ip=ADDRESS,netmask=MASK or "
			       "passt=PATH is needed");
	if (nr > 1)
		return err_set(e, -EINVAL, "only one of tap=, fd=, ip= with netmask= and passt=");
	return 0;
}

static int choose_mac(struct net_cfg *cfg, struct err *e)
{
	if (cfg->mac_given)
		return 0;
	if (getrandom(cfg->mac, sizeof(cfg->mac), 0) != (ssize_t)sizeof(cfg->mac))
		return err_errno(e, -errno, "choose a mac");
	cfg->mac[0] = (u8)((cfg->mac[0] & ~MAC_MULTICAST) | MAC_LOCAL);
	return 0;
}

static int open_back_end(struct net_cfg *cfg, struct fdset *fds, struct err *e)
{
	if (cfg->passt[0])
		return open_passt(cfg, fds, e);
	if (cfg->nr_given > 0)
		return open_given(cfg, fds, e);
	if (cfg->tap[0])
		return open_named(cfg, fds, e);
	return open_created(cfg, fds, e);
}

static int open_vhost(struct net_cfg *cfg, struct fdset *fds, struct err *e)
{
	if (!IS_ENABLED(CONFIG_VIRTIO_NET_VHOST))
		return err_set(e, -ENOTSUP,
			       "vhost: this kiln was built without CONFIG_VIRTIO_NET_VHOST");
	if (cfg->kind != NET_TAP)
		return err_set(e, -EINVAL,
			       "vhost: the host's kernel serves taps only; leave it out");
	for (u32 i = 0; i < cfg->nr_pairs; i++) {
		cleanup_fd int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

		if (fd < 0)
			return err_errno(e, -errno,
					 "open '/dev/vhost-net' (load vhost_net, or leave `vhost` "
					 "out)");
		cfg->vhost_index[i] = fdset_put(fds, &fd);
		if (cfg->vhost_index[i] < 0)
			return err_errno(e, cfg->vhost_index[i], "more than %d descriptors",
					 FDSET_MAX);
	}
	return 0;
}

int net_open(void *opaque, struct fdset *fds, struct err *e)
{
	struct net_cfg *cfg = opaque;

	cfg->nr_pairs = 0;
	if (check_one_back_end(cfg, e) < 0 || choose_mac(cfg, e) < 0 ||
	    open_back_end(cfg, fds, e) < 0)
		return e->code;
	return cfg->vhost ? open_vhost(cfg, fds, e) : 0;
}
