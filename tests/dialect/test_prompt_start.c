/* How a conversation begins: the same in each of its turns, another in another conversation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/prompt_start.h"

/* The parts of the text that were found, one behind the other, fed in two pieces. */
static const char *found(const char *text, char room[4096])
{
    size_t len = strlen(text), at = 0;
    struct prompt_start start;

    for (size_t cut = 0; cut <= len; cut++) {
        struct span pieces[] = {span_of(text, cut), span_of(text + cut, len - cut)};

        prompt_start_find(pieces, 2, &start);
        at = 0;
        for (size_t i = 0; i < start.count; i++) {
            size_t part = (size_t)(start.ranges[i].end - start.ranges[i].start);

            assert_true(start.ranges[i].end <= len && at + part < 4096);
            memcpy(room + at, text + start.ranges[i].start, part);
            at += part;
        }
        room[at] = '\0';
    }
    return room;
}

static void expect(const char *text, const char *wanted)
{
    char room[4096];

    assert_string_equal(found(text, room), wanted);
}

static void test_all_up_to_the_first_message_of_the_user(void **state)
{
    expect("{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be short\"},"
           "{\"role\":\"user\",\"content\":\"hi\"}]}",
           "[{\"role\":\"system\",\"content\":\"be short\"},{\"role\":\"user\",\"content\":\"hi\"");
    expect("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
           "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]}",
           "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]");
}

static void test_a_later_turn_begins_as_the_first_did(void **state)
{
    char first[4096], later[4096];

    found("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}", first);
    found("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
          "\"content\":\"yes\"},{\"role\":\"user\",\"content\":\"more\"}]}",
          later);
    assert_string_equal(first, later);
}

static void test_every_form(void **state)
{
    expect("{\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
           "\"S\"[{\"role\":\"user\",\"content\":\"hi\"");
    expect("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"system\":[{\"text\":\"S\"}]}",
           "[{\"text\":\"S\"}][{\"role\":\"user\",\"content\":\"hi\"");
    expect("{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]},{\"role\":\"model\",\"parts\":[]}],"
           "\"systemInstruction\":{\"parts\":[]}}",
           "{\"parts\":[]}[{\"parts\":[{\"text\":\"hi\"}]");
    expect("{\"system_instruction\":{\"parts\":[]},\"contents\":[{\"parts\":[]}]}",
           "{\"parts\":[]}[{\"parts\":[]");
    expect("{\"instructions\":\"I\",\"input\":[{\"type\":\"reasoning\"},"
           "{\"role\":\"user\",\"content\":\"hi\"},{\"type\":\"function_call\"}]}",
           "\"I\"[{\"type\":\"reasoning\"},{\"role\":\"user\",\"content\":\"hi\"");
    expect("{\"instructions\":null,\"input\":\"hi\"}", "\"hi\"");
    expect("{\"prompt\":\"hi\"}", "\"hi\"");
    expect("{\"prompt\":[\"a\",\"b\"]}", "[\"a\",\"b\"]");
    expect("{\"contents\":{\"parts\":[]}}", "{\"parts\":[]}");
}

static void test_none(void **state)
{
    expect("{}", "");
    expect("{\"model\":\"m\",\"prompt\":null}", "");
    expect("", "");
}

static void test_long_texts_and_lists_are_cut(void **state)
{
    static char text[3 * PROMPT_START_BYTES];
    struct prompt_start start;
    struct span piece;

    memset(text, 'a', sizeof(text));
    memcpy(text, "{\"prompt\":\"", 11);
    piece = span_of(text, sizeof(text));
    prompt_start_find(&piece, 1, &start);
    assert_int_equal(start.count, 1);
    assert_int_equal(start.ranges[0].end - start.ranges[0].start, PROMPT_TEXT_BYTES);

    memcpy(text, "{\"messages\":[{\"role\":\"user\",\"content\":\"", 39);
    prompt_start_find(&piece, 1, &start);
    assert_int_equal(start.count, 1);
    assert_int_equal(start.ranges[0].end, PROMPT_START_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_up_to_the_first_message_of_the_user),
        cmocka_unit_test(test_a_later_turn_begins_as_the_first_did),
        cmocka_unit_test(test_every_form),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_long_texts_and_lists_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
