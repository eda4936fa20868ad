#include "cli/demo_rotation.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/asker.h"
#include "json/tree.h"
#include "rotation/life.h"

enum { CALLERS = 2, SEEN_MAX = 8, JSON_MAX_BYTES = 1 << 20 };

#define PAUSE_US   (4 * US_PER_MS) /* of a caller, between an answer and its next request */
#define LOOK_US    (20 * US_PER_MS)
#define TIMEOUT_US (120 * US_PER_SEC) /* each step is written to a disk, which may be slow */

/* What is done; each phase ends by itself. */
enum phase {
    PHASE_ORDER, /* the key is to be replaced */
    PHASE_WATCH, /* until it is */
    PHASE_LEAK,  /* its successor is told to be leaked */
    PHASE_WATCH_LEAK,
    PHASE_COUNT, /* the provider is asked what it saw */
};

/* A client that asks on. */
struct caller {
    struct asker asker;
    struct loop_timer pause;
    struct demo_rotation *show;
};

/* A key as it was told last. */
struct seen {
    char name[LIFE_NAME_BYTES];
    enum life_step step;
    unsigned percent; /* of its predecessor's place */
};

struct demo_rotation {
    struct demo_rotation_options options;
    struct caller callers[CALLERS];
    struct asker admin, provider;
    struct loop_timer look, timeout;
    struct loop_task over;
    enum phase phase;
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    char successor[LIFE_NAME_BYTES]; /* the one made last */
    char leaked[LIFE_NAME_BYTES];    /* empty until then */
    uint64_t begin_us;
    uint64_t answered, failed;
    const char *why;
    bool is_over;
};

static void finish(struct demo_rotation *show, const char *why)
{
    if (show->is_over)
        return;
    show->is_over = true;
    show->why = why;
    loop_defer(show->options.loop, &show->over);
}

static void on_over(struct loop_task *task)
{
    struct demo_rotation *show = container_of(task, struct demo_rotation, over);

    show->options.on_end(show->options.owner, show->why);
}

/* ---- the clients ---- */

static void call(struct caller *caller)
{
    asker_ask(&caller->asker, "POST", "/v1/chat/completions", caller->show->options.ask);
}

static void on_pause(struct loop_timer *timer)
{
    call(container_of(timer, struct caller, pause));
}

static void on_called(struct asker *asker, const struct asker_answer *answer)
{
    struct caller *caller = container_of(asker, struct caller, asker);
    struct demo_rotation *show = caller->show;

    if (answer->status == 200)
        show->answered++;
    else
        show->failed++;
    if (loop_timer_set(&caller->pause, loop_now_us(show->options.loop) + PAUSE_US))
        finish(show, "out of memory");
}

/* ---- what is told ---- */

static void tell(const struct demo_rotation *show, const char *name, const char *what)
{
    double passed = (double)(loop_now_us(show->options.loop) - show->begin_us) / US_PER_SEC;

    printf("  %5.2f s  %-28s %s\n", passed, name, what);
    fflush(stdout);
}

/* A key that was looked at too seldom has passed what stands between. */
static void tell_steps(const struct demo_rotation *show, const struct seen *seen,
                       enum life_step from, enum life_step to)
{
    if (to > LIFE_ACTIVE || from > to)
        from = to;
    for (enum life_step step = from; step <= to; step++) {
        if (step != LIFE_CANARY || to != LIFE_CANARY)
            tell(show, seen->name, life_step_text(step));
    }
}

static void tell_share(const struct demo_rotation *show, struct seen *seen, unsigned percent)
{
    char text[64];

    if (percent == seen->percent)
        return;
    seen->percent = percent;
    snprintf(text, sizeof(text), "canary, %u%% of its predecessor's place", percent);
    tell(show, seen->name, text);
}

static struct seen *find(struct demo_rotation *show, struct span name)
{
    for (size_t i = 0; i < show->seen_count; i++) {
        if (span_is_equal(name, span_from_text(show->seen[i].name)))
            return &show->seen[i];
    }
    return NULL;
}

static bool has_come_to(struct demo_rotation *show, const char *name, enum life_step step)
{
    const struct seen *seen = find(show, span_from_text(name));

    return seen && seen->step == step;
}

static bool read_step(struct span text, enum life_step *ret_step)
{
    for (enum life_step step = 0; step < LIFE_STEPS; step++) {
        if (span_is_equal(text, span_from_text(life_step_text(step)))) {
            *ret_step = step;
            return true;
        }
    }
    return false;
}

static void see(struct demo_rotation *show, const yyjson_val *row)
{
    struct span name = json_tree_string(row, "name");
    struct seen *seen = find(show, name);
    double share = 0;
    int64_t rotation = 0;
    enum life_step step;

    if (!name.len || name.len >= LIFE_NAME_BYTES ||
        !read_step(json_tree_string(row, "step"), &step))
        return;
    (void)json_tree_int(json_tree_member(row, "rotation"), &rotation);
    (void)json_tree_double(json_tree_member(row, "share"), &share);
    if (!seen) {
        if (show->seen_count == SEEN_MAX)
            return;
        seen = &show->seen[show->seen_count++];
        memcpy(seen->name, name.ptr, name.len);
        if (rotation > 0) {
            memcpy(show->successor, seen->name, LIFE_NAME_BYTES);
            tell_steps(show, seen, LIFE_ISSUING, step);
        }
    } else if (seen->step != step) {
        tell_steps(show, seen, seen->step + 1, step);
    }
    seen->step = step;
    if (step == LIFE_CANARY)
        tell_share(show, seen, (unsigned)(share * 100 + 0.5));
}

