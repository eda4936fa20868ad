/* An Azure Key Vault as a store, against a strict double on this machine. */
#include "azure_double.h"
#include "cloud_checks.h"

#include "secrets/azure_store.h"

struct scene {
    struct cloud_stage stage;
    struct azure_double *azure;
    struct secret *secret;
    struct credential credential;
    struct azure_options options;
    char url[64];
};

static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    stage_open(&scene->stage);
    scene->stage.play.entry_max = 25000;
    scene->stage.play.has_versions = true;
    scene->azure = zd_open();
    snprintf(scene->url, sizeof(scene->url), "http://127.0.0.1:%u", scene->azure->cd.port);
    scene->options = (struct azure_options){
        .loop = scene->stage.play.loop,
        .fetcher = scene->stage.fetcher,
        .secrets = scene->stage.play.secrets,
        .url = scene->url,
        .login = {.kind = CLOUD_LOGIN_AZURE_IDENTITY, .url = scene->url, .name = "id-1"}};
}

static int open_of(struct cloud_stage *stage)
{
    struct scene *scene = container_of(stage, struct scene, stage);

    return azure_store_open(&scene->options, &stage->play.store, stage->why);
}

static void close_scene(struct scene *scene)
{
    play_close_store(&scene->stage.play);
    secret_unref(&scene->secret);
    stage_close(&scene->stage);
    zd_close(&scene->azure);
}

static void it_is_a_store(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct scene scene;

        (void)state;
        open_scene(&scene);
        scene.options.prefix = i == 1 ? "Prod/gate.way_1" : NULL;
        scene.azure->slow = i == 2 ? 3 : 0;
        assert_int_equal(open_of(&scene.stage), 0);
        assert_string_equal(secret_store_kind(scene.stage.play.store), "azure");
        store_conforms(&scene.stage.play);
        assert_non_null(zd_find(scene.azure, i == 1 ? "-cprod--gate-dway-u1--openai--pool-ha"
                                                    : "openai--pool-ha"));
        assert_true(scene.azure->recovered > 0);
        close_scene(&scene);
    }
}

/* Key Vault does not regard large and small letters: paths do. */
static void large_letters(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_write(play, "Key", PLAY_ONE, 0), 0);
    assert_int_equal(play_read(play, "key"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_write(play, "key", PLAY_TWO, 0), 0);
    assert_int_equal(play_read(play, "Key"), 0);
    assert_string_equal(play->text, PLAY_ONE);
    zd_put(scene.azure, "SomebodyElses", PLAY_ONE);
    assert_int_equal(play_list(play, ""), 0);
    assert_string_equal(play->names, "Key\nkey\n");
    close_scene(&scene);
}

static void what_is_expected_is_compared(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    zd_put(scene.azure, "a", PLAY_STATE);
    stage_refused(&scene.stage, play_write(play, "a", PLAY_TWO, play->version), ERR_EXISTS,
                  "azure: another version is there than was expected");
    /* What comes between our look and our write is written over, as the header says. */
    assert_int_equal(play_read(play, "a"), 0);
    scene.azure->races = 1;
    assert_int_equal(play_write(play, "a", PLAY_TWO, play->version), 0);
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, PLAY_TWO);
    assert_int_equal(zd_find(scene.azure, "a")->count, 4);
    close_scene(&scene);
}

/* A name that does not come free: it is given up after a while. */
static void a_deleted_name(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    scene.azure->slow = 1000;
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    assert_int_equal(play_remove(play, "a", play->version), 0);
    stage_refused(&scene.stage, play_write(play, "a", PLAY_TWO, 0), ERR_PROTO,
                  "azure: ObjectIsBeingDeleted: Secret is currently being moved. for a (409)");
    assert_true(zd_find(scene.azure, "a")->moving > 900);
    close_scene(&scene);
}

static void what_stands_there(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;
    struct zd_secret *secret;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    secret = zd_put(scene.azure, "a", "sk-plain");
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"sk-plain\"}");
    zd_put(scene.azure, "a", "{\"api_key\":7}");
    assert_int_equal(play_read(play, "a"), ERR_SYNTAX);
    secret->versions[1].is_disabled = true;
    stage_refused(&scene.stage, play_read(play, "a"), ERR_DENIED,
                  "azure: SecretDisabled: Operation get is not allowed on a disabled secret. for a "
                  "(403)");
    assert_int_equal(play_versions(play, "a"), 0);
    assert_non_null(strstr(play->names, secret->versions[0].id));
    assert_null(strstr(play->names, secret->versions[1].id));
    close_scene(&scene);
}

