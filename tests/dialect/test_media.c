/* Media by URL, fetched for targets that look up no URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/err.h"
#include "dialect/media_type.h"
#include "dialect/quirks.h"
#include "dialect/translate.h"

#define PNG        "\x89PNG\r\n\x1a\n0000"
#define PDF        "%PDF-1.7 and so on"
#define IMAGE(url) "{\"type\":\"image_url\",\"image_url\":{\"url\":\"" url "\"}}"
#define CHAT(parts)                                                                                \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","           \
    "\"text\":\"what?\"}," parts "]}]}"

struct stage {
    struct arena_pool pool;
    struct translation *translation;
    struct chat_refusal refusal;
};

static void read_as(struct stage *stage, enum form form, const char *body)
{
    const struct translate_facts facts = {.form = form, .model = SPAN("m")};

    arena_pool_init(&stage->pool, 4);
    stage->translation = NULL;
    if (translate_read(&facts, span_from_text(body), &stage->pool, &stage->translation,
                       &stage->refusal))
        fail_msg("%s", stage->refusal.message);
}

static void end(struct stage *stage)
{
    translate_free(&stage->translation);
    arena_pool_fini(&stage->pool);
}

static int settle(struct stage *stage, enum form form, uint32_t quirks)
{
    stage->refusal = (struct chat_refusal){.failure = FAILURE_UNSUPPORTED};
    return translate_media(stage->translation, form, quirks, &stage->refusal);
}

static size_t missing(const struct stage *stage)
{
    struct span urls[MEDIA_URLS_MAX];

    return media_missing(translation_media(stage->translation), urls);
}

/* The URL was fetched, and this came. */
static void bring(struct stage *stage, const char *url, const char *type, struct span bytes)
{
    struct buf base64;

    buf_init(&base64, 1 << 20);
    assert_int_equal(base64_write(&base64, bytes), 0);
    media_take(translation_media(stage->translation), span_from_text(url), span_from_text(type),
               &base64);
    buf_fini(&base64);
}

static char *written(struct stage *stage, enum form form, uint32_t quirks)
{
    const struct chat_target target = {.model = SPAN("gemini-2.5-flash"), .quirks = quirks};
    static char text[8192];
    struct chat_drops drops;
    struct buf out;

    buf_init(&out, sizeof(text) - 1);
    if (translate_write(stage->translation, form, &target, &out, &drops, &stage->refusal))
        fail_msg("%s", stage->refusal.message);
    memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    buf_fini(&out);
    return text;
}

