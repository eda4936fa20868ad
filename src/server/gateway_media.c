/* Media that exchanges have fetched: a few at once, the others in line, on the control thread. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "conf/units.h"
#include "exchange/media_errand.h"
#include "server/gateway_inner.h"
#include "upstream/body.h"

enum {
    FETCHES_AT_ONCE = 16, /* each may hold server.media.max */
    REDIRECTS = 3,
    LOOK_US = 250000, /* whether what is fetched is still wanted */
};

/* One fetch. */
struct media_seat {
    struct fetch fetch;
    struct media_desk *desk;
    struct media_errand *errand; /* NULL: free */
    struct media_parcel *parcel;
    uint64_t bytes;        /* that came */
    unsigned char rest[3]; /* of them, those that Base64 waits with */
    size_t rest_len;
    uint64_t held; /* of the desk's lease */
    int err;       /* why no more was taken */
};

struct media_desk {
    struct gateway *gateway;
    struct fetcher *fetcher; /* apart from that of tokens, which wait for nobody's images */
    struct list line;        /* struct media_errand, those with parcels that were not begun */
    struct loop_timer look;
    struct body_lease lease; /* of server.body_memory, for what is under way */
    size_t busy;             /* seats */
    struct media_seat seats[FETCHES_AT_ONCE];
};

static bool is_unwanted(const struct media_errand *errand)
{
    return atomic_load_explicit(&errand->shared.is_unwanted, memory_order_relaxed);
}

/* ---- the bytes ---- */

static int encode(struct media_seat *seat, struct span bytes)
{
    struct buf *out = &seat->parcel->base64;
    size_t whole;
    int err = 0;

    /* Base64 takes three at a time. */
    while (seat->rest_len && seat->rest_len < 3 && bytes.len) {
        seat->rest[seat->rest_len++] = (unsigned char)*bytes.ptr;
        bytes = span_skip(bytes, 1);
    }
    if (seat->rest_len == 3) {
        err = base64_write(out, span_of((const char *)seat->rest, 3));
        seat->rest_len = 0;
    }
    whole = bytes.len / 3 * 3;
    if (!err && seat->rest_len == 0) {
        err = base64_write(out, span_of(bytes.ptr, whole));
        bytes = span_skip(bytes, whole);
        memcpy(seat->rest, bytes.ptr, bytes.len);
        seat->rest_len = bytes.len;
    }
    return err;
}

/* What is being fetched counts as what was sent. */
static int hold(struct media_seat *seat, size_t bytes)
{
    uint64_t more = base64_length(bytes + sizeof(seat->rest));

    if (body_lease_take(&seat->desk->lease, more))
        return ERR_NOMEM;
    seat->held += more;
    return 0;
}

static void let_go(struct media_seat *seat)
{
    body_lease_give(&seat->desk->lease, seat->held);
    seat->held = 0;
    seat->errand = NULL;
}

static int on_bytes(struct fetch *fetch, struct span bytes)
{
    struct media_seat *seat = container_of(fetch, struct media_seat, fetch);

    seat->bytes += bytes.len;
    if (is_unwanted(seat->errand))
        seat->err = ERR_CANCELLED;
    else if (seat->bytes > seat->errand->max_bytes)
        seat->err = ERR_FULL;
    else
        seat->err = hold(seat, bytes.len);
    if (!seat->err)
        seat->err = encode(seat, bytes);
    return seat->err;
}

/* ---- what came of it ---- */

/* libcurl's own words would name addresses. */
static void tell(const struct media_errand *errand, struct media_parcel *parcel, int err)
{
    char text[UNITS_TEXT_BYTES];

    if (err == ERR_FULL) {
        units_write_size(errand->max_bytes, text);
        snprintf(parcel->why, sizeof(parcel->why), "is larger than %s", text);
    } else if (err == ERR_DENIED) {
        snprintf(parcel->why, sizeof(parcel->why), "is at a private address");
    } else if (err == ERR_TIMEOUT) {
        units_write_duration(errand->timeout_us, text);
        snprintf(parcel->why, sizeof(parcel->why),
                 "could not be fetched: it did not come within %s", text);
    } else if (err == ERR_RANGE) {
        snprintf(parcel->why, sizeof(parcel->why),
                 "could not be fetched: it redirects more than %d times", REDIRECTS);
    } else {
        snprintf(parcel->why, sizeof(parcel->why), "could not be fetched: %s", err_text(err));
    }
}

