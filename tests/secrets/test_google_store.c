/* Google Secret Manager as a store, against a strict double on this machine. */
#include "cloud_checks.h"
#include "google_double.h"

#include "rsa.h"
#include "secrets/google_answer.h"
#include "secrets/google_store.h"

struct scene {
    struct cloud_stage stage;
    struct google_double *google;
    struct secret *secret;
    struct google_options options;
    char url[64], token_url[80];
};

static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    stage_open(&scene->stage);
    scene->stage.play.entry_max = 65536;
    scene->stage.play.has_versions = true;
    scene->google = gd_open();
    snprintf(scene->url, sizeof(scene->url), "http://127.0.0.1:%u/", scene->google->cd.port);
    scene->options = (struct google_options){
        .loop = scene->stage.play.loop,
        .fetcher = scene->stage.fetcher,
        .secrets = scene->stage.play.secrets,
        .project = "my-project",
        .url = scene->url,
        .login = {.kind = CLOUD_LOGIN_GOOGLE_METADATA, .url = scene->token_url}};
    snprintf(scene->token_url, sizeof(scene->token_url), "http://127.0.0.1:%u",
             scene->google->cd.port);
}

static int open_of(struct cloud_stage *stage)
{
    struct scene *scene = container_of(stage, struct scene, stage);

    return google_store_open(&scene->options, &stage->play.store, stage->why);
}

static void close_scene(struct scene *scene)
{
    play_close_store(&scene->stage.play);
    secret_unref(&scene->secret);
    stage_close(&scene->stage);
    gd_close(&scene->google);
}

static void it_is_a_store(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct scene scene;

        (void)state;
        open_scene(&scene);
        if (i == 1)
            scene.options.prefix = "prod.1/gate_way";
        if (i == 2) {
            scene.options.location = "europe-west3";
            scene.google->parent = "projects/my-project/locations/europe-west3";
        }
        assert_int_equal(open_of(&scene.stage), 0);
        assert_string_equal(secret_store_kind(scene.stage.play.store), "google");
        store_conforms(&scene.stage.play);
        assert_non_null(gd_find(scene.google,
                                i == 1 ? "prod_d1__gate_uway__openai__pool-a" : "openai__pool-a"));
        close_scene(&scene);
    }
}

/* Of two writers the one with the next number wins, whoever looked first. */
static void somebody_else_is_quicker(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    assert_int_equal(play->version, 1);
    scene.google->races = 1;
    stage_refused(&scene.stage, play_write(play, "a", PLAY_TWO, 1), ERR_EXISTS,
                  "google: another version is there than was expected");
    assert_int_equal(scene.google->destroyed, 1);
    /* What is read is the newest that can be, though the latest is destroyed. */
    assert_int_equal(play_read(play, "a"), 0);
    assert_int_equal(play->version, 2);
    assert_string_equal(play->text, "{\"api_key\":\"another's\"}");
    assert_int_equal(play_write(play, "a", PLAY_TWO, 2), 0);
    assert_int_equal(play->version, 4);
    assert_int_equal(play_read_version(play, "a", "3"), 0);
    assert_int_equal(play->version, 0);
    scene.google->races = 1;
    assert_int_equal(play_write(play, "b", PLAY_TWO, 0), ERR_EXISTS);
    close_scene(&scene);
}

