/*
 * The demo's second part: a key is replaced while clients ask on, and then its successor leaks.
 * What happens is read from the admin API, as anybody could. The thread of the loop.
 */
#ifndef CLI_DEMO_ROTATION_H
#define CLI_DEMO_ROTATION_H

#include <stdbool.h>

#include "io/addr.h"
#include "io/loop.h"

struct demo_rotation;

struct demo_rotation_options {
    struct loop *loop;
    const struct addr *gateway, *admin, *provider; /* copied */
    const char *ask;                               /* a client's request, JSON; borrowed */
    const char *provider_name, *key_name;          /* of the key that is replaced; borrowed */
    /* It is over; why: what went wrong, NULL: nothing. Not before the next turn; it may free
     * the show. */
    void (*on_end)(void *owner, const char *why);
    void *owner;
};

/* Begins at once. NULL without memory. */
struct demo_rotation *demo_rotation_new(const struct demo_rotation_options *options);

/* Accepts a pointer to NULL. */
void demo_rotation_free(struct demo_rotation **place);

#endif
