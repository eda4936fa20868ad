/* Several workers at once, for the thread sanitizer as much as for the asserts: picks, reports,
 * probes and reloads on one pool; and the waiting room. */
#include <pthread.h>
#include <sched.h>

#include "keypool/kept.h"
#include "keypool/waiting.h"
#include "pool_play.h"

enum { PICKS = 5000, KEYS = 8, MODELS = 40 };

struct crowd {
    struct play *play;
    struct endpoint_health endpoint;
    struct endpoint_tally tallies[PLAY_WORKERS];
    _Atomic uint64_t clock;
    _Atomic uint32_t under_way[KEYS], of_model_a[KEYS];
    struct conf_limits_of limits[MODELS];
    char models[MODELS][8];
    _Atomic bool is_over;
};

struct worker {
    struct crowd *crowd;
    uint32_t number;
};

static enum outcome draw_outcome(struct rand *rand)
{
    static const enum outcome rare[] = {
        OUTCOME_RATE_LIMITED, OUTCOME_SERVER_ERROR,    OUTCOME_INVALID_KEY,   OUTCOME_DEPLETED,
        OUTCOME_CLIENT_GONE,  OUTCOME_ACCOUNT_LIMITED, OUTCOME_CONNECT_FAILED};

    return rand_below(rand, 16) ? OUTCOME_SUCCESS : rare[rand_below(rand, 7)];
}

/* True where it got a key. */
static bool work_once(struct worker *worker, struct rand *rand)
{
    struct crowd *crowd = worker->crowd;
    struct keypool_view *view = crowd->play->views[worker->number];
    bool is_a = rand_below(rand, 2);
    const struct keypool_ask ask = {.model = is_a ? SPAN("a") : SPAN("b"),
                                    .tokens = 10,
                                    .endpoint = &crowd->endpoint,
                                    .endpoint_tally = &crowd->tallies[worker->number],
                                    .is_last_endpoint = true};
    uint64_t now = atomic_fetch_add(&crowd->clock, rand_below(rand, 200 * US_PER_MS));
    struct keypool_end end = {.hint_us = rand_below(rand, 2 * SECONDS), .tokens = 12};
    struct keypool_grant grant;
    size_t id;

    if (keypool_select(view, &ask, now, &grant).verdict != KEYPOOL_CHOSEN)
        return false;
    id = play_id(&grant);
    /* Declared: three at once, over all workers, and two for the model a. */
    bug_fatal_unless(atomic_fetch_add(&crowd->under_way[id], 1) < 3);
    bug_fatal_unless(atomic_fetch_add(&crowd->of_model_a[id], is_a) < 2 || !is_a);
    end.outcome = outcome_row(draw_outcome(rand));
    if (rand_below(rand, 8))
        keypool_sent(view, &grant, now);
    endpoint_health_connected(&crowd->endpoint);
    atomic_fetch_sub(&crowd->under_way[id], 1);
    atomic_fetch_sub(&crowd->of_model_a[id], is_a);
    keypool_end(view, &grant, &end, now);
    return true;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct rand rand;

    rand_init(&rand, worker->number);
    for (int picks = 0; picks < PICKS;) {
        if (work_once(worker, &rand))
            picks++;
        else
            sched_yield(); /* it is for the control thread to cure keys */
    }
    return NULL;
}

/* As if another process had known it: what stands here stands. */
static void give_back(void *owner, struct kept_key *kept)
{
    struct crowd *crowd = owner;
    struct keypool_effect effect;

    (void)kept_fingerprint(kept);
    keypool_restore(crowd->play->pool, kept, atomic_load(&crowd->clock), &effect);
}

