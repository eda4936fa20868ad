/* AWS Secrets Manager as a store, against a strict double on this machine. */
#include "aws_double.h"
#include "cloud_checks.h"

#include "secrets/aws_store.h"

struct scene {
    struct cloud_stage stage;
    struct aws_double *aws;
    struct secret *secret, *session;
    struct aws_options options;
    char url[64], login_url[96];
};

static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    stage_open(&scene->stage);
    scene->stage.play.entry_max = 65536;
    scene->stage.play.has_versions = true;
    scene->aws = ad_open();
    scene->aws->wall_us = &scene->stage.wall_us;
    snprintf(scene->url, sizeof(scene->url), "http://127.0.0.1:%u", scene->aws->cd.port);
    assert_int_equal(
        secret_new(scene->stage.play.secrets, span_from_text(scene->aws->secret), &scene->secret),
        0);
    scene->options = (struct aws_options){
        .loop = scene->stage.play.loop,
        .fetcher = scene->stage.fetcher,
        .secrets = scene->stage.play.secrets,
        .region = "eu-west-1",
        .url = scene->url,
        .login = {.kind = CLOUD_LOGIN_SECRET, .name = "AKIDEXAMPLE", .secret = scene->secret}};
}

static int open_of(struct cloud_stage *stage)
{
    struct scene *scene = container_of(stage, struct scene, stage);

    return aws_store_open(&scene->options, &stage->play.store, stage->why);
}

static void open_store(struct scene *scene)
{
    assert_int_equal(open_of(&scene->stage), 0);
}

static void close_scene(struct scene *scene)
{
    play_close_store(&scene->stage.play);
    secret_unref(&scene->secret);
    secret_unref(&scene->session);
    stage_close(&scene->stage);
    ad_close(&scene->aws);
}

/* ---- the store ---- */

static void it_is_a_store(void **state)
{
    static const unsigned days[] = {0, 7};

    for (int i = 0; i < 4; i++) {
        struct scene scene;

        (void)state;
        open_scene(&scene);
        scene.options.recovery_days = days[i % 2];
        scene.options.prefix = i < 2 ? NULL : "prod/gateway";
        scene.options.kms_key = i < 2 ? NULL : "alias/keys";
        open_store(&scene);
        assert_string_equal(secret_store_kind(scene.stage.play.store), "aws");
        store_conforms(&scene.stage.play);
        assert_int_equal(scene.aws->was_forced, days[i % 2] == 0);
        assert_int_equal(scene.aws->recovery_days, days[i % 2]);
        assert_string_equal(scene.aws->kms_key, i < 2 ? "" : "alias/keys");
        assert_non_null(ad_find(scene.aws, i < 2 ? "anthropic" : "prod/gateway/anthropic"));
        close_scene(&scene);
    }
}

static void with_a_session_token(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    assert_int_equal(secret_new(scene.stage.play.secrets, SPAN("session/0+="), &scene.session), 0);
    scene.options.login.session = scene.session;
    scene.aws->session = "session/0+=";
    open_store(&scene);
    assert_int_equal(play_write(&scene.stage.play, "a", PLAY_ONE, 0), 0);
    /* One that is declared cannot be replaced. */
    scene.aws->is_expired = true;
    stage_refused(&scene.stage, play_read(&scene.stage.play, "a"), ERR_DENIED,
                  "aws: ExpiredTokenException: The security token included has expired for a "
                  "(400)");
    close_scene(&scene);
}

static void labels(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;
    struct ad_secret *secret;
    uint64_t first;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    first = play->version;
    assert_int_equal(play_write(play, "a", PLAY_TWO, first), 0);
    secret = ad_find(scene.aws, "a");
    assert_string_equal(ad_labelled(secret, "AWSCURRENT")->text, PLAY_TWO);
    assert_string_equal(ad_labelled(secret, "AWSPREVIOUS")->text, PLAY_ONE);
    assert_int_equal(play_read_version(play, "a", "AWSPREVIOUS"), 0);
    assert_string_equal(play->text, PLAY_ONE);
    assert_true(play->version == first);
    /* A rotation of AWS's own: it is there before it has a value. */
    ad_add(scene.aws, secret, "11111111-0000-4000-8000-000000000000", NULL, "AWSPENDING");
    assert_int_equal(play_read_version(play, "a", "AWSPENDING"), 0);
    assert_int_equal(play->version, 0);
    ad_labelled(secret, "AWSPENDING")->text = strdup(PLAY_STATE);
    assert_int_equal(play_read_version(play, "a", "AWSPENDING"), 0);
    assert_string_equal(play->text, PLAY_STATE);
    close_scene(&scene);
}

