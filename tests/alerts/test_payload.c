/* alerts/payload: what Slack and JSON webhooks are sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "alerts/payload.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rand.h"

/* 2026-11-20T10:15:00Z */
#define AT UINT64_C(1795169700)
#define S  US_PER_SEC

struct play {
    struct alert_message *message;
    struct buf out;
};

static int open_play(void **state)
{
    struct play *play = mem_zalloc(1, sizeof(*play));

    assert_non_null(play);
    play->message =
        mem_zalloc(1, sizeof(*play->message) + ALERT_LINES_MAX * sizeof(struct alert_line));
    assert_non_null(play->message);
    buf_init(&play->out, ALERT_PAYLOAD_MAX_BYTES);
    *state = play;
    return 0;
}

static int close_play(void **state)
{
    struct play *play = *state;

    buf_fini(&play->out);
    mem_free(play->message);
    mem_free(play);
    return 0;
}

static void moment(struct alert_moment *moment, const char *key, const char *reason,
                   uint64_t seconds)
{
    snprintf(moment->key, sizeof(moment->key), "%s", key);
    snprintf(moment->reason, sizeof(moment->reason), "%s", reason);
    moment->wall_us = (AT + seconds) * S;
}

static struct alert_line *line(struct play *play, enum alert_kind kind, const char *provider,
                               uint64_t count)
{
    struct alert_line *line = &play->message->lines[play->message->line_count++];

    line->kind = kind;
    line->count = count;
    play->message->total += count;
    snprintf(line->provider, sizeof(line->provider), "%s", provider);
    return line;
}

static const struct alert_sender sender = {
    .instance = SPAN_INIT("gw-1"), .wall_us = (AT + 60) * S, .missed = 0};

static void assert_slack(struct play *play, const struct alert_sender *from, const char *body)
{
    buf_clear(&play->out);
    assert_int_equal(alert_write_slack(&play->out, play->message, from), 0);
    assert_string_equal(buf_text(&play->out), body);
}

static void assert_json(struct play *play, const struct alert_sender *from, const char *body)
{
    buf_clear(&play->out);
    assert_int_equal(alert_write_json(&play->out, play->message, from), 0);
    assert_string_equal(buf_text(&play->out), body);
}

static void one_alert(void **state)
{
    struct play *play = *state;
    struct alert_line *one = line(play, ALERT_KEY_INVALID, "openai", 1);

    moment(&one->first, "openai-2", "HTTP 401", 0);
    one->last = one->first;
    assert_slack(play, &sender,
                 "{\"text\":\"Bellwether gw-1: 1 alert\\n"
                 "ERROR key_invalid (openai): the provider refuses a key that used to work: "
                 "openai-2: HTTP 401\"}");
    assert_json(play, &sender,
                "{\"instance\":\"gw-1\",\"sent_at\":\"2026-11-20T10:16:00.000Z\",\"alerts\":["
                "{\"kind\":\"key_invalid\",\"severity\":\"error\",\"state\":\"firing\","
                "\"text\":\"the provider refuses a key that used to work\","
                "\"provider\":\"openai\",\"key\":\"openai-2\",\"reason\":\"HTTP 401\","
                "\"at\":\"2026-11-20T10:15:00.000Z\",\"count\":1}],\"more\":0,\"missed\":0}");
}

/* Neither provider, key, reason nor instance. */
static void bare_alert(void **state)
{
    static const struct alert_sender nobody = {.wall_us = AT * S};
    struct play *play = *state;

    moment(&line(play, ALERT_OVERHEAD_HIGH, "", 1)->last, "", "", 0);
    assert_slack(play, &nobody,
                 "{\"text\":\"Bellwether: 1 alert\\n"
                 "WARNING overhead_high: the gateway itself adds more time than it should\"}");
    assert_json(play, &nobody,
                "{\"instance\":null,\"sent_at\":\"2026-11-20T10:15:00.000Z\",\"alerts\":["
                "{\"kind\":\"overhead_high\",\"severity\":\"warning\",\"state\":\"firing\","
                "\"text\":\"the gateway itself adds more time than it should\","
                "\"provider\":null,\"key\":null,\"reason\":null,"
                "\"at\":\"2026-11-20T10:15:00.000Z\",\"count\":1}],\"more\":0,\"missed\":0}");
}

