/*
 * Golden transcripts: tests/dialect/golden/<from>__<to>/<case>/, each a request in a client's form,
 * what a provider of another dialect must be sent, what it answers, and what the client must get.
 * tests/dialect/golden/README.md says which files a case may have.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/error_words.h"
#include "dialect/translate.h"
#include "dialect/translator.h"

enum { FILE_MAX = 4 << 20, CASES_MAX = 2000 };

struct golden {
    char path[512];
    enum form from;
    enum dialect_id to;
    struct translate_facts facts;
    struct chat_target target;
    uint64_t created_s, prompt_tokens;
    char model[128], request_id[64];
    struct arena_pool pool;
    struct arena arena;
    struct translation *translation;
};

/* --- files --- */

/* A path below the transcripts. */
static void put_path(char *path, size_t cap, const char *pair, const char *name)
{
    const char *root = getenv("BW_SOURCE_ROOT");

    snprintf(path, cap, "%s/tests/dialect/golden/%s%s%s", root ? root : ".", pair,
             name[0] ? "/" : "", name);
}

static bool read_file(const struct golden *golden, const char *name, struct buf *ret_text)
{
    char path[640];
    FILE *file;
    int c;

    snprintf(path, sizeof(path), "%s/%s", golden->path, name);
    buf_init(ret_text, FILE_MAX);
    file = fopen(path, "rb");
    if (!file)
        return false;
    while ((c = fgetc(file)) != EOF)
        assert_int_equal(buf_append_byte(ret_text, (char)c), 0);
    fclose(file);
    return true;
}

/* For GOLDEN_WRITE: what came is what is expected from now on. */
static void write_file(const struct golden *golden, const char *name, struct span text)
{
    char path[640];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", golden->path, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
}

static void take_setting(struct golden *golden, struct span name, struct span value)
{
    const char *text = value.ptr;

    if (span_is_equal(name, SPAN("model")))
        snprintf(golden->model, sizeof(golden->model), "%.*s", SPAN_ARG(value));
    else if (span_is_equal(name, SPAN("request_id")))
        snprintf(golden->request_id, sizeof(golden->request_id), "%.*s", SPAN_ARG(value));
    else if (span_is_equal(name, SPAN("stream")))
        golden->facts.is_streaming = true;
    else if (span_is_equal(name, SPAN("array")))
        golden->facts.is_array = true;
    else if (span_is_equal(name, SPAN("usage_asked")))
        golden->target.is_usage_asked = true;
    else if (span_is_equal(name, SPAN("quirks")))
        golden->target.quirks = (uint32_t)strtoul(text, NULL, 0);
    else if (span_is_equal(name, SPAN("created")))
        golden->created_s = strtoull(text, NULL, 10);
    else if (span_is_equal(name, SPAN("prompt_tokens")))
        golden->prompt_tokens = strtoull(text, NULL, 10);
    else
        fail_msg("%s: unknown setting %.*s", golden->path, SPAN_ARG(name));
}

static void read_settings(struct golden *golden)
{
    struct span rest, line;
    struct buf text;

    if (read_file(golden, "settings", &text)) {
        rest = buf_span(&text);
        while (span_next_token(&rest, '\n', &line)) {
            size_t gap = span_find_byte(line, ' ');

            if (gap != SIZE_MAX)
                take_setting(golden, span_of(line.ptr, gap), span_trim(span_skip(line, gap)));
        }
    }
    buf_fini(&text);
}

/* --- comparing --- */

static void assert_same_json(const struct golden *golden, const char *name, struct span is,
                             struct span wanted)
{
    struct json_tree *left = malloc(sizeof(*left)), *right = malloc(sizeof(*right));

    assert_non_null(left);
    assert_non_null(right);
    if (json_tree_read_raw(right, wanted, FILE_MAX))
        fail_msg("%s/%s is no JSON", golden->path, name);
    if (json_tree_read_raw(left, is, FILE_MAX))
        fail_msg("%s: no JSON:\n%.*s", golden->path, SPAN_ARG(is));
    if (!yyjson_equals(yyjson_doc_get_root(left->doc), yyjson_doc_get_root(right->doc)))
        fail_msg("%s/%s\nis     %.*s\nwanted %.*s", golden->path, name, SPAN_ARG(is),
                 SPAN_ARG(wanted));
    json_tree_fini(left);
    json_tree_fini(right);
    free(left);
    free(right);
}

/* In which form the provider is asked. */
static enum form form_upstream(const struct golden *golden)
{
    enum form form = form_at(golden->to, golden->from);
    bool is_client_s_alone =
        form_row(form)->purpose == PURPOSE_CONVERSE && !form_ops(form)->write_request;

    return is_client_s_alone ? form_for(golden->to, PURPOSE_CONVERSE) : form;
}

/* --- the request --- */