/* Somebody else writes after we looked, and before AWSCURRENT is moved. */
static void somebody_else_is_quicker(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    scene.aws->races = 1;
    stage_refused(&scene.stage, play_write(play, "a", PLAY_TWO, play->version), ERR_EXISTS,
                  "aws: another version is there than was expected");
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"another's\"}");
    assert_null(ad_labelled(ad_find(scene.aws, "a"), "AWSPENDING"));
    /* Where any version will do it is written over. */
    assert_int_equal(play_write(play, "a", PLAY_TWO, SECRET_ANY), 0);
    close_scene(&scene);
}

/* It was done, and the answer lost: what is asked again finds it done. */
static void an_answer_is_lost(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;
    uint64_t version;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    scene.aws->lost = 1;
    assert_int_equal(play_write(play, "a", PLAY_TWO, play->version), 0);
    version = play->version;
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, PLAY_TWO);
    assert_true(play->version == version);
    close_scene(&scene);
}

/* A secret that was made without a value, as tools for infrastructure do. */
static void a_secret_without_a_value(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    ad_make(scene.aws, "a");
    assert_int_equal(play_read(play, "a"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_versions(play, "a"), 0);
    assert_string_equal(play->names, "");
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, PLAY_ONE);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), ERR_EXISTS);
    close_scene(&scene);
}

static void what_was_removed_is_going(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    scene.aws->going = 2;
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    assert_int_equal(play_remove(play, "a", SECRET_ANY), 0);
    scene.aws->going = 2;
    assert_int_equal(play_write(play, "a", PLAY_TWO, SECRET_ANY), 0);
    assert_int_equal(play_remove(play, "a", SECRET_ANY), 0);
    scene.aws->going = 100;
    assert_int_equal(play_write(play, "a", PLAY_TWO, 0), ERR_PROTO);
    assert_true(scene.aws->going > 90);
    close_scene(&scene);
}

/* Keys alone, bytes, and what is neither. */
static void what_stands_there(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    ad_put(scene.aws, "a", "sk-plain\n");
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"sk-plain\"}");
    ad_put(scene.aws, "a", "eyJhcGlfa2V5IjoiYiJ9");
    ad_labelled(ad_find(scene.aws, "a"), "AWSCURRENT")->is_binary = true;
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"b\"}");
    ad_put(scene.aws, "a", "{\"api_key\":1}");
    stage_refused(&scene.stage, play_read(play, "a"), ERR_SYNTAX,
                  "aws: a holds an api_key that is no string, empty, or has control characters");
    ad_put(scene.aws, "a", "a\x01z");
    stage_refused(&scene.stage, play_read(play, "a"), ERR_SYNTAX, "aws: a holds what is no key");
    assert_int_equal(play_write(play, "a", PLAY_ONE, SECRET_ANY), 0);
    close_scene(&scene);
}

/* ---- what can go wrong ---- */

