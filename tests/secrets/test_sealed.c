/* Sealing in memory, and the file of the key. */
#include "store_play.h"

#include "secrets/sealed.h"

struct stage {
    struct secret_arena *secrets;
    struct seal_key key, other;
    struct buf sealed, plain;
    char why[SECRET_WORDS_BYTES];
};

static void open_stage(struct stage *stage)
{
    uint8_t bytes[SEAL_KEY_BYTES] = {1, 2, 3};
    bool is_locked;

    memset(stage, 0, sizeof(*stage));
    stage->secrets = secret_arena_new(1 << 20, &is_locked);
    assert_non_null(stage->secrets);
    assert_int_equal(seal_key_init(&stage->key, stage->secrets, bytes), 0);
    bytes[31] = 1;
    assert_int_equal(seal_key_init(&stage->other, stage->secrets, bytes), 0);
    buf_init(&stage->sealed, 1 << 20);
    buf_init(&stage->plain, 1 << 20);
    stage->plain.is_secret = true;
}

static void close_stage(struct stage *stage)
{
    buf_fini(&stage->sealed);
    buf_fini(&stage->plain);
    seal_key_fini(&stage->key);
    seal_key_fini(&stage->other);
    secret_arena_free(&stage->secrets);
}

static void what_is_sealed_is_opened(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(sealed_close(&stage.key, SEALED_FILE, SPAN("the text"), &stage.sealed), 0);
    assert_int_equal(stage.sealed.len, SEALED_HEADER_BYTES + 8 + SEALED_TAG_BYTES);
    assert_memory_equal(stage.sealed.data, "BWSEALF\n\0\0\0\1", 12);
    assert_true(span_find(buf_span(&stage.sealed), SPAN("the text")) == SIZE_MAX);
    assert_int_equal(
        sealed_open(&stage.key, SEALED_FILE, buf_span(&stage.sealed), &stage.plain, stage.why), 0);
    assert_true(span_is_equal(buf_span(&stage.plain), SPAN("the text")));
    /* Never twice the same. */
    assert_int_equal(sealed_close(&stage.key, SEALED_FILE, SPAN("the text"), &stage.sealed), 0);
    assert_memory_not_equal(stage.sealed.data + SEALED_HEADER_BYTES,
                            stage.sealed.data + stage.sealed.len / 2 + SEALED_HEADER_BYTES, 8);
    /* Nothing at all can be sealed too. */
    buf_clear(&stage.sealed);
    buf_clear(&stage.plain);
    assert_int_equal(sealed_close(&stage.key, SEALED_FILE, SPAN(""), &stage.sealed), 0);
    assert_int_equal(
        sealed_open(&stage.key, SEALED_FILE, buf_span(&stage.sealed), &stage.plain, stage.why), 0);
    assert_int_equal(stage.plain.len, 0);
    close_stage(&stage);
}

/* Each bit of it counts, and each length. */
static void damage_is_told(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(sealed_close(&stage.key, SEALED_FILE, SPAN("the text"), &stage.sealed), 0);
    for (size_t bit = 0; bit < stage.sealed.len * 8; bit++) {
        int err;

        stage.sealed.data[bit / 8] = (char)(stage.sealed.data[bit / 8] ^ 1 << bit % 8);
        err =
            sealed_open(&stage.key, SEALED_FILE, buf_span(&stage.sealed), &stage.plain, stage.why);
        stage.sealed.data[bit / 8] = (char)(stage.sealed.data[bit / 8] ^ 1 << bit % 8);
        if (bit < 8 * 8)
            assert_int_equal(err, ERR_SYNTAX);
        else if (bit < 12 * 8)
            assert_true(err == ERR_UNSUPPORTED || err == ERR_PROTO);
        else
            assert_int_equal(err, bit < 28 * 8 ? ERR_DENIED : ERR_PROTO);
        assert_int_equal(stage.plain.len, 0);
    }
    for (size_t len = 0; len < stage.sealed.len; len++)
        assert_int_equal(sealed_open(&stage.key, SEALED_FILE, span_of(stage.sealed.data, len),
                                     &stage.plain, stage.why),
                         len < 12 ? ERR_SYNTAX : ERR_PROTO);
    close_stage(&stage);
}

static void another_key_is_told_as_such(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(sealed_close(&stage.key, SEALED_FILE, SPAN("the text"), &stage.sealed), 0);
    assert_int_equal(
        sealed_open(&stage.other, SEALED_FILE, buf_span(&stage.sealed), &stage.plain, stage.why),
        ERR_DENIED);
    assert_string_equal(stage.why, "is sealed under another key");
    /* A file is no text. */
    assert_int_equal(
        sealed_open(&stage.key, SEALED_TEXT, buf_span(&stage.sealed), &stage.plain, stage.why),
        ERR_SYNTAX);
    stage.sealed.data[11] = 2;
    assert_int_equal(
        sealed_open(&stage.key, SEALED_FILE, buf_span(&stage.sealed), &stage.plain, stage.why),
        ERR_UNSUPPORTED);
    assert_string_equal(stage.why, "was sealed by a newer version of Bellwether (format 2)");
    close_stage(&stage);
}

