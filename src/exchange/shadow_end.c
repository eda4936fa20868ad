/* What comes of a shadow: compared by a helper thread, counted, freed. */
#include "exchange/shadow_body.h"

#include "base/alloc.h"
#include "base/err.h"
#include "ledger/prices.h"

bool shadow_is_refusal(int status)
{
    return status >= 400 && status <= 499 && status != 401 && status != 402 && status != 403 &&
           status != 407 && status != 408 && status != 429;
}

/* ---- jobs ---- */

void shadow_send_job(struct shadow *shadow, enum shadow_phase phase,
                     void (*work)(struct helper_job *job),
                     void (*on_done)(struct helper_job *job, int err))
{
    shadow->phase = phase;
    shadow->is_away = true;
    shadow->job.loop = shadow->host->loop;
    shadow->job.is_spare = true;
    shadow->job.work = work;
    shadow->job.on_done = on_done;
    shadow->host->ops->help(shadow->host->owner, &shadow->job);
}

/* ---- what it used ---- */

/* False where the prices do not know it. */
static bool cost_of(const struct shadow *shadow, const struct binding *binding,
                    const struct dialect_usage *usage, uint64_t *ret_pico_usd)
{
    const struct plan_target *target = &shadow->plan->target;
    const struct price *price = prices_find(binding->snapshot->prices, target->provider_index,
                                            target->model, target->model_hash);

    return price_of(price, usage,
                    shadow->is_sent ? shadow->sent_wall_us : loop_wall_us(shadow->host->loop),
                    ret_pico_usd);
}

struct shadow_spend shadow_spend_of(const struct shadow *shadow, const struct binding *binding,
                                    const struct dialect_usage *usage)
{
    uint64_t pico_usd;

    if (!cost_of(shadow, binding, usage, &pico_usd))
        pico_usd = usage->prompt_tokens * SHADOW_PROMPT_PICO_USD +
                   usage->completion_tokens * SHADOW_COMPLETION_PICO_USD;
    return (struct shadow_spend){.pico_usd = pico_usd,
                                 .requests = 1,
                                 .tokens = usage->prompt_tokens + usage->completion_tokens};
}

/* Of an answer that was not read whole, or never came, as much as it may
 * have cost. A refusal costs nothing. */
static struct shadow_spend used_of(const struct shadow *shadow)
{
    struct shadow_spend used = {.requests = 1};

    if (!shadow->is_sent)
        return (struct shadow_spend){.requests = 0};
    /* What a helper is reading is not looked at. */
    if (shadow->phase == SHADOW_COMPARING && shadow->is_away)
        return shadow->estimate;
    if (shadow->own_answer)
        return shadow_spend_of(shadow, shadow->binding, &shadow->own_answer->usage);
    if (shadow->own.status == 0 || (shadow->own.status >= 200 && shadow->own.status <= 299))
        used = shadow->estimate;
    return used;
}

/* ---- the end ---- */

/* What it used and cost, where its answer, which no helper is reading, tells; about what it cost,
 * where the answer is there and has not told. Of the key nothing else is told: what came of a
 * shadow must change nothing for others. usage NULL: not known. */
static void give_key_back(struct shadow *shadow, const struct dialect_usage *usage)
{
    struct outlet *outlet = shadow_outlet(shadow);
    struct keypool_end end = {.tokens = 0};
    struct keypool_effect effect;
    uint64_t pico_usd;

    if (!shadow->grant.key)
        return;
    if (usage)
        end.tokens = usage->total_tokens;
    else if (shadow->phase == SHADOW_COMPARING && shadow->own.is_good)
        usage = &shadow->likely;
    if (usage && cost_of(shadow, shadow->binding, usage, &pico_usd))
        end.cost_nanousd = price_nano(pico_usd);
    effect = shadow->is_sent
                 ? keypool_end(outlet->view, &shadow->grant, &end, shadow_now_us(shadow))
                 : keypool_cancel(outlet->view, &shadow->grant, shadow_now_us(shadow));
    exchange_host_follow(shadow->host, outlet->row->provider, effect);
}

/* All that others could want. */
static void give_back(struct shadow *shadow, const struct dialect_usage *usage)
{
    loop_task_cancel(&shadow->start);
    attempt_end(&shadow->attempt);
    give_key_back(shadow, usage);
    binding_unref(&shadow->binding);
    list_remove(&shadow->link);
    shadow->host->shadows.count--;
}

static void free_shadow(struct shadow *shadow)
{
    translate_free(&shadow->rewrite.translation);
    body_unref(&shadow->rewrite.written);
    body_unref(&shadow->body);
    body_lease_fini(&shadow->lease);
    buf_fini(&shadow->told);
    buf_fini(&shadow->head);
    buf_fini(&shadow->real.bytes);
    buf_fini(&shadow->own.bytes);
    arena_fini(&shadow->arena);
    mem_free(shadow);
}

static struct shadow_side side_of(const struct shadow_heard *heard,
                                  const struct shadow_answer *answer)
{
    return (struct shadow_side){.first_us = heard->first_us - heard->begun_us,
                                .total_us = heard->last_us - heard->begun_us,
                                .tokens = answer->usage.completion_tokens,
                                .bytes = answer->text.len};
}