/* ---- the play ---- */

static void order(struct demo_rotation *show)
{
    const char *name = show->phase == PHASE_ORDER ? show->options.key_name : show->leaked;
    const char *provider = show->options.provider_name;
    char path[LIFE_NAME_BYTES + 128];

    snprintf(path, sizeof(path), "/v1/admin/keys/%s/%s/rotate", provider, name);
    show->begin_us = loop_now_us(show->options.loop);
    if (show->phase == PHASE_ORDER)
        printf("\na key is replaced while %d clients ask on (bellwether keys rotate %s/%s):\n",
               CALLERS, provider, name);
    else
        printf("\nits successor leaks (bellwether keys rotate %s/%s --leaked):\n", provider, name);
    asker_ask(&show->admin, "POST", path, show->phase == PHASE_ORDER ? "" : "{\"leaked\":true}");
}

static void count(struct demo_rotation *show)
{
    show->phase = PHASE_COUNT;
    asker_ask(&show->provider, "GET", "/sim/issuer", "");
}

/* What comes after what was seen; false: nothing yet. */
static bool go_on(struct demo_rotation *show)
{
    bool is_promoted = show->successor[0] && has_come_to(show, show->successor, LIFE_ACTIVE);

    if (show->phase == PHASE_WATCH && is_promoted &&
        has_come_to(show, show->options.key_name, LIFE_RETIRED)) {
        memcpy(show->leaked, show->successor, sizeof(show->leaked));
        show->phase = PHASE_LEAK;
        order(show);
        return true;
    }
    if (show->phase == PHASE_WATCH_LEAK && is_promoted &&
        strcmp(show->successor, show->leaked) != 0 &&
        has_come_to(show, show->leaked, LIFE_REVOKED)) {
        count(show);
        return true;
    }
    return false;
}

static void on_look(struct loop_timer *timer)
{
    struct demo_rotation *show = container_of(timer, struct demo_rotation, look);

    asker_ask(&show->admin, "GET", "/v1/admin/rotations", "");
}

static void see_all(struct demo_rotation *show, struct span body)
{
    struct json_tree tree;
    size_t i, n;
    yyjson_val *row;

    if (json_tree_read(&tree, body, JSON_MAX_BYTES) == 0) {
        yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(tree.doc), "rotations"), i, n, row)
            see(show, row);
    }
    json_tree_fini(&tree);
}

static void on_admin(struct asker *asker, const struct asker_answer *answer)
{
    struct demo_rotation *show = container_of(asker, struct demo_rotation, admin);

    if (answer->status != 200 && answer->status != 202) {
        finish(show, "the admin API does not answer as it should");
        return;
    }
    if (show->phase == PHASE_ORDER || show->phase == PHASE_LEAK)
        show->phase++;
    else
        see_all(show, answer->body);
    if (!go_on(show) && loop_timer_set(&show->look, loop_now_us(show->options.loop) + LOOK_US))
        finish(show, "out of memory");
}

static void on_counted(struct asker *asker, const struct asker_answer *answer)
{
    struct demo_rotation *show = container_of(asker, struct demo_rotation, provider);
    struct json_tree tree;
    int64_t refused = -1;

    if (answer->status == 200 && json_tree_read(&tree, answer->body, JSON_MAX_BYTES) == 0) {
        (void)json_tree_int(json_tree_member(yyjson_doc_get_root(tree.doc), "revoked_requests"),
                            &refused);
        json_tree_fini(&tree);
    }
    printf("\n%llu requests meanwhile, %llu of them failed; requests that showed the provider a "
           "revoked key: %lld\n",
           (unsigned long long)(show->answered + show->failed), (unsigned long long)show->failed,
           (long long)refused);
    finish(show, show->failed || refused ? "not every request was answered as it should" : NULL);
}

static void on_timeout(struct loop_timer *timer)
{
    finish(container_of(timer, struct demo_rotation, timeout), "the rotation takes too long");
}

struct demo_rotation *demo_rotation_new(const struct demo_rotation_options *options)
{
    struct demo_rotation *show = mem_zalloc(1, sizeof(*show));

    if (!show)
        return NULL;
    show->options = *options;
    loop_task_init(&show->over, on_over);
    loop_timer_init(&show->look, options->loop, on_look);
    loop_timer_init(&show->timeout, options->loop, on_timeout);
    asker_init(&show->admin, options->loop, options->admin, on_admin);
    asker_init(&show->provider, options->loop, options->provider, on_counted);
    for (size_t i = 0; i < CALLERS; i++) {
        struct caller *caller = &show->callers[i];

        caller->show = show;
        loop_timer_init(&caller->pause, options->loop, on_pause);
        asker_init(&caller->asker, options->loop, options->gateway, on_called);
        call(caller);
    }
    if (loop_timer_set(&show->timeout, loop_now_us(options->loop) + TIMEOUT_US)) {
        demo_rotation_free(&show);
        return NULL;
    }
    order(show);
    return show;
}

void demo_rotation_free(struct demo_rotation **place)
{
    struct demo_rotation *show = *place;

    if (!show)
        return;
    loop_task_cancel(&show->over);
    loop_timer_fini(&show->look);
    loop_timer_fini(&show->timeout);
    asker_fini(&show->admin);
    asker_fini(&show->provider);
    for (size_t i = 0; i < CALLERS; i++) {
        loop_timer_fini(&show->callers[i].pause);
        asker_fini(&show->callers[i].asker);
    }
    mem_free(show);
    *place = NULL;
}