static void a_text_for_the_configuration(void **state)
{
    static const char *const wrong[] = {"",     "sealed:",           "sealed:x", "sealed:AAAA",
                                        "sk-1", "sealed:QldTRUFMVAo"};
    static char large[SEALED_TEXT_MAX_BYTES + 1];
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(sealed_text_close(&stage.key, SPAN("sk-secret"), &stage.sealed), 0);
    assert_true(sealed_text_is(buf_span(&stage.sealed)));
    for (size_t i = 0; i < stage.sealed.len; i++)
        assert_true(stage.sealed.data[i] > ' ' && stage.sealed.data[i] < 0x7f);
    assert_int_equal(sealed_text_open(&stage.key, buf_span(&stage.sealed), &stage.plain, stage.why),
                     0);
    assert_true(span_is_equal(buf_span(&stage.plain), SPAN("sk-secret")));
    assert_int_equal(
        sealed_text_open(&stage.other, buf_span(&stage.sealed), &stage.plain, stage.why),
        ERR_DENIED);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(
            sealed_text_open(&stage.key, span_from_text(wrong[i]), &stage.plain, stage.why),
            ERR_SYNTAX);
    assert_false(sealed_text_is(SPAN("sk-1")));

    buf_clear(&stage.sealed);
    buf_clear(&stage.plain);
    memset(large, 'x', sizeof(large));
    assert_int_equal(sealed_text_close(&stage.key, span_of(large, sizeof(large)), &stage.sealed),
                     ERR_RANGE);
    assert_int_equal(
        sealed_text_close(&stage.key, span_of(large, sizeof(large) - 1), &stage.sealed), 0);
    assert_int_equal(sealed_text_open(&stage.key, buf_span(&stage.sealed), &stage.plain, stage.why),
                     0);
    assert_true(span_is_equal(buf_span(&stage.plain), span_of(large, sizeof(large) - 1)));
    close_stage(&stage);
}

static void the_key_is_made_once(void **state)
{
    char folder[512], path[600];
    struct seal_key again = {0};
    struct stage stage;
    struct stat about;

    (void)state;
    open_stage(&stage);
    seal_key_fini(&stage.key);
    seal_key_fini(&stage.other);
    play_make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/bellwether.key", folder);
    assert_int_equal(seal_key_read(path, stage.secrets, &stage.key, stage.why), ERR_NOTFOUND);
    assert_int_equal(seal_key_make(path, stage.secrets, &stage.key, stage.why), 0);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(about.st_size, SEAL_KEY_BYTES);
    assert_int_equal(seal_key_make(path, stage.secrets, &again, stage.why), ERR_EXISTS);
    assert_null(again.bytes);
    assert_int_equal(seal_key_read(path, stage.secrets, &again, stage.why), 0);
    assert_true(secret_is_equal(again.bytes, secret_reveal(stage.key.bytes)));
    assert_memory_equal(again.id, stage.key.id, SEAL_ID_BYTES);
    seal_key_fini(&again);
    play_remove_folder(folder);
    close_stage(&stage);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
    static const unsigned modes[] = {0644, 0640, 0604, 0620, 0602, 0610};
    uint8_t bytes[SEAL_KEY_BYTES + 1] = {1};
    char folder[512], path[600];
    struct seal_key again = {0};
    struct stage stage;

    (void)state;
    open_stage(&stage);
    play_make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/bellwether.key", folder);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        play_write_file(path, bytes, SEAL_KEY_BYTES, modes[i]);
        assert_int_equal(seal_key_read(path, stage.secrets, &again, stage.why), ERR_DENIED);
        assert_non_null(strstr(stage.why, "chmod 600"));
    }
    play_write_file(path, bytes, SEAL_KEY_BYTES, 0400);
    assert_int_equal(seal_key_read(path, stage.secrets, &again, stage.why), 0);
    seal_key_fini(&again);
    assert_int_equal(unlink(path), 0);
    play_write_file(path, bytes, SEAL_KEY_BYTES + 1, 0600);
    assert_int_equal(seal_key_read(path, stage.secrets, &again, stage.why), ERR_SYNTAX);
    assert_non_null(strstr(stage.why, "has 33 bytes, and a seal key 32"));
    assert_int_equal(seal_key_read(folder, stage.secrets, &again, stage.why), ERR_SYNTAX);
    assert_non_null(strstr(stage.why, "is no plain file"));
    play_remove_folder(folder);
    assert_int_equal(seal_key_make(path, stage.secrets, &again, stage.why), ERR_NOTFOUND);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_opened),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(another_key_is_told_as_such),
        cmocka_unit_test(a_text_for_the_configuration),
        cmocka_unit_test(the_key_is_made_once),
        cmocka_unit_test(a_key_that_others_may_read_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
