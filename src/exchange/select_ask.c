/* Asking for a key: target by target, and where a provider has several regions, site by site. */
#include "exchange/cross.h"
#include "exchange/estimating.h"
#include "exchange/select_body.h"
#include "exchange/session.h"
#include "exchange/sites.h"

static bool is_excluded(const struct exchange *x, uint32_t target)
{
    return (x->select.excluded & (1u << target)) != 0;
}

bool select_has_other_target(const struct exchange *x, uint32_t target)
{
    for (uint32_t i = 0; i < x->route.target_count; i++) {
        if (i != target && !is_excluded(x, i))
            return true;
    }
    return false;
}

struct keypool_tried **select_tried(struct exchange *x, uint32_t target)
{
    return cross_is_apart(x, target) ? &x->select.tried_apart : &x->select.tried;
}

static bool is_limited(const struct keypool_choice *choice)
{
    return choice->verdict == KEYPOOL_LATER &&
           (choice->reason == KEYPOOL_AT_LIMIT || choice->reason == KEYPOOL_FULL);
}

static struct keypool_choice ask_site(struct exchange *x, struct outlet *outlet,
                                      struct keypool_ask *question, uint32_t site, bool is_last,
                                      uint64_t now_us)
{
    struct keypool_choice choice;

    question->endpoint = endpoint_health_of(outlet->row->sites[site].endpoint);
    question->endpoint_tally = outlet->sites[site].tally;
    question->is_last_endpoint = is_last;
    choice = keypool_select(outlet->view, question, now_us, &x->select.grant);
    /* Before it goes elsewhere, or waits: shadows may hold what it needs. */
    if (is_limited(&choice) && !list_is_empty(&x->host->shadows.under_way)) {
        shadows_yield_keys(x->host, outlet->row->provider);
        choice = keypool_select(outlet->view, question, now_us, &x->select.grant);
    }
    if (choice.verdict == KEYPOOL_CHOSEN)
        x->select.site = site;
    return choice;
}

/* A session stays where its prompts are cached. A site may close between looking and going. */
static struct keypool_choice ask_sites(struct exchange *x, uint32_t target,
                                       struct keypool_ask *question, bool is_last, uint64_t now_us)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];
    struct sites sites = {.x = x, .outlet = outlet, .target = target, .now_us = now_us};
    uint64_t random = question->session ? question->session : rand_u64(&x->host->rand);
    uint32_t site;

    while (sites_next(&sites, random, &site)) {
        struct keypool_choice choice = ask_site(x, outlet, question, site, false, now_us);

        if (choice.verdict != KEYPOOL_LATER ||
            (choice.reason != KEYPOOL_ENDPOINT_OPEN && choice.reason != KEYPOOL_ENDPOINT_RESTING))
            return choice;
        sites.shut |= UINT64_C(1) << site;
    }
    return ask_site(x, outlet, question, site, is_last, now_us);
}

struct keypool_ask select_question(struct exchange *x, uint32_t target, uint64_t now_us)
{
    const struct plan_target *row = &x->route.targets[target];
    uint64_t wait_until_us = x->select.wait_until_us;
    uint64_t answer, tokens = estimating_guess(x, row, &answer);

    return (struct keypool_ask){
        .model = row->model,
        .model_hash = row->model_hash,
        .pool = x->auth.client->pool,
        .session = row->provider->selection == CONF_SELECTION_STICKY ? session_of(x) : 0,
        .tokens = tokens,
        .tokens_out = answer,
        .is_streamed = x->body.is_streaming,
        .wait_until_us = wait_until_us ? wait_until_us : now_us + exchange_config(x)->retry.wait_us,
        .tried = *select_tried(x, target),
        .is_urgent = wait_until_us && now_us >= wait_until_us,
    };
}

static struct keypool_choice ask(struct exchange *x, uint32_t target, bool is_last, uint64_t now_us)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];
    struct keypool_ask question = select_question(x, target, now_us);

    return outlet->row->regions ? ask_sites(x, target, &question, is_last, now_us)
                                : ask_site(x, outlet, &question, 0, is_last, now_us);
}

bool select_was_tried(struct exchange *x, uint32_t target)
{
    const struct keypool_tried *tried = *select_tried(x, target);

    for (uint32_t i = 0; tried && i < tried->count; i++) {
        if (tried->items[i].key == x->select.grant.key)
            return true;
    }
    return false;
}

static void give_back(struct exchange *x, uint32_t target, uint64_t now_us)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];

    exchange_host_follow(x->host, outlet->row->provider,
                         keypool_cancel(outlet->view, &x->select.grant, now_us));
}

void select_give_back(struct exchange *x)
{
    give_back(x, x->select.target, loop_now_us(exchange_loop(x)));
}

struct survey select_ask_all(struct exchange *x, uint64_t now_us)
{
    struct survey survey = {.choice = {.verdict = KEYPOOL_NEVER, .reason = KEYPOOL_TRIED}};
    uint32_t exhausted = UINT32_MAX;

    for (uint32_t i = 0; i < x->route.target_count; i++) {
        struct keypool_choice choice;

        if (is_excluded(x, i))
            continue;
        choice = ask(x, i, !select_has_other_target(x, i), now_us);
        if (choice.verdict == KEYPOOL_CHOSEN) {
            if (!select_was_tried(x, i) || !select_has_other_target(x, i))
                return (struct survey){choice, i};
            give_back(x, i, now_us);
            exhausted = exhausted == UINT32_MAX ? i : exhausted;
            continue;
        }
        if (choice.verdict == KEYPOOL_LATER && (survey.choice.verdict != KEYPOOL_LATER ||
                                                choice.free_at_us < survey.choice.free_at_us))
            survey = (struct survey){choice, i};
        else if (survey.choice.verdict == KEYPOOL_NEVER && survey.choice.reason == KEYPOOL_TRIED)
            survey = (struct survey){choice, i};
    }
    if (exhausted != UINT32_MAX)
        return (struct survey){ask(x, exhausted, false, now_us), exhausted};
    /* Breakers never exclude the last way: where they stand before all targets, the one that
     * recovers first is tried before its time. */
    if (survey.choice.verdict == KEYPOOL_LATER && survey.choice.reason == KEYPOOL_ENDPOINT_OPEN)
        survey.choice = ask(x, survey.target, true, now_us);
    return survey;
}
