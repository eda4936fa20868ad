/* alerts/collector: what shares a message, when it goes out, what is only counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "alerts/collector.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"

#define S     US_PER_SEC
#define START (5000 * S)

static int open_collector(void **state)
{
    struct alert_collector *collector = mem_zalloc(1, sizeof(*collector));

    assert_non_null(collector);
    alert_collector_init(collector);
    *state = collector;
    return 0;
}

static int close_collector(void **state)
{
    mem_free(*state);
    return 0;
}

static void add_as(struct alert_collector *collector, enum alert_kind kind, const char *provider,
                   const char *reason, bool is_over, uint64_t now_us)
{
    const struct alert alert = {.kind = kind,
                                .is_over = is_over,
                                .provider = span_from_text(provider),
                                .key = SPAN("key-1"),
                                .reason = span_from_text(reason),
                                .wall_us = now_us};

    alert_collector_add(collector, &alert, now_us);
}

static void add(struct alert_collector *collector, enum alert_kind kind, const char *reason,
                uint64_t now_us)
{
    add_as(collector, kind, "openai", reason, false, now_us);
}

static void end(struct alert_collector *collector, enum alert_kind kind, uint64_t now_us)
{
    add_as(collector, kind, "openai", "", true, now_us);
}

/* The message that is due just then, and not before. */
static struct alert_message *take(struct alert_collector *collector, uint64_t now_us)
{
    struct alert_message *message = NULL;

    assert_true(alert_collector_due_us(collector) <= now_us);
    assert_int_equal(alert_collector_take(collector, now_us, &message), 0);
    assert_int_equal(message->refs, 1);
    return message;
}

static void take_and_drop(struct alert_collector *collector, uint64_t now_us)
{
    struct alert_message *message = take(collector, now_us);

    alert_message_unref(&message);
    assert_null(message);
}

static void assert_silent(const struct alert_collector *collector)
{
    assert_true(alert_collector_due_us(collector) == UINT64_MAX);
}

static void first_at_once_then_collected(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;

    assert_silent(collector);
    assert_int_equal(alert_collector_take(collector, START, &message), ERR_NOTFOUND);
    add(collector, ALERT_ROTATION_FAILED, "no quota", START);
    message = take(collector, START);
    assert_int_equal(message->line_count, 1);
    assert_int_equal(message->total, 1);
    assert_int_equal(message->lines[0].count, 1);
    assert_string_equal(message->lines[0].last.reason, "no quota");
    assert_string_equal(message->lines[0].provider, "openai");
    assert_string_equal(message->lines[0].last.key, "key-1");
    alert_message_unref(&message);
    assert_silent(collector);

    for (unsigned i = 1; i <= 10; i++)
        add(collector, ALERT_ROTATION_FAILED,
            i == 1    ? "one"
            : i == 10 ? "ten"
                      : "some",
            START + i * S);
    assert_true(alert_collector_due_us(collector) == START + 30 * S);
    message = take(collector, START + 30 * S);
    assert_int_equal(message->line_count, 1);
    assert_int_equal(message->lines[0].count, 10);
    assert_string_equal(message->lines[0].first.reason, "one");
    assert_true(message->lines[0].first.wall_us == START + S);
    assert_string_equal(message->lines[0].last.reason, "ten");
    assert_true(message->lines[0].last.wall_us == START + 10 * S);
    alert_message_unref(&message);
    assert_silent(collector);
}

/* A storm of two hours: told ever more rarely, every 10 minutes at last. */
static void windows_grow(void **state)
{
    static const uint64_t told_s[] = {0, 30, 90, 210, 450, 930, 1530, 2130};
    struct alert_collector *collector = *state;
    size_t told = 0;

    for (uint64_t s = 0; s <= 2130; s++) {
        add(collector, ALERT_STORE_UNREACHABLE, "sealed", START + s * S);
        if (alert_collector_due_us(collector) > START + s * S)
            continue;
        assert_true(told < sizeof(told_s) / sizeof(told_s[0]));
        assert_int_equal(s, told_s[told++]);
        take_and_drop(collector, START + s * S);
    }
    assert_int_equal(told, sizeof(told_s) / sizeof(told_s[0]));
}

static void pause_ends_the_storm(void **state)
{
    struct alert_collector *collector = *state;

    add(collector, ALERT_KEY_INVALID, "401", START);
    take_and_drop(collector, START);
    add(collector, ALERT_KEY_INVALID, "401", START + 5 * S);
    take_and_drop(collector, START + 30 * S);
    /* Within the window of a minute, and behind it. */
    add(collector, ALERT_KEY_INVALID, "401", START + 89 * S);
    assert_true(alert_collector_due_us(collector) == START + 90 * S);
    take_and_drop(collector, START + 90 * S);
    add(collector, ALERT_KEY_INVALID, "401", START + 210 * S);
    assert_true(alert_collector_due_us(collector) == START + 210 * S);
    take_and_drop(collector, START + 210 * S);
    add(collector, ALERT_KEY_INVALID, "401", START + 211 * S);
    assert_true(alert_collector_due_us(collector) == START + 240 * S);
}

