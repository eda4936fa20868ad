/* Who is who among credentials, and the files that prove it. */
#include "vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "secrets/credential.h"
#include "secrets/token_file.h"

static struct credential azure(void)
{
    return (struct credential){
        .kind = CREDENTIAL_AZURE_ENTRA,
        .url = SPAN("https://login.example.com"),
        .tenant = SPAN("t"),
        .client_id = SPAN("c"),
        .token_file = SPAN("/run/token"),
        .scope = SPAN("s"),
    };
}

static bool is_same(const struct credential *a, const struct credential *b, struct span provider)
{
    uint8_t x[CREDENTIAL_DIGEST_BYTES], y[CREDENTIAL_DIGEST_BYTES];

    credential_digest(a, SPAN("p"), x);
    credential_digest(b, provider, y);
    return memcmp(x, y, sizeof(x)) == 0;
}

static void each_text_tells_them_apart(void **state)
{
    struct credential one = azure(), other = azure();

    (void)state;
    assert_true(is_same(&one, &other, SPAN("p")));
    assert_false(is_same(&one, &other, SPAN("q")));
    other.scope = SPAN("s2");
    assert_false(is_same(&one, &other, SPAN("p")));
    /* The same letters, cut elsewhere. */
    other = azure();
    other.tenant = SPAN("tc");
    other.client_id = SPAN("");
    assert_false(is_same(&one, &other, SPAN("p")));
    other = azure();
    other.kind = CREDENTIAL_ANTHROPIC_FEDERATION;
    assert_false(is_same(&one, &other, SPAN("p")));
}

static void the_secret_counts_too(void **state)
{
    struct secret_arena *arena = vault_open();
    struct credential one = azure(), other = azure();

    (void)state;
    one.secret = vault_keep(arena, SPAN("first"));
    other.secret = vault_keep(arena, SPAN("second"));
    assert_false(is_same(&one, &other, SPAN("p")));
    secret_unref(&one.secret);
    secret_unref(&other.secret);
    secret_arena_free(&arena);
}

static void a_copy_outlives_what_it_was_made_of(void **state)
{
    char tenant[] = "tenant";
    struct credential one = azure();
    struct credential *copy;

    (void)state;
    one.tenant = span_from_text(tenant);
    copy = credential_copy(&one);
    assert_non_null(copy);
    assert_true(is_same(&one, copy, SPAN("p")));
    memset(tenant, 'x', sizeof(tenant) - 1);
    assert_true(span_is_equal(copy->tenant, SPAN("tenant")));
    assert_string_equal(copy->token_file.ptr, "/run/token");
    credential_free(&copy);
    assert_null(copy);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_token_file_is_read_without_its_newline(void **state)
{
    char path[] = "/tmp/bellwether-token-XXXXXX", fifo[64];
    int fd = mkstemp(path);
    struct buf out;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    buf_init(&out, 8);
    out.is_secret = true;
    write_file(path, "abcd \r\n");
    assert_int_equal(token_file_read(path, &out), 0);
    assert_true(span_is_equal(buf_span(&out), SPAN("abcd")));
    buf_clear(&out);
    write_file(path, "12345678");
    assert_int_equal(token_file_read(path, &out), 0);
    assert_int_equal(out.len, 8);
    buf_clear(&out);
    write_file(path, "123456789");
    assert_int_equal(token_file_read(path, &out), ERR_FULL);
    buf_clear(&out);
    unlink(path);
    assert_int_equal(token_file_read(path, &out), ERR_NOTFOUND);
    assert_int_equal(token_file_read("/tmp", &out), ERR_UNSUPPORTED);
    /* Nobody writes to this one, and nobody waits for it. */
    snprintf(fifo, sizeof(fifo), "%s.fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(token_file_read(fifo, &out), ERR_UNSUPPORTED);
    unlink(fifo);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_tells_them_apart),
        cmocka_unit_test(the_secret_counts_too),
        cmocka_unit_test(a_copy_outlives_what_it_was_made_of),
        cmocka_unit_test(a_token_file_is_read_without_its_newline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