static void versions_that_are_gone(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;
    struct gd_secret *secret;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    for (int i = 0; i < 7; i++)
        gd_put(scene.google, "a", i ? PLAY_TWO : PLAY_ONE);
    secret = gd_find(scene.google, "a");
    for (int i = 2; i <= 7; i++)
        secret->versions[i].state = "DISABLED";
    assert_int_equal(play_read(play, "a"), 0);
    assert_int_equal(play->version, 1);
    assert_string_equal(play->text, PLAY_ONE);
    assert_int_equal(play_versions(play, "a"), 0);
    assert_string_equal(play->names, "1 2026-11-20T10:01:01.123Z\n");
    assert_int_equal(play_write(play, "a", PLAY_STATE, 1), 0);
    assert_int_equal(play->version, 8);
    secret->versions[1].state = secret->versions[8].state = "DISABLED";
    assert_int_equal(play_read(play, "a"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    assert_int_equal(play->version, 9);
    /* A secret without a version. */
    gd_make(scene.google, "empty");
    assert_int_equal(play_read(play, "empty"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_write(play, "empty", PLAY_ONE, 0), 0);
    close_scene(&scene);
}

static void what_stands_there(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    gd_put(scene.google, "a", "sk-plain\n");
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"sk-plain\"}");
    gd_put(scene.google, "a", "{\"api_key\":[]}");
    assert_int_equal(play_read(play, "a"), ERR_SYNTAX);
    gd_put(scene.google, "a", PLAY_ONE);
    scene.google->is_sum_wrong = true;
    stage_refused(&scene.stage, play_read(play, "a"), ERR_PROTO,
                  "google: a is answered in a way that is not known");
    /* Names of others: ours alone are told. */
    gd_put(scene.google, "x_y", "1");
    gd_put(scene.google, "_d", "1");
    gd_put(scene.google, "b__", "1");
    assert_int_equal(play_list(play, ""), 0);
    assert_string_equal(play->names, "a\n");
    close_scene(&scene);
}

static void a_path_that_is_too_long(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;
    char path[256];

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    memset(path, '_', 200);
    path[200] = '\0';
    stage_refused(&scene.stage, play_read(play, path), ERR_UNSUPPORTED,
                  "google: the path's name would be longer than such a store's are");
    assert_int_equal(play_write(play, path, PLAY_ONE, 0), ERR_UNSUPPORTED);
    assert_int_equal(scene.google->cd.requests, 0);
    close_scene(&scene);
}

static void failures_in_plain_words(void **state)
{
    static const char *const forbidden[] = {":access", "/versions", ":addVersion", "/secrets"};
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    gd_put(scene.google, "llm", PLAY_ONE);
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        int err;

        scene.google->forbid = forbidden[i];
        err = i == 0   ? play_read(play, "llm")
              : i == 1 ? play_write(play, "llm", PLAY_TWO, 1)
              : i == 2 ? play_write(play, "llm", PLAY_TWO, SECRET_ANY)
                       : play_list(play, "");
        stage_refused(&scene.stage, err, ERR_DENIED,
                      i < 3 ? "google: PERMISSION_DENIED: Permission denied on resource. for llm "
                              "(403)"
                            : "google: PERMISSION_DENIED: Permission denied on resource. for the "
                              "list (403)");
    }
    scene.google->forbid = NULL;
    scene.google->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nabcd";
    assert_int_equal(play_read(play, "llm"), ERR_PROTO);
    scene.google->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}";
    assert_int_equal(play_write(play, "llm", PLAY_ONE, SECRET_ANY), ERR_PROTO);
    scene.google->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 14\r\n\r\n{\"secrets\":{}}";
    assert_int_equal(play_list(play, ""), ERR_PROTO);
    /* A write is not asked twice where nobody knows whether it was done. */
    scene.google->cd.busy_answer = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";
    scene.google->cd.busy = 10;
    assert_int_equal(play_write(play, "llm", PLAY_ONE, SECRET_ANY), ERR_UNREACHABLE);
    assert_int_equal(scene.google->cd.busy, 9);
    assert_int_equal(play_read(play, "llm"), ERR_UNREACHABLE);
    assert_int_equal(scene.google->cd.busy, 5);
    scene.google->cd.busy = 0;
    close_scene(&scene);
}

static void busy_and_away(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    scene.options.total_us = 300 * US_PER_MS;
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_read(&scene.stage.play, "a"), 0);
    check_foreign_404(&scene.stage, &scene.google->cd);
    check_busy(&scene.stage, &scene.google->cd);
    check_unreachable(&scene.stage, &scene.google->cd);
    close_scene(&scene);
}

/* ---- logins ---- */

static void tokens_end(struct scene *scene)
{
    struct play *play = &scene->stage.play;

    for (int i = 0; i < 5; i++)
        assert_int_equal(play_write(play, "a", PLAY_ONE, SECRET_ANY), 0);
    assert_int_equal(scene->google->logins, 1);
    stage_pass(&scene->stage, 3500 * US_PER_SEC);
    assert_int_equal(play_read(play, "a"), 0);
    assert_int_equal(scene->google->logins, 2);
    scene->google->is_expired = true;
    assert_int_equal(play_read(play, "a"), 0);
    assert_int_equal(scene->google->logins, 3);
    scene->google->is_expired = true;
    assert_int_equal(play_read(play, "a"), ERR_DENIED);
    assert_int_equal(scene->google->logins, 3);
}

static void the_metadata_server(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    tokens_end(&scene);
    close_scene(&scene);
}

static void a_service_account(void **state)
{
    struct scene scene;
    struct credential credential = {.kind = CREDENTIAL_GOOGLE_SERVICE_ACCOUNT,
                                    .client_id = SPAN("gateway@my-project.iam.example"),
                                    .key_id = SPAN("k1"),
                                    .scope = SPAN(GOOGLE_STORE_SCOPE)};
    struct rsa rsa;

    (void)state;
    open_scene(&scene);
    rsa_make(&rsa);
    assert_int_equal(secret_new(scene.stage.play.secrets, span_from_text(rsa.pem), &scene.secret),
                     0);
    snprintf(scene.token_url, sizeof(scene.token_url), "http://127.0.0.1:%u/token",
             scene.google->cd.port);
    credential.url = span_from_text(scene.token_url);
    credential.secret = scene.secret;
    scene.options.login =
        (struct cloud_login){.kind = CLOUD_LOGIN_CREDENTIAL, .credential = &credential};
    assert_int_equal(open_of(&scene.stage), 0);
    tokens_end(&scene);
    rsa_drop(&rsa);
    close_scene(&scene);
}