static void failures_in_plain_words(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    scene.aws->refuse = "GetSecretValue";
    ad_put(scene.aws, "llm", PLAY_ONE);
    stage_refused(&scene.stage, play_read(play, "llm"), ERR_DENIED,
                  "aws: AccessDeniedException: User is not authorized to perform it for llm (400)");
    scene.aws->refuse = "ListSecrets";
    stage_refused(&scene.stage, play_list(play, ""), ERR_DENIED,
                  "aws: AccessDeniedException: User is not authorized to perform it for the list "
                  "(400)");
    scene.aws->refuse = "DeleteSecret";
    assert_int_equal(play_remove(play, "llm", SECRET_ANY), ERR_DENIED);
    scene.aws->refuse = "PutSecretValue";
    assert_int_equal(play_write(play, "llm", PLAY_TWO, SECRET_ANY), ERR_DENIED);
    scene.aws->refuse = NULL;
    scene.aws->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nabcd";
    stage_refused(&scene.stage, play_read(play, "llm"), ERR_PROTO,
                  "aws: llm is answered in a way that is not known");
    scene.aws->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}";
    assert_int_equal(play_list(play, ""), ERR_PROTO);
    scene.aws->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}";
    assert_int_equal(play_write(play, "llm", PLAY_ONE, SECRET_ANY), ERR_PROTO);
    scene.aws->cd.canned = "HTTP/1.1 400 X\r\nConnection: close\r\n\r\n"
                           "{\"__type\":\"LimitExceededException\"}";
    stage_refused(&scene.stage, play_write(play, "llm", PLAY_ONE, SECRET_ANY), ERR_FULL,
                  "aws: LimitExceededException for llm (400)");
    /* Words that hold our own secrets are not shown: neither the key, nor what is written. */
    scene.aws->cd.canned = "HTTP/1.1 400 X\r\nConnection: close\r\n\r\n"
                           "{\"__type\":\"X\",\"Message\":\"not wJalrXUtnFEMI\"}";
    assert_int_equal(play_read(play, "llm"), ERR_PROTO);
    assert_null(strstr(play->why, "wJalrXUtnFEMI"));
    scene.aws->cd.canned = "HTTP/1.1 400 X\r\nConnection: close\r\n\r\n"
                           "{\"__type\":\"X\",\"Message\":\"not sk-secret-text\"}";
    assert_int_equal(play_write(play, "llm", "{\"api_key\":\"sk-secret-text\"}", SECRET_ANY),
                     ERR_PROTO);
    assert_null(strstr(play->why, "sk-secret"));
    check_foreign_404(&scene.stage, &scene.aws->cd);
    scene.aws->secret = "another";
    stage_refused(&scene.stage, play_read(play, "llm"), ERR_DENIED,
                  "aws: InvalidSignatureException: wrong signature for llm (400)");
    close_scene(&scene);
}

/* Throttled, or broken: asked again a few times, within seconds. */
static void a_busy_server(void **state)
{
    static const char throttled[] = "HTTP/1.1 400 X\r\nConnection: close\r\n\r\n{\"__type\":"
                                    "\"ThrottlingException\",\"message\":\"Rate exceeded\"}";
    static const char broken[] = "HTTP/1.1 500 X\r\nConnection: close\r\n\r\n{\"__type\":"
                                 "\"InternalServiceError\",\"message\":\"It broke\"}";
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    open_store(&scene);
    for (int i = 0; i < 2; i++) {
        scene.aws->cd.busy_answer = i ? broken : throttled;
        scene.aws->cd.busy = 3;
        assert_int_equal(play_write(play, "a", PLAY_ONE, SECRET_ANY), 0);
        scene.aws->cd.busy = 100;
        stage_refused(&scene.stage, play_read(play, "a"), ERR_UNREACHABLE,
                      i ? "aws: InternalServiceError: It broke for a (500)"
                        : "aws: ThrottlingException: Rate exceeded for a (400)");
        assert_int_equal(scene.aws->cd.busy, 96);
        scene.aws->cd.busy = 0;
    }
    /* One that has us wait for longer is not waited for. */
    scene.aws->cd.busy_answer = "HTTP/1.1 429 X\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
    scene.aws->cd.busy = 100;
    assert_int_equal(play_read(play, "a"), ERR_UNREACHABLE);
    assert_int_equal(scene.aws->cd.busy, 99);
    close_scene(&scene);
}

static void unreachable(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    scene.options.total_us = 200 * US_PER_MS;
    open_store(&scene);
    atomic_store(&scene.aws->cd.is_silent, true);
    assert_int_equal(play_read(play, "a"), ERR_TIMEOUT);
    atomic_store(&scene.aws->cd.is_silent, false);
    cd_stop(&scene.aws->cd);
    assert_int_equal(play_read(play, "a"), ERR_REFUSED);
    assert_non_null(strstr(play->why, "aws: Failed to connect to 127.0.0.1"));
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), ERR_REFUSED);
    assert_int_equal(play_remove(play, "a", 0), ERR_REFUSED);
    assert_int_equal(play_list(play, ""), ERR_REFUSED);
    close_scene(&scene);
}