static void kinds_share_a_message(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;

    add(collector, ALERT_PROMOTED, "", START);
    take_and_drop(collector, START);
    add(collector, ALERT_EXPIRING, "in 3 days", START + 2 * S);
    add(collector, ALERT_ROLLED_BACK, "errors", START + 3 * S);
    add_as(collector, ALERT_ROLLED_BACK, "gemini", "slow", false, START + 4 * S);
    add_as(collector, ALERT_ROLLED_BACK, "gemini", "slow", false, START + 5 * S);
    assert_true(alert_collector_due_us(collector) == START + 30 * S);
    message = take(collector, START + 30 * S);
    assert_int_equal(message->line_count, 3);
    assert_int_equal(message->total, 4);
    /* The worst first, of these the most frequent. */
    assert_string_equal(message->lines[0].provider, "gemini");
    assert_int_equal(message->lines[0].count, 2);
    assert_int_equal(message->lines[1].kind, ALERT_ROLLED_BACK);
    assert_int_equal(message->lines[2].kind, ALERT_EXPIRING);
    alert_message_unref(&message);
}

/* What is worst does not wait, and cannot be made a storm of either. */
static void critical_waits_for_nothing(void **state)
{
    struct alert_collector *collector = *state;

    add(collector, ALERT_PROMOTED, "", START);
    take_and_drop(collector, START);
    add(collector, ALERT_EXPIRING, "", START + 3 * S);
    add(collector, ALERT_KEY_LEAKED, "", START + 5 * S);
    assert_true(alert_collector_due_us(collector) == START + 5 * S);
    take_and_drop(collector, START + 5 * S);
    add_as(collector, ALERT_KEY_LEAKED, "gemini", "", false, START + 5 * S + 10);
    assert_true(alert_collector_due_us(collector) == START + 35 * S);
    take_and_drop(collector, START + 35 * S);
    add_as(collector, ALERT_KEY_LEAKED, "mistral", "", false, START + 35 * S + 10);
    assert_true(alert_collector_due_us(collector) == START + 36 * S);
    take_and_drop(collector, START + 36 * S);
    /* The same again is no news. */
    add_as(collector, ALERT_KEY_LEAKED, "mistral", "", false, START + 40 * S);
    assert_true(alert_collector_due_us(collector) == START + 66 * S);
}

static void end_is_told_once(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;

    end(collector, ALERT_STORE_UNREACHABLE, START);
    assert_silent(collector);
    add(collector, ALERT_STORE_UNREACHABLE, "sealed", START);
    take_and_drop(collector, START);
    for (unsigned i = 0; i < 5; i++)
        end(collector, ALERT_STORE_UNREACHABLE, START + (100 + i) * S);
    assert_true(alert_collector_due_us(collector) == START + 100 * S);
    message = take(collector, START + 104 * S);
    assert_int_equal(message->line_count, 1);
    assert_true(message->lines[0].is_over);
    assert_int_equal(message->lines[0].count, 0);
    assert_int_equal(message->total, 1);
    alert_message_unref(&message);
    end(collector, ALERT_STORE_UNREACHABLE, START + 200 * S);
    assert_silent(collector);
    /* It is no matter of kinds that do not last. */
    add(collector, ALERT_PROMOTED, "", START + 300 * S);
    take_and_drop(collector, START + 300 * S);
    end(collector, ALERT_PROMOTED, START + 301 * S);
    assert_silent(collector);
}

/* After a long storm its end is told soon, and a new one too. */
static void end_of_a_storm_is_prompt(void **state)
{
    struct alert_collector *collector = *state;

    for (uint64_t s = 0; s <= 3600; s++) {
        add(collector, ALERT_STORE_UNREACHABLE, "sealed", START + s * S);
        if (alert_collector_due_us(collector) <= START + s * S)
            take_and_drop(collector, START + s * S);
    }
    end(collector, ALERT_STORE_UNREACHABLE, START + 3601 * S);
    assert_true(alert_collector_due_us(collector) == START + 3601 * S);
    take_and_drop(collector, START + 3601 * S);
    add(collector, ALERT_STORE_UNREACHABLE, "sealed", START + 3640 * S);
    assert_true(alert_collector_due_us(collector) == START + 3640 * S);
}

