#include "exchange/rewrite_errand.h"

#include "base/alloc.h"
#include "base/err.h"
#include "exchange/exchange.h"
#include "exchange/select.h"

/* ---- the errand ---- */

static struct span copy(struct span text, char **at)
{
    char *to = *at;

    if (!text.len)
        return text;
    memcpy(to, text.ptr, text.len);
    *at += text.len;
    return span_of(to, text.len);
}

static struct rewrite_errand *new_errand(struct exchange *x, const struct rewrite *rewrite)
{
    size_t names = rewrite->facts.model.len + rewrite->target.model.len;
    struct rewrite_errand *errand = mem_zalloc(1, sizeof(*errand) + names);
    char *at;

    if (!errand)
        return NULL;
    at = errand->models;
    errand->rewrite = *rewrite;
    errand->rewrite.facts.model = copy(rewrite->facts.model, &at);
    errand->rewrite.target.model = copy(rewrite->target.model, &at);
    errand->rewrite.translation = NULL; /* the exchange's, until it is handed over */
    errand->rewrite.lease = &errand->lease;
    errand->rewrite.told = &errand->told;
    errand->rewrite.arenas = &x->host->loose;
    errand->rewrite.drops = &errand->drops;
    errand->rewrite.arena = NULL;
    buf_init(&errand->told, HOST_TOLD_MAX_BYTES);
    body_lease_init(&errand->lease, x->host->lease.budget);
    return errand;
}

/* With all that the exchange did not take. */
static void free_errand(struct rewrite_errand **errand)
{
    struct rewrite_errand *e = *errand;

    *errand = NULL;
    translate_free(&e->rewrite.translation);
    body_unref(&e->rewrite.written);
    body_unref(&e->body);
    body_lease_give(&e->lease, e->media_bytes);
    body_lease_fini(&e->lease);
    buf_fini(&e->told);
    mem_free(e);
}

/* ---- what it holds ---- */

/* The exchange's: the errand's from now on. */
static void hand_over(struct exchange *x, struct rewrite_errand *errand)
{
    errand->body = x->body.body;
    x->body.body = NULL;
    if (errand->body)
        body_move(errand->body, &errand->lease);
    errand->rewrite.translation = x->body.translation;
    x->body.translation = NULL;
    if (errand->rewrite.translation)
        translation_use_pool(errand->rewrite.translation, errand->rewrite.arenas);
    errand->media_bytes = x->body.media_bytes;
    x->body.media_bytes = 0;
    body_lease_move(&x->host->lease, &errand->lease, errand->media_bytes);
}

/* And back, with what came of it. */
static void hand_back(struct exchange *x, struct rewrite_errand *errand)
{
    struct body_lease *lease = &x->host->lease;

    x->body.body = errand->body;
    errand->body = NULL;
    if (x->body.body)
        body_move(x->body.body, lease);
    x->body.media_bytes = errand->media_bytes;
    errand->media_bytes = 0;
    body_lease_move(&errand->lease, lease, x->body.media_bytes);
    if (errand->rewrite.written)
        body_move(errand->rewrite.written, lease);
    errand->rewrite.drops = x->send.drops;
    way_take(x, &errand->rewrite);
    errand->rewrite.translation = NULL;
    errand->rewrite.written = NULL;
}

/* ---- the way ---- */

static void work(struct away *away)
{
    struct rewrite_errand *errand = container_of(away, struct rewrite_errand, away);

    chat_refusal_init(&errand->refusal, FAILURE_UNSUPPORTED);
    errand->err = rewrite_run(&errand->rewrite, &errand->refusal);
    buf_fini(&errand->told);
}

static void forget(struct away *away)
{
    struct rewrite_errand *errand = container_of(away, struct rewrite_errand, away);

    free_errand(&errand);
}

int rewrite_send(struct exchange *x, const struct rewrite *rewrite)
{
    struct rewrite_errand *errand = new_errand(x, rewrite);

    if (!errand)
        return ERR_NOMEM;
    if (away_enter(&errand->away, x)) {
        free_errand(&errand);
        return ERR_NOMEM;
    }
    hand_over(x, errand);
    errand->away.work = work;
    errand->away.forget = forget;
    x->send.rewrite = errand;
    away_send(&errand->away, x);
    return ERR_AGAIN;
}

int rewrite_take(struct exchange *x, struct chat_refusal *ret_refusal)
{
    struct rewrite_errand *errand = x->send.rewrite;
    /* The helpers have no room, or end. */
    int err = errand->away.is_done ? errand->err : ERR_NOMEM;

    x->send.rewrite = NULL;
    *ret_refusal = errand->refusal;
    hand_back(x, errand);
    if (!x->send.drops)
        x->send.drops = arena_alloc(&x->arena, sizeof(*x->send.drops));
    if (x->send.drops)
        *x->send.drops = errand->drops;
    else if (!err)
        err = ERR_NOMEM;
    free_errand(&errand);
    return err;
}

void rewrite_leave(struct exchange *x)
{
    struct rewrite_errand *errand = x->send.rewrite;

    if (!errand)
        return;
    x->send.rewrite = NULL;
    if (x->select.grant.key)
        select_give_back(x);
    away_leave(&errand->away, x);
}
