// SPDX-License-Identifier: BSD-3-Clause
// Real-time clock and CMOS memory (Motorola MC146818A data sheet; memory as in the IBM PC/AT).
//
// The guest's clock is the host's plus an offset, which changes only when the guest sets the time.
// Flags in register C are worked out when somebody asks: the timer only wakes us for an interrupt
// the guest enabled, and not again before the guest has read register C. So an interrupt nobody
// serves costs the host nothing, and the fastest rate is bounded by PERIOD_MIN_NS.
#include <pthread.h>
#include <string.h>

#include "dev/byte_io.h"
#include "dev/dev_class.h"

enum {
	RTC_PORT = 0x70, /* the index; the data is at 0x71 */
	RTC_PORTS = 2,
	RTC_GSI = 8,
	RTC_CMOS_BYTES = 128,
	RTC_INDEX_MASK = 0x7f, /* bit 7 masks NMIs on a PC: we have none */

	REG_SECONDS = 0x00,
	REG_SECONDS_ALARM = 0x01,
	REG_MINUTES = 0x02,
	REG_MINUTES_ALARM = 0x03,
	REG_HOURS = 0x04,
	REG_HOURS_ALARM = 0x05,
	REG_WEEKDAY = 0x06, /* 1 is Sunday */
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_CENTURY = 0x32, /* the FADT names it */

	A_UPDATE_IN_PROGRESS = 0x80,
	A_DIVIDER = 0x70,
	A_DIVIDER_32768_HZ = 0x20, /* above it the divider is held in reset */
	A_RATE = 0x0f,
	A_DEFAULT = A_DIVIDER_32768_HZ | 0x06, /* 1024 Hz */

	B_SET = 0x80,
	B_PERIODIC = 0x40,
	B_ALARM = 0x20,
	B_UPDATE = 0x10,
	B_SQUARE_WAVE = 0x08,
	B_BINARY = 0x04,
	B_24_HOURS = 0x02,
	B_INTERRUPTS = B_PERIODIC | B_ALARM | B_UPDATE,

	C_IRQ = 0x80, /* the flags below are where their enables are in register B */
	D_VALID = 0x80,

	ALARM_ANY = 0xc0, /* both bits set: every value matches */
	HOUR_PM = 0x80,

	CMOS_EQUIPMENT = 0x14,
	CMOS_EQUIPMENT_FPU = 0x02,
	CMOS_BASE_MEMORY = 0x15,     /* KiB */
	CMOS_EXTENDED_MEMORY = 0x17, /* KiB above 1 MiB, at most 65535 */
	CMOS_CHECKSUM = 0x2e,        /* of 0x10 to 0x2d, high byte first */
	CMOS_EXTENDED_MEMORY_COPY = 0x30,
	CMOS_MEMORY_ABOVE_16M = 0x34, /* units of 64 KiB up to 4 GiB */
	CMOS_MEMORY_ABOVE_4G = 0x5b,  /* units of 64 KiB, 24 bits */
	BASE_MEMORY_KIB = 640,
};

#define SECOND_NS 1000000000ull
#define PERIOD_MIN_NS (SECOND_NS / 1024)
#define UPDATE_WARNING_NS 244000 /* how long before an update bit 7 of register A is set */
#define DAY_SECONDS 86400
#define YEARS_MAX 9999

struct rtc_time {
	s64 year;
	u32 month, day, hour, minute, second; /* month and day from 1 */
	u32 weekday;                          /* 0 is Sunday */
};

struct cmos_rtc {
	struct dev *dev;
	struct evl_timer timer;
	pthread_mutex_t lock; /* guards what follows and the order of interrupt levels */
	u8 index;
	bool irq, armed;
	u8 cmos[RTC_CMOS_BYTES]; /* time registers are current only while the clock is stopped */
	/* The guest's clock is the host's plus these. */
	s64 offset_seconds;
	u32 offset_ns;
	u64 checked_ns; /* the host's time up to which register C's flags are worked out */
};

