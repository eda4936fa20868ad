/*
 * How much went where lately: counters of the whole life of the process, remembered at each of the
 * last two minutes, so that what was added since can be told. The control thread's.
 */
#ifndef ADMIN_TRAFFIC_H
#define ADMIN_TRAFFIC_H

#include <stdint.h>

#include "admin/page.h"
#include "io/loop.h"

struct traffic;

/* view shows what is to be counted, each minute; false: nothing so far. NULL without memory. */
struct traffic *traffic_new(struct loop *loop,
                            bool (*view)(void *owner, struct page_view *ret_view), void *owner);

/* Accepts a pointer to NULL. */
void traffic_free(struct traffic **place);

/* Since when is told: one to two minutes ago, or since the process began. */
uint64_t traffic_since_us(const struct traffic *traffic);

/* Attempts with a key since then, of which there are so many in all. */
uint64_t traffic_of_key(const struct traffic *traffic, struct span provider, struct span key,
                        uint64_t count);

/* Exchanges for a model of the file that a provider has answered since then. */
uint64_t traffic_of_model(const struct traffic *traffic, const struct page_view *view,
                          struct span model, struct span provider);

#endif