static void many_alerts(void **state)
{
    struct play *play = *state;
    struct alert_sender from = sender;
    struct alert_line *many = line(play, ALERT_KEY_INVALID, "openai", 37);
    struct alert_line *same = line(play, ALERT_STORE_UNREACHABLE, "openai", 2);
    struct alert_line *over = line(play, ALERT_ISSUER_UNREACHABLE, "gemini", 0);
    struct alert_line *back = line(play, ALERT_CANARY_ERRORS, "gemini", 3);

    moment(&many->first, "openai-1", "HTTP 401", 0);
    moment(&many->last, "openai-9", "HTTP 403", 90);
    moment(&same->first, "", "sealed", 1);
    moment(&same->last, "", "sealed", 2);
    over->is_over = back->is_over = true;
    over->overs = back->overs = 1;
    moment(&over->first, "", "", 5);
    over->last = over->first;
    moment(&back->first, "", "7%", 5);
    moment(&back->last, "", "", 65);
    play->message->total += 136;
    play->message->more = 134;
    from.missed = 12;
    assert_slack(play, &from,
                 "{\"text\":\"Bellwether gw-1: 178 alerts\\n"
                 "ERROR key_invalid (openai): the provider refuses a key that used to work, "
                 "37 times from 10:15:00 to 10:16:30 UTC; "
                 "first: openai-1: HTTP 401; last: openai-9: HTTP 403\\n"
                 "ERROR store_unreachable (openai): the secret store cannot be reached, "
                 "2 times from 10:15:01 to 10:15:02 UTC: sealed\\n"
                 "OVER issuer_unreachable (gemini): the issuer of keys can be reached again\\n"
                 "OVER canary_errors (gemini): the new key on trial fails no more than it may, "
                 "after 3 alerts from 10:15:05 to 10:16:05 UTC; first: 7%\\n"
                 "and 134 more\\n12 earlier alerts could not be sent here\"}");
    buf_clear(&play->out);
    assert_int_equal(alert_write_json(&play->out, play->message, &from), 0);
    assert_non_null(strstr(buf_text(&play->out),
                           "\"provider\":\"openai\",\"key\":\"openai-9\",\"reason\":\"HTTP 403\","
                           "\"at\":\"2026-11-20T10:16:30.000Z\",\"count\":37,\"first\":{"
                           "\"key\":\"openai-1\",\"reason\":\"HTTP 401\","
                           "\"at\":\"2026-11-20T10:15:00.000Z\"}}"));
    assert_non_null(strstr(buf_text(&play->out), "\"severity\":\"error\",\"state\":\"over\","
                                                 "\"text\":\"the issuer of keys can be"));
    assert_non_null(strstr(buf_text(&play->out), "\"more\":134,\"missed\":12}"));
}

/* Nothing becomes a link, a mention of a channel, or a piece of JSON. */
static void escaped(void **state)
{
    struct play *play = *state;
    struct alert_line *one = line(play, ALERT_ROTATION_FAILED, "a&b", 1);

    moment(&one->first, "", "<!channel> said \"no\" \\ & <https://example.com|left>", 0);
    one->last = one->first;
    assert_slack(play, &sender,
                 "{\"text\":\"Bellwether gw-1: 1 alert\\n"
                 "ERROR rotation_failed (a&amp;b): a rotation failed: &lt;!channel&gt; said "
                 "\\\"no\\\" \\\\ &amp; &lt;https://example.com|left&gt;\"}");
    buf_clear(&play->out);
    assert_int_equal(alert_write_json(&play->out, play->message, &sender), 0);
    assert_non_null(strstr(buf_text(&play->out), "\"reason\":\"<!channel> said \\\"no\\\""));
}

/* ---- any message ---- */

