/*
 * The compiled names of a configuration, as plan.c and choice.c share them. Internal to route/. Any
 * thread; not changed once the snapshot is made.
 */
#ifndef ROUTE_PLAN_INNER_H
#define ROUTE_PLAN_INNER_H

#include "base/map.h"
#include "ledger/price.h"
#include "route/pace.h"
#include "route/plan.h"

struct choice;

/* Names that no model has share so many limiters, by their hash: their number is the clients'
 * choice, and must not be our memory's. */
enum { OTHER_LIMITERS = 256 };

/* A name under `models`, compiled. */
struct route {
    const struct conf_model *conf;
    struct plan_target *targets; /* the weighted ones, then the fallbacks */
    uint32_t *weights;
    uint32_t target_count, count; /* targets; with the fallbacks */
    uint64_t weight;              /* of all targets */
    struct limiter *limiter;
    uint32_t label;
    struct plan_shadow *shadow; /* NULL: none */
    /* Of a model that is migrated. Its old side stands in targets, with the weight of both. */
    bool has_place;
    uint32_t place;
    struct plan_target newcomer;
    struct crossing *crossing; /* NULL: none, or not joined */
    /* Of a model that chooses others: then it has no targets. */
    struct choice *choice;
    /* Of each of the weighted targets, where some model chooses; else NULL. Behind them the same of
     * what takes their place once their announced ends have come. */
    struct conf_abilities *facts;
    const struct price **prices; /* NULL in it: unknown, or not told yet */
    struct pace **paces;         /* NULL in it: nobody asks how soon it answers */
};

struct routes {
    const struct config *config;
    struct route *items;
    size_t count;
    struct map by_name;
    struct route *directs; /* PROVIDER/MODEL that models choose */
    size_t direct_count;
    bool has_choices, has_sets;
    struct own_names *own; /* NULL where the file has `models` */
    /* Rows of the file that say what is asked for in a model's place. */
    const struct conf_catalogue **successors;
    size_t successor_count;
    bool has_aliases; /* of the file */
    struct limiter *others[OTHER_LIMITERS];
};

/* A target of the file, compiled. */
struct plan_target plan_compile_target(const struct routes *routes, const struct conf_target *conf);

static inline bool plan_has_ended(const struct plan_target *target, uint64_t wall_us)
{
    return target->end && wall_us >= target->end->wall_us;
}

/* Nothing has taken its place. */
static inline bool plan_is_gone(const struct plan_target *target, uint64_t wall_us)
{
    return plan_has_ended(target, wall_us) && !target->end->successor.len;
}

/* The targets of a route that has some, in their order, behind those of the plan, none twice. The
 * first of an empty plan makes it the plan of that route. */
void plan_add_route(const struct route *route, struct rand *rand, struct plan *plan);

#endif
