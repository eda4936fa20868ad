#include "route/choice.h"

#include "base/alloc.h"
#include "base/err.h"
#include "route/catalogue.h"

struct choice {
    size_t count;
    uint64_t *bounds; /* by_size: 0 for the last row */
    struct route *uses[];
};

/* ---- compiling ---- */

static size_t use_count(const struct conf_model *conf)
{
    return conf->by_size.count + conf->among.count;
}

static const struct conf_use *use_at(const struct conf_model *conf, size_t at)
{
    return at < conf->by_size.count ? &conf->by_size.items[at].use
                                    : &conf->among.items[at - conf->by_size.count];
}

/* PROVIDER/MODEL that is chosen: it counts as the model that chooses it. */
static int compile_direct(struct routes *routes, const struct route *owner,
                          const struct conf_target *target, struct limiter_book *book,
                          struct route **ret_route)
{
    struct route *route = &routes->directs[routes->direct_count++];

    route->conf = owner->conf;
    route->label = owner->label;
    route->targets = mem_zalloc(1, sizeof(*route->targets));
    route->weights = mem_zalloc(1, sizeof(*route->weights));
    if (!route->targets || !route->weights)
        return ERR_NOMEM;
    route->targets[0] = plan_compile_target(routes, target);
    route->weights[0] = 1;
    route->weight = route->target_count = route->count = 1;
    *ret_route = route;
    return limiter_book_get(book, LIMITER_MODEL, owner->conf->name, &routes->config->names.limits,
                            &route->limiter);
}

static int link_choice(struct routes *routes, struct route *route, struct limiter_book *book)
{
    const struct conf_model *conf = route->conf;
    size_t count = use_count(conf);
    struct choice *choice = mem_zalloc(1, sizeof(*choice) + count * sizeof(choice->uses[0]));
    int err = 0;

    if (!choice)
        return ERR_NOMEM;
    route->choice = choice;
    choice->bounds = mem_zalloc(count, sizeof(*choice->bounds));
    if (!choice->bounds)
        return ERR_NOMEM;
    for (size_t i = 0; i < count && !err; i++) {
        const struct conf_use *use = use_at(conf, i);

        if (i < conf->by_size.count)
            choice->bounds[i] = conf->by_size.items[i].below;
        choice->uses[i] = map_find(&routes->by_name, use->name);
        if (!choice->uses[i])
            err = compile_direct(routes, route, &use->target, book, &choice->uses[i]);
        choice->count += err == 0;
    }
    return err;
}

static int look_up_facts(const struct routes *routes, struct route *route)
{
    size_t count = route->target_count;

    route->facts = mem_zalloc(2 * count + 1, sizeof(*route->facts));
    route->prices = mem_zalloc(2 * count + 1, sizeof(*route->prices));
    route->paces = mem_zalloc(count + 1, sizeof(*route->paces));
    if (!route->facts || !route->prices || !route->paces)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct plan_target *target = &route->targets[i];

        catalogue_find(routes->config, target->provider, target->model, &route->facts[i]);
        if (target->end)
            catalogue_find(routes->config, target->provider, target->end->successor,
                           &route->facts[count + i]);
    }
    return 0;
}

int choices_compile(struct routes *routes, struct limiter_book *book)
{
    size_t uses = 0;
    int err = 0;

    for (size_t i = 0; i < routes->count; i++) {
        uses += use_count(routes->items[i].conf);
        routes->has_sets |= routes->items[i].conf->set != NULL;
    }
    routes->has_choices = uses > 0;
    if (!uses)
        return 0;
    routes->directs = mem_zalloc(uses, sizeof(*routes->directs));
    if (!routes->directs)
        return ERR_NOMEM;
    for (size_t i = 0; i < routes->count && !err; i++) {
        if (use_count(routes->items[i].conf))
            err = link_choice(routes, &routes->items[i], book);
    }
    for (size_t i = 0; i < routes->count && !err; i++)
        err = look_up_facts(routes, &routes->items[i]);
    for (size_t i = 0; i < routes->direct_count && !err; i++)
        err = look_up_facts(routes, &routes->directs[i]);
    return err;
}

void choice_free(struct route *route)
{
    for (size_t i = 0; route->paces && i < route->target_count; i++)
        pace_unref(&route->paces[i]);
    pace_unref(&route->newcomer.pace);
    MEM_CLEAR(route->paces);
    MEM_CLEAR(route->prices);
    MEM_CLEAR(route->facts);
    if (route->choice)
        mem_free(route->choice->bounds);
    MEM_CLEAR(route->choice);
}

/* ---- prices and paces ---- */

