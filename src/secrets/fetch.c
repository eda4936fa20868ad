#include "secrets/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"
#include "secrets/fetch_request.h"
#include "secrets/wiped_heap.h"

/* A host that does not answer must hold up no other: how much is under way in all is bounded by
 * those who ask. */
enum { EVENTS_AT_ONCE = 8, ROUNDS_A_TURN = 16, HOST_CONNECTIONS_MAX = 16 };

struct fetcher {
    struct loop *loop;
    CURLM *multi; /* NULL: nothing was under way lately */
    bool is_curl_ready;
    struct loop_fd inner; /* the epoll set of libcurl's sockets, level-triggered */
    struct loop_timer timer;
    struct loop_task again; /* there was more to do than one turn should */
    struct loop_task rest;  /* looks whether libcurl may be put away */
    struct list fetches;
};

/* ---- one fetch ---- */

/* Takes it out of libcurl's hands, and wipes what was read. */
static void detach(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;

    if (fetch->easy) {
        curl_multi_remove_handle(fetcher->multi, fetch->easy);
        curl_easy_cleanup(fetch->easy);
        fetch->easy = NULL;
    }
    /* libcurl's own copies of the lines, in which a key may stand. */
    for (struct curl_slist *line = fetch->fields; line; line = line->next)
        secret_wipe(line->data, strlen(line->data));
    curl_slist_free_all(fetch->fields);
    fetch->fields = NULL;
    list_remove(&fetch->link);
    fetch->fetcher = NULL;
    loop_defer(fetcher->loop, &fetcher->rest);
}

/* How long it took differs each time: without it the same failure has the same words. */
static void drop_duration(char *why)
{
    char *from = strstr(why, " after "), *to;

    if (!from)
        return;
    to = from + strlen(" after ");
    to += strspn(to, "0123456789");
    if (!strncmp(to, " ms:", 4))
        to += strlen(" ms");
    else if (!strncmp(to, " milliseconds", strlen(" milliseconds")))
        to += strlen(" milliseconds");
    else
        return;
    memmove(from, to, strlen(to) + 1);
}

static void finish(struct fetch *fetch, CURLcode code)
{
    struct fetch_answer answer = {.err = code ? fetch_request_err(fetch, code) : 0};
    curl_off_t retry_after = 0;
    const char *type = NULL, *redirect = NULL;
    struct buf body;
    char *copy = NULL;
    long status = 0;

    if (!code) {
        curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &retry_after);
        curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_TYPE, &type);
        curl_easy_getinfo(fetch->easy, CURLINFO_REDIRECT_URL, &redirect);
        /* Without memory it leads nowhere. */
        copy = redirect ? mem_strdup(redirect, strlen(redirect)) : NULL;
    } else if (fetch->is_too_large) {
        snprintf(fetch->why, sizeof(fetch->why), "%s",
                 answer.err == ERR_NOMEM ? err_text(ERR_NOMEM) : "the answer is too large");
    } else if (!fetch->why[0]) {
        snprintf(fetch->why, sizeof(fetch->why), "%s", curl_easy_strerror(code));
    } else {
        drop_duration(fetch->why);
    }
    fetch->type[0] = '\0';
    if (type && strlen(type) < sizeof(fetch->type))
        memcpy(fetch->type, type, strlen(type) + 1);
    detach(fetch);
    /* The fetch may begin anew in on_done. */
    body = fetch->answer;
    buf_init(&fetch->answer, 0);
    answer.why = fetch->why;
    answer.status = (int)status;
    answer.type = span_from_text(fetch->type);
    answer.body = buf_span(&body);
    answer.redirect = copy;
    if (retry_after > 0 && retry_after < UINT32_MAX)
        answer.retry_after_us = (uint64_t)retry_after * US_PER_SEC;
    fetch->on_done(fetch, &answer);
    buf_fini(&body);
    mem_free(copy);
}

/* ---- libcurl and the loop ---- */

