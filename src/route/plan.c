#include "route/plan.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "limits/estimates.h"
#include "route/catalogue.h"
#include "route/choice.h"
#include "route/own_names.h"
#include "route/plan_inner.h"
#include "route/retired.h"

/* The row of the file that says what is asked for in the place of that model. NULL: none does. */
static const struct conf_catalogue *find_own(const struct routes *routes,
                                             const struct conf_provider *provider,
                                             struct span model)
{
    const struct conf_catalogue *nearest = NULL;
    unsigned best = 0;

    for (size_t i = 0; i < routes->successor_count; i++) {
        unsigned near = catalogue_nearness(routes->successors[i], provider, model);

        if (near > best) {
            nearest = routes->successors[i];
            best = near;
        }
    }
    return nearest;
}

static void rename_target(struct plan_target *target, struct span successor)
{
    if (!target->retired.len)
        target->retired = target->model;
    target->model = successor;
}

/* What an alias means has its tokens. */
static void hash_target(struct plan_target *target, struct span meant)
{
    target->model_hash = map_hash(target->model);
    target->estimate_hash =
        estimates_hash(target->provider->name,
                       span_is_equal(meant, target->model) ? target->model_hash : map_hash(meant));
}

/* The model that is known by another name, where the file says so. */
static struct span meant_by(const struct routes *routes, const struct conf_provider *provider,
                            struct span model)
{
    return routes->has_aliases ? catalogue_meant(routes->config, provider, model) : model;
}

static struct plan_target target_of(const struct routes *routes,
                                    const struct conf_provider *provider, struct span model)
{
    struct span meant = meant_by(routes, provider, model);
    const struct conf_catalogue *own = find_own(routes, provider, meant);
    struct span successor = own ? own->successor : retired_successor(provider->kind, meant);
    struct plan_target target = {
        .provider = provider,
        .provider_index = (uint32_t)(provider - routes->config->providers.items),
        .model = model,
    };

    if (own && (span_is_equal(successor, SPAN("none")) || span_is_equal(successor, meant) ||
                span_is_equal(successor, model)))
        successor = span_of(NULL, 0);
    if (successor.len)
        rename_target(&target, successor);
    if (!own)
        target.end = retired_find_end(provider->kind, successor.len ? successor : meant);
    hash_target(&target, successor.len ? successor : meant);
    return target;
}

/* True where it is another one now. */
static bool settle_target(struct plan_target *target, uint64_t wall_us)
{
    if (!plan_has_ended(target, wall_us) || plan_is_gone(target, wall_us))
        return false;
    rename_target(target, target->end->successor);
    hash_target(target, target->model);
    target->end = NULL;
    return true;
}

static bool is_among(const struct plan_target *target, const struct plan_target *others,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (others[i].provider_index == target->provider_index &&
            others[i].model_hash == target->model_hash)
            return true;
    }
    return false;
}

void plan_settle(struct plan *plan, uint64_t wall_us)
{
    struct plan_target *targets = plan->targets;
    uint32_t count = 0;

    for (uint32_t i = 0; i < plan->count; i++) {
        bool is_changed = settle_target(&targets[i], wall_us);

        /* The sides of a migration stand where they were put. */
        if (is_changed && !plan->crossing && is_among(&targets[i], targets, count))
            continue;
        if (count != i)
            targets[count] = targets[i];
        count++;
    }
    plan->count = count;
    if (plan->shadow && plan->shadow->heir && plan_has_ended(&plan->shadow->target, wall_us))
        plan->shadow = plan->shadow->heir;
}

/* ---- compiling ---- */

struct plan_target plan_compile_target(const struct routes *routes, const struct conf_target *conf)
{
    return target_of(routes, conf->provider, conf->model);
}

/* Rows that say so are few, if any, and a name is looked for among them for each request. */
static int find_successors(struct routes *routes)
{
    const struct conf_catalogue_rows *rows = &routes->config->catalogue;

    routes->successors = mem_zalloc(rows->count + 1, sizeof(*routes->successors));
    if (!routes->successors)
        return ERR_NOMEM;
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->items[i].successor.len)
            routes->successors[routes->successor_count++] = &rows->items[i];
        routes->has_aliases |= rows->items[i].aliases.count > 0;
    }
    return 0;
}

static bool is_same(const struct conf_target *a, const struct conf_target *b)
{
    return a->provider == b->provider && span_is_equal(a->model, b->model);
}

/* A target with its weight. Both sides of a migration have one place, the first one's, where the
 * old side stands for both. */