static void price_route(struct route *route, const struct prices *prices)
{
    for (size_t i = 0; i < route->target_count; i++) {
        const struct plan_target *target = &route->targets[i];

        route->prices[i] =
            prices_find(prices, target->provider_index, target->model, target->model_hash);
        if (target->end)
            route->prices[route->target_count + i] =
                prices_find(prices, target->provider_index, target->end->successor,
                            map_hash(target->end->successor));
    }
}

/* Where among the facts and prices that stand which hold of a target now. */
static size_t held_at(const struct route *route, uint32_t target, uint64_t wall_us)
{
    return target + (plan_has_ended(&route->targets[target], wall_us) ? route->target_count : 0);
}

void routes_price(struct routes *routes, const struct prices *prices)
{
    for (size_t i = 0; routes->has_choices && i < routes->count; i++)
        price_route(&routes->items[i], prices);
    for (size_t i = 0; i < routes->direct_count; i++)
        price_route(&routes->directs[i], prices);
}

static int measure_target(const struct plan_target *target, struct pace_book *book,
                          struct pace **ret_pace)
{
    const struct conf_target conf = {.provider = target->provider, .model = target->model};
    char name[PLAN_NAME_BYTES];

    return pace_book_get(book, plan_target_name(&conf, name), ret_pace);
}

static int measure_route(struct route *route, struct pace_book *book)
{
    int err = 0;

    /* Once all of its traffic goes there, nobody else would be measured. */
    if (route->newcomer.provider && !route->newcomer.pace)
        err = measure_target(&route->newcomer, book, &route->newcomer.pace);

    for (size_t i = 0; i < route->target_count && !err; i++) {
        if (route->paces[i])
            continue;
        err = measure_target(&route->targets[i], book, &route->paces[i]);
        route->targets[i].pace = route->paces[i];
    }
    for (size_t i = 0; route->choice && i < route->choice->count && !err; i++)
        err = measure_route(route->choice->uses[i], book);
    return err;
}

int routes_measure(struct routes *routes, struct pace_book *book)
{
    int err = 0;

    for (size_t i = 0; i < routes->count && !err; i++) {
        if (routes->items[i].conf->optimise == CONF_OPTIMISE_LATENCY)
            err = measure_route(&routes->items[i], book);
    }
    return err;
}

/* ---- who can ---- */

bool choice_fits(const struct conf_abilities *facts, const struct plan_ask *ask)
{
    bool is_embedding = ask->needs >> CONF_EMBEDDINGS & 1;

    for (int i = 0; i < CONF_ABILITIES; i++) {
        if ((ask->needs >> i & 1) && facts->able[i] == CONF_ABLE_NO)
            return false;
    }
    /* Texts that are embedded are bounded one by one, and their sum says nothing. */
    if (is_embedding)
        return true;
    if (facts->able[CONF_EMBEDDINGS] == CONF_ABLE_YES)
        return false;
    if (facts->max_output && ask->max_tokens > facts->max_output)
        return false;
    if (facts->max_input && ask->prompt_tokens > facts->max_input)
        return false;
    return !facts->context || (ask->prompt_tokens <= facts->context &&
                               ask->max_tokens <= facts->context - ask->prompt_tokens);
}

/* by_size: the row that the length alone leads to. */
static size_t row_for(const struct choice *choice, const struct plan_ask *ask)
{
    size_t row = 0;

    while (row + 1 < choice->count && ask->chars >= choice->bounds[row])
        row++;
    return row;
}

/* One that chooses can where one of those that it may choose can. The configuration has no circles
 * (conf/types_choice.c). */
static bool can(const struct route *route, const struct plan_ask *ask)
{
    const struct choice *choice = route->choice;

    if (choice) {
        for (size_t i = route->conf->optimise ? 0 : row_for(choice, ask); i < choice->count; i++) {
            if (can(choice->uses[i], ask))
                return true;
        }
        return false;
    }
    for (uint32_t i = 0; i < route->target_count; i++) {
        if (plan_is_gone(&route->targets[i], ask->wall_us) ||
            !choice_fits(&route->facts[held_at(route, i, ask->wall_us)], ask))
            return false;
    }
    return true;
}

/* ---- cost and latency ---- */

/* That many parts of `of`, without overflow. */
static uint64_t part(uint64_t value, uint64_t parts, uint64_t of)
{
    return value / of * parts + value % of * parts / of;
}

/* Without any weight the first one serves (plan.c). */
static uint64_t weight_of(const struct route *route, uint32_t target)
{
    return route->weight ? route->weights[target] : target == 0;
}