static void check_refusal(const struct golden *golden, const struct buf *wanted,
                          const struct chat_refusal *refusal)
{
    struct span rest = buf_span(wanted), param = SPAN(""), piece = SPAN("");

    (void)span_next_token(&rest, '\n', &param);
    (void)span_next_token(&rest, '\n', &piece);
    if (!span_is_equal(param, span_from_text(refusal->param)) ||
        span_find(span_from_text(refusal->message), piece) == SIZE_MAX)
        fail_msg("%s: refused for '%s': %s", golden->path, refusal->param, refusal->message);
}

static void check_drops(const struct golden *golden, const struct chat_drops *drops)
{
    struct buf wanted;

    (void)read_file(golden, "dropped", &wanted);
    if (!span_is_equal(span_of(drops->text, drops->len), span_trim(buf_span(&wanted))) &&
        !(wanted.len &&
          span_is_equal(span_of(drops->text, drops->len), span_of(wanted.data, wanted.len - 1))))
        fail_msg("%s: dropped '%.*s'", golden->path, (int)drops->len, drops->text);
    buf_fini(&wanted);
}

static bool check_request(struct golden *golden)
{
    struct chat_refusal refusal;
    struct chat_drops drops = {.len = 0};
    struct buf request, wanted, out;
    bool is_refused;
    int err;

    assert_true(read_file(golden, "request.json", &request));
    is_refused = read_file(golden, "refusal", &wanted);
    if (!is_refused)
        (void)read_file(golden, "upstream.json", &wanted);
    buf_init(&out, FILE_MAX);
    err = translate_read(&golden->facts, buf_span(&request), &golden->pool, &golden->translation,
                         &refusal);
    if (!err)
        err = translate_write(golden->translation, form_upstream(golden), &golden->target, &out,
                              &drops, &refusal);
    if (is_refused && err != ERR_SYNTAX)
        fail_msg("%s: not refused: %d %.*s", golden->path, err, SPAN_ARG(buf_span(&out)));
    if (is_refused)
        check_refusal(golden, &wanted, &refusal);
    else if (err)
        fail_msg("%s: %s: %s %s", golden->path, err_text(err), refusal.param, refusal.message);
    else if (wanted.len)
        assert_same_json(golden, "upstream.json", buf_span(&out), buf_span(&wanted));
    if (!is_refused)
        check_drops(golden, &drops);
    buf_fini(&request);
    buf_fini(&wanted);
    buf_fini(&out);
    return !is_refused;
}

/* --- the answer --- */

static struct translator *translator_of(struct golden *golden, struct buf *out)
{
    const struct chat *chat = translation_chat(golden->translation);
    struct translator_plan plan = {.to = golden->from, .out = out, .choices = 1, .seed = 1};
    struct translator *translator;

    plan.from = form_upstream(golden);
    plan.frame.chat = chat;
    plan.embed = translation_embed(golden->translation);
    plan.frame.request_id = span_from_text(golden->request_id);
    plan.frame.model = golden->target.model;
    plan.frame.created_s = golden->created_s;
    plan.frame.prompt_tokens = golden->prompt_tokens;
    translator = translator_new(&golden->arena, &plan);
    assert_non_null(translator);
    return translator;
}

static void feed(struct translator *translator, struct sse *sse, struct span *rest)
{
    struct sse_event event;

    while (sse_next(sse, *rest, &event)) {
        *rest = span_skip(*rest, event.raw.len);
        (void)translator_take(translator, &event);
    }
}

/* The stream arrives in two pieces, cut anywhere. */
static void tell_stream(struct golden *golden, struct span text, size_t cut, struct buf *out)
{
    struct translator *translator = translator_of(golden, out);
    struct span rest = span_of(text.ptr, cut);
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    feed(translator, &sse, &rest);
    rest.len = (size_t)(text.ptr + text.len - rest.ptr);
    feed(translator, &sse, &rest);
    if (sse_finish(&sse, rest, &event))
        (void)translator_take(translator, &event);
    translator_end(translator);
    if (!translator_is_over(translator)) {
        const struct error_ours ours = {.row = failure_row(FAILURE_UPSTREAM_FAILED),
                                        .message = SPAN("cut"),
                                        .request_id = span_from_text(golden->request_id)};
        struct dialect_error error;

        error_from_ours(form_row(golden->from)->dialect, &ours, &error);
        translator_fail(translator, &error);
    }
    translator_fini(&translator);
    arena_fini(&golden->arena);
}