static void test_bytes_take_the_place_of_the_url(void **state)
{
    struct stage stage;
    const char *body;

    (void)state;
    read_as(&stage, FORM_CHAT, CHAT(IMAGE("http://a.example/x") "," IMAGE("http://a.example/x")));
    assert_int_equal(settle(&stage, FORM_GENERATE, 0), ERR_AGAIN);
    assert_int_equal(missing(&stage), 1);
    bring(&stage, "http://a.example/x", "text/html", SPAN(PNG));
    assert_int_equal(settle(&stage, FORM_GENERATE, 0), 0);
    body = written(&stage, FORM_GENERATE, 0);
    assert_non_null(
        strstr(body, "\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"iVBORw0KGg"));
    /* For the next target nothing is fetched again. */
    assert_int_equal(missing(&stage), 0);
    assert_int_equal(settle(&stage, FORM_CHAT, QUIRK_NO_IMAGE_URL), 0);
    body = written(&stage, FORM_CHAT, QUIRK_NO_IMAGE_URL);
    assert_non_null(strstr(body, "{\"url\":\"data:image/png;base64,iVBORw0KGg"));
    end(&stage);
}

static void test_who_looks_up_urls(void **state)
{
    static const struct {
        const char *body;
        enum form from, to;
        uint32_t quirks;
        int err;
    } rows[] = {
        {CHAT(IMAGE("https://a/x.png")), FORM_CHAT, FORM_CHAT, 0, 0},
        {CHAT(IMAGE("https://a/x.png")), FORM_CHAT, FORM_CHAT, QUIRK_NO_IMAGE_URL, ERR_AGAIN},
        {CHAT(IMAGE("https://a/x.png")), FORM_CHAT, FORM_MESSAGES, 0, 0},
        {CHAT(IMAGE("https://a/x.png")), FORM_CHAT, FORM_GENERATE, 0, ERR_AGAIN},
        {CHAT(IMAGE("https://a/x.png")), FORM_CHAT, FORM_MEASURE, 0, ERR_AGAIN},
        {CHAT(IMAGE("https://youtu.be/x")), FORM_CHAT, FORM_GENERATE, 0, 0},
        {CHAT(IMAGE("data:image/png;base64,AAAA")), FORM_CHAT, FORM_GENERATE, 0, 0},
        {CHAT("{\"type\":\"text\",\"text\":\"https://a/x.png\"}"), FORM_CHAT, FORM_GENERATE, 0, 0},
        {"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{"
         "\"type\":"
         "\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://a/x.pdf\"}}]}]}",
         FORM_MESSAGES, FORM_CHAT, 0, ERR_AGAIN},
        {"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{"
         "\"type\":"
         "\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"image\",\"source\":{"
         "\"type\":"
         "\"url\",\"url\":\"https://a/x.png\"}}]}]}]}",
         FORM_MESSAGES, FORM_GENERATE, 0, ERR_AGAIN},
        {"{\"contents\":[{\"parts\":[{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":"
         "\"https://a/x.png\"}}]}]}",
         FORM_GENERATE, FORM_GENERATE, 0, 0},
        {"{\"contents\":[{\"parts\":[{\"fileData\":{\"mimeType\":\"audio/wav\",\"fileUri\":"
         "\"https://a/x.wav\"}}]}]}",
         FORM_GENERATE, FORM_CHAT, 0, ERR_AGAIN},
    };
    struct stage stage;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_as(&stage, rows[i].from, rows[i].body);
        if (settle(&stage, rows[i].to, rows[i].quirks) != rows[i].err)
            fail_msg("row %zu", i);
        assert_int_equal(missing(&stage), rows[i].err ? 1 : 0);
        end(&stage);
    }
}

static void test_what_cannot_be_had_is_told_at_its_place(void **state)
{
    struct stage stage;

    (void)state;
    read_as(&stage, FORM_CHAT, CHAT(IMAGE("https://u:p@a.example/x?token=secret")));
    assert_int_equal(settle(&stage, FORM_GENERATE, 0), ERR_AGAIN);
    media_fail(translation_media(stage.translation), SPAN("https://u:p@a.example/x?token=secret"),
               "could not be fetched: HTTP 404");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(settle(&stage, FORM_GENERATE, 0), ERR_SYNTAX);
        assert_int_equal(stage.refusal.failure, FAILURE_FIELD_VALUE);
        assert_string_equal(stage.refusal.param, "messages[0].content[1]");
        assert_string_equal(stage.refusal.message,
                            "Invalid value for 'messages[0].content[1]': The URL 'a.example/x' "
                            "could not be fetched: HTTP 404.");
    }
    /* A target that looks it up itself may be luckier. */
    assert_int_equal(settle(&stage, FORM_MESSAGES, 0), 0);
    end(&stage);
}

static void test_bytes_must_be_what_the_client_says(void **state)
{
    static const struct {
        const char *bytes, *type, *why;
    } rows[] = {
        {"<html>", "text/html", "is no image."},
        {"<html>", "image/png", "is no image."},
        {PDF, "image/png", "is no image."},
        {"", "image/png", "is empty."},
    };
    struct stage stage;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_as(&stage, FORM_CHAT, CHAT(IMAGE("https://a/x")));
        assert_int_equal(settle(&stage, FORM_GENERATE, 0), ERR_AGAIN);
        bring(&stage, "https://a/x", rows[i].type, span_from_text(rows[i].bytes));
        assert_int_equal(settle(&stage, FORM_GENERATE, 0), ERR_SYNTAX);
        assert_non_null(strstr(stage.refusal.message, rows[i].why));
        end(&stage);
    }
}

/* A document that turns out to be an image is told as one. */
static void test_the_bytes_decide_where_the_client_does_not(void **state)
{
    struct stage stage;

    (void)state;
    read_as(&stage, FORM_GENERATE,
            "{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":\"https://a/x\"}}]}]}");
    assert_int_equal(settle(&stage, FORM_CHAT, 0), ERR_AGAIN);
    bring(&stage, "https://a/x", "", SPAN(PNG));
    assert_int_equal(settle(&stage, FORM_CHAT, 0), 0);
    assert_non_null(
        strstr(written(&stage, FORM_CHAT, 0), "\"image_url\":{\"url\":\"data:image/png;base64,"));
    end(&stage);
}