static void wrong_options(void **state)
{
    struct scene scene;
    struct aws_options good;

    (void)state;
    open_scene(&scene);
    good = scene.options;
#define WRONG(member, value, words)                                                                \
    scene.options = good;                                                                          \
    scene.options.member = (value);                                                                \
    assert_int_equal(aws_store_open(&scene.options, &scene.stage.play.store, scene.stage.why),     \
                     ERR_SYNTAX);                                                                  \
    assert_non_null(strstr(scene.stage.why, words))
    WRONG(url, "aws.example", "the address begins neither");
    WRONG(url, "https://a b", "the address is none");
    WRONG(url, "https://aws.example/path", "the address has a path");
    WRONG(region, NULL, "the region is none");
    WRONG(region, "a/b", "the region is none");
    WRONG(prefix, "../x", "the prefix is no path");
    WRONG(recovery_days, 3, "the days for recovery");
    WRONG(login.secret, NULL, "no token or key");
    WRONG(login.name, NULL, "no access key id");
    WRONG(login.kind, CLOUD_LOGIN_GOOGLE_METADATA, "such a login is not AWS's");
    WRONG(login.kind, CLOUD_LOGIN_AWS_CONTAINER, "no address");
    WRONG(login.kind, CLOUD_LOGIN_AWS_WEB_IDENTITY, "no file");
#undef WRONG
    assert_null(scene.stage.play.store);
    close_scene(&scene);
}

/* ---- logins ---- */

static void log_in_by(struct scene *scene, enum cloud_login_kind kind, const char *file)
{
    snprintf(scene->login_url, sizeof(scene->login_url), "%s%s", scene->url,
             kind == CLOUD_LOGIN_AWS_WEB_IDENTITY ? "/sts"
             : kind == CLOUD_LOGIN_AWS_CONTAINER  ? "/container"
                                                  : "");
    scene->options.login =
        (struct cloud_login){.kind = kind,
                             .name = "arn:aws:iam::123456789012:role/gateway",
                             .file = kind == CLOUD_LOGIN_AWS_INSTANCE ? NULL : file,
                             .url = scene->login_url};
}

