/* Who stands in line for what comes back by time: in which order they have it, that nobody is
 * forgotten, and what a hundred thousand of them cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "keypool/waiting.h"

enum { WORKERS = 3, GUESTS = 512, CROWD = 100000, KEYS_OF_NEED = 40 };

struct guest {
    struct waiting_ticket ticket; /* as it was last granted, too */
    waiting_place place;
    bool is_inside, is_served;
};

/* Exchanges as step_select has them, before keys of which so many are free for each need. */
struct line {
    struct waiting_room *room;
    struct guest *guests;
    uint32_t served[GUESTS]; /* in their order */
    uint32_t served_count, asked, workers;
    uint32_t free[KEYS_OF_NEED];
    bool is_shared;                 /* the same keys serve all needs: those of the first */
    uint64_t next_us[KEYS_OF_NEED]; /* when more will be */
    uint64_t look_us;
};

static void call_nobody(void *owner, uint32_t worker)
{
    (void)owner, (void)worker;
}

static void begin(struct line *line, uint32_t guests)
{
    *line = (struct line){.look_us = WAITING_NEVER, .workers = WORKERS};
    line->room = waiting_room_new(CROWD, WORKERS);
    line->guests = mem_zalloc(guests, sizeof(*line->guests));
    assert_non_null(line->room);
    assert_non_null(line->guests);
}

static void end(struct line *line)
{
    waiting_room_free(&line->room);
    mem_free(line->guests);
}

static void look_at(struct line *line, uint64_t look_us)
{
    line->look_us = look_us < line->look_us ? look_us : line->look_us;
}

/* True where it found a key. */
static bool ask(struct line *line, uint64_t id)
{
    struct guest *guest = &line->guests[id];
    uint64_t need = line->is_shared ? 1 : guest->ticket.need;

    line->asked++;
    if (!line->free[need])
        return false;
    line->free[need]--;
    guest->is_served = true;
    if (line->served_count < GUESTS)
        line->served[line->served_count] = (uint32_t)id;
    line->served_count++;
    return true;
}

/* Enters, asks once more, and tells when. */
static void enter(struct line *line, uint64_t id)
{
    struct guest *guest = &line->guests[id];
    struct waiting_ticket left;

    assert_int_equal(waiting_enter(line->room, guest->ticket, &guest->place), 0);
    guest->is_inside = true;
    if (ask(line, id)) {
        assert_true(waiting_leave(line->room, &guest->place, &left));
        guest->is_inside = false;
    } else if (waiting_tell(line->room, guest->place, line->next_us[guest->ticket.need])) {
        look_at(line, line->next_us[guest->ticket.need]);
    }
}

static void come(struct line *line, uint64_t id, uint64_t need, enum priority priority)
{
    line->guests[id].ticket = (struct waiting_ticket){
        .worker = (uint32_t)(id % line->workers), .id = id, .need = need, .priority = priority};
    enter(line, id);
}

static void run_granted(struct line *line, struct waiting_ticket taken)
{
    struct guest *guest = &line->guests[taken.id];

    guest->ticket = taken;
    guest->is_inside = false;
    if (ask(line, taken.id)) {
        waiting_use(&guest->ticket, call_nobody, NULL);
        return;
    }
    waiting_miss(&guest->ticket, line->next_us[taken.need], call_nobody, NULL);
    look_at(line, line->next_us[taken.need]);
    enter(line, taken.id);
}

/* One turn of each worker's loop: how many went on in it. */
static uint32_t turn(struct line *line)
{
    struct waiting_ticket taken[256];
    uint32_t all = 0;

    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        size_t count = waiting_take(line->room, worker, taken, 256);

        for (size_t i = 0; i < count; i++)
            run_granted(line, taken[i]);
        all += (uint32_t)count;
    }
    return all;
}

/* The room's timer is due, and all that follows of it. Returns the most that went on in a turn. */
static uint32_t look(struct line *line, uint64_t now_us)
{
    uint32_t most = 0, count;

    assert_true(line->look_us <= now_us);
    line->look_us = WAITING_NEVER;
    line->served_count = line->asked = 0;
    look_at(line, waiting_look(line->room, now_us, call_nobody, NULL));
    while ((count = turn(line)) > 0)
        most = count > most ? count : most;
    return most;
}

/* Ten slots of a window that opens, for which 40 of batch waited, one critical, and 40 more of
 * batch: critical and the oldest of batch have them, and then those that came after these. */
