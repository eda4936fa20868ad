/* alerts/journal: what is noted on any thread is told in order, by its number, as long as it is
 * kept. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "alerts/journal.h"

static void note(struct journal *journal, enum event_kind kind, const char *key)
{
    const struct happening happening = {.kind = kind,
                                        .provider = SPAN("p"),
                                        .key = span_from_text(key),
                                        .state = SPAN("open"),
                                        .wall_us = 7};

    journal_note(journal, &happening);
}

static void in_order_from_any_number(void **state)
{
    struct journal *journal = journal_new(8, 1000);
    struct journal_record record;
    int64_t missed;

    (void)state;
    assert_int_equal(journal_last(journal), 1000);
    assert_false(journal_next(journal, 1000, &record, &missed));
    note(journal, EVENT_BREAKER, "a");
    note(journal, EVENT_KEY_STATE, "b");
    assert_int_equal(journal_last(journal), 1002);
    assert_true(journal_next(journal, 1000, &record, &missed));
    assert_int_equal(record.id, 1001);
    assert_int_equal(record.kind, EVENT_BREAKER);
    assert_string_equal(record.key, "a");
    assert_string_equal(record.state, "open");
    assert_string_equal(record.reason, "");
    assert_int_equal(missed, 0);
    assert_true(journal_next(journal, 1001, &record, &missed));
    assert_string_equal(record.key, "b");
    assert_false(journal_next(journal, 1002, &record, &missed));
    journal_free(&journal);
}

static void who_is_late_is_told_how_late(void **state)
{
    struct journal *journal = journal_new(4, 1000);
    struct journal_record record;
    int64_t missed;

    (void)state;
    for (int i = 0; i < 10; i++)
        note(journal, EVENT_BREAKER, "a");
    assert_true(journal_next(journal, 1002, &record, &missed));
    assert_int_equal(record.id, 1007);
    assert_int_equal(missed, 4);
    assert_true(journal_next(journal, 1006, &record, &missed));
    assert_int_equal(record.id, 1007);
    assert_int_equal(missed, 0);
    journal_free(&journal);
}

/* A number of an earlier process, or of none: all that there is, and nobody knows what is missing.
 */
static void foreign_numbers(void **state)
{
    static const uint64_t numbers[] = {0, 999, 1003, UINT64_MAX};
    struct journal *journal = journal_new(4, 1000);
    struct journal_record record;
    int64_t missed;

    (void)state;
    assert_false(journal_next(journal, 0, &record, &missed));
    note(journal, EVENT_BREAKER, "a");
    note(journal, EVENT_BREAKER, "b");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_true(journal_next(journal, numbers[i], &record, &missed));
        assert_int_equal(record.id, 1001);
        assert_int_equal(missed, JOURNAL_MISSED_UNKNOWN);
    }
    journal_free(&journal);
}

static void long_texts_are_cut_and_lines_stay_whole(void **state)
{
    struct journal *journal = journal_new(4, 0);
    struct happening happening = {.kind = EVENT_ROLLBACK, .key = SPAN("a\nb")};
    struct journal_record record;
    char text[1000];
    int64_t missed;

    (void)state;
    memset(text, 'x', sizeof(text));
    happening.provider = happening.endpoint = happening.reason = span_of(text, sizeof(text));
    journal_note(journal, &happening);
    assert_true(journal_next(journal, 0, &record, &missed));
    assert_string_equal(record.key, "a b");
    assert_int_equal(strlen(record.provider), ALERT_NAME_BYTES - 1);
    assert_int_equal(strlen(record.endpoint), JOURNAL_URL_BYTES - 1);
    assert_int_equal(strlen(record.reason), ALERT_REASON_BYTES - 1);
    journal_free(&journal);
    journal_note(NULL, &happening); /* nobody keeps one */
    journal_free(&journal);
}

/* ---- threads ---- */

enum { WRITERS = 4, NOTES = 5000 };

static void *write_many(void *owner)
{
    for (int i = 0; i < NOTES; i++)
        note(owner, EVENT_KEY_STATE, "k");
    return NULL;
}

struct listener {
    struct journal *journal;
    struct loop *loop;
    uint64_t seen, told, missed;
    unsigned calls;
};

static void on_news(void *owner)
{
    struct listener *listener = owner;
    struct journal_record record;
    int64_t missed;

    listener->calls++;
    while (journal_next(listener->journal, listener->seen, &record, &missed)) {
        assert_true(record.id == listener->seen + 1 + (uint64_t)missed);
        assert_string_equal(record.key, "k");
        listener->seen = record.id;
        listener->told++;
        listener->missed += (uint64_t)missed;
    }
}

static void each_is_told_or_counted_as_missed(void **state)
{
    struct listener listener = {.journal = journal_new(64, 0), .loop = loop_new()};
    pthread_t threads[WRITERS];

    (void)state;
    journal_listen(listener.journal, listener.loop, on_news, &listener);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, listener.journal), 0);
    while (listener.told + listener.missed < WRITERS * NOTES)
        assert_int_equal(loop_turn(listener.loop, 1000000), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(listener.told + listener.missed, WRITERS * NOTES);
    assert_true(listener.calls >= 1);
    journal_listen(listener.journal, listener.loop, NULL, NULL);
    note(listener.journal, EVENT_BREAKER, "k");
    loop_turn(listener.loop, 0);
    assert_int_equal(listener.told + listener.missed, WRITERS * NOTES);
    loop_free(&listener.loop);
    journal_free(&listener.journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_from_any_number),
        cmocka_unit_test(who_is_late_is_told_how_late),
        cmocka_unit_test(foreign_numbers),
        cmocka_unit_test(long_texts_are_cut_and_lines_stay_whole),
        cmocka_unit_test(each_is_told_or_counted_as_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
