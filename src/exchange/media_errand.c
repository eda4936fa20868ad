#include "exchange/media_errand.h"

#include "base/alloc.h"
#include "base/err.h"
#include "exchange/exchange.h"
#include "exchange/select.h"

/* ---- the errand ---- */

struct media_errand *media_errand_new(const struct span *urls, size_t count)
{
    size_t head = sizeof(struct media_errand) + count * sizeof(struct media_parcel), texts = 0;
    struct media_errand *errand;
    char *text;

    for (size_t i = 0; i < count; i++)
        texts += urls[i].len + 1;
    errand = mem_zalloc(1, head + texts);
    if (!errand)
        return NULL;
    errand->count = count;
    text = (char *)errand + head;
    for (size_t i = 0; i < count; i++) {
        memcpy(text, urls[i].ptr, urls[i].len);
        errand->parcels[i].url = span_of(text, urls[i].len);
        text += urls[i].len + 1;
    }
    return errand;
}

void media_errand_free(struct media_errand **errand)
{
    struct media_errand *e = *errand;

    *errand = NULL;
    for (size_t i = 0; e && i < e->count; i++)
        buf_fini(&e->parcels[i].base64);
    mem_free(e);
}

/* ---- the exchange ---- */

static void take(struct exchange *x, struct media_parcel *parcel)
{
    struct media *media = translation_media(x->body.translation);
    struct body_lease *lease = &x->host->lease;

    if (!parcel->err && body_lease_take(lease, parcel->base64.len))
        parcel->err = ERR_NOMEM;
    else if (!parcel->err)
        x->body.media_bytes += parcel->base64.len;
    if (parcel->err == ERR_NOMEM)
        x->send.media_err = ERR_NOMEM;
    else if (parcel->err)
        media_fail(media, parcel->url, parcel->why);
    else
        media_take(media, parcel->url, span_from_text(parcel->type), &parcel->base64);
}

/* Waits no longer, with or without what it waited for. */
static void come_back(struct exchange *x)
{
    loop_timer_clear(&x->select.timer);
    select_note_wait_over(x);
    parking_leave(&x->host->parking, x->send.ticket);
    x->send.errand = NULL;
}

static void on_return(struct loop_mail *mail)
{
    struct media_errand *errand = container_of(mail, struct media_errand, mail);
    /* Of a host that has ended nobody is found either. */
    struct exchange *x = parking_find(&errand->host->parking, errand->ticket);

    if (x) {
        come_back(x);
        for (size_t i = 0; i < errand->count; i++)
            take(x, &errand->parcels[i]);
    }
    media_errand_free(&errand);
    /* It may be on its way to the end already. */
    if (x && x->step == STEP_SEND)
        exchange_run(x);
}

void media_errand_return(struct media_errand *errand)
{
    errand->mail.on_arrival = on_return;
    loop_post(errand->host->loop, &errand->mail);
}

static struct media_errand *new_errand(struct exchange *x)
{
    const struct conf_server_media *conf = &exchange_config(x)->server.media;
    struct span urls[MEDIA_URLS_MAX];
    size_t count = media_missing(translation_media(x->body.translation), urls);
    struct media_errand *errand = media_errand_new(urls, count);

    if (!errand || parking_enter(&x->host->parking, x, &errand->ticket)) {
        media_errand_free(&errand);
        return NULL;
    }
    errand->host = x->host;
    errand->max_bytes = conf->max;
    errand->timeout_us = conf->timeout_us;
    errand->is_private = conf->is_private;
    return errand;
}

struct move media_fetch(struct exchange *x)
{
    struct media_errand *errand = new_errand(x);

    if (!errand)
        return relay_give_up(x, FAILURE_OVERLOADED);
    /* However slow the places are that clients name, no key stands idle for them. */
    select_give_back(x);
    select_note_wait(x);
    x->send.errand = errand;
    x->send.ticket = errand->ticket;
    x->host->ops->fetch_media(x->host->owner, errand);
    return move_more();
}

void media_leave(struct exchange *x)
{
    if (!x->send.errand)
        return;
    atomic_store_explicit(&x->send.errand->shared.is_unwanted, true, memory_order_relaxed);
    come_back(x);
}