static void *control(void *arg)
{
    struct crowd *crowd = arg;
    struct keypool *pool = crowd->play->pool;

    for (int i = 0; !atomic_load(&crowd->is_over); i++) {
        uint64_t now = atomic_load(&crowd->clock), next;
        struct key *key = keypool_probe_take(pool, now, &next);
        struct keypool_row row;
        size_t at = 0;

        if (key)
            keypool_probe_end(pool, &key, PROBE_KNOWN, now);
        if (i % 50 == 0) {
            crowd->play->conf.keys.count = i % 100 ? KEYS : KEYS - 2;
            crowd->play->conf.model_limits.count = 1 + (size_t)i / 50 % MODELS;
            bug_fatal_unless(keypool_apply(pool, &crowd->play->conf, NULL, now, play_wall) == 0);
        }
        while (keypool_describe(pool, &at, now, &row))
            key_unref(&row.key);
        keypool_keep(pool, now, give_back, crowd);
    }
    return NULL;
}

/* The first of them is always declared. */
static void declare_models(struct crowd *crowd)
{
    for (int i = 0; i < MODELS; i++) {
        snprintf(crowd->models[i], sizeof(crowd->models[i]), i ? "m%d" : "a", i);
        crowd->limits[i] = (struct conf_limits_of){.model = span_from_text(crowd->models[i]),
                                                   .limits = {.concurrent = 2, .tpm = 100000}};
    }
    crowd->play->conf.model_limits = (struct conf_limits_by_model){crowd->limits, 1};
}