/* A store that comes and goes every second for an hour is a storm too. */
static void flapping_is_a_storm(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;
    uint64_t told = 0, total = 0;

    for (uint64_t s = 0; s < 3600; s++) {
        if (s % 2)
            end(collector, ALERT_STORE_UNREACHABLE, START + s * S);
        else
            add(collector, ALERT_STORE_UNREACHABLE, "sealed", START + s * S);
        if (alert_collector_due_us(collector) > START + s * S)
            continue;
        message = take(collector, START + s * S);
        told++;
        total += message->total;
        alert_message_unref(&message);
    }
    assert_in_range(told, 2, 20);
    message = take(collector, START + 4300 * S);
    assert_true(message->lines[0].is_over);
    assert_int_equal(total + message->total, 3600);
    alert_message_unref(&message);
    assert_silent(collector);
}

static void lines_are_bounded(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;
    char provider[32];

    add(collector, ALERT_PROMOTED, "", START);
    take_and_drop(collector, START);
    for (unsigned i = 0; i < 154; i++) {
        /* 24 groups; the first 20 have 7 or more each. */
        snprintf(provider, sizeof(provider), "p-%02u", i < 150 ? i % 20 : i - 130);
        add_as(collector, ALERT_KEY_INVALID, provider, "", false, START + S);
    }
    message = take(collector, START + 30 * S);
    assert_int_equal(message->line_count, ALERT_LINES_MAX);
    assert_int_equal(message->total, 154);
    assert_int_equal(message->more, 4);
    assert_string_equal(message->lines[0].provider, "p-00");
    assert_int_equal(message->lines[0].count, 8);
    assert_int_equal(message->lines[19].count, 7);
    alert_message_unref(&message);
}

/* More groups than there is room for are a number. */
static void groups_are_bounded(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;
    char provider[32];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(provider, sizeof(provider), "p-%03u", i);
        add_as(collector, ALERT_KEY_INVALID, provider, "", false, START);
    }
    message = take(collector, START);
    assert_int_equal(message->line_count, ALERT_LINES_MAX);
    assert_int_equal(message->total, 1000);
    assert_int_equal(message->more, 1000 - ALERT_LINES_MAX);
    alert_message_unref(&message);
    assert_silent(collector);
    /* Their places are free for others. */
    add_as(collector, ALERT_KEY_INVALID, "new", "", false, START + S);
    message = take(collector, START + 30 * S);
    assert_string_equal(message->lines[0].provider, "new");
    alert_message_unref(&message);
}

/* Nothing but surplus can stand there, where all groups last. */
static void surplus_is_told(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;
    char provider[32];

    for (unsigned i = 0; i < ALERT_GROUPS_MAX; i++) {
        snprintf(provider, sizeof(provider), "p-%03u", i);
        add_as(collector, ALERT_STORE_UNREACHABLE, provider, "", false, START);
    }
    take_and_drop(collector, START);
    add(collector, ALERT_KEY_INVALID, "", START + S);
    assert_true(alert_collector_due_us(collector) == START + 30 * S);
    message = take(collector, START + 30 * S);
    assert_int_equal(message->line_count, 0);
    assert_int_equal(message->more, 1);
    assert_int_equal(message->total, 1);
    alert_message_unref(&message);
    add_as(collector, ALERT_STORE_UNREACHABLE, "p-007", "", true, START + 31 * S);
    message = take(collector, START + 60 * S);
    assert_string_equal(message->lines[0].provider, "p-007");
    assert_true(message->lines[0].is_over);
    alert_message_unref(&message);
}

