/*
 * For the tests of admin/: a registry and a snapshot out of a configuration's text, workers that
 * use its keys, and the moment that a page shows.
 */
#ifndef TESTS_ADMIN_STAGE_H
#define TESTS_ADMIN_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/page.h"
#include "base/clock.h"
#include "conf/load.h"
#include "dialect/outcome.h"

enum { STAGE_EVENTS = 64, STAGE_WORKERS = 2 };

/* The wall clock is not the monotonic one: 2025-10-09T08:53:20Z at a now of 1000 s. */
#define STAGE_NOW_US  (1000 * US_PER_SEC)
#define STAGE_WALL_US (UINT64_C(1760000000) * US_PER_SEC)

struct stage {
    struct secret_arena *secrets;
    struct registry registry;
    struct page_view view;
    struct keypool_view *workers[STAGE_WORKERS]; /* on the keys of the first provider */
    struct page page;                            /* the last one shown */
};

/* Everything is made; it started ten seconds before. */
void stage_begin(struct stage *stage, const char *yaml);
void stage_end(struct stage *stage);

/* The view's snapshot is of this configuration from now on; the one before is the caller's. */
void stage_load(struct stage *stage, const char *yaml);

void stage_pass(struct stage *stage, uint64_t us);

/* An attempt of that worker on whatever key comes: the key's name, valid while the key is. */
struct span stage_attempt(struct stage *stage, unsigned worker, enum outcome outcome,
                          uint64_t hint_us);

/* The page as text, valid until the next; it must have succeeded. */
const char *stage_show(struct stage *stage, page_write_fn *write);

void stage_expect_part(const char *text, const char *part);
void stage_expect_no_part(const char *text, const char *part);

#endif