static enum metric_media result_of(int err)
{
    if (err == ERR_FULL)
        return METRIC_MEDIA_LARGE;
    if (err == ERR_DENIED)
        return METRIC_MEDIA_PRIVATE;
    if (err == ERR_CANCELLED)
        return METRIC_MEDIA_CANCELLED;
    return err ? METRIC_MEDIA_FAILED : METRIC_MEDIA_FETCHED;
}

static void end_parcel(struct gateway *gateway, struct media_errand *errand,
                       struct media_parcel *parcel, int err)
{
    parcel->err = err;
    if (err && !parcel->why[0])
        tell(errand, parcel, err);
    if (err)
        buf_fini(&parcel->base64);
    metrics_add(gateway->metrics, gateway->media_fetches + result_of(err), 1);
    if (++errand->ended == errand->count)
        media_errand_return(errand);
}

static void start_more(struct media_desk *desk);

/* Its fetch has ended or was ended. */
static void leave_seat(struct media_seat *seat, int err)
{
    struct media_errand *errand = seat->errand;

    let_go(seat);
    seat->desk->busy--;
    end_parcel(seat->desk->gateway, errand, seat->parcel, err);
}

static int read_answer(struct media_seat *seat, const struct fetch_answer *answer)
{
    struct media_parcel *parcel = seat->parcel;

    if (answer->err)
        return seat->err ? seat->err : answer->err;
    if (answer->status < 200 || answer->status > 299) {
        snprintf(parcel->why, sizeof(parcel->why), "could not be fetched: HTTP %d", answer->status);
        return ERR_NOTFOUND;
    }
    if (answer->type.len < sizeof(parcel->type))
        memcpy(parcel->type, answer->type.ptr, answer->type.len);
    return base64_write(&parcel->base64, span_of((const char *)seat->rest, seat->rest_len));
}

static void on_done(struct fetch *fetch, const struct fetch_answer *answer)
{
    struct media_seat *seat = container_of(fetch, struct media_seat, fetch);

    leave_seat(seat, read_answer(seat, answer));
    start_more(seat->desk);
}

/* ---- the line ---- */

static struct media_seat *free_seat(struct media_desk *desk)
{
    for (size_t i = 0; i < FETCHES_AT_ONCE; i++) {
        if (!desk->seats[i].errand)
            return &desk->seats[i];
    }
    return NULL;
}

static int begin(struct media_seat *seat, struct media_errand *errand, struct media_parcel *parcel)
{
    static const char *const fields[] = {"Accept: */*", NULL};
    const struct fetch_ask ask = {
        .url = parcel->url.ptr,
        .fields = fields,
        .method = "GET",
        .is_public = !errand->is_private,
        .redirects = REDIRECTS,
        .max_bytes = errand->max_bytes,
        .connect_us = errand->timeout_us,
        .total_us = errand->timeout_us,
    };
    int err;

    buf_init(&parcel->base64, base64_length(errand->max_bytes));
    seat->errand = errand;
    seat->parcel = parcel;
    seat->bytes = 0;
    seat->rest_len = 0;
    seat->err = 0;
    err = fetch_begin(&seat->fetch, seat->desk->fetcher, &ask);
    if (err)
        seat->errand = NULL;
    else
        seat->desk->busy++;
    return err;
}

/* The next parcel of the errand that is first in line, which then stands behind the others. */
static void start_one(struct media_desk *desk, struct media_seat *seat)
{
    struct media_errand *errand = container_of(desk->line.next, struct media_errand, link);
    struct media_parcel *parcel = &errand->parcels[errand->begun++];
    int err = ERR_CANCELLED;

    list_remove(&errand->link);
    if (errand->begun < errand->count)
        list_push_back(&desk->line, &errand->link);
    if (!is_unwanted(errand))
        err = begin(seat, errand, parcel);
    if (err)
        end_parcel(desk->gateway, errand, parcel, err);
}

