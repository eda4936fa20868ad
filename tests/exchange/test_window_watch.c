/* Who is looked at when windows change, and how many in one turn of the loop; on virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "exchange/window_watch.h"

enum { GUESTS = 1000, MOST_A_TURN = 64 };

static const uint64_t start = 1000 * US_PER_SEC, minute = 60 * US_PER_SEC;

struct play;

struct guest {
    struct list link;
    struct play *play;
    unsigned looks;
    uint64_t change_us;   /* told of at each look; 0: nothing */
    struct guest *leaves; /* at its look: that one leaves; NULL: nobody */
};

struct play {
    struct loop *loop;
    struct window_watch watch;
    struct guest guests[GUESTS];
    unsigned looks;
    const struct guest *last; /* that was looked at */
};

static void look(struct list *link)
{
    struct guest *guest = container_of(link, struct guest, link);
    struct play *play = guest->play;

    guest->looks++;
    play->looks++;
    play->last = guest;
    if (guest->change_us)
        window_watch_note(&play->watch, guest->change_us);
    if (guest->leaves)
        window_watch_remove(&play->watch, &guest->leaves->link);
}

static void begin(struct play *play, int count)
{
    *play = (struct play){.loop = loop_new_virtual(start)};
    assert_non_null(play->loop);
    assert_int_equal(window_watch_init(&play->watch, play->loop, look), 0);
    for (int i = 0; i < count; i++) {
        play->guests[i].play = play;
        window_watch_add(&play->watch, &play->guests[i].link);
    }
}

static void end(struct play *play)
{
    for (int i = 0; i < GUESTS; i++)
        window_watch_remove(&play->watch, &play->guests[i].link);
    window_watch_fini(&play->watch);
    loop_free(&play->loop);
}

/* Until virtual time has passed so far; at most so many are looked at in each turn. */
static void pass(struct play *play, uint64_t us)
{
    uint64_t until_us = loop_now_us(play->loop) + us;

    do {
        unsigned before = play->looks;

        assert_int_equal(loop_turn(play->loop, until_us - loop_now_us(play->loop)), 0);
        assert_in_range(play->looks - before, 0, MOST_A_TURN);
    } while (loop_now_us(play->loop) < until_us || list_is_linked(&play->watch.round.link));
}

static void test_each_minute(void **state)
{
    static struct play play;

    (void)state;
    begin(&play, 3);
    pass(&play, minute - 1);
    assert_int_equal(play.looks, 0);
    pass(&play, 1);
    assert_int_equal(play.looks, 3);
    pass(&play, 10 * minute);
    for (int i = 0; i < 3; i++)
        assert_int_equal(play.guests[i].looks, 11);
    end(&play);
}

/* At the first change that was told of, and not again for it. */
static void test_at_a_change(void **state)
{
    static struct play play;

    (void)state;
    begin(&play, 2);
    window_watch_note(&play.watch, start + 30 * US_PER_SEC);
    window_watch_note(&play.watch, start + 5 * US_PER_SEC);
    window_watch_note(&play.watch, start + 20 * US_PER_SEC);
    pass(&play, 5 * US_PER_SEC - 1);
    assert_int_equal(play.looks, 0);
    play.guests[1].change_us = start + 20 * US_PER_SEC;
    pass(&play, 1);
    assert_int_equal(play.looks, 2);
    play.guests[1].change_us = 0;
    pass(&play, 15 * US_PER_SEC);
    assert_int_equal(play.looks, 4);
    pass(&play, minute - 1);
    assert_int_equal(play.looks, 4);
    end(&play);
}

/* A thousand at one moment: all of them, in their order, some in each turn of the loop. Who leaves
 * meanwhile, be it the next one, is not looked at. */
static void test_a_crowd(void **state)
{
    static struct play play;

    (void)state;
    begin(&play, GUESTS);
    play.guests[10].leaves = &play.guests[10];
    play.guests[20].leaves = &play.guests[21];
    play.guests[30].leaves = &play.guests[GUESTS - 1];
    window_watch_note(&play.watch, start + 1);
    pass(&play, 1);
    assert_int_equal(play.looks, GUESTS - 2);
    assert_ptr_equal(play.last, &play.guests[GUESTS - 2]);
    pass(&play, minute);
    assert_int_equal(play.guests[10].looks, 1);
    assert_int_equal(play.guests[21].looks, 0);
    assert_int_equal(play.guests[22].looks, 2);
    end(&play);
}

/* With nobody in it nothing is due. */
static void test_nobody(void **state)
{
    static struct play play;

    (void)state;
    begin(&play, 1);
    window_watch_note(&play.watch, start + 1);
    window_watch_remove(&play.watch, &play.guests[0].link);
    assert_int_equal(play.watch.timer.deadline_us, 0);
    pass(&play, minute);
    window_watch_add(&play.watch, &play.guests[0].link);
    pass(&play, minute - 1);
    assert_int_equal(play.looks, 0);
    pass(&play, 1);
    assert_int_equal(play.looks, 1);
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_minute),
        cmocka_unit_test(test_at_a_change),
        cmocka_unit_test(test_a_crowd),
        cmocka_unit_test(test_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