static void a_token_that_is_given(void **state)
{
    char folder[256], file[300];
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    play_make_folder(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/token", folder);
    open_scene(&scene);
    assert_int_equal(secret_new(scene.stage.play.secrets, SPAN("ya29.token-0"), &scene.secret), 0);
    scene.options.login = (struct cloud_login){.kind = CLOUD_LOGIN_SECRET, .secret = scene.secret};
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_read(play, "a"), 0);
    scene.google->is_expired = true;
    stage_refused(&scene.stage, play_read(play, "a"), ERR_DENIED,
                  "google: UNAUTHENTICATED: Request had invalid authentication credentials. for a "
                  "(401)");
    play_close_store(play);
    /* One that somebody writes, and replaces. */
    scene.google->is_expired = false;
    play_write_file(file, "ya29.token-0\n", 13, 0600);
    scene.options.login = (struct cloud_login){.kind = CLOUD_LOGIN_FILE, .file = file};
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_read(play, "a"), 0);
    snprintf(scene.google->token, sizeof(scene.google->token), "another");
    play_write_file(file, "another\n", 8, 0600);
    assert_int_equal(play_read(play, "a"), 0);
    close_scene(&scene);
    play_remove_folder(folder);
}

/* ---- watching ---- */

static void changes_are_looked_for(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    gd_put(scene.google, "a", PLAY_ONE);
    scene.google->forbid = ":access"; /* it is not asked */
    play_watch(play, "a");
    play_until(play, &play->changes, 1);
    stage_pass(&scene.stage, 600 * US_PER_SEC);
    assert_int_equal(play->changes, 1);
    assert_in_range(scene.google->cd.requests, 9, 14);
    gd_put(scene.google, "a", PLAY_TWO);
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->changes, 2);
    /* Removed, and made anew: the numbers are the same, the entry is another. */
    gd_drop(scene.google, gd_find(scene.google, "a"));
    gd_put(scene.google, "a", PLAY_TWO);
    gd_put(scene.google, "a", PLAY_TWO);
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->changes, 3);
    /* Who may only read it, reads it. */
    scene.google->forbid = "/latest";
    gd_put(scene.google, "a", PLAY_ONE);
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->changes, 4);
    assert_int_equal(play->troubles, 0);
    close_scene(&scene);
}

static void wrong_options(void **state)
{
    struct scene scene;
    struct google_options good;

    (void)state;
    open_scene(&scene);
    good = scene.options;
#define WRONG(member, value, words)                                                                \
    scene.options = good;                                                                          \
    scene.options.member = (value);                                                                \
    assert_int_equal(open_of(&scene.stage), ERR_SYNTAX);                                           \
    assert_non_null(strstr(scene.stage.why, words))
    WRONG(url, "google", "google: the address begins neither");
    WRONG(project, NULL, "the project is none");
    WRONG(project, "a/b", "the project is none");
    WRONG(location, "a/b", "the location is none");
    WRONG(prefix, "../x", "the prefix is no path");
    WRONG(login.kind, CLOUD_LOGIN_AWS_INSTANCE, "such a login is not Google's");
    WRONG(login.kind, CLOUD_LOGIN_CREDENTIAL, "no credential is given");
    WRONG(login.kind, CLOUD_LOGIN_SECRET, "no token or key is given");
#undef WRONG
    assert_null(scene.stage.play.store);
    close_scene(&scene);
}

static void freed_at_work(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    check_freed_at_work(&scene.stage, open_of);
    close_scene(&scene);
}

#ifdef BW_FAULTS
static int open_anew(struct cloud_stage *stage)
{
    struct google_double *google = container_of(stage, struct scene, stage)->google;

    while (google->secret_count)
        gd_drop(google, &google->secrets[0]);
    return open_of(stage);
}

static void without_memory(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    check_without_memory(&scene.stage, open_anew);
    close_scene(&scene);
}
#endif

static void sums(void **state)
{
    (void)state;
    assert_int_equal(google_crc32c(SPAN("123456789")), 0xe3069283);
    assert_int_equal(google_crc32c(SPAN("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_store),           cmocka_unit_test(somebody_else_is_quicker),
        cmocka_unit_test(versions_that_are_gone),  cmocka_unit_test(what_stands_there),
        cmocka_unit_test(a_path_that_is_too_long), cmocka_unit_test(failures_in_plain_words),
        cmocka_unit_test(busy_and_away),           cmocka_unit_test(the_metadata_server),
        cmocka_unit_test(a_service_account),       cmocka_unit_test(a_token_that_is_given),
        cmocka_unit_test(changes_are_looked_for),  cmocka_unit_test(wrong_options),
        cmocka_unit_test(freed_at_work),           cmocka_unit_test(sums),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