/* skip: SHADOW_SKIPS where it was compared. */
static void count(struct shadow *shadow, enum shadow_skip skip)
{
    struct shadow_end end = {.estimate = shadow->estimate,
                             .used = used_of(shadow),
                             .skip = skip,
                             .request_id = shadow->request_id,
                             .now_us = shadow_now_us(shadow),
                             .wall_us = loop_wall_us(shadow->host->loop)};

    if (skip == SHADOW_SKIPS) {
        end.comparison = shadow->comparison;
        end.has_sides = shadow->real_answer && shadow->own_answer;
    }
    if (end.has_sides) {
        end.real = side_of(&shadow->real, shadow->real_answer);
        end.shadow = side_of(&shadow->own, shadow->own_answer);
    }
    shadow_entry_end(shadow->entry, &end);
}

static void finish(struct shadow *shadow, enum shadow_skip skip)
{
    count(shadow, skip);
    give_back(shadow, shadow->own_answer ? &shadow->own_answer->usage : NULL);
    free_shadow(shadow);
}

void shadow_discard(struct shadow *shadow, enum shadow_skip skip)
{
    if (skip != SHADOW_SKIPS)
        shadow_entry_skip(shadow->entry, skip);
    shadow->host->shadows.count--;
    free_shadow(shadow);
}

void shadow_end(struct shadow *shadow, enum shadow_skip skip)
{
    switch (shadow->phase) {
    case SHADOW_WRITING:
    case SHADOW_COMPARING:
        /* A helper works on it: the rest is freed when that is done. */
        count(shadow, skip);
        give_back(shadow, NULL);
        shadow->phase = SHADOW_DROPPED;
        break;
    case SHADOW_DROPPED:
        free_shadow(shadow);
        break;
    case SHADOW_READY:
    case SHADOW_ASKING:
        finish(shadow, skip);
        break;
    case SHADOW_DRAWN:
        shadow_discard(shadow, skip);
        break;
    }
}

/* ---- comparing ---- */

static const struct shadow_answer *read_side(struct shadow *shadow,
                                             const struct shadow_heard *heard,
                                             struct shadow_answer *answer)
{
    const struct shadow_raw raw = {
        .form = heard->form,
        .is_stream = heard->is_stream,
        .body = buf_span(&heard->bytes),
        .chat = shadow->rewrite.translation ? translation_chat(shadow->rewrite.translation) : NULL,
        .prompt_tokens = shadow->prompt_tokens,
    };
    int err;

    if (!heard->is_good)
        return NULL;
    err = shadow_answer_read(&raw, &shadow->arena, answer);
    if (err && err != ERR_SYNTAX && !shadow->err)
        shadow->err = err;
    return err ? NULL : answer;
}

static void compare(struct helper_job *job)
{
    struct shadow *shadow = container_of(job, struct shadow, job);

    shadow->err = 0;
    shadow->real_answer = read_side(shadow, &shadow->real, &shadow->answers[0]);
    shadow->own_answer = read_side(shadow, &shadow->own, &shadow->answers[1]);
    if (!shadow->err)
        shadow->err = compare_answers(shadow->real_answer, shadow->own_answer, shadow->least_milli,
                                      &shadow->arena, &shadow->comparison);
}

static void on_compared(struct helper_job *job, int err)
{
    struct shadow *shadow = container_of(job, struct shadow, job);

    shadow->is_away = false;
    if (shadow->phase == SHADOW_DROPPED)
        shadow_end(shadow, SHADOW_SKIP_YIELDED);
    else
        finish(shadow, err || shadow->err ? SHADOW_SKIP_UNREAD : SHADOW_SKIPS);
}

void shadow_compare(struct shadow *shadow)
{
    shadow_send_job(shadow, SHADOW_COMPARING, compare, on_compared);
}

/* ---- who comes first ---- */

void shadows_yield_keys(struct exchange_host *host, const struct provider *provider)
{
    list_for_each_safe (link, &host->shadows.under_way) {
        struct shadow *shadow = container_of(link, struct shadow, link);

        if (!shadow->grant.key || shadow_outlet(shadow)->row->provider != provider)
            continue;
        /* One that has its answer holds the key only to tell what it used. */
        if (shadow->phase == SHADOW_COMPARING)
            give_key_back(shadow, NULL);
        else
            shadow_end(shadow, SHADOW_SKIP_YIELDED);
    }
}

void shadows_yield_connections(struct exchange_host *host, const struct endpoint_pool *pool)
{
    list_for_each_safe (link, &host->shadows.under_way) {
        struct shadow *shadow = container_of(link, struct shadow, link);

        if (attempt_is_live(&shadow->attempt) &&
            shadow_outlet(shadow)->sites[shadow->site].pool == pool)
            shadow_end(shadow, SHADOW_SKIP_YIELDED);
    }
}

void shadows_drop(struct exchange_host *host)
{
    while (!list_is_empty(&host->shadows.under_way))
        shadow_end(container_of(host->shadows.under_way.next, struct shadow, link),
                   SHADOW_SKIP_YIELDED);
}