static void logins(void **state)
{
    char folder[256], file[300];

    (void)state;
    play_make_folder(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/token", folder);
    for (enum cloud_login_kind kind = CLOUD_LOGIN_AWS_WEB_IDENTITY;
         kind <= CLOUD_LOGIN_AWS_INSTANCE; kind++) {
        struct scene scene;
        struct play *play = &scene.stage.play;

        open_scene(&scene);
        play_write_file(file, "jwt-1\n", 6, 0600);
        log_in_by(&scene, kind, file);
        open_store(&scene);
        for (int i = 0; i < 5; i++)
            assert_int_equal(play_write(play, "a", PLAY_ONE, SECRET_ANY), 0);
        assert_int_equal(scene.aws->logins, 1);
        /* Near its end another is got; and where it is refused before. */
        stage_pass(&scene.stage, 3500 * US_PER_SEC);
        assert_int_equal(play_read(play, "a"), 0);
        assert_int_equal(scene.aws->logins, 2);
        scene.aws->is_expired = true;
        assert_int_equal(play_read(play, "a"), 0);
        assert_int_equal(scene.aws->logins, 3);
        /* But no more than once a minute. */
        scene.aws->is_expired = true;
        assert_int_equal(play_read(play, "a"), ERR_DENIED);
        assert_int_equal(scene.aws->logins, 3);
        stage_pass(&scene.stage, 61 * US_PER_SEC);
        assert_int_equal(play_read(play, "a"), 0);
        assert_int_equal(scene.aws->logins, 4);
        close_scene(&scene);
    }
    play_remove_folder(folder);
}

static void logins_that_fail(void **state)
{
    char folder[256], file[300];
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    play_make_folder(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/token", folder);
    open_scene(&scene);
    log_in_by(&scene, CLOUD_LOGIN_AWS_WEB_IDENTITY, file);
    open_store(&scene);
    stage_refused(&scene.stage, play_read(play, "a"), ERR_DENIED,
                  "aws: the login failed: the token's file cannot be read: not found");
    stage_pass(&scene.stage, 2 * US_PER_SEC);
    play_write_file(file, "jwt-2", 5, 0600);
    stage_refused(&scene.stage, play_read(play, "a"), ERR_DENIED,
                  "aws: the login failed: HTTP 400: InvalidIdentityToken: Token is not ours");
    stage_pass(&scene.stage, 2 * US_PER_SEC);
    play_write_file(file, "jwt-1", 5, 0600);
    scene.aws->life_s = -10;
    stage_refused(&scene.stage, play_read(play, "a"), ERR_PROTO,
                  "aws: the login failed: the keys that came have ended already");
    /* Not asked again at once. */
    scene.aws->life_s = 3600;
    assert_int_equal(play_read(play, "a"), ERR_PROTO);
    stage_pass(&scene.stage, 2 * US_PER_SEC);
    assert_int_equal(play_read(play, "a"), 0);
    close_scene(&scene);

    open_scene(&scene);
    play_write_file(file, "wrong", 5, 0600);
    log_in_by(&scene, CLOUD_LOGIN_AWS_CONTAINER, file);
    open_store(&scene);
    stage_refused(&scene.stage, play_read(play, "a"), ERR_DENIED,
                  "aws: the login failed: HTTP 401: refused");
    cd_stop(&scene.aws->cd);
    stage_pass(&scene.stage, 2 * US_PER_SEC);
    assert_int_equal(play_read(play, "a"), ERR_REFUSED);
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
    open_store(&scene);
    ad_put(scene.aws, "a", PLAY_ONE);
    play_watch(play, "a");
    play_until(play, &play->changes, 1);
    stage_pass(&scene.stage, 600 * US_PER_SEC);
    assert_int_equal(play->changes, 1);
    assert_in_range(scene.aws->cd.requests, 9, 13);
    assert_null(strstr(scene.aws->actions, "GetSecretValue"));
    ad_put(scene.aws, "a", PLAY_TWO);
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->changes, 2);
    /* Who may not describe it may read it. */
    scene.aws->refuse = "DescribeSecret";
    ad_put(scene.aws, "a", PLAY_ONE);
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->changes, 3);
    assert_int_equal(play->troubles, 0);
    scene.aws->cd.busy_answer = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";
    scene.aws->cd.busy = 1000000;
    stage_pass(&scene.stage, 300 * US_PER_SEC);
    assert_int_equal(play->troubles, 1);
    assert_string_equal(play->trouble, "aws: refused for a (500)");
    scene.aws->cd.busy = 0;
    stage_pass(&scene.stage, 67 * US_PER_SEC);
    assert_int_equal(play->troubles, 2);
    assert_int_equal(play->changes, 3);
    close_scene(&scene);
}

static void freed_at_work(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    log_in_by(&scene, CLOUD_LOGIN_AWS_INSTANCE, NULL);
    check_freed_at_work(&scene.stage, open_of);
    close_scene(&scene);
}

#ifdef BW_FAULTS
static int open_anew(struct cloud_stage *stage)
{
    struct aws_double *aws = container_of(stage, struct scene, stage)->aws;

    while (aws->secret_count)
        ad_drop(aws, &aws->secrets[0]);
    return open_of(stage);
}

static void without_memory(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    log_in_by(&scene, CLOUD_LOGIN_AWS_INSTANCE, NULL);
    check_without_memory(&scene.stage, open_anew);
    close_scene(&scene);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_store),
        cmocka_unit_test(with_a_session_token),
        cmocka_unit_test(labels),
        cmocka_unit_test(somebody_else_is_quicker),
        cmocka_unit_test(an_answer_is_lost),
        cmocka_unit_test(a_secret_without_a_value),
        cmocka_unit_test(what_was_removed_is_going),
        cmocka_unit_test(what_stands_there),
        cmocka_unit_test(failures_in_plain_words),
        cmocka_unit_test(a_busy_server),
        cmocka_unit_test(unreachable),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(logins),
        cmocka_unit_test(logins_that_fail),
        cmocka_unit_test(changes_are_looked_for),
        cmocka_unit_test(freed_at_work),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
