/*
 * From the name of a model to the plan of an exchange: the targets (provider and its own name of
 * the model) in the order in which they are tried. All names are compiled once from a configuration
 * into a table that is never changed; making a plan looks up one name, whatever their number, and
 * allocates nothing. Any thread; the table belongs to the snapshot, and the configuration must live
 * as long.
 *
 * A name is understood in this order:
 *   1. a name under `models`: one of its targets by weight, then the other targets, then
 * `fallback`; or what the model that it chooses for the request has (route/choice.h);
 *   2. PROVIDER/MODEL where `names.direct` is true;
 *   3. where the file has no `models`, a provider's own name: the providers with a key whose
 *      `models` patterns cover it; else those whose kind is known for such names ("claude-*"); else
 *      all. Of these the ones that may serve it, in the order of the file: a provider that does not
 *      know the name passes it to the next. So one that is asked after another has failed is never
 *      one that could only say "no such model" and hide the true failure;
 *   4. `names.unknown`, or none.
 */
#ifndef ROUTE_PLAN_H
#define ROUTE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/limiter.h"
#include "base/rand.h"
#include "base/span.h"
#include "conf/config.h"
#include "ledger/prices.h"
#include "migration/crossing.h"
#include "route/pace.h"
#include "route/retired.h"

/* PLAN_NAME_BYTES: the longest "PROVIDER/MODEL" of a file (conf/names.h), and a NUL. */
enum { PLAN_MAX_TARGETS = 16, PLAN_NAME_BYTES = 64 + 1 + 256 + 1 };

struct plan_target {
    const struct conf_provider *provider;
    uint32_t provider_index; /* in config.providers */
    struct span model;       /* as the provider calls it; may borrow from the name that was asked */
    struct span retired;     /* the name that was asked, where `model` took its place; else empty */
    uint64_t model_hash;     /* map_hash of it */
    uint64_t estimate_hash;  /* of the provider and the model, not an alias (limits/estimates.h) */
    struct pace *pace;       /* how soon it answers is noted there; NULL: nobody asks */
    const struct retired_end *end; /* announced of it; NULL: nothing is */
};

/* Where a share of a model's exchanges is mirrored. Lives as long as the routes. */
struct plan_shadow {
    const struct conf_shadow *conf;
    struct plan_target target;
    struct span model;              /* the name under `models` */
    struct span name;               /* of the target: "PROVIDER/MODEL" */
    const struct plan_shadow *heir; /* once the target's end has come; NULL: stays as it is */
};

/* Embedded in the exchange. Targets beyond PLAN_MAX_TARGETS are left out. */
struct plan {
    struct plan_target targets[PLAN_MAX_TARGETS];
    uint32_t count;
    struct span model;       /* the name that is served: the client's own, or that of `names` */
    struct span label;       /* for metrics: a name out of the configuration, or "other" */
    uint32_t label_index;    /* below routes_label_count; 0 is "other" */
    struct limiter *limiter; /* the model's; NULL: none */
    const struct plan_shadow *shadow; /* NULL: none */
    struct crossing *crossing; /* of the model's migration; NULL: none. Borrowed from the routes */
    const struct plan_target *newcomer; /* with crossing: its new side */
    uint32_t place;                     /* of its old side among the targets */
    const struct conf_set *set; /* what the request is given where it has none; NULL: nothing */
};

/* What a request asks for, and what a model that chooses others goes by. */
struct plan_ask {
    struct span name;       /* empty: none was given; must live as long as the plan */
    uint64_t chars;         /* of its messages' text */
    uint64_t prompt_tokens; /* estimated */
    uint64_t max_tokens;    /* of each choice, as the request says; 0: it does not */
    uint32_t choices;       /* that are written; 0 is 1 */
    uint32_t needs;         /* a bit of each enum conf_ability */
    uint64_t wall_us;       /* prices depend on the hour, and models end on a day */
};

/* On which side an exchange is counted. */
struct plan_turn {
    enum crossing_side side;
    bool is_counted; /* chance has decided: both sides were there, and one was due */
};

enum plan_verdict {
    PLAN_OK,
    PLAN_UNKNOWN, /* 404 model_not_found */
    PLAN_ABSENT,  /* no name was given, and one is needed: 400 */
};

struct routes;

/* Compiles the names. 0 or ERR_NOMEM. */
int routes_new(const struct config *config, struct limiter_book *book, struct routes **ret_routes);
void routes_free(struct routes **place);

/* "PROVIDER/MODEL" as the file has it, in `text`. */
struct span plan_target_name(const struct conf_target *target, char text[PLAN_NAME_BYTES]);

/* The plan of a request for `name` (empty: none was given). `name` must live as long as the plan.
 */
enum plan_verdict plan_make(const struct routes *routes, struct span name, struct rand *rand,
                            struct plan *ret_plan);

/* The same for a request that is known better: a model that chooses others takes it into account.
 */
enum plan_verdict plan_make_for(const struct routes *routes, const struct plan_ask *ask,
                                struct rand *rand, struct plan *ret_plan);

/* Prices for models that choose by cost; they must live as long as the routes. Before the first
 * plan; without it all are unknown. */
void routes_price(struct routes *routes, const struct prices *prices);

/* Where models choose by latency: the paces of their targets, out of the book. Before the first
 * plan; 0 or ERR_NOMEM. Without it all are untried. */
int routes_measure(struct routes *routes, struct pace_book *book);

/* Whether any model goes by what stands in a request: then they are to be looked through for
 * signs (dialect/request_scan.h). */
bool routes_look_at_requests(const struct routes *routes);

/* The crossings of the models that are migrated, out of the book. Before the first plan; 0 or
 * ERR_NOMEM. Without it their old sides serve. */
int routes_join(struct routes *routes, struct crossing_book *book);

/* The crossing of the model of that name; NULL: it is not migrated. Borrowed. */
struct crossing *routes_crossing(const struct routes *routes, struct span model);

/* Of a plan with a crossing: puts its sides where they belong now, each as the other's fallback,
 * and takes a turn where the plan begins with them. */
struct plan_turn plan_cross(struct plan *plan, uint32_t worker);

/* From the moment that was announced as the end of a model on, its successor is asked for, once
 * where it is a target already. Once the sides of a migration are where they belong. */
void plan_settle(struct plan *plan, uint64_t wall_us);

/* Names for GET /v1/models: those under `models`. Index from 0; false at the end. */
bool routes_name_at(const struct routes *routes, size_t index, struct span *ret_name);

/* Labels of metrics: "other", then the names under `models`. */
size_t routes_label_count(const struct routes *routes);
struct span routes_label_at(const struct routes *routes, size_t index);

#endif