/* --- Calendar -------------------------------------------------------------------------------- */

/* Days from 1970-01-01 in the Gregorian calendar; the year is counted from March. */
static s64 days_of_date(s64 year, u32 month, u32 day)
{
	u32 from_march = (month + 9) % 12;
	s64 y = year - (month <= 2);
	s64 era = (y >= 0 ? y : y - 399) / 400;
	s64 year_of_era = y - era * 400;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       (153 * from_march + 2) / 5 + day - 1 - 719468;
}

static void date_of_days(s64 days, struct rtc_time *t)
{
	s64 d = days + 719468;
	s64 era = (d >= 0 ? d : d - 146096) / 146097;
	s64 day_of_era = d - era * 146097;
	s64 year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	u32 day_of_year =
		(u32)(day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
	u32 from_march = (5 * day_of_year + 2) / 153;

	t->day = day_of_year - (153 * from_march + 2) / 5 + 1;
	t->month = from_march < 10 ? from_march + 3 : from_march - 9;
	t->year = year_of_era + era * 400 + (t->month <= 2);
	t->weekday = (u32)(((days % 7) + 11) % 7); /* day 0 was a Thursday */
}

static s64 seconds_of_time(const struct rtc_time *t)
{
	return days_of_date(t->year, t->month, t->day) * DAY_SECONDS + t->hour * 3600 +
	       t->minute * 60 + t->second;
}

static void time_of_seconds(s64 seconds, struct rtc_time *t)
{
	s64 days = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
	u32 rest = (u32)(seconds - days * DAY_SECONDS);

	date_of_days(days, t);
	t->hour = rest / 3600;
	t->minute = rest / 60 % 60;
	t->second = rest % 60;
}

/* --- Registers and the numbers they stand for ------------------------------------------------ */

static u8 rtc_encode(const struct cmos_rtc *r, u32 value)
{
	return r->cmos[REG_B] & B_BINARY ? (u8)value : (u8)(value / 10 << 4 | value % 10);
}

static u32 rtc_decode(const struct cmos_rtc *r, u8 value)
{
	return r->cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static u8 rtc_encode_hour(const struct cmos_rtc *r, u32 hour)
{
	if (r->cmos[REG_B] & B_24_HOURS)
		return rtc_encode(r, hour);
	return rtc_encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static u32 rtc_decode_hour(const struct cmos_rtc *r, u8 value)
{
	if (r->cmos[REG_B] & B_24_HOURS)
		return rtc_decode(r, value);
	return rtc_decode(r, value & ~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

/* The registers as a time. The guest may have written anything: it becomes a possible date. */
static void rtc_registers_to_time(const struct cmos_rtc *r, struct rtc_time *t)
{
	const u8 *cmos = r->cmos;

	t->year = rtc_decode(r, cmos[REG_CENTURY]) * 100 + rtc_decode(r, cmos[REG_YEAR]);
	t->year = MIN(t->year, YEARS_MAX);
	t->month = MIN(MAX(rtc_decode(r, cmos[REG_MONTH]), 1u), 12u);
	t->day = MIN(MAX(rtc_decode(r, cmos[REG_DAY]), 1u), 31u);
	t->hour = MIN(rtc_decode_hour(r, cmos[REG_HOURS]), 23u);
	t->minute = MIN(rtc_decode(r, cmos[REG_MINUTES]), 59u);
	t->second = MIN(rtc_decode(r, cmos[REG_SECONDS]), 59u);
}

/* The day of the week follows from the date: a wrong one the guest wrote is not kept. */
static void rtc_time_to_registers(struct cmos_rtc *r, const struct rtc_time *t)
{
	u8 *cmos = r->cmos;

	cmos[REG_SECONDS] = rtc_encode(r, t->second);
	cmos[REG_MINUTES] = rtc_encode(r, t->minute);
	cmos[REG_HOURS] = rtc_encode_hour(r, t->hour);
	cmos[REG_WEEKDAY] = rtc_encode(r, t->weekday + 1);
	cmos[REG_DAY] = rtc_encode(r, t->day);
	cmos[REG_MONTH] = rtc_encode(r, t->month);
	cmos[REG_YEAR] = rtc_encode(r, (u32)(t->year % 100));
	cmos[REG_CENTURY] = rtc_encode(r, (u32)(t->year / 100 % 100));
}

/* --- The clock, with the lock held ----------------------------------------------------------- */

static bool rtc_is_running(const struct cmos_rtc *r)
{
	return !(r->cmos[REG_B] & B_SET) && (r->cmos[REG_A] & A_DIVIDER) <= A_DIVIDER_32768_HZ;
}

static s64 rtc_guest_seconds(const struct cmos_rtc *r, u64 host_ns)
{
	return (s64)((host_ns + r->offset_ns) / SECOND_NS) + r->offset_seconds;
}

static u32 rtc_guest_ns(const struct cmos_rtc *r, u64 host_ns)
{
	return (u32)((host_ns + r->offset_ns) % SECOND_NS);
}

/* Make the guest's clock show the registers' time now. */
static void rtc_set_from_registers(struct cmos_rtc *r, u64 host_ns)
{
	struct rtc_time t;

	rtc_registers_to_time(r, &t);
	r->offset_seconds += seconds_of_time(&t) - rtc_guest_seconds(r, host_ns);
}

/* Make the time registers current, unless the clock is stopped and they are all there is. */
static void rtc_refresh_registers(struct cmos_rtc *r, u64 host_ns)
{
	struct rtc_time t;

	if (!rtc_is_running(r))
		return;
	time_of_seconds(rtc_guest_seconds(r, host_ns), &t);
	rtc_time_to_registers(r, &t);
}

/* Out of the divider's reset the first update comes half a second later. */
static void rtc_restart_divider(struct cmos_rtc *r, u64 host_ns)
{
	u32 now_ns = rtc_guest_ns(r, host_ns), half_ns = SECOND_NS / 2;

	r->offset_ns = (u32)((r->offset_ns + half_ns + SECOND_NS - now_ns) % SECOND_NS);
}

/* Registers A and B may stop and start the clock, and change how its registers read. */
static void rtc_write_control(struct cmos_rtc *r, u8 reg, u8 value, u64 host_ns)
{
	bool ran = rtc_is_running(r);
	bool divider_was_held = (r->cmos[REG_A] & A_DIVIDER) > A_DIVIDER_32768_HZ;

	rtc_refresh_registers(r, host_ns);
	r->cmos[reg] = reg == REG_A ? value & (u8)~A_UPDATE_IN_PROGRESS : value;
	if (reg == REG_B && (value & B_SET))
		r->cmos[REG_B] &= (u8)~B_UPDATE;
	if (divider_was_held && (r->cmos[REG_A] & A_DIVIDER) <= A_DIVIDER_32768_HZ)
		rtc_restart_divider(r, host_ns);
	if (!ran && rtc_is_running(r))
		rtc_set_from_registers(r, host_ns);
}

/* --- Flags and interrupts, with the lock held ------------------------------------------------ */

/* 0 for none. Rates 1 and 2 are those of 8 and 9; what is faster than PERIOD_MIN_NS is slowed. */
static u64 rtc_period_ns(const struct cmos_rtc *r)
{
	u32 rate = r->cmos[REG_A] & A_RATE;
	u64 period_ns;

	if (rate == 0 || (r->cmos[REG_A] & A_DIVIDER) > A_DIVIDER_32768_HZ)
		return 0;
	if (rate <= 2)
		rate += 7;
	period_ns = (SECOND_NS << (rate - 1)) / 32768;
	return MAX(period_ns, PERIOD_MIN_NS);
}

/* One alarm register: the value it waits for, or -1 for any. */
static s32 rtc_alarm_value(const struct cmos_rtc *r, u8 reg)
{
	u8 value = r->cmos[reg];

	if ((value & ALARM_ANY) == ALARM_ANY)
		return -1;
	return (s32)(reg == REG_HOURS_ALARM ? rtc_decode_hour(r, value) : rtc_decode(r, value));
}

/* The first second after `seconds` that the alarm matches, or -1 when none does. */
static s64 rtc_next_alarm(const struct cmos_rtc *r, s64 seconds)
{
	s32 hour = rtc_alarm_value(r, REG_HOURS_ALARM);
	s32 minute = rtc_alarm_value(r, REG_MINUTES_ALARM);
	s32 second = rtc_alarm_value(r, REG_SECONDS_ALARM);
	s64 at = seconds + 1;

	if (hour > 23 || minute > 59 || second > 59)
		return -1;
	/* A jump to the hour, one to the minute, one to the second, and each once more. */
	for (;;) {
		s32 of_day = (s32)(((at % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS);

		if (hour >= 0 && of_day / 3600 != hour)
			at += (hour * 3600 - of_day + DAY_SECONDS) % DAY_SECONDS;
		else if (minute >= 0 && of_day / 60 % 60 != minute)
			at += (minute * 60 - of_day % 3600 + 3600) % 3600;
		else if (second >= 0 && of_day % 60 != second)
			at += (second - of_day % 60 + 60) % 60;
		else
			return at;
	}
}

/* Set the flags of what happened since the last time. */
static void rtc_collect_flags(struct cmos_rtc *r, u64 host_ns)
{
	u64 period_ns = rtc_period_ns(r), from_ns = MIN(r->checked_ns, host_ns);
	s64 from = rtc_guest_seconds(r, from_ns), to = rtc_guest_seconds(r, host_ns), alarm;

	if (period_ns && from_ns / period_ns != host_ns / period_ns)
		r->cmos[REG_C] |= B_PERIODIC;
	if (rtc_is_running(r) && from != to) {
		alarm = rtc_next_alarm(r, from);
		r->cmos[REG_C] |= B_UPDATE | (alarm != -1 && alarm <= to ? B_ALARM : 0);
	}
	r->checked_ns = host_ns;
}

/* Whether the flags of register C ask for an interrupt. */
static bool rtc_wants_irq(const struct cmos_rtc *r)
{
	return r->cmos[REG_C] & r->cmos[REG_B] & B_INTERRUPTS;
}

static void rtc_update_irq(struct cmos_rtc *r)
{
	bool level = rtc_wants_irq(r);

	if (level == r->irq)
		return;
	r->irq = level;
	r->dev->host->set_irq(r->dev->host, r->dev, RTC_GSI, level);
}

/* How long until the guest's clock shows `seconds`. */
static u64 rtc_delay_to(const struct cmos_rtc *r, s64 seconds, u64 host_ns)
{
	return (u64)(seconds - rtc_guest_seconds(r, host_ns)) * SECOND_NS -
	       rtc_guest_ns(r, host_ns);
}

/* Wake up for the next enabled event; not at all while an interrupt waits to be served. */
static void rtc_arm(struct cmos_rtc *r, u64 host_ns)
{
	u8 enabled = r->cmos[REG_B];
	u64 period_ns = rtc_period_ns(r), delay_ns = UINT64_MAX;
	s64 now = rtc_guest_seconds(r, host_ns), alarm;

	if (!r->irq && (enabled & B_PERIODIC) && period_ns)
		delay_ns = period_ns - host_ns % period_ns;
	if (!r->irq && (enabled & B_UPDATE) && rtc_is_running(r))
		delay_ns = MIN(delay_ns, rtc_delay_to(r, now + 1, host_ns));
	if (!r->irq && (enabled & B_ALARM) && rtc_is_running(r)) {
		alarm = rtc_next_alarm(r, now);
		if (alarm != -1)
			delay_ns = MIN(delay_ns, rtc_delay_to(r, alarm, host_ns));
	}
	if (delay_ns == UINT64_MAX && !r->armed)
		return;
	r->armed = delay_ns != UINT64_MAX;
	evl_timer_set(&r->timer, r->armed ? delay_ns : 0, 0);
}

/* --- Port I/O -------------------------------------------------------------------------------- */

static bool rtc_is_time_register(u8 reg)
{
	return reg == REG_CENTURY || (reg <= REG_YEAR && reg != REG_SECONDS_ALARM &&
				      reg != REG_MINUTES_ALARM && reg != REG_HOURS_ALARM);
}

static u8 rtc_read_data(struct cmos_rtc *r, u64 host_ns)
{
	u8 reg = r->index, value;

	if (rtc_is_time_register(reg))
		rtc_refresh_registers(r, host_ns);
	value = r->cmos[reg];
	switch (reg) {
	case REG_A:
		if (rtc_is_running(r) && rtc_guest_ns(r, host_ns) >= SECOND_NS - UPDATE_WARNING_NS)
			value |= A_UPDATE_IN_PROGRESS;
		break;
	case REG_C:
		rtc_collect_flags(r, host_ns);
		value = r->cmos[REG_C] | (rtc_wants_irq(r) ? C_IRQ : 0);
		r->cmos[REG_C] = 0;
		rtc_update_irq(r);
		rtc_arm(r, host_ns);
		break;
	case REG_D:
		value = D_VALID;
		break;
	}
	return value;
}

/* Reads are frequent (a guest that waits for the update bit), writes of registers are not. */
static void rtc_write_data(struct cmos_rtc *r, u8 value, u64 host_ns)
{
	u8 reg = r->index;

	if (reg == REG_C || reg == REG_D)
		return;
	rtc_collect_flags(r, host_ns);
	if (reg == REG_A || reg == REG_B) {
		rtc_write_control(r, reg, value, host_ns);
	} else if (rtc_is_time_register(reg)) {
		rtc_refresh_registers(r, host_ns);
		r->cmos[reg] = value;
		if (rtc_is_running(r))
			rtc_set_from_registers(r, host_ns);
	} else {
		r->cmos[reg] = value;
	}
	if (reg > REG_D && reg != REG_CENTURY)
		return;
	rtc_update_irq(r);
	rtc_arm(r, host_ns);
}

static u8 rtc_read_byte(void *opaque, u32 offset)
{
	struct cmos_rtc *r = opaque;

	if (offset == 0)
		return 0xff; /* the index is write-only */
	return rtc_read_data(r, r->dev->host->realtime_ns(r->dev->host));
}

static void rtc_write_byte(void *opaque, u32 offset, u8 value)
{
	struct cmos_rtc *r = opaque;

	if (offset == 0)
		r->index = value & RTC_INDEX_MASK;
	else
		rtc_write_data(r, value, r->dev->host->realtime_ns(r->dev->host));
}

static u64 rtc_read(void *opaque, u64 offset, u32 len)
{
	struct cmos_rtc *r = opaque;
	u64 value;

	pthread_mutex_lock(&r->lock);
	value = byte_io_read(rtc_read_byte, r, offset, len);
	pthread_mutex_unlock(&r->lock);
	return value;
}

static void rtc_write(void *opaque, u64 offset, u32 len, u64 value)
{
	struct cmos_rtc *r = opaque;

	pthread_mutex_lock(&r->lock);
	byte_io_write(rtc_write_byte, r, offset, len, value);
	pthread_mutex_unlock(&r->lock);
}

static const struct bus_ops rtc_ops = {
	.read = rtc_read,
	.write = rtc_write,
};

static void rtc_fired(struct evl_timer *timer)
{
	struct cmos_rtc *r = container_of(timer, struct cmos_rtc, timer);
	u64 host_ns = r->dev->host->realtime_ns(r->dev->host);

	pthread_mutex_lock(&r->lock);
	rtc_collect_flags(r, host_ns);
	rtc_update_irq(r);
	rtc_arm(r, host_ns);
	pthread_mutex_unlock(&r->lock);
}

/* --- Life ------------------------------------------------------------------------------------ */

static void rtc_put_le16(struct cmos_rtc *r, u32 at, u64 value)
{
	value = MIN(value, 0xffffull);
	r->cmos[at] = (u8)value;
	r->cmos[at + 1] = (u8)(value >> 8);
}

/* What a BIOS leaves behind: equipment, memory sizes and the checksum over them. */
static void rtc_fill_cmos(struct cmos_rtc *r, const struct dev_ram_layout *ram)
{
	u64 below = ram->below_4g_bytes;
	u64 above_units = MIN(ram->above_4g_bytes / KIB(64), 0xffffffull);
	u64 extended_kib = below > MIB(1) ? (below - MIB(1)) / KIB(1) : 0;
	u32 sum = 0;

	r->cmos[CMOS_EQUIPMENT] = CMOS_EQUIPMENT_FPU;
	rtc_put_le16(r, CMOS_BASE_MEMORY, BASE_MEMORY_KIB);
	rtc_put_le16(r, CMOS_EXTENDED_MEMORY, extended_kib);
	rtc_put_le16(r, CMOS_EXTENDED_MEMORY_COPY, extended_kib);
	rtc_put_le16(r, CMOS_MEMORY_ABOVE_16M, below > MIB(16) ? (below - MIB(16)) / KIB(64) : 0);
	for (u32 i = 0; i < 3; i++)
		r->cmos[CMOS_MEMORY_ABOVE_4G + i] = (u8)(above_units >> (8 * i));
	for (u32 i = 0x10; i < CMOS_CHECKSUM; i++)
		sum += r->cmos[i];
	r->cmos[CMOS_CHECKSUM] = (u8)(sum >> 8);
	r->cmos[CMOS_CHECKSUM + 1] = (u8)sum;
}

static int rtc_create(struct dev *dev, const void *cfg, struct fdset *fds, struct err *e)
{
	struct cmos_rtc *r = dev->priv;
	int status;

	(void)cfg;
	(void)fds;
	r->dev = dev;
	pthread_mutex_init(&r->lock, NULL);
	r->cmos[REG_A] = A_DEFAULT;
	r->cmos[REG_B] = B_24_HOURS;
	r->checked_ns = dev->host->realtime_ns(dev->host);
	rtc_fill_cmos(r, &dev->host->ram);
	status = evl_timer_create(dev->host->evl, &r->timer, rtc_fired);
	if (status < 0)
		return err_errno(e, status, "timer");
	return bus_add(dev->host->pio, RTC_PORT, RTC_PORTS, &rtc_ops, r, e);
}

static void rtc_destroy(struct dev *dev)
{
	struct cmos_rtc *r = dev->priv;

	evl_timer_destroy(&r->timer);
}

/* The battery keeps time and memory; the reset pin ends interrupts (data sheet, RESET). */
static void rtc_reset(struct dev *dev)
{
	struct cmos_rtc *r = dev->priv;

	pthread_mutex_lock(&r->lock);
	r->index = 0;
	r->cmos[REG_B] &= (u8) ~(B_INTERRUPTS | B_SQUARE_WAVE);
	r->cmos[REG_C] = 0;
	rtc_update_irq(r);
	evl_timer_set(&r->timer, 0, 0);
	pthread_mutex_unlock(&r->lock);
}

DEVICE_AML(cmos_rtc);

static const struct dev_class rtc_class = {
	.name = "cmos-rtc",
	.summary = SUMMARY("real-time clock and CMOS memory"),
	.nr_instances = 1,
	.priv_bytes = sizeof(struct cmos_rtc),
	.ssdt = &cmos_rtc_aml,
	.create = rtc_create,
	.destroy = rtc_destroy,
	.reset = rtc_reset,
};

DEVICE_CLASS(rtc_class);