static void test_a_window_opens(void **state)
{
    struct line line;

    (void)state;
    begin(&line, GUESTS);
    line.workers = 1; /* of several, those whose turn it is run at the same time */
    line.next_us[1] = 5 * US_PER_SEC;
    for (uint64_t id = 0; id < 81; id++)
        come(&line, id, 1, id == 40 ? PRIORITY_CRITICAL : PRIORITY_BATCH);
    assert_int_equal(line.look_us, 5 * US_PER_SEC);
    line.free[1] = 10;
    line.next_us[1] = 65 * US_PER_SEC;
    look(&line, 5 * US_PER_SEC);
    assert_int_equal(line.served_count, 10);
    assert_int_equal(line.served[0], 40);
    for (uint32_t id = 0; id < 9; id++)
        assert_true(line.guests[id].is_served);
    assert_int_equal(line.look_us, 65 * US_PER_SEC);
    assert_int_equal(waiting_count(line.room), 71);
    /* Those that asked in vain stand where they stood. */
    line.free[1] = 10;
    line.next_us[1] = 125 * US_PER_SEC;
    look(&line, 65 * US_PER_SEC);
    assert_int_equal(line.served[0], 9);
    for (uint32_t id = 0; id < 19; id++)
        assert_true(line.guests[id].is_served);
    assert_false(line.guests[19].is_served);
    end(&line);
}

/* Two models of one key whose window opens with twenty: a hundred of batch wait for one of them,
 * and then as many critical ones for the other. Batch has the first look of its own, and after that
 * its share as a class. */
static void test_classes_of_several_crowds(void **state)
{
    struct line line;
    uint32_t batch = 0;

    (void)state;
    begin(&line, GUESTS);
    line.workers = 1;
    line.is_shared = true;
    line.next_us[1] = line.next_us[2] = 5 * US_PER_SEC;
    for (uint64_t id = 0; id < 200; id++)
        come(&line, id, 1 + id / 100, id < 100 ? PRIORITY_BATCH : PRIORITY_CRITICAL);
    line.free[1] = 20;
    line.next_us[1] = line.next_us[2] = 65 * US_PER_SEC;
    look(&line, 5 * US_PER_SEC);
    assert_int_equal(line.served_count, 20);
    for (uint32_t id = 0; id < 100; id++)
        batch += line.guests[id].is_served;
    assert_in_range(batch, 1, 3);
    end(&line);
}

/* Nothing is free for those who came first; the others have theirs at their own moment. */
static void test_another_crowd(void **state)
{
    struct line line;

    (void)state;
    begin(&line, GUESTS);
    line.next_us[1] = 4 * US_PER_SEC;
    line.next_us[2] = 2 * US_PER_SEC;
    for (uint64_t id = 0; id < 40; id++)
        come(&line, id, 1 + id / 20, PRIORITY_STANDARD);
    line.free[2] = 3;
    line.next_us[2] = 3 * US_PER_SEC;
    look(&line, 2 * US_PER_SEC);
    assert_int_equal(line.served_count, 3);
    for (uint32_t id = 20; id < 23; id++)
        assert_true(line.guests[id].is_served);
    assert_false(line.guests[0].is_served);
    assert_int_equal(line.look_us, 3 * US_PER_SEC);
    end(&line);
}

/* A key that came free is of no use to the first in line: those are asked who may have one. */
static void test_handed_on(void **state)
{
    struct line line;

    (void)state;
    begin(&line, GUESTS);
    line.next_us[1] = line.next_us[2] = 9 * US_PER_SEC;
    for (uint64_t id = 0; id < 20; id++)
        come(&line, id, id < 18 ? 1 : 2, PRIORITY_STANDARD);
    line.asked = 0;
    line.free[2] = 1;
    assert_int_equal(waiting_grant(line.room, 1, call_nobody, NULL), 1);
    while (turn(&line)) {
    }
    assert_true(line.guests[18].is_served);
    assert_false(line.guests[19].is_served);
    /* Each asks twice: before it enters again, and after. */
    assert_int_equal(line.asked, 2 * WAITING_LOOKS + 1);
    line.free[1] = 1;
    assert_int_equal(waiting_grant(line.room, 1, call_nobody, NULL), 1);
    while (turn(&line)) {
    }
    assert_true(line.guests[0].is_served);
    end(&line);
}