static void set_look(struct media_desk *desk)
{
    if (desk->busy && desk->look.deadline_us)
        return; /* put off by each newcomer it would never come */
    /* Reserved: it cannot fail. */
    if (desk->busy)
        (void)loop_timer_set(&desk->look, loop_now_us(desk->gateway->loop) + LOOK_US);
    else
        loop_timer_clear(&desk->look);
}

static void start_more(struct media_desk *desk)
{
    struct media_seat *seat;

    while (!list_is_empty(&desk->line) && (seat = free_seat(desk)))
        start_one(desk, seat);
    set_look(desk);
}

/* A place that says nothing is not waited for when nobody wants to hear it. */
static void on_look(struct loop_timer *timer)
{
    struct media_desk *desk = container_of(timer, struct media_desk, look);

    for (size_t i = 0; i < FETCHES_AT_ONCE; i++) {
        struct media_seat *seat = &desk->seats[i];

        if (!seat->errand || !is_unwanted(seat->errand))
            continue;
        fetch_cancel(&seat->fetch);
        leave_seat(seat, ERR_CANCELLED);
    }
    start_more(desk);
}

/* ---- the desk ---- */

static void free_desk(struct media_desk **desk)
{
    struct media_desk *d = *desk;

    *desk = NULL;
    fetcher_free(&d->fetcher);
    loop_timer_fini(&d->look);
    body_lease_fini(&d->lease);
    mem_free(d);
}

static struct media_desk *new_desk(struct gateway *gateway)
{
    struct media_desk *desk = mem_zalloc(1, sizeof(*desk));

    if (!desk)
        return NULL;
    desk->gateway = gateway;
    list_init(&desk->line);
    body_lease_init(&desk->lease, &gateway->registry.bodies);
    loop_timer_init(&desk->look, gateway->loop, on_look);
    for (size_t i = 0; i < FETCHES_AT_ONCE; i++) {
        desk->seats[i].desk = desk;
        desk->seats[i].fetch.on_done = on_done;
        desk->seats[i].fetch.on_bytes = on_bytes;
    }
    desk->fetcher = fetcher_new(gateway->loop);
    if (!desk->fetcher || loop_timer_reserve(&desk->look))
        free_desk(&desk);
    return desk;
}

static void on_errand(struct loop_mail *mail)
{
    struct media_errand *errand = container_of(mail, struct media_errand, mail);
    struct gateway *gateway = errand->keeper;

    /* The worker it would go back to has ended. */
    if (gateway->is_ending) {
        media_errand_free(&errand);
        return;
    }
    if (!gateway->media)
        gateway->media = new_desk(gateway);
    if (!gateway->media) {
        for (size_t i = errand->count; i-- > 0;)
            end_parcel(gateway, errand, &errand->parcels[i], ERR_NOMEM);
        return;
    }
    list_push_back(&gateway->media->line, &errand->link);
    start_more(gateway->media);
}

void gateway_fetch_media(void *owner, struct media_errand *errand)
{
    struct gateway *gateway = owner;

    errand->keeper = gateway;
    errand->mail.on_arrival = on_errand;
    loop_post(gateway->loop, &errand->mail);
}

/* One errand may have parcels in several seats. */
static void drop_errand(struct media_desk *desk, struct media_errand *errand)
{
    for (size_t i = 0; i < FETCHES_AT_ONCE; i++) {
        if (desk->seats[i].errand != errand)
            continue;
        fetch_cancel(&desk->seats[i].fetch);
        let_go(&desk->seats[i]);
    }
    if (errand->begun < errand->count)
        list_remove(&errand->link);
    media_errand_free(&errand);
}

void gateway_drop_media(struct gateway *gateway)
{
    struct media_desk *desk = gateway->media;

    if (!desk)
        return;
    while (!list_is_empty(&desk->line))
        drop_errand(desk, container_of(desk->line.next, struct media_errand, link));
    for (size_t i = 0; i < FETCHES_AT_ONCE; i++) {
        if (desk->seats[i].errand)
            drop_errand(desk, desk->seats[i].errand);
    }
    free_desk(&gateway->media);
}