static void compile_weighted(const struct routes *routes, struct route *route,
                             const struct conf_target *conf)
{
    const struct conf_migration *migration = route->conf->migration;
    bool is_side = migration && (is_same(conf, &migration->from) || is_same(conf, &migration->to));

    route->weight += conf->weight;
    if (is_side && route->has_place) {
        route->weights[route->place] += conf->weight;
        return;
    }
    if (is_side) {
        route->has_place = true;
        route->place = route->count;
    }
    route->targets[route->count] = plan_compile_target(routes, is_side ? &migration->from : conf);
    route->weights[route->count++] = conf->weight;
}

static bool has_limits(const struct conf_limits *limits)
{
    return limits->rpm || limits->tpm || limits->concurrent;
}

struct span plan_target_name(const struct conf_target *target, char text[PLAN_NAME_BYTES])
{
    int len = snprintf(text, PLAN_NAME_BYTES, "%.*s/%.*s", SPAN_ARG(target->provider->name),
                       SPAN_ARG(target->model));

    return span_of(text, len < PLAN_NAME_BYTES ? (size_t)len : PLAN_NAME_BYTES - 1);
}

static int compile_shadow(const struct routes *routes, const struct conf_model *conf,
                          struct plan_shadow **ret_shadow)
{
    const struct conf_target *to = &conf->shadow->target;
    struct plan_shadow *shadow = mem_zalloc(1, 2 * sizeof(*shadow) + PLAN_NAME_BYTES);
    struct plan_shadow *heir = shadow + 1;

    if (!shadow)
        return ERR_NOMEM;
    shadow->conf = conf->shadow;
    shadow->target = plan_compile_target(routes, to);
    shadow->model = conf->name;
    shadow->name = plan_target_name(to, (char *)(heir + 1));
    *heir = *shadow;
    settle_target(&heir->target, UINT64_MAX);
    shadow->heir = heir;
    *ret_shadow = shadow;
    return 0;
}

static int compile_route(struct routes *routes, struct route *route, const struct conf_model *conf,
                         struct limiter_book *book)
{
    size_t count = conf->targets.count + conf->fallback.count;
    const struct conf_limits *limits =
        has_limits(&conf->limits) ? &conf->limits : &routes->config->names.limits;

    route->conf = conf;
    route->label = (uint32_t)(route - routes->items) + 1;
    route->targets = mem_zalloc(count + 1, sizeof(*route->targets));
    route->weights = mem_zalloc(count + 1, sizeof(*route->weights));
    if (!route->targets || !route->weights)
        return ERR_NOMEM;
    for (size_t i = 0; i < conf->targets.count; i++)
        compile_weighted(routes, route, &conf->targets.items[i]);
    if (conf->migration)
        route->newcomer = plan_compile_target(routes, &conf->migration->to);
    route->target_count = route->count;
    for (size_t i = 0; i < conf->fallback.count; i++)
        route->targets[route->count++] = plan_compile_target(routes, &conf->fallback.items[i]);
    if (conf->shadow && compile_shadow(routes, conf, &route->shadow))
        return ERR_NOMEM;
    return limiter_book_get(book, LIMITER_MODEL, conf->name, limits, &route->limiter);
}

static int compile_others(struct routes *routes, struct limiter_book *book)
{
    const struct conf_limits *limits = &routes->config->names.limits;
    int err = 0;

    for (int i = 0; i < OTHER_LIMITERS && !err && has_limits(limits); i++) {
        char name[32];
        int len = snprintf(name, sizeof(name), "*%d", i);

        err = limiter_book_get(book, LIMITER_MODEL, span_of(name, (size_t)len), limits,
                               &routes->others[i]);
    }
    return err;
}

int routes_new(const struct config *config, struct limiter_book *book, struct routes **ret_routes)
{
    struct routes *routes = mem_zalloc(1, sizeof(*routes));
    int err = 0;

    if (!routes)
        return ERR_NOMEM;
    routes->config = config;
    routes->count = config->models.count;
    map_init(&routes->by_name, routes->count + 1);
    routes->items = mem_zalloc(routes->count + 1, sizeof(*routes->items));
    if (!routes->items)
        err = ERR_NOMEM;
    if (!err)
        err = find_successors(routes);
    for (size_t i = 0; i < routes->count && !err; i++) {
        const struct conf_model *conf = &config->models.items[i];

        err = compile_route(routes, &routes->items[i], conf, book);
        if (!err)
            err = map_add(&routes->by_name, conf->name, &routes->items[i]);
    }
    if (!err)
        err = compile_others(routes, book);
    if (!err)
        err = choices_compile(routes, book);
    if (!err && routes->count == 0)
        err = own_names_new(config, &routes->own);
    if (err)
        routes_free(&routes);
    else
        *ret_routes = routes;
    return err;
}

