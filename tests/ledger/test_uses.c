/* What a worker notes, and the control thread collects. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"
#include "ledger/uses.h"

struct told {
    char text[4096];
    size_t len, names;
    struct use whole;
};

static void tell(void *owner, const struct use_of *of, const struct use *use)
{
    struct told *told = owner;

    told->names++;
    use_add(&told->whole, use);
    if (told->len < sizeof(told->text) - 200)
        told->len += (size_t)snprintf(told->text + told->len, sizeof(told->text) - told->len,
                                      "%.*s|%.*s|%.*s|%.*s:%llu/%llu ", SPAN_ARG(of->client),
                                      SPAN_ARG(of->model), SPAN_ARG(of->provider),
                                      SPAN_ARG(of->key), (unsigned long long)use->requests,
                                      (unsigned long long)use->cost_nanousd);
}

static void note(struct uses *uses, const char *client, const char *key, uint64_t nanousd)
{
    const struct use_of of = {span_from_text(client), SPAN("m"), SPAN("up"), span_from_text(key)};
    const struct use use = {.requests = 1, .cost_nanousd = nanousd};

    uses_note(uses, &of, &use);
}

static void expect(struct uses *uses, const char *text)
{
    struct told told = {.len = 0};

    uses_collect(uses, tell, &told);
    assert_string_equal(told.text, text);
}

static void each_is_told_once(void **state)
{
    struct uses *uses = uses_new();

    assert_non_null(uses);
    assert_false(uses_has_more(uses));
    note(uses, "web", "one", 5);
    note(uses, "web", "two", 1);
    note(uses, "web", "one", 7);
    note(uses, "app", "", 2);
    assert_true(uses_has_more(uses));
    expect(uses, ""); /* not handed over */
    uses_hand_over(uses);
    assert_false(uses_has_more(uses));
    note(uses, "web", "one", 100);
    uses_hand_over(uses); /* the page before was not collected: this one stays */
    assert_true(uses_has_more(uses));
    expect(uses, "web|m|up|one:2/12 web|m|up|two:1/1 app|m|up|:1/2 ");
    expect(uses, "");
    uses_hand_over(uses);
    expect(uses, "web|m|up|one:1/100 ");
    uses_hand_over(uses);
    expect(uses, "");
    uses_free(&uses);
    assert_null(uses);
    uses_free(&uses);
}

static void what_finds_no_room_is_of_nobody(void **state)
{
    struct uses *uses = uses_new();
    struct told told = {.len = 0};
    static char long_name[USES_NAME_BYTES + 1];
    char key[16];

    assert_non_null(uses);
    memset(long_name, 'x', USES_NAME_BYTES);
    note(uses, long_name, "one", 1);
    uses_hand_over(uses);
    expect(uses, "other|other|other|other:1/1 ");
    for (int i = 0; i < USES_MAX + 10; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        note(uses, "web", key, 1);
    }
    note(uses, "web", "k7", 1);
    uses_hand_over(uses);
    uses_collect(uses, tell, &told);
    assert_int_equal(told.names, USES_MAX + 1);
    assert_int_equal(told.whole.requests, USES_MAX + 11);
    assert_int_equal(told.whole.cost_nanousd, USES_MAX + 11);
    uses_free(&uses);
}

/* Not collected at the end: freed all the same. */
static void the_end_forgets(void **state)
{
    struct uses *uses = uses_new();

    assert_non_null(uses);
    note(uses, "web", "one", 1);
    uses_hand_over(uses);
    note(uses, "web", "two", 1);
    uses_free(&uses);
}

static void sums_stand_still_at_their_most(void **state)
{
    struct use sum = {.requests = USE_MOST - 1}, more = {.requests = 5, .input_tokens = UINT64_MAX};

    use_add(&sum, &more);
    use_add(&sum, &more);
    assert_true(sum.requests == USE_MOST && sum.input_tokens == USE_MOST && sum.unpriced == 0);
}

enum { NOTES = 200000 };

static atomic_bool has_ended;

static void *work(void *arg)
{
    char key[16];

    for (int i = 0; i < NOTES; i++) {
        snprintf(key, sizeof(key), "k%d", i % 50);
        note(arg, "web", key, 3);
        if (i % 100 == 0)
            uses_hand_over(arg);
    }
    atomic_store(&has_ended, true);
    return NULL;
}

static void two_threads(void **state)
{
    struct uses *uses = uses_new();
    static struct told told;
    pthread_t thread;

    assert_non_null(uses);
    assert_int_equal(pthread_create(&thread, NULL, work, uses), 0);
    while (!atomic_load(&has_ended))
        uses_collect(uses, tell, &told);
    pthread_join(thread, NULL);
    uses_collect(uses, tell, &told);
    uses_hand_over(uses);
    uses_collect(uses, tell, &told);
    assert_int_equal(told.whole.requests, NOTES);
    assert_int_equal(told.whole.cost_nanousd, 3 * NOTES);
    uses_free(&uses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_once), cmocka_unit_test(what_finds_no_room_is_of_nobody),
        cmocka_unit_test(the_end_forgets),   cmocka_unit_test(sums_stand_still_at_their_most),
        cmocka_unit_test(two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