/* The mean by weight of those targets that are known; UINT64_MAX stands for an unknown one, and is
 * the mean where none is known. */
static uint64_t mean(const struct route *route, const uint64_t *values)
{
    uint64_t weight = 0, sum = 0;

    for (uint32_t i = 0; i < route->target_count; i++)
        weight += values[i] == UINT64_MAX ? 0 : weight_of(route, i);
    if (weight == 0)
        return UINT64_MAX;
    for (uint32_t i = 0; i < route->target_count; i++) {
        if (values[i] != UINT64_MAX)
            sum += part(values[i], weight_of(route, i), weight);
    }
    return sum;
}

/* Beyond these, targets of one model hardly differ; the plan holds no more either. */
static uint32_t looked_at(const struct route *route)
{
    return route->target_count < PLAN_MAX_TARGETS ? route->target_count : PLAN_MAX_TARGETS;
}

static uint64_t cost_of(const struct route *route, const struct plan_ask *ask)
{
    uint64_t answer = ask->max_tokens && ask->max_tokens < CHOICE_ANSWER_TOKENS
                          ? ask->max_tokens
                          : CHOICE_ANSWER_TOKENS;
    const struct dialect_usage usage = {.is_known = true,
                                        .prompt_tokens = ask->prompt_tokens,
                                        .completion_tokens =
                                            answer * (ask->choices ? ask->choices : 1)};
    uint64_t costs[PLAN_MAX_TARGETS];

    if (route->target_count > looked_at(route))
        return UINT64_MAX;
    for (uint32_t i = 0; i < looked_at(route); i++) {
        const struct price *price = route->prices[held_at(route, i, ask->wall_us)];
        bool is_known = price_of(price, &usage, ask->wall_us, &costs[i]);

        if (is_known)
            continue;
        /* A share of it could cost anything. */
        if (weight_of(route, i))
            return UINT64_MAX;
        costs[i] = UINT64_MAX;
    }
    return mean(route, costs);
}

/* How soon a target answers, and the other side of a migration where it stands for both;
 * UINT64_MAX: neither is known. Adds the plans that tried them. */
static uint64_t time_of(const struct route *route, uint32_t target, uint32_t *tries)
{
    const struct pace *old = route->paces[target], *new = NULL;
    struct crossing_stand stand = {0};
    uint64_t old_us, new_us, new_ppm;

    if (route->crossing && target == route->place)
        stand = crossing_stand(route->crossing);
    if (stand.has_new)
        new = route->newcomer.pace;
    if (stand.has_new && !stand.has_old)
        old = NULL;
    old_us = old ? pace_us(old) : 0;
    new_us = new ? pace_us(new) : 0;
    *tries += (old ? pace_tries(old) : 0) + (new ? pace_tries(new) : 0);
    if (!old_us || !new_us)
        return old_us || new_us ? old_us + new_us : UINT64_MAX;
    new_ppm = stand.share_ppm < CROSSING_WHOLE_PPM ? stand.share_ppm : CROSSING_WHOLE_PPM;
    return part(old_us, CROSSING_WHOLE_PPM - new_ppm, CROSSING_WHOLE_PPM) +
           part(new_us, new_ppm, CROSSING_WHOLE_PPM);
}

/* 0: none of its targets is known, and it goes first to be tried; UINT64_MAX: that was done often
 * enough. */
static uint64_t first_byte_of(const struct route *route)
{
    uint64_t times[PLAN_MAX_TARGETS], us;
    uint32_t tries = 0;

    if (route->target_count > looked_at(route))
        return UINT64_MAX;
    for (uint32_t i = 0; i < looked_at(route); i++)
        times[i] = time_of(route, i, &tries);
    us = mean(route, times);
    return us == UINT64_MAX && tries < PACE_TRIES ? 0 : us;
}

/* ---- choosing ---- */

/* The models that a choice would use, in order. All of them have targets. */
struct ranked {
    const struct route *route;
    const struct conf_set *set; /* of a model between, that chose this one; NULL: it has none */
    uint64_t key;
};

struct ranking {
    struct ranked items[CHOICE_MAX_USES];
    size_t count;
    size_t best; /* which was the first before chance brought another one to the front */
};

/* Behind those of the same key; the last one of too many falls out. */
static void rank(struct ranking *ranking, struct ranked item)
{
    size_t at = ranking->count;

    if (at == CHOICE_MAX_USES && ranking->items[--at].key <= item.key)
        return;
    ranking->count = at + 1;
    for (; at > 0 && ranking->items[at - 1].key > item.key; at--)
        ranking->items[at] = ranking->items[at - 1];
    ranking->items[at] = item;
}