static void check_stream(struct golden *golden)
{
    struct buf answer, wanted, out;

    if (read_file(golden, "answer.sse", &answer)) {
        size_t step = answer.len / 40 + 1;

        assert_true(read_file(golden, "expected.sse", &wanted));
        for (size_t cut = answer.len;; cut = cut > step ? cut - step : 0) {
            buf_init(&out, FILE_MAX);
            tell_stream(golden, buf_span(&answer), cut, &out);
            if (getenv("GOLDEN_WRITE") && cut == answer.len)
                write_file(golden, "expected.sse", buf_span(&out));
            else if (!span_is_equal(buf_span(&out), buf_span(&wanted)))
                fail_msg("%s/expected.sse (cut at %zu of %zu)\nis\n%.*s", golden->path, cut,
                         answer.len, SPAN_ARG(buf_span(&out)));
            buf_fini(&out);
            if (cut == 0 || getenv("GOLDEN_WRITE"))
                break;
        }
        buf_fini(&wanted);
    }
    buf_fini(&answer);
}

static void check_whole(struct golden *golden)
{
    struct buf answer, wanted, out;

    if (read_file(golden, "answer.json", &answer)) {
        struct translator *translator;
        int err;

        buf_init(&out, FILE_MAX);
        translator = translator_of(golden, &out);
        err = translator_answer(translator, buf_span(&answer), FILE_MAX);
        if (err)
            fail_msg("%s: the answer is not read: %s", golden->path, err_text(err));
        assert_true(read_file(golden, "expected.json", &wanted));
        assert_same_json(golden, "expected.json", buf_span(&out), buf_span(&wanted));
        translator_fini(&translator);
        arena_fini(&golden->arena);
        buf_fini(&wanted);
        buf_fini(&out);
    }
    buf_fini(&answer);
}

/* --- the cases --- */

static enum form form_of(struct span name)
{
    for (int i = 0; i < FORM_COUNT; i++) {
        if (span_is_equal(form_row((enum form)i)->name, name))
            return (enum form)i;
    }
    fail_msg("no form is called %.*s", SPAN_ARG(name));
    return FORM_COUNT;
}

static enum dialect_id dialect_of(struct span name)
{
    if (span_is_equal(name, SPAN("openai")))
        return DIALECT_OPENAI;
    if (span_is_equal(name, SPAN("anthropic")))
        return DIALECT_ANTHROPIC;
    assert_true(span_is_equal(name, SPAN("gemini")));
    return DIALECT_GEMINI;
}

static void play(const char *pair, const char *name)
{
    struct golden *golden = calloc(1, sizeof(*golden));
    struct span whole = span_from_text(pair);
    size_t gap = span_find(whole, SPAN("__"));

    assert_non_null(golden);
    put_path(golden->path, sizeof(golden->path), pair, name);
    golden->from = form_of(span_of(pair, gap));
    golden->to = dialect_of(span_skip(whole, gap + 2));
    golden->created_s = 1763600000;
    golden->prompt_tokens = 10;
    snprintf(golden->model, sizeof(golden->model), "m");
    snprintf(golden->request_id, sizeof(golden->request_id), "req_1");
    golden->facts.form = golden->from;
    read_settings(golden);
    golden->target.model = span_from_text(golden->model);
    if (form_row(golden->from)->dialect == DIALECT_GEMINI)
        golden->facts.model = golden->target.model;
    arena_pool_init(&golden->pool, 4);
    arena_init(&golden->arena, &golden->pool, FILE_MAX);
    if (check_request(golden)) {
        check_stream(golden);
        check_whole(golden);
    }
    translate_free(&golden->translation);
    arena_fini(&golden->arena);
    arena_pool_fini(&golden->pool);
    free(golden);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The names in a folder, sorted; freed by the caller. */
static size_t list(const char *path, char **ret_names)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) && count < CASES_MAX) {
        if (entry->d_name[0] != '.' && !strstr(entry->d_name, ".md"))
            ret_names[count++] = strdup(entry->d_name);
    }
    closedir(dir);
    qsort(ret_names, count, sizeof(*ret_names), by_name);
    return count;
}

static void play_pair(const char *pair)
{
    static char *names[CASES_MAX];
    char path[512];
    size_t count;

    put_path(path, sizeof(path), pair, "");
    count = list(path, names);
    for (size_t i = 0; i < count; i++) {
        play(pair, names[i]);
        free(names[i]);
    }
}

static void every_case_plays_as_written(void **state)
{
    static char *pairs[CASES_MAX];
    const char *only = getenv("GOLDEN"); /* "pair" or "pair/case": for working on one */
    char path[512];
    size_t count;

    (void)state;
    put_path(path, sizeof(path), "", "");
    count = list(path, pairs);
    for (size_t i = 0; i < count; i++) {
        if (!only)
            play_pair(pairs[i]);
        else if (!strncmp(only, pairs[i], strlen(pairs[i])) && only[strlen(pairs[i])] == '/')
            play(pairs[i], only + strlen(pairs[i]) + 1);
        else if (!strcmp(only, pairs[i]))
            play_pair(pairs[i]);
        free(pairs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_plays_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
