/*
 * What the dialects' heads and streams have in common: the forms of a limit's reset, of a retry
 * hint, and of the end of an event. Pure; any thread.
 */
#ifndef SIM_FIELDS_H
#define SIM_FIELDS_H

#include "sim/dialect.h"

/* The blank line behind an event. */
void sim_end_event(const struct sim_stamp *stamp, struct buf *out);

/* As Go prints it: 6m0s, 7.66s, 76ms. */
void sim_write_go_duration(uint64_t us, struct buf *out);

/* When a limit is whole again, in so many microseconds from now. */
void sim_write_reset(enum sim_reset_form form, uint64_t reset_us, uint64_t wall_us,
                     struct buf *out);

/* Three lines with the names BEFORE + "limit", "remaining" or "reset" + AFTER; none where the meter
 * has no limit or the scenario wants none. */
void sim_write_meter(const struct sim_head_facts *facts, const struct sim_meter *meter,
                     const char *before, const char *after, struct buf *out);

/* Retry-After and retry-after-ms as the scenario wants them; nothing without a hint. */
void sim_write_retry_after(const struct sim_head_facts *facts, struct buf *out);

#endif