/* It goes through a few crowds, and not for ever. */
static void test_handed_on_for_a_while(void **state)
{
    struct line line;

    (void)state;
    begin(&line, GUESTS);
    for (uint64_t id = 0; id < 20; id++) {
        line.next_us[id + 1] = US_PER_SEC;
        come(&line, id, id + 1, PRIORITY_STANDARD);
    }
    line.asked = 0;
    assert_int_equal(waiting_grant(line.room, 1, call_nobody, NULL), 1);
    while (turn(&line)) {
    }
    assert_int_equal(line.asked, 2 * (WAITING_PASSES + 1));
    assert_int_equal(waiting_count(line.room), 20);
    end(&line);
}

/* Who was called and asked in vain comes back to a room that has filled meanwhile. */
static void test_there_is_a_seat_for_who_comes_back(void **state)
{
    struct waiting_room *room = waiting_room_new(2, 1);
    struct waiting_ticket taken, ticket = {.need = 1, .priority = PRIORITY_STANDARD};
    waiting_place places[4];

    (void)state;
    assert_non_null(room);
    for (ticket.id = 0; ticket.id < 2; ticket.id++)
        assert_int_equal(waiting_enter(room, ticket, &places[ticket.id]), 0);
    assert_int_equal(waiting_enter(room, ticket, &places[2]), ERR_FULL);
    assert_int_equal(waiting_grant(room, 1, call_nobody, NULL), 1);
    assert_int_equal(waiting_take(room, 0, &taken, 1), 1);
    assert_int_equal(waiting_enter(room, ticket, &places[2]), 0);
    waiting_miss(&taken, US_PER_SEC, call_nobody, NULL);
    assert_int_equal(waiting_enter(room, taken, &places[0]), 0);
    assert_int_equal(waiting_enter(room, ticket, &places[3]), ERR_FULL);
    for (int i = 0; i < 3; i++)
        waiting_leave(room, &places[i], &taken);
    waiting_room_free(&room);
}

/* More kinds of needs than there are crowds: the last must look for themselves. */
static void test_too_many_crowds(void **state)
{
    struct line line;

    (void)state;
    begin(&line, GUESTS);
    for (uint64_t id = 0; id < WAITING_CROWDS + 2; id++) {
        struct guest *guest = &line.guests[id];

        guest->ticket = (struct waiting_ticket){.id = id, .need = id + 1};
        assert_int_equal(waiting_enter(line.room, guest->ticket, &guest->place), 0);
        assert_int_equal(waiting_tell(line.room, guest->place, US_PER_SEC),
                         id < WAITING_CROWDS - 1);
    }
    assert_int_equal(waiting_look(line.room, 0, call_nobody, NULL), US_PER_SEC);
    /* What comes free is theirs as well. */
    assert_int_equal(waiting_grant(line.room, 40, call_nobody, NULL), WAITING_CROWDS + 2);
    end(&line);
}

/* Those whose turn it is leave before they are told: the next is, and none is left behind. */
static void test_gone_at_its_turn(void **state)
{
    struct line line;
    struct waiting_ticket left;

    (void)state;
    begin(&line, GUESTS);
    line.next_us[1] = US_PER_SEC;
    for (uint64_t id = 0; id < 8; id++)
        come(&line, id, 1, PRIORITY_STANDARD);
    assert_int_equal(waiting_look(line.room, US_PER_SEC, call_nobody, NULL), WAITING_NEVER);
    for (uint64_t id = 0; id < 7; id++) {
        assert_false(waiting_leave(line.room, &line.guests[id].place, &left));
        assert_int_equal(left.id, id);
        waiting_pass(&left, call_nobody, NULL);
    }
    line.free[1] = 1;
    assert_int_equal(turn(&line), 1);
    assert_true(line.guests[7].is_served);
    end(&line);
}

static uint32_t count_ahead(struct line *line, enum priority priority)
{
    return waiting_ahead(line->room, 1, priority);
}

/* As far as it is certain: a class that waits has a turn in ten. */
static void test_how_many_are_ahead(void **state)
{
    struct line line;

    (void)state;
    begin(&line, GUESTS);
    line.next_us[1] = line.next_us[2] = US_PER_SEC;
    assert_int_equal(count_ahead(&line, PRIORITY_BATCH), 0);
    for (uint64_t id = 0; id < 100; id++)
        come(&line, id, 1, id < 60 ? PRIORITY_CRITICAL : PRIORITY_STANDARD);
    come(&line, 100, 2, PRIORITY_CRITICAL);
    assert_int_equal(count_ahead(&line, PRIORITY_CRITICAL), 60);
    assert_int_equal(count_ahead(&line, PRIORITY_STANDARD), 100);
    assert_int_equal(count_ahead(&line, PRIORITY_BATCH), PRIORITY_SHARE - 1);
    end(&line);
}