static void harvest(struct fetcher *fetcher)
{
    CURLMsg *message;
    int left;

    while (fetcher->multi && (message = curl_multi_info_read(fetcher->multi, &left))) {
        CURLcode code = message->data.result;
        char *fetch = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
        finish((struct fetch *)(void *)fetch, code);
    }
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *mine)
{
    struct fetcher *fetcher = user;
    struct epoll_event event = {.data.fd = fd};

    (void)easy, (void)mine;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(fetcher->inner.fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        event.events |= (uint32_t)EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= (uint32_t)EPOLLOUT;
    /* Without memory here the fetch runs into its time-out. */
    if (epoll_ctl(fetcher->inner.fd, EPOLL_CTL_MOD, fd, &event))
        epoll_ctl(fetcher->inner.fd, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *user)
{
    struct fetcher *fetcher = user;

    (void)multi;
    if (timeout_ms < 0)
        loop_timer_clear(&fetcher->timer);
    else /* reserved: it cannot fail */
        (void)loop_timer_set(&fetcher->timer,
                             loop_now_us(fetcher->loop) + (uint64_t)timeout_ms * US_PER_MS);
    return 0;
}

static void act(struct fetcher *fetcher, const struct epoll_event *event)
{
    int mask = 0, running;

    if (event->events & (uint32_t)EPOLLIN)
        mask |= CURL_CSELECT_IN;
    if (event->events & (uint32_t)EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (event->events & (uint32_t)(EPOLLERR | EPOLLHUP))
        mask |= CURL_CSELECT_ERR;
    curl_multi_socket_action(fetcher->multi, event->data.fd, mask, &running);
}

/* The loop hears of the set by edges: it is emptied here, or looked at again. */
static void pump(struct fetcher *fetcher)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = 0;

    for (int round = 0; round < ROUNDS_A_TURN && fetcher->multi; round++) {
        count = epoll_wait(fetcher->inner.fd, events, EVENTS_AT_ONCE, 0);
        for (int i = 0; i < count; i++)
            act(fetcher, &events[i]);
        if (count <= 0)
            break;
    }
    harvest(fetcher);
    if (count > 0)
        loop_defer(fetcher->loop, &fetcher->again);
}

static void on_ready(struct loop_fd *fd, unsigned ready)
{
    (void)ready;
    pump(container_of(fd, struct fetcher, inner));
}

static void on_again(struct loop_task *task)
{
    pump(container_of(task, struct fetcher, again));
}

static void on_timer(struct loop_timer *timer)
{
    struct fetcher *fetcher = container_of(timer, struct fetcher, timer);
    int running;

    if (fetcher->multi)
        curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    pump(fetcher);
}

static void put_away(struct fetcher *fetcher)
{
    if (fetcher->multi)
        curl_multi_cleanup(fetcher->multi);
    fetcher->multi = NULL;
    loop_timer_clear(&fetcher->timer);
}

static void on_rest(struct loop_task *task)
{
    struct fetcher *fetcher = container_of(task, struct fetcher, rest);

    if (fetcher_is_idle(fetcher))
        put_away(fetcher);
}

static int make_multi(struct fetcher *fetcher)
{
    CURLMcode code;

    if (fetcher->multi)
        return 0;
    if (!fetcher->is_curl_ready &&
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiped_alloc, wiped_free, wiped_realloc,
                             wiped_strdup, wiped_zalloc))
        return ERR_NOMEM;
    fetcher->is_curl_ready = true;
    fetcher->multi = curl_multi_init();
    if (!fetcher->multi)
        return ERR_NOMEM;
    code = curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    if (!code)
        code = curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    if (!code)
        code = curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    if (!code)
        code = curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    if (!code)
        code = curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                                 (long)HOST_CONNECTIONS_MAX);
    if (code)
        put_away(fetcher);
    return code ? ERR_NOMEM : 0;
}

/* ---- the public calls ---- */

struct fetcher *fetcher_new(struct loop *loop)
{
    struct fetcher *fetcher = mem_zalloc(1, sizeof(*fetcher));

    if (!fetcher)
        return NULL;
    fetcher->loop = loop;
    list_init(&fetcher->fetches);
    loop_task_init(&fetcher->again, on_again);
    loop_task_init(&fetcher->rest, on_rest);
    loop_timer_init(&fetcher->timer, loop, on_timer);
    fetcher->inner = (struct loop_fd){.fd = epoll_create1(EPOLL_CLOEXEC), .on_ready = on_ready};
    if (fetcher->inner.fd < 0 || loop_add(loop, &fetcher->inner, false) ||
        loop_timer_reserve(&fetcher->timer))
        fetcher_free(&fetcher);
    return fetcher;
}

void fetcher_free(struct fetcher **fetcher)
{
    struct fetcher *f = *fetcher;

    *fetcher = NULL;
    if (!f)
        return;
    while (!list_is_empty(&f->fetches))
        fetch_cancel(container_of(f->fetches.next, struct fetch, link));
    put_away(f);
    if (f->is_curl_ready)
        curl_global_cleanup();
    loop_task_cancel(&f->again);
    loop_task_cancel(&f->rest);
    loop_timer_fini(&f->timer);
    if (f->inner.fd >= 0) {
        loop_remove(f->loop, &f->inner);
        close(f->inner.fd);
    }
    mem_free(f);
}

bool fetcher_is_idle(const struct fetcher *fetcher)
{
    return list_is_empty(&fetcher->fetches);
}

int fetch_begin(struct fetch *fetch, struct fetcher *fetcher, const struct fetch_ask *ask)
{
    int err = make_multi(fetcher);

    if (err)
        return err;
    fetch->fetcher = fetcher;
    fetch->ca_file = ask->ca_file;
    fetch->head_bytes = 0;
    fetch->is_too_large = false;
    fetch->is_denied = false;
    fetch->why[0] = '\0';
    buf_init(&fetch->answer, ask->max_bytes ? ask->max_bytes : FETCH_ANSWER_MAX_BYTES);
    fetch->answer.is_secret = true;
    list_push_back(&fetcher->fetches, &fetch->link);
    fetch->easy = curl_easy_init();
    err = fetch->easy ? fetch_request_set(fetch, ask) : ERR_NOMEM;
    if (!err && curl_multi_add_handle(fetcher->multi, fetch->easy))
        err = ERR_NOMEM;
    if (err)
        fetch_cancel(fetch);
    return err;
}

void fetch_cancel(struct fetch *fetch)
{
    if (!fetch->fetcher)
        return;
    detach(fetch);
    buf_fini(&fetch->answer);
}