static void texts_are_cut_and_on_one_line(void **state)
{
    struct alert_collector *collector = *state;
    struct alert_message *message;
    char reason[ALERT_REASON_BYTES + 100], provider[ALERT_NAME_BYTES + 100];

    memset(provider, 'p', sizeof(provider));
    provider[sizeof(provider) - 1] = '\0';
    memset(reason, '.', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    reason[3] = '\n';
    reason[4] = '\x7f';
    /* Two bytes, of which one would fit. */
    memcpy(reason + ALERT_REASON_BYTES - 2, "\xc3\xa9", 2);
    add_as(collector, ALERT_ROTATION_FAILED, provider, reason, false, START);
    add_as(collector, ALERT_ROTATION_FAILED, provider, reason, false, START);
    message = take(collector, START);
    assert_int_equal(message->line_count, 1);
    assert_int_equal(strlen(message->lines[0].provider), ALERT_NAME_BYTES - 1);
    assert_int_equal(strlen(message->lines[0].last.reason), ALERT_REASON_BYTES - 2);
    assert_memory_equal(message->lines[0].last.reason, "...  ...", 8);
    alert_message_unref(&message);
}

/* ---- storms ---- */

struct storm {
    struct alert_collector *collector;
    struct rand rand;
    uint64_t added, told, messages;
    uint64_t told_us[2]; /* the last two messages */
    bool has_ends;
    bool is_down[3]; /* the stores of so many providers, as it was added last */
};

static void storm_tell(struct storm *storm, uint64_t now_us)
{
    struct alert_message *message = take(storm->collector, now_us);
    uint64_t sum = message->more;

    assert_in_range(message->line_count, 0, ALERT_LINES_MAX);
    for (size_t i = 0; i < message->line_count; i++) {
        const struct alert_line *line = &message->lines[i];

        assert_true(line->count + line->overs > 0);
        assert_true(line->first.wall_us <= line->last.wall_us);
        sum += line->count + line->overs;
        if (line->kind == ALERT_STORE_UNREACHABLE && line->provider[1] < '3' &&
            !line->provider[2] && storm->has_ends)
            assert_int_equal(line->is_over, !storm->is_down[line->provider[1] - '0']);
    }
    assert_true(sum == message->total);
    /* At most two in any 30 s. */
    if (storm->messages > 0)
        assert_true(now_us >= storm->told_us[0] + S);
    if (storm->messages > 1)
        assert_true(now_us >= storm->told_us[1] + 30 * S);
    storm->told_us[1] = storm->told_us[0];
    storm->told_us[0] = now_us;
    storm->told += message->total;
    storm->messages++;
    alert_message_unref(&message);
}

static void storm_add(struct storm *storm, unsigned providers, uint64_t now_us)
{
    enum alert_kind kind = (enum alert_kind)rand_below(&storm->rand, ALERT_KINDS);
    uint64_t index = rand_below(&storm->rand, providers);
    bool is_over = storm->has_ends && rand_below(&storm->rand, 3) == 0 && index < 3 &&
                   kind == ALERT_STORE_UNREACHABLE;
    char provider[32];

    snprintf(provider, sizeof(provider), "p%llu", (unsigned long long)index);
    add_as(storm->collector, kind, provider, "some reason", is_over, now_us);
    storm->added += !is_over || storm->is_down[index];
    if (kind == ALERT_STORE_UNREACHABLE && index < 3)
        storm->is_down[index] = !is_over;
}

/* So many alerts within so long, then quiet until all is told. */
static void play_storm(struct storm *storm, unsigned alerts, uint64_t span_us, unsigned providers)
{
    uint64_t now_us = START, last_us, due_us;

    /* Where every group has its place: the end of what has none is told to nobody. */
    storm->has_ends = providers * ALERT_KINDS <= ALERT_GROUPS_MAX;

    for (unsigned i = 0; i < alerts; i++) {
        last_us = now_us;
        now_us += rand_below(&storm->rand, 2 * span_us / alerts + 1);
        while ((due_us = alert_collector_due_us(storm->collector)) <= now_us)
            storm_tell(storm, due_us > last_us ? due_us : last_us);
        storm_add(storm, providers, now_us);
    }
    while ((due_us = alert_collector_due_us(storm->collector)) != UINT64_MAX)
        storm_tell(storm, due_us > now_us ? due_us : now_us);
    assert_true(storm->told == storm->added);
}

static void storms(void **state)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct storm storm = {.collector = *state};

        alert_collector_init(storm.collector);
        rand_init(&storm.rand, seed);
        play_storm(&storm, 1000, S, 1 + (unsigned)rand_below(&storm.rand, 100));
        /* At once, soon for what is critical, and the rest. */
        assert_in_range(storm.messages, 2, 4);
    }
}

static void long_storms(void **state)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct storm storm = {.collector = *state};

        alert_collector_init(storm.collector);
        rand_init(&storm.rand, seed);
        play_storm(&storm, 4000, 7200 * S, 1 + (unsigned)rand_below(&storm.rand, 8));
        assert_in_range(storm.messages, 10, 480);
    }
}

int main(void)
{
#define PLAY(test) cmocka_unit_test_setup_teardown(test, open_collector, close_collector)
    const struct CMUnitTest tests[] = {
        PLAY(first_at_once_then_collected),
        PLAY(windows_grow),
        PLAY(pause_ends_the_storm),
        PLAY(kinds_share_a_message),
        PLAY(critical_waits_for_nothing),
        PLAY(end_is_told_once),
        PLAY(end_of_a_storm_is_prompt),
        PLAY(flapping_is_a_storm),
        PLAY(lines_are_bounded),
        PLAY(groups_are_bounded),
        PLAY(surplus_is_told),
        PLAY(texts_are_cut_and_on_one_line),
        PLAY(storms),
        PLAY(long_storms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