/* From a seed, keys that come back by time and by events, guests who come and go: whoever waits is
 * looked after, as long as anything is free nobody waits past its moment, and in the end all are
 * served. */
static void test_nobody_is_forgotten(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct line line;
        struct rand rand;
        uint64_t now_us = 0;
        uint32_t came = 0, rounds = 0;

        begin(&line, GUESTS);
        rand_init(&rand, seed);
        for (uint64_t need = 1; need < 5; need++)
            line.next_us[need] = rand_below(&rand, US_PER_SEC) + 1;
        while (came < 300 || waiting_count(line.room)) {
            uint64_t need = 1 + rand_below(&rand, 4);

            assert_true(rounds++ < 20000);
            now_us += rand_below(&rand, 20 * US_PER_MS);
            for (uint64_t i = 1; i < 5; i++) {
                if (line.next_us[i] > now_us)
                    continue;
                line.free[i] += (uint32_t)rand_below(&rand, 6);
                line.next_us[i] = now_us + rand_below(&rand, US_PER_SEC) + 1;
            }
            if (came < 300) {
                come(&line, came, need, (enum priority)rand_below(&rand, PRIORITIES));
                came++;
            }
            if (rand_below(&rand, 10) == 0 && came) {
                struct guest *guest = &line.guests[rand_below(&rand, came)];
                struct waiting_ticket left;

                if (guest->is_inside && !waiting_leave(line.room, &guest->place, &left))
                    waiting_pass(&left, call_nobody, NULL);
                guest->is_inside = false;
            }
            if (rand_below(&rand, 5) == 0) {
                line.free[need]++;
                waiting_grant(line.room, 1, call_nobody, NULL);
            }
            if (line.look_us <= now_us)
                look(&line, now_us);
            while (turn(&line)) {
            }
            /* Who waits has a moment to come. */
            assert_true(waiting_count(line.room) == 0 || line.look_us != WAITING_NEVER);
        }
        end(&line);
    }
}

/* A hundred thousand wait for one key: a moment costs a few questions, and a turn no more than it
 * may; one more is told that the room is full. */
static void test_a_hundred_thousand(void **state)
{
    struct line line;
    waiting_place place;
    uint64_t now_us = US_PER_SEC;

    (void)state;
    begin(&line, CROWD);
    line.next_us[1] = now_us;
    for (uint64_t id = 0; id < CROWD; id++)
        come(&line, id, 1, (enum priority)(id % PRIORITIES));
    assert_int_equal(waiting_enter(line.room, (struct waiting_ticket){.need = 1}, &place),
                     ERR_FULL);
    /* It is not free yet, as a key that is full is looked at every 100 ms. */
    for (int i = 0; i < 50; i++) {
        now_us = line.next_us[1];
        line.next_us[1] += 100 * US_PER_MS;
        assert_in_range(look(&line, now_us), 1, WAITING_LOOKS);
        assert_int_equal(line.asked, 2 * WAITING_LOOKS);
    }
    /* A window opens for a thousand of them. */
    now_us = line.next_us[1];
    line.next_us[1] += 60 * US_PER_SEC;
    line.free[1] = 1000;
    assert_in_range(look(&line, now_us), 64, 1024);
    assert_int_equal(line.served_count, 1000);
    assert_true(line.asked < 1000 + 1000);
    assert_int_equal(waiting_count(line.room), CROWD - 1000);
    end(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_window_opens),
        cmocka_unit_test(test_classes_of_several_crowds),
        cmocka_unit_test(test_another_crowd),
        cmocka_unit_test(test_handed_on),
        cmocka_unit_test(test_handed_on_for_a_while),
        cmocka_unit_test(test_there_is_a_seat_for_who_comes_back),
        cmocka_unit_test(test_too_many_crowds),
        cmocka_unit_test(test_gone_at_its_turn),
        cmocka_unit_test(test_how_many_are_ahead),
        cmocka_unit_test(test_nobody_is_forgotten),
        cmocka_unit_test(test_a_hundred_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
