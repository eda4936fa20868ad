#include "exchange/answer_errand.h"

#include "base/alloc.h"
#include "base/err.h"
#include "exchange/exchange.h"

enum { ARENA_MAX_BYTES = 128 << 20, TOLD_SPARE_BYTES = 512 };

static struct answer_errand *new_errand(struct exchange *x, const struct translator_plan *plan)
{
    struct span id = plan->frame.request_id, model = plan->frame.model;
    struct answer_errand *errand = mem_zalloc(1, sizeof(*errand) + id.len + model.len);

    if (!errand)
        return NULL;
    errand->plan = *plan;
    if (id.len)
        memcpy(errand->texts, id.ptr, id.len);
    if (model.len)
        memcpy(errand->texts + id.len, model.ptr, model.len);
    errand->plan.frame.request_id = span_of(errand->texts, id.len);
    errand->plan.frame.model = span_of(errand->texts + id.len, model.len);
    errand->plan.out = &errand->told;
    arena_init(&errand->arena, &x->host->loose, ARENA_MAX_BYTES);
    buf_init(&errand->whole, 0);
    buf_init(&errand->told, HOST_TOLD_MAX_BYTES);
    return errand;
}

void answer_free(struct answer_errand **errand)
{
    struct answer_errand *e = *errand;

    *errand = NULL;
    if (!e)
        return;
    translator_fini(&e->translator);
    arena_fini(&e->arena);
    translate_free(&e->translation);
    buf_fini(&e->whole);
    buf_fini(&e->told);
    mem_free(e);
}

static void work(struct away *away)
{
    struct answer_errand *errand = container_of(away, struct answer_errand, away);

    errand->err = ERR_NOMEM;
    errand->translator = translator_new(&errand->arena, &errand->plan);
    if (!errand->translator)
        return;
    /* Mostly it does not grow by more in the other dialect. */
    if (errand->plan.to != FORM_COUNT)
        (void)buf_reserve(&errand->told, errand->body.len + TOLD_SPARE_BYTES);
    errand->err = translator_answer(errand->translator, errand->body, errand->max_bytes);
    if (!errand->err)
        errand->err = errand->told.err;
}

static void forget(struct away *away)
{
    struct answer_errand *errand = container_of(away, struct answer_errand, away);

    answer_free(&errand);
}

int answer_send(struct exchange *x, const struct translator_plan *plan, struct span body,
                size_t max_bytes)
{
    struct answer_errand *errand = new_errand(x, plan);

    if (!errand)
        return ERR_NOMEM;
    if (away_enter(&errand->away, x)) {
        answer_free(&errand);
        return ERR_NOMEM;
    }
    /* It is whole, and what the other one would need of the request goes with it. */
    if (x->hedge.sent_us)
        hedge_leave(x);
    attempt_end(exchange_attempt(x));
    relay_drop_translator(x);
    errand->translation = x->body.translation;
    x->body.translation = NULL;
    if (errand->translation)
        translation_use_pool(errand->translation, &x->host->loose);
    errand->whole = x->relay.held;
    buf_init(&x->relay.held, errand->whole.max);
    errand->body = body;
    errand->max_bytes = max_bytes;
    errand->away.work = work;
    errand->away.forget = forget;
    x->relay.answer = errand;
    away_send(&errand->away, x);
    return 0;
}

struct answer_errand *answer_take(struct exchange *x)
{
    struct answer_errand *errand = x->relay.answer;

    x->relay.answer = NULL;
    x->body.translation = errand->translation;
    errand->translation = NULL;
    if (!errand->away.is_done)
        errand->err = ERR_NOMEM;
    return errand;
}

void answer_leave(struct exchange *x)
{
    struct answer_errand *errand = x->relay.answer;

    if (!errand)
        return;
    x->relay.answer = NULL;
    away_leave(&errand->away, x);
}