static void failures_in_plain_words(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    scene.azure->forbid = "GET";
    stage_refused(&scene.stage, play_read(play, "llm"), ERR_DENIED,
                  "azure: AccessDenied: The user does not have that permission. for llm (403)");
    assert_int_equal(play_list(play, ""), ERR_DENIED);
    assert_int_equal(play_versions(play, "llm"), ERR_DENIED);
    scene.azure->forbid = "PUT";
    assert_int_equal(play_write(play, "llm", PLAY_ONE, SECRET_ANY), ERR_DENIED);
    scene.azure->forbid = "DELETE";
    assert_int_equal(play_remove(play, "llm", SECRET_ANY), ERR_DENIED);
    scene.azure->forbid = NULL;
    scene.azure->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}";
    stage_refused(&scene.stage, play_read(play, "llm"), ERR_PROTO,
                  "azure: llm is answered in a way that is not known");
    /* No token goes elsewhere, wherever a list says that it goes on. */
    for (int i = 0; i < 4; i++) {
        char name[8];

        snprintf(name, sizeof(name), "n%d", i);
        zd_put(scene.azure, name, PLAY_ONE);
    }
    scene.azure->is_link_elsewhere = true;
    stage_refused(&scene.stage, play_list(play, ""), ERR_PROTO,
                  "azure: the list is answered in a way that is not known");
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
    check_foreign_404(&scene.stage, &scene.azure->cd);
    check_busy(&scene.stage, &scene.azure->cd);
    check_unreachable(&scene.stage, &scene.azure->cd);
    close_scene(&scene);
}

/* ---- logins ---- */

static void set_client(struct scene *scene, struct span secret)
{
    secret_unref(&scene->secret);
    assert_int_equal(secret_new(scene->stage.play.secrets, secret, &scene->secret), 0);
    scene->credential = (struct credential){.kind = CREDENTIAL_AZURE_ENTRA,
                                            .url = span_from_text(scene->url),
                                            .tenant = SPAN("tenant-1"),
                                            .client_id = SPAN("app-1"),
                                            .secret = scene->secret,
                                            .scope = SPAN(AZURE_STORE_SCOPE)};
    scene->options.login =
        (struct cloud_login){.kind = CLOUD_LOGIN_CREDENTIAL, .credential = &scene->credential};
}

static void tokens_end(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct scene scene;
        struct play *play = &scene.stage.play;

        (void)state;
        open_scene(&scene);
        if (i)
            set_client(&scene, SPAN("client-secret-1"));
        assert_int_equal(open_of(&scene.stage), 0);
        for (int j = 0; j < 5; j++)
            assert_int_equal(play_write(play, "a", PLAY_ONE, SECRET_ANY), 0);
        assert_int_equal(scene.azure->logins, 1);
        stage_pass(&scene.stage, 3500 * US_PER_SEC);
        assert_int_equal(play_read(play, "a"), 0);
        assert_int_equal(scene.azure->logins, 2);
        scene.azure->is_expired = true;
        assert_int_equal(play_read(play, "a"), 0);
        assert_int_equal(scene.azure->logins, 3);
        scene.azure->is_expired = true;
        stage_refused(&scene.stage, play_read(play, "a"), ERR_DENIED,
                      "azure: Unauthorized: AKV10000: Request is missing a Bearer token. for a "
                      "(401)");
        close_scene(&scene);
    }
}

static void a_client_that_is_refused(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    set_client(&scene, SPAN("client-secret-2"));
    assert_int_equal(open_of(&scene.stage), 0);
    stage_refused(&scene.stage, play_read(&scene.stage.play, "a"), ERR_DENIED,
                  "azure: the login failed: HTTP 401: invalid_client: AADSTS7000215: Invalid "
                  "client secret provided.");
    close_scene(&scene);
}

static void changes_are_looked_for(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    zd_put(scene.azure, "a", PLAY_ONE);
    play_watch(play, "a");
    play_until(play, &play->changes, 1);
    stage_pass(&scene.stage, 600 * US_PER_SEC);
    assert_int_equal(play->changes, 1);
    assert_in_range(scene.azure->cd.requests, 9, 14);
    zd_put(scene.azure, "a", PLAY_TWO);
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->changes, 2);
    zd_find(scene.azure, "a")->is_deleted = true;
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->changes, 3);
    assert_int_equal(play->troubles, 0);
    close_scene(&scene);
}

static void wrong_options(void **state)
{
    struct scene scene;
    struct azure_options good;

    (void)state;
    open_scene(&scene);
    good = scene.options;
#define WRONG(member, value, words)                                                                \
    scene.options = good;                                                                          \
    scene.options.member = (value);                                                                \
    assert_int_equal(open_of(&scene.stage), ERR_SYNTAX);                                           \
    assert_non_null(strstr(scene.stage.why, words))
    WRONG(url, NULL, "azure: the address begins neither");
    WRONG(prefix, "../x", "the prefix is no path");
    WRONG(login.kind, CLOUD_LOGIN_GOOGLE_METADATA, "such a login is not Azure's");
    WRONG(login.kind, CLOUD_LOGIN_FILE, "no file is given");
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
    struct azure_double *azure = container_of(stage, struct scene, stage)->azure;

    while (azure->secret_count)
        zd_drop(azure, &azure->secrets[0]);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_store),
        cmocka_unit_test(large_letters),
        cmocka_unit_test(what_is_expected_is_compared),
        cmocka_unit_test(a_deleted_name),
        cmocka_unit_test(what_stands_there),
        cmocka_unit_test(failures_in_plain_words),
        cmocka_unit_test(busy_and_away),
        cmocka_unit_test(tokens_end),
        cmocka_unit_test(a_client_that_is_refused),
        cmocka_unit_test(changes_are_looked_for),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(freed_at_work),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