static void test_no_more_than_a_few(void **state)
{
    char body[4096] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[";
    struct stage stage;

    (void)state;
    for (int i = 0; i <= MEDIA_URLS_MAX; i++) {
        size_t len = strlen(body);

        snprintf(body + len, sizeof(body) - len, "%s" IMAGE("https://a/%d"), i ? "," : "", i);
    }
    snprintf(body + strlen(body), sizeof(body) - strlen(body), "]}]}");
    read_as(&stage, FORM_CHAT, body);
    assert_int_equal(settle(&stage, FORM_GENERATE, 0), ERR_SYNTAX);
    assert_string_equal(stage.refusal.param, "messages[0].content[16]");
    end(&stage);
}

static void test_what_is_no_url_is_not_fetched(void **state)
{
    struct stage stage;

    (void)state;
    read_as(&stage, FORM_CHAT, CHAT(IMAGE("https://a/x\\u0000.png")));
    assert_int_equal(settle(&stage, FORM_GENERATE, 0), ERR_SYNTAX);
    assert_non_null(strstr(stage.refusal.message, "is no valid URL"));
    end(&stage);
}

static void test_types(void **state)
{
    static const struct {
        struct span head;
        const char *told, *type;
    } rows[] = {
        {SPAN_INIT("\xff\xd8\xff\xe0"), "image/png", "image/jpeg"},
        {SPAN_INIT(PNG), "", "image/png"},
        {SPAN_INIT("GIF89a"), "application/octet-stream", "image/gif"},
        {SPAN_INIT("RIFF\1\2\3\4WEBPVP8 "), "image/webp", "image/webp"},
        {SPAN_INIT("RIFF\1\2\3\4WAVEfmt "), "audio/x-wav", "audio/wav"},
        {SPAN_INIT("RIFF\1\2\3\4"), "audio/x-wav", ""},
        {SPAN_INIT("ID3\3"), "", "audio/mpeg"},
        {SPAN_INIT("\xff\xfb\x90"), "", "audio/mpeg"},
        {SPAN_INIT("OggS"), "", "audio/ogg"},
        {SPAN_INIT("OggS"), "Video/Ogg; codecs=theora", "video/ogg"},
        {SPAN_INIT("\0\0\0\x18"
                   "ftypheic"),
         "", "image/heic"},
        {SPAN_INIT("\0\0\0\x18"
                   "ftypavif"),
         "", "image/avif"},
        {SPAN_INIT("\0\0\0\x18"
                   "ftypisom"),
         "audio/mp4", "audio/mp4"},
        {SPAN_INIT("\0\0\0\x18"
                   "ftypisom"),
         "text/plain", "video/mp4"},
        {SPAN_INIT("%PDF-1.4"), "text/plain", "application/pdf"},
        {SPAN_INIT("<html>"), "application/pdf", ""},
        {SPAN_INIT("<html>"), "Text/HTML; charset=utf-8", "text/html"},
        {SPAN_INIT("<svg>"), "image/svg+xml", "image/svg+xml"},
        {SPAN_INIT("hello"), "application/octet-stream", ""},
        {SPAN_INIT("hello"), "multipart/mixed", ""},
        {SPAN_INIT("hello"), "te\"xt/plain", ""},
        {SPAN_INIT("hello"), "text", ""},
        {SPAN_INIT("hello"), "text/a/b", ""},
        {SPAN_INIT(""), "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char type[MEDIA_TYPE_BYTES];

        media_type_find(rows[i].head, span_from_text(rows[i].told), type);
        assert_string_equal(type, rows[i].type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_take_the_place_of_the_url),
        cmocka_unit_test(test_who_looks_up_urls),
        cmocka_unit_test(test_what_cannot_be_had_is_told_at_its_place),
        cmocka_unit_test(test_bytes_must_be_what_the_client_says),
        cmocka_unit_test(test_the_bytes_decide_where_the_client_does_not),
        cmocka_unit_test(test_no_more_than_a_few),
        cmocka_unit_test(test_what_is_no_url_is_not_fetched),
        cmocka_unit_test(test_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