static const struct route *row_of(const struct route *route, const struct plan_ask *ask)
{
    const struct choice *choice = route->choice;
    size_t first = row_for(choice, ask);

    for (size_t i = first; i < choice->count; i++) {
        if (can(choice->uses[i], ask))
            return choice->uses[i];
    }
    return choice->uses[first];
}

/* Down the rows of models that choose by size, to one that has targets or optimises. Of the `set`s
 * on the way the first one counts. */
static const struct route *settle_sizes(const struct route *route, const struct plan_ask *ask,
                                        const struct conf_set **set)
{
    while (route->choice && !route->conf->optimise) {
        if (!*set)
            *set = route->conf->set;
        route = row_of(route, ask);
    }
    return route;
}

static uint64_t key_of(const struct route *route, enum conf_optimise optimise,
                       const struct plan_ask *ask)
{
    return optimise == CONF_OPTIMISE_COST ? cost_of(route, ask) : first_byte_of(route);
}

static void rank_all(const struct route *route, const struct plan_ask *ask, struct rand *rand,
                     struct ranking *ranking);

/* What it would choose first decides where it stands, and the others that it may choose follow that
 * one, in its own order. */
static void rank_inner(const struct ranked *inner, enum conf_optimise optimise,
                       const struct plan_ask *ask, struct rand *rand, struct ranking *ranking)
{
    const struct conf_set *set = inner->set ? inner->set : inner->route->conf->set;
    struct ranking own;
    uint64_t key;

    rank_all(inner->route, ask, rand, &own);
    /* Not of one that chance alone brought to its front: that would seldom stay there. */
    key = key_of(own.items[own.best].route, optimise, ask);
    for (size_t i = 0; i < own.count; i++) {
        struct ranked item = own.items[i];

        item.key = key;
        if (set)
            item.set = set;
        rank(ranking, item);
    }
}

static void rank_uses(const struct route *route, const struct plan_ask *ask, bool must_fit,
                      struct rand *rand, struct ranking *ranking)
{
    enum conf_optimise optimise = route->conf->optimise;

    for (size_t i = 0; i < route->choice->count; i++) {
        struct ranked use = {.set = NULL};

        use.route = settle_sizes(route->choice->uses[i], ask, &use.set);
        if (must_fit && !can(use.route, ask))
            continue;
        if (use.route->choice) {
            rank_inner(&use, optimise, ask, rand, ranking);
        } else {
            use.key = key_of(use.route, optimise, ask);
            rank(ranking, use);
        }
    }
}

/* Chance brings another one to the front. */
static void explore(struct ranking *ranking, struct rand *rand)
{
    struct ranked other;
    size_t at;

    if (ranking->count < 2 || rand_below(rand, CHOICE_EXPLORE))
        return;
    at = 1 + (size_t)rand_below(rand, ranking->count - 1);
    other = ranking->items[at];
    for (; at > 0; at--)
        ranking->items[at] = ranking->items[at - 1];
    ranking->items[0] = other;
    ranking->best = 1;
}

static void rank_all(const struct route *route, const struct plan_ask *ask, struct rand *rand,
                     struct ranking *ranking)
{
    ranking->count = ranking->best = 0;
    rank_uses(route, ask, true, rand, ranking);
    if (ranking->count == 0)
        rank_uses(route, ask, false, rand, ranking);
    if (route->conf->optimise == CONF_OPTIMISE_LATENCY)
        explore(ranking, rand);
}

/* Before the sides of a migration are put where they belong (plan_cross). */
static void count_try(const struct plan *plan)
{
    struct pace *pace = plan->targets[0].pace;

    if (plan->crossing && plan->place == 0) {
        struct crossing_stand stand = crossing_stand(plan->crossing);

        if (stand.has_new && !stand.has_old)
            pace = plan->newcomer->pace;
    }
    if (pace)
        pace_try(pace);
}

void choice_plan(const struct route *route, const struct plan_ask *ask, struct rand *rand,
                 struct plan *plan)
{
    const struct conf_set *set = NULL;
    struct ranked first = {.route = settle_sizes(route, ask, &set)};
    struct ranking ranking;

    if (!first.route->choice) {
        plan_add_route(first.route, rand, plan);
    } else {
        rank_all(first.route, ask, rand, &ranking);
        for (size_t i = 0; i < ranking.count; i++)
            plan_add_route(ranking.items[i].route, rand, plan);
        count_try(plan);
        first.set = first.route->conf->set ? first.route->conf->set : ranking.items[0].set;
    }
    if (!set)
        set = first.set;
    if (set)
        plan->set = set;
}
