/* Records by name: who is there stays, who is not is swept out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/roll.h"

struct guest {
    struct roll_record record;
    int visits;
};

static struct roll roll;
static char dropped[64];

static void on_drop(struct roll *of, struct roll_record *record)
{
    assert_ptr_equal(of, &roll);
    snprintf(dropped + strlen(dropped), sizeof(dropped) - strlen(dropped), "%.*s ",
             SPAN_ARG(record->name));
}

static int open_roll(void **state)
{
    dropped[0] = '\0';
    roll_init(&roll, sizeof(struct guest), 3, on_drop);
    return 0;
}

static int close_roll(void **state)
{
    roll_fini(&roll);
    return 0;
}

static struct guest *visit(const char *name)
{
    struct guest *guest = roll_find_or_add(&roll, span_from_text(name));

    if (guest) {
        guest->record.is_there = true;
        guest->visits++;
    }
    return guest;
}

/* All names in order, with their visits. */
static void expect(const char *text)
{
    struct guest *guest = NULL;
    char shown[128] = "";
    size_t len = 0;

    while ((guest = roll_next(&roll, guest ? &guest->record : NULL)))
        len += (size_t)snprintf(shown + len, sizeof(shown) - len, "%.*s:%d ",
                                SPAN_ARG(guest->record.name), guest->visits);
    assert_string_equal(shown, text);
}

static void names_are_found_again(void **state)
{
    char name[] = "ann";

    expect("");
    assert_null(roll_find(&roll, SPAN("ann")));
    assert_non_null(visit(name));
    name[0] = 'x'; /* it is copied */
    assert_ptr_equal(visit("ann"), roll_find(&roll, SPAN("ann")));
    visit("bob");
    visit("");
    expect("ann:2 bob:1 :1 ");
    assert_int_equal(roll_count(&roll), 3);
}

static void a_full_roll_takes_nobody(void **state)
{
    visit("ann");
    visit("bob");
    visit("cid");
    assert_null(visit("dan"));
    assert_non_null(visit("bob"));
    expect("ann:1 bob:2 cid:1 ");
}

static void who_is_not_there_is_swept(void **state)
{
    visit("ann");
    visit("bob");
    visit("cid");
    roll_sweep(&roll);
    assert_string_equal(dropped, "");
    visit("bob");
    roll_sweep(&roll);
    assert_string_equal(dropped, "ann cid ");
    expect("bob:2 ");
    visit("ann");
    expect("bob:2 ann:1 ");
    roll_drop(&roll, roll_find(&roll, SPAN("bob")));
    expect("ann:1 ");
    roll_sweep(&roll);
    roll_sweep(&roll);
    expect("");
    assert_string_equal(dropped, "ann cid bob ann ");
}

static void the_end_drops_all(void **state)
{
    visit("ann");
    visit("bob");
    roll_fini(&roll);
    assert_string_equal(dropped, "ann bob ");
    memset(&roll, 0, sizeof(roll));
    roll_fini(&roll);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_found_again, open_roll, close_roll),
        cmocka_unit_test_setup_teardown(a_full_roll_takes_nobody, open_roll, close_roll),
        cmocka_unit_test_setup_teardown(who_is_not_there_is_swept, open_roll, close_roll),
        cmocka_unit_test_setup_teardown(the_end_drops_all, open_roll, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