static void free_route(struct route *route)
{
    choice_free(route);
    mem_free(route->targets);
    mem_free(route->weights);
    mem_free(route->shadow);
    limiter_unref(&route->limiter);
    crossing_unref(&route->crossing);
}

void routes_free(struct routes **place)
{
    struct routes *routes = *place;

    *place = NULL;
    if (!routes)
        return;
    for (size_t i = 0; routes->items && i < routes->count; i++)
        free_route(&routes->items[i]);
    for (size_t i = 0; routes->directs && i < routes->direct_count; i++)
        free_route(&routes->directs[i]);
    for (int i = 0; i < OTHER_LIMITERS; i++)
        limiter_unref(&routes->others[i]);
    map_fini(&routes->by_name);
    mem_free(routes->items);
    mem_free(routes->directs);
    mem_free(routes->successors);
    own_names_free(&routes->own);
    mem_free(routes);
}

/* ---- planning ---- */

static void add_target(struct plan *plan, struct plan_target target)
{
    if (plan->count < PLAN_MAX_TARGETS)
        plan->targets[plan->count++] = target;
}

/* Which target goes first: by weight, the first where none has any. */
static uint32_t draw_target(const struct route *route, struct rand *rand)
{
    uint64_t left;
    uint32_t at = 0;

    if (route->target_count < 2 || route->weight == 0)
        return 0;
    left = rand_below(rand, route->weight);
    while (left >= route->weights[at])
        left -= route->weights[at++];
    return at;
}

static bool is_there(const struct plan *plan, const struct plan_target *target)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_target *other = &plan->targets[i];

        if (other->provider == target->provider && span_is_equal(other->model, target->model))
            return true;
    }
    return false;
}

static void add_targets(const struct route *route, uint32_t first, struct plan *plan)
{
    bool is_more = plan->count > 0;

    if (!is_more || !is_there(plan, &route->targets[first]))
        add_target(plan, route->targets[first]);
    for (uint32_t i = 0; i < route->count; i++) {
        if (i != first && !(is_more && is_there(plan, &route->targets[i])))
            add_target(plan, route->targets[i]);
    }
}

static void note_route(const struct route *route, uint32_t first, struct plan *plan)
{
    plan->label = route->conf->name;
    plan->label_index = route->label;
    plan->limiter = route->limiter;
    plan->shadow = route->shadow;
    plan->set = route->conf->set;
    if (!route->crossing)
        return;
    plan->crossing = route->crossing;
    plan->newcomer = &route->newcomer;
    plan->place = first == route->place ? 0 : route->place + (first > route->place);
}

void plan_add_route(const struct route *route, struct rand *rand, struct plan *plan)
{
    uint32_t first = draw_target(route, rand);

    if (plan->count == 0)
        note_route(route, first, plan);
    add_targets(route, first, plan);
}

static void add_own(const struct routes *routes, uint32_t provider, struct span model,
                    struct plan *plan)
{
    add_target(plan, target_of(routes, &routes->config->providers.items[provider], model));
}

/* The provider of that name; google and gemini are two names for one, where only one of them is
 * declared. */
static const struct conf_provider *find_provider(const struct config *config, struct span name)
{
    const struct conf_provider *provider = config_find_provider(config, name);

    if (!provider && span_is_equal(name, SPAN("google")))
        provider = config_find_provider(config, SPAN("gemini"));
    else if (!provider && span_is_equal(name, SPAN("gemini")))
        provider = config_find_provider(config, SPAN("google"));
    return provider;
}

/* PROVIDER/MODEL, by a client where it may, or in the file. The model's own name may hold further
 * slashes. */
static void plan_direct(const struct routes *routes, struct span name, struct plan *plan)
{
    const struct config *config = routes->config;
    size_t slash = span_find_byte(name, '/');
    const struct conf_provider *provider;

    if (slash == SIZE_MAX || slash + 1 == name.len)
        return;
    provider = find_provider(config, span_of(name.ptr, slash));
    if (provider)
        add_own(routes, (uint32_t)(provider - config->providers.items), span_skip(name, slash + 1),
                plan);
}

static void plan_own(const struct routes *routes, struct span name, struct plan *plan)
{
    uint32_t providers[PLAN_MAX_TARGETS];
    size_t count = routes->own ? own_names_find(routes->own, name, providers, PLAN_MAX_TARGETS) : 0;

    for (size_t i = 0; i < count; i++)
        add_own(routes, providers[i], name, plan);
}