static void test_workers_share_a_pool(void **state)
{
    static struct crowd crowd;
    struct play play;
    struct worker workers[PLAY_WORKERS];
    pthread_t threads[PLAY_WORKERS], controller;

    play_init(&play, KEYS);
    play.conf.selection = CONF_SELECTION_LEAST_USED;
    /* Short rests, so that most of the time something goes on. */
    play.conf.health.cooldown_us = play.conf.health.depleted_us = SECONDS;
    play.conf.health.probe_interval_us = 100 * US_PER_MS;
    for (size_t i = 0; i < KEYS; i++) {
        play_key(&play, i)->limits = (struct conf_limits){.concurrent = 3};
        if (i % 4 == 0)
            play_key(&play, i)->limits =
                (struct conf_limits){.rpm = 500, .tpm = 4000, .concurrent = 3};
        if (i >= 6)
            play_key(&play, i)->account = SPAN("shared");
    }
    crowd.play = &play;
    declare_models(&crowd);
    play_apply(&play);
    atomic_store(&crowd.clock, play.now);
    endpoint_health_init(&crowd.endpoint);
    for (uint32_t i = 0; i < PLAY_WORKERS; i++) {
        endpoint_health_join(&crowd.endpoint, &crowd.tallies[i]);
        workers[i] = (struct worker){&crowd, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    assert_int_equal(pthread_create(&controller, NULL, control, &crowd), 0);
    for (int i = 0; i < PLAY_WORKERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&crowd.is_over, true);
    pthread_join(controller, NULL);
    play_end(&play);
}

/* ---- the waiting room ---- */

enum { ROOM_WORKERS = 3 };

static struct waiting_ticket ticket(uint64_t id)
{
    return (struct waiting_ticket){
        .worker = (uint32_t)(id % ROOM_WORKERS), .generation = 7, .id = id, .need = 1};
}

/* Counts how often each worker was called. */
static void note_call(void *owner, uint32_t worker)
{
    ((unsigned *)owner)[worker]++;
}

static void expect_taken(struct waiting_room *room, uint32_t worker, uint64_t id)
{
    struct waiting_ticket taken;

    assert_int_equal(waiting_take(room, worker, &taken, 1), 1);
    assert_int_equal(taken.worker, worker);
    assert_int_equal(taken.generation, 7);
    assert_int_equal(taken.id, id);
}

static void expect_nothing_granted(struct waiting_room *room)
{
    struct waiting_ticket taken;

    for (uint32_t i = 0; i < ROOM_WORKERS; i++)
        assert_int_equal(waiting_take(room, i, &taken, 1), 0);
}

static void test_first_come_first_served(void **state)
{
    struct waiting_room *room = waiting_room_new(100, ROOM_WORKERS);
    unsigned calls[ROOM_WORKERS] = {0};
    struct waiting_ticket left;
    waiting_place places[8];

    assert_int_equal(waiting_grant(room, UINT32_MAX, note_call, calls), 0);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(waiting_enter(room, ticket(i), &places[i]), 0);
    assert_int_equal(waiting_count(room), 8);
    assert_true(waiting_leave(room, &places[2], &left));
    assert_true(waiting_leave(room, &places[2], &left)); /* already outside */
    expect_nothing_granted(room);
    /* Nos. 0, 1, 3 and 4: in the order of their coming, whosever they are. */
    assert_int_equal(waiting_grant(room, 4, note_call, calls), 4);
    assert_int_equal(calls[0], 2);
    assert_int_equal(calls[1], 2);
    assert_int_equal(calls[2], 0);
    assert_int_equal(waiting_count(room), 3);
    expect_taken(room, 0, 0);
    expect_taken(room, 1, 1);
    assert_true(waiting_leave(room, &places[0], &left));  /* it has been taken */
    assert_false(waiting_leave(room, &places[3], &left)); /* its grant is on the way */
    assert_int_equal(left.id, 3);
    expect_taken(room, 1, 4);
    expect_nothing_granted(room);
    assert_int_equal(waiting_count(room), 3);
    waiting_room_free(&room);
    waiting_room_free(&room);
}

/* Everybody may go on, and nobody who comes later: the first few do, and each who has found
 * something has two more called; each worker takes its own in small lots. */
static void test_all_go_on(void **state)
{
    enum { MANY = 90 };
    struct waiting_room *room = waiting_room_new(100, ROOM_WORKERS);
    struct waiting_ticket taken[MANY];
    unsigned calls[ROOM_WORKERS] = {0}, served = 0, rounds = 0;
    uint64_t last[ROOM_WORKERS] = {0};
    waiting_place place;

    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(waiting_enter(room, ticket(i), &place), 0);
    assert_int_equal(waiting_grant(room, UINT32_MAX, note_call, calls), WAITING_FIRST);
    assert_int_equal(waiting_count(room), MANY - WAITING_FIRST);
    for (; served < MANY; rounds++) {
        for (uint32_t worker = 0; worker < ROOM_WORKERS; worker++) {
            size_t count = waiting_take(room, worker, taken, 16);

            for (size_t i = 0; i < count; i++) {
                assert_true(taken[i].id == worker || taken[i].id > last[worker]);
                last[worker] = taken[i].id;
                waiting_use(&taken[i], note_call, calls);
                waiting_use(&taken[i], note_call, calls); /* once */
            }
            served += (unsigned)count;
        }
    }
    assert_in_range(rounds, 2, 5);
    assert_int_equal(waiting_count(room), 0);
    expect_nothing_granted(room);
    waiting_room_free(&room);
}

/* Whoever is the first that is not granted leaves: the next is, and the granted stay so. */
static void test_leaving_at_the_border(void **state)
{
    struct waiting_room *room = waiting_room_new(100, 1);
    unsigned calls = 0;
    struct waiting_ticket left;
    waiting_place places[4];

    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(waiting_enter(room, (struct waiting_ticket){0, 7, i, 1}, &places[i]), 0);
    assert_int_equal(waiting_grant(room, 1, note_call, &calls), 1);
    assert_true(waiting_leave(room, &places[1], &left));
    assert_int_equal(waiting_grant(room, 1, note_call, &calls), 1);
    assert_false(waiting_leave(room, &places[0], &left));
    expect_taken(room, 0, 2);
    assert_true(waiting_leave(room, &places[3], &left));
    assert_int_equal(waiting_count(room), 0);
    assert_int_equal(waiting_grant(room, UINT32_MAX, note_call, &calls), 0);
    assert_int_equal(calls, 2);
    waiting_room_free(&room);
}

static void test_a_place_given_up_is_not_somebody_elses(void **state)
{
    struct waiting_room *room = waiting_room_new(1, ROOM_WORKERS);
    unsigned calls[ROOM_WORKERS] = {0};
    struct waiting_ticket left;
    waiting_place first, second;

    assert_int_equal(waiting_enter(room, ticket(1), &first), 0);
    assert_int_equal(waiting_enter(room, ticket(2), &second), ERR_FULL);
    assert_int_equal(waiting_grant(room, 1, note_call, calls), 1);
    expect_taken(room, 1, 1);
    assert_int_equal(waiting_enter(room, ticket(2), &second), 0);
    assert_true(waiting_leave(room, &first, &left));
    assert_int_equal(waiting_count(room), 1);
    assert_true(waiting_leave(room, &second, &left));
    waiting_room_free(&room);
}

static void test_rooms_grow_to_their_maximum(void **state)
{
    struct waiting_room *room = waiting_room_new(1000, ROOM_WORKERS);
    unsigned calls[ROOM_WORKERS] = {0};
    waiting_place place;

    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(waiting_enter(room, ticket(i), &place), 0);
    assert_int_equal(waiting_enter(room, ticket(0), &place), ERR_FULL);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(waiting_grant(room, 1, note_call, calls), 1);
        expect_taken(room, (uint32_t)(i % ROOM_WORKERS), i);
    }
    waiting_room_free(&room);
}

enum { SITTERS = 2000 };

struct desk {
    struct waiting_room *room;
    uint32_t number;
    _Atomic uint32_t *left; /* to be served, of all desks */
    _Atomic uint32_t *keys;
};

static void call_desk(void *owner, uint32_t worker)
{
    (void)owner, (void)worker;
}

static bool take_one_key(_Atomic uint32_t *keys)
{
    uint32_t seen = atomic_load(keys);

    while (seen && !atomic_compare_exchange_weak(keys, &seen, seen - 1)) {
    }
    return seen != 0;
}

/* One worker of several: all of its own sit in the room; it frees keys, looks, and serves those
 * that are granted, or lets them sit down again. */
static void *run_desk(void *arg)
{
    struct desk *desk = arg;
    struct waiting_ticket taken[16];
    waiting_place place;

    for (uint64_t i = 0; i < SITTERS; i++) {
        const struct waiting_ticket own = {.worker = desk->number, .id = i, .need = 1 + i % 3};

        bug_fatal_unless(waiting_enter(desk->room, own, &place) == 0);
        waiting_tell(desk->room, place, 1);
    }
    while (atomic_load(desk->left)) {
        size_t count;

        if (atomic_load(desk->keys) < 8) {
            atomic_fetch_add(desk->keys, 3);
            waiting_grant(desk->room, 3, call_desk, NULL);
        }
        waiting_look(desk->room, 2, call_desk, NULL);
        count = waiting_take(desk->room, desk->number, taken, 16);
        for (size_t i = 0; i < count; i++) {
            if (take_one_key(desk->keys)) {
                atomic_fetch_sub(desk->left, 1);
                waiting_use(&taken[i], call_desk, NULL);
                continue;
            }
            waiting_miss(&taken[i], 1, call_desk, NULL);
            bug_fatal_unless(waiting_enter(desk->room, taken[i], &place) == 0);
            waiting_tell(desk->room, place, 1);
        }
        if (!count)
            sched_yield();
    }
    return NULL;
}

/* Every one of them is served once, whoever is granting whom meanwhile. */
static void test_workers_share_a_room(void **state)
{
    struct waiting_room *room = waiting_room_new(ROOM_WORKERS * SITTERS, ROOM_WORKERS);
    _Atomic uint32_t left = ROOM_WORKERS * SITTERS, keys = 0;
    pthread_t threads[ROOM_WORKERS];
    struct desk desks[ROOM_WORKERS];

    for (uint32_t i = 0; i < ROOM_WORKERS; i++) {
        desks[i] = (struct desk){room, i, &left, &keys};
        assert_int_equal(pthread_create(&threads[i], NULL, run_desk, &desks[i]), 0);
    }
    for (uint32_t i = 0; i < ROOM_WORKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(waiting_count(room), 0);
    expect_nothing_granted(room);
    waiting_room_free(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_share_a_pool),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_all_go_on),
        cmocka_unit_test(test_leaving_at_the_border),
        cmocka_unit_test(test_a_place_given_up_is_not_somebody_elses),
        cmocka_unit_test(test_rooms_grow_to_their_maximum),
        cmocka_unit_test(test_workers_share_a_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
