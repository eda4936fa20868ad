/*
 * What the admin address shows: each page reads what the workers share, as it stands at one moment,
 * and writes it whole. No page shows a secret: what they read has none but the keys themselves,
 * and of these only names and numbers are asked. The control thread's.
 */
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include <stdint.h>

#include "admin/admin.h"
#include "base/buf.h"
#include "json/write.h"

struct traffic;

/* The moment that a page shows. */
struct page_view {
    struct registry *registry;
    struct snapshot *snapshot;
    struct admin_state state;
    const struct admin_options *admin;
    const struct traffic *traffic;
    struct span name;         /* what stands for {name} in the path */
    uint64_t now_us, wall_us; /* the same moment on both clocks */
};

/* A page of 16,384 keys with all their limits has its place in this. */
enum { PAGE_MAX_BYTES = 64 << 20 };

/* An answer: what failed while it was written stands in body.err. */
struct page {
    int status;
    const char *type; /* media type */
    struct buf body;  /* up to PAGE_MAX_BYTES */
};

typedef void page_write_fn(const struct page_view *view, struct page *page);

/* The member `totals` of the stats: what was used in each period, with the names that used most. */
void page_put_totals(struct json_writer *writer, const struct page_view *view);

/* The rows of tables/admin.def. Status 200 and JSON unless they say otherwise. */
page_write_fn page_metrics, page_keys, page_client_keys, page_client_key, page_routing,
    page_regions, page_shadows, page_stats, page_costs, page_health, page_ready;
page_write_fn page_migrations, page_migration;

/* The step of a key under rotation; one that rotation has nothing to do with is in use. */
enum life_step page_step_of(const struct page_view *view, struct span provider, struct span key);

/* A moment of now_us's clock on the wall's; 0 stays 0. */
uint64_t page_wall_of(const struct page_view *view, uint64_t at_us);

/* The member as RFC 3339 in UTC; 0 as null. */
void page_put_time(struct json_writer *writer, const char *name, uint64_t wall_us);

/* The member `models`: names and patterns, of which none means all. */
void page_put_models(struct json_writer *writer, const struct conf_strings *models);

/* The member `id`, by which GET /v1/admin/rotations/{id} knows a rotation; number 0: null. */
void page_put_rotation_id(struct json_writer *writer, struct span provider, uint64_t number);

/* The member in units, of its billionths. */
void page_put_nano(struct json_writer *writer, const char *name, uint64_t billionths);

/* The member `cost`: in dollars, and in the file's other currency; further members may follow
 * before json_end_object. */
void page_begin_cost(struct json_writer *writer, const struct page_view *view, uint64_t nanousd);

/* The member in milliseconds; 0.25 ms are 0.25. */
void page_put_ms(struct json_writer *writer, const char *name, uint64_t us);

#endif