/* Characters of all lengths, and those that are escaped. */
static void random_text(struct rand *rand, char *out, size_t cap)
{
    static const char *const pieces[] = {
        "a", "&", "<", ">", "\"", "\\", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91"};
    size_t want = rand_below(rand, cap), at = 0;

    for (;;) {
        const char *piece = pieces[rand_below(rand, sizeof(pieces) / sizeof(pieces[0]))];
        size_t len = strlen(piece);

        if (at + len > want)
            break;
        memcpy(out + at, piece, len);
        at += len;
    }
    out[at] = '\0';
}

static void random_message(struct play *play, struct rand *rand)
{
    size_t lines = 1 + rand_below(rand, ALERT_LINES_MAX);

    play->message->line_count = 0;
    for (size_t i = 0; i < lines; i++) {
        struct alert_line *next = line(play, (enum alert_kind)rand_below(rand, ALERT_KINDS), "",
                                       rand_u64(rand) >> rand_below(rand, 64));

        random_text(rand, next->provider, sizeof(next->provider));
        random_text(rand, next->first.key, sizeof(next->first.key));
        random_text(rand, next->first.reason, sizeof(next->first.reason));
        random_text(rand, next->last.key, sizeof(next->last.key));
        random_text(rand, next->last.reason, sizeof(next->last.reason));
        next->overs = rand_below(rand, 3);
        next->is_over = next->overs && rand_below(rand, 2);
    }
    play->message->more = rand_u64(rand);
    play->message->total = rand_u64(rand);
}

/* As Slack reads it: whole entities, no bare < or >, and whole characters. */
static void check_slack(const struct play *play)
{
    yyjson_doc *doc = yyjson_read(play->out.data, play->out.len, 0);
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "text"));
    size_t lines = 1;

    assert_non_null(text);
    assert_in_range(strlen(text), 1, ALERT_SLACK_TEXT_BYTES);
    assert_null(strstr(text, "\xef\xbf\xbd"));
    assert_null(strpbrk(text, "<>"));
    for (const char *at = text; (at = strpbrk(at, "&\n")); at++) {
        lines += *at == '\n';
        if (*at == '&')
            assert_true(!strncmp(at, "&amp;", 5) || !strncmp(at, "&lt;", 4) ||
                        !strncmp(at, "&gt;", 4));
    }
    assert_int_equal(lines, play->message->line_count + 3);
    yyjson_doc_free(doc);
}

static void any_message_fits(void **state)
{
    struct play *play = *state;
    struct rand rand;

    for (uint64_t seed = 0; seed < 500; seed++) {
        const struct alert_sender from = {SPAN("<gw&1>"), AT * S, UINT64_MAX};
        yyjson_doc *doc;

        rand_init(&rand, seed);
        random_message(play, &rand);
        buf_clear(&play->out);
        assert_int_equal(alert_write_slack(&play->out, play->message, &from), 0);
        check_slack(play);
        buf_clear(&play->out);
        assert_int_equal(alert_write_json(&play->out, play->message, &from), 0);
        assert_in_range(play->out.len, 1, ALERT_PAYLOAD_MAX_BYTES / 2);
        doc = yyjson_read(play->out.data, play->out.len, 0);
        assert_non_null(doc);
        assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "alerts")),
                         play->message->line_count);
        yyjson_doc_free(doc);
    }
}

static void does_not_fit(void **state)
{
    struct play *play = *state;

    line(play, ALERT_PROMOTED, "openai", 1);
    play->out.max = 40;
    assert_true(alert_write_slack(&play->out, play->message, &sender) != 0);
    buf_clear(&play->out);
    assert_true(alert_write_json(&play->out, play->message, &sender) != 0);
}

int main(void)
{
#define PLAY(test) cmocka_unit_test_setup_teardown(test, open_play, close_play)
    const struct CMUnitTest tests[] = {
        PLAY(one_alert), PLAY(bare_alert),       PLAY(many_alerts),
        PLAY(escaped),   PLAY(any_message_fits), PLAY(does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