/* Fills the plan where the name means anything. */
static void plan_name(const struct routes *routes, const struct plan_ask *ask, struct span name,
                      bool may_be_direct, struct rand *rand, struct plan *plan)
{
    const struct route *route = map_find(&routes->by_name, name);

    plan->model = name;
    if (route && route->choice)
        choice_plan(route, ask, rand, plan);
    else if (route)
        plan_add_route(route, rand, plan);
    if (route)
        return;
    if (may_be_direct)
        plan_direct(routes, name, plan);
    if (plan->count == 0)
        plan_own(routes, name, plan);
    plan->label = SPAN("other");
    plan->limiter = routes->others[map_hash(name) % OTHER_LIMITERS];
}

enum plan_verdict plan_make(const struct routes *routes, struct span name, struct rand *rand,
                            struct plan *ret_plan)
{
    const struct plan_ask ask = {.name = name};

    return plan_make_for(routes, &ask, rand, ret_plan);
}

enum plan_verdict plan_make_for(const struct routes *routes, const struct plan_ask *ask,
                                struct rand *rand, struct plan *ret_plan)
{
    const struct conf_names *names = &routes->config->names;

    ret_plan->count = 0;
    ret_plan->label_index = 0;
    ret_plan->limiter = NULL;
    ret_plan->shadow = NULL;
    ret_plan->crossing = NULL;
    ret_plan->set = NULL;
    if (ask->name.len)
        plan_name(routes, ask, ask->name, names->direct, rand, ret_plan);
    else if (names->absent.len)
        plan_name(routes, ask, names->absent, true, rand, ret_plan);
    else
        return PLAN_ABSENT;
    if (ret_plan->count == 0 && names->unknown.len)
        plan_name(routes, ask, names->unknown, true, rand, ret_plan);
    return ret_plan->count ? PLAN_OK : PLAN_UNKNOWN;
}

/* ---- migrations ---- */

static int target_text(const struct conf_target *target, struct buf *text)
{
    return buf_printf(text, "%.*s/%.*s", SPAN_ARG(target->provider->name), SPAN_ARG(target->model));
}

static int join(struct route *route, struct crossing_book *book)
{
    const struct conf_migration *migration = route->conf->migration;
    struct buf from, to;
    int err;

    buf_init(&from, 1024);
    buf_init(&to, 1024);
    err = target_text(&migration->from, &from);
    if (!err)
        err = target_text(&migration->to, &to);
    if (!err)
        err = crossing_book_get(book, route->conf->name, buf_span(&from), buf_span(&to),
                                &route->crossing);
    buf_fini(&from);
    buf_fini(&to);
    return err;
}

int routes_join(struct routes *routes, struct crossing_book *book)
{
    int err = 0;

    for (size_t i = 0; i < routes->count && !err; i++) {
        if (routes->items[i].conf->migration)
            err = join(&routes->items[i], book);
    }
    return err;
}

struct crossing *routes_crossing(const struct routes *routes, struct span model)
{
    const struct route *route = map_find(&routes->by_name, model);

    return route ? route->crossing : NULL;
}

/* Behind that place; the last of a plan that is full falls out. */
static void insert(struct plan *plan, uint32_t at, struct plan_target target)
{
    if (plan->count < PLAN_MAX_TARGETS)
        plan->count++;
    for (uint32_t i = plan->count - 1; i > at; i--)
        plan->targets[i] = plan->targets[i - 1];
    if (at < plan->count)
        plan->targets[at] = target;
}

struct plan_turn plan_cross(struct plan *plan, uint32_t worker)
{
    struct crossing_stand stand = crossing_stand(plan->crossing);
    struct plan_turn turn = {.side = CROSSING_OLD};
    struct plan_target old;

    if (!stand.has_new || plan->place >= plan->count)
        return turn;
    old = plan->targets[plan->place];
    if (!stand.has_old) {
        plan->targets[plan->place] = *plan->newcomer;
        return turn;
    }
    turn.is_counted = plan->place == 0 && stand.share_ppm > 0;
    if (turn.is_counted)
        turn.side = crossing_turn(plan->crossing, worker);
    else if (stand.share_ppm >= CROSSING_WHOLE_PPM)
        turn.side = CROSSING_NEW;
    if (turn.side == CROSSING_NEW)
        plan->targets[plan->place] = *plan->newcomer;
    insert(plan, plan->place + 1, turn.side == CROSSING_NEW ? old : *plan->newcomer);
    return turn;
}

bool routes_look_at_requests(const struct routes *routes)
{
    return routes->has_choices || routes->has_sets;
}

bool routes_name_at(const struct routes *routes, size_t index, struct span *ret_name)
{
    if (index >= routes->count)
        return false;
    *ret_name = routes->items[index].conf->name;
    return true;
}

size_t routes_label_count(const struct routes *routes)
{
    return routes->count + 1;
}

struct span routes_label_at(const struct routes *routes, size_t index)
{
    return index == 0 ? SPAN("other") : routes->items[index - 1].conf->name;
}
