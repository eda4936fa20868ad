/* Kubernetes Secrets as a store, against a strict double on this machine. */
#include "cloud_checks.h"
#include "kubernetes_double.h"

#include "secrets/kubernetes_store.h"

struct scene {
    struct cloud_stage stage;
    struct kubernetes_double *cluster;
    struct kubernetes_options options;
    char folder[256], file[300], url[64];
};

static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    stage_open(&scene->stage);
    scene->cluster = kd_open();
    play_make_folder(scene->folder, sizeof(scene->folder));
    snprintf(scene->file, sizeof(scene->file), "%s/token", scene->folder);
    play_write_file(scene->file, "token-1\n", 8, 0600);
    snprintf(scene->url, sizeof(scene->url), "http://127.0.0.1:%u", scene->cluster->cd.port);
    scene->options =
        (struct kubernetes_options){.loop = scene->stage.play.loop,
                                    .fetcher = scene->stage.fetcher,
                                    .secrets = scene->stage.play.secrets,
                                    .url = scene->url,
                                    .name_space = "llm",
                                    .login = {.kind = CLOUD_LOGIN_FILE, .file = scene->file}};
}

static int open_of(struct cloud_stage *stage)
{
    struct scene *scene = container_of(stage, struct scene, stage);

    return kubernetes_store_open(&scene->options, &stage->play.store, stage->why);
}

static void close_scene(struct scene *scene)
{
    play_close_store(&scene->stage.play);
    stage_close(&scene->stage);
    kd_close(&scene->cluster);
    play_remove_folder(scene->folder);
}

static void it_is_a_store(void **state)
{
    static const char *const prefixes[] = {NULL, "Zoo/gate.way_1", ""};
    static const char *const names[] = {"bellwether.openai.pool-a",
                                        "zczoo.gatezdwayzu1.openai.pool-a", "openai.pool-a"};

    for (int i = 0; i < 3; i++) {
        struct scene scene;

        (void)state;
        open_scene(&scene);
        scene.options.prefix = prefixes[i];
        assert_int_equal(open_of(&scene.stage), 0);
        assert_string_equal(secret_store_kind(scene.stage.play.store), "kubernetes");
        store_conforms(&scene.stage.play);
        assert_non_null(kd_find(scene.cluster, names[i]));
        close_scene(&scene);
    }
}

/* A check-and-set that holds, at each of its ends. */
static void somebody_else_is_quicker(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;
    uint64_t version;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_write(play, "a", PLAY_ONE, 0), 0);
    scene.cluster->races = 1;
    stage_refused(&scene.stage, play_write(play, "a", PLAY_TWO, play->version), ERR_EXISTS,
                  "kubernetes: another version is there than was expected");
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"other\"}");
    version = play->version;
    scene.cluster->races = 1;
    assert_int_equal(play_remove(play, "a", version), ERR_EXISTS);
    assert_non_null(kd_find(scene.cluster, "bellwether.a"));
    assert_int_equal(play_write(play, "a", PLAY_TWO, SECRET_ANY), 0);
    assert_int_equal(play_remove(play, "a", play->version), 0);
    close_scene(&scene);
}

/* Made by hand, as kubectl does; and what is none of ours. */
static void what_stands_there(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    kd_put(scene.cluster, "bellwether.a", "{\"api_key\":\"c2stcGxhaW4=\"}");
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"sk-plain\"}");
    kd_put(scene.cluster, "bellwether.a", "{\"entry\":\"c2stcGxhaW4K\"}");
    assert_int_equal(play_read(play, "a"), 0);
    assert_string_equal(play->text, "{\"api_key\":\"sk-plain\"}");
    kd_put(scene.cluster, "bellwether.a", "{\"tls.crt\":\"c2stcGxhaW4=\"}");
    stage_refused(&scene.stage, play_read(play, "a"), ERR_SYNTAX,
                  "kubernetes: the Secret holds neither \"entry\" nor \"api_key\"");
    kd_put(scene.cluster, "bellwether.a", "{\"entry\":\"e30x\"}");
    assert_int_equal(play_read(play, "a"), ERR_SYNTAX);
    kd_put(scene.cluster, "bellwether.a", "{\"entry\":\"!\"}");
    assert_int_equal(play_read(play, "a"), ERR_PROTO);
    kd_put(scene.cluster, "default-token-abcde", "{}");
    kd_put(scene.cluster, "bellwether-tls", "{}");
    kd_put(scene.cluster, "bellwether.b-", "{}");
    scene.cluster->is_expired = true;
    assert_int_equal(play_list(play, ""), 0);
    assert_string_equal(play->names, "a\n");
    assert_false(scene.cluster->is_expired);
    close_scene(&scene);
}

static void failures_in_plain_words(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    scene.cluster->forbid = "GET";
    stage_refused(&scene.stage, play_read(play, "llm"), ERR_DENIED,
                  "kubernetes: Forbidden: secrets is forbidden: User cannot do that for "
                  "bellwether.llm (403)");
    assert_int_equal(play_list(play, ""), ERR_DENIED);
    scene.cluster->forbid = "POST";
    assert_int_equal(play_write(play, "llm", PLAY_ONE, SECRET_ANY), ERR_DENIED);
    scene.cluster->forbid = "DELETE";
    assert_int_equal(play_remove(play, "llm", SECRET_ANY), ERR_DENIED);
    scene.cluster->forbid = NULL;
    scene.cluster->cd.canned = "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}";
    stage_refused(&scene.stage, play_read(play, "llm"), ERR_PROTO,
                  "kubernetes: bellwether.llm is answered in a way that is not known");
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
    check_foreign_404(&scene.stage, &scene.cluster->cd);
    check_busy(&scene.stage, &scene.cluster->cd);
    check_unreachable(&scene.stage, &scene.cluster->cd);
    close_scene(&scene);
}

/* The kubelet replaces the token's file; what was read before may have ended. */
static void a_token_that_is_replaced(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_equal(play_read(play, "a"), 0);
    scene.cluster->token = "token-2";
    play_write_file(scene.file, "token-2\n", 8, 0600);
    assert_int_equal(play_read(play, "a"), 0);
    stage_pass(&scene.stage, 61 * US_PER_SEC);
    scene.cluster->token = "token-3";
    stage_refused(&scene.stage, play_read(play, "a"), ERR_DENIED,
                  "kubernetes: Unauthorized: Unauthorized for bellwether.a (401)");
    close_scene(&scene);
}

static void changes_are_looked_for(void **state)
{
    struct scene scene;
    struct play *play = &scene.stage.play;

    (void)state;
    open_scene(&scene);
    assert_int_equal(open_of(&scene.stage), 0);
    kd_put(scene.cluster, "bellwether.a", "{\"api_key\":\"c2stcGxhaW4=\"}");
    play_watch(play, "a");
    play_until(play, &play->changes, 1);
    stage_pass(&scene.stage, 150 * US_PER_SEC);
    assert_int_equal(play->changes, 1);
    assert_in_range(scene.cluster->cd.requests, 9, 13);
    kd_put(scene.cluster, "bellwether.a", "{\"api_key\":\"c2stcGxhaW4=\"}");
    stage_pass(&scene.stage, 17 * US_PER_SEC);
    assert_int_equal(play->changes, 2);
    kd_drop(scene.cluster, kd_find(scene.cluster, "bellwether.a"));
    stage_pass(&scene.stage, 17 * US_PER_SEC);
    assert_int_equal(play->changes, 3);
    assert_int_equal(play->troubles, 0);
    /* No look asks for what the Secret holds. */
    assert_int_equal(scene.cluster->whole_reads, 0);
    close_scene(&scene);
}

static void wrong_options(void **state)
{
    struct scene scene;
    struct kubernetes_options good;

    (void)state;
    open_scene(&scene);
    unsetenv("KUBERNETES_SERVICE_HOST");
    good = scene.options;
#define WRONG(member, value, words)                                                                \
    scene.options = good;                                                                          \
    scene.options.member = (value);                                                                \
    assert_int_equal(open_of(&scene.stage), ERR_SYNTAX);                                           \
    assert_non_null(strstr(scene.stage.why, words))
    WRONG(url, NULL, "kubernetes: no address is given, and KUBERNETES_SERVICE_HOST is not set");
    WRONG(url, "cluster", "the address begins neither");
    WRONG(name_space, "a/b", "the namespace is none");
    WRONG(name_space, NULL, "no namespace is given, and the pod's own cannot be read");
    WRONG(prefix, "../x", "the prefix is no path");
    WRONG(login.kind, CLOUD_LOGIN_AWS_INSTANCE, "such a login is not a cluster's");
    WRONG(login.kind, CLOUD_LOGIN_SECRET, "no token or key is given");
#undef WRONG
    assert_null(scene.stage.play.store);
    close_scene(&scene);
}

/* In a pod: address and certificates are found; here nobody answers there. */
static void in_a_pod(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene);
    cd_stop(&scene.cluster->cd);
    assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "::1", 1), 0);
    assert_int_equal(setenv("KUBERNETES_SERVICE_PORT", "1", 1), 0);
    scene.options.url = NULL;
    assert_int_equal(open_of(&scene.stage), 0);
    assert_int_not_equal(play_read(&scene.stage.play, "a"), 0);
    assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
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
    struct kubernetes_double *cluster = container_of(stage, struct scene, stage)->cluster;

    while (cluster->secret_count)
        kd_drop(cluster, &cluster->secrets[0]);
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
        cmocka_unit_test(somebody_else_is_quicker),
        cmocka_unit_test(what_stands_there),
        cmocka_unit_test(failures_in_plain_words),
        cmocka_unit_test(busy_and_away),
        cmocka_unit_test(a_token_that_is_replaced),
        cmocka_unit_test(changes_are_looked_for),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(in_a_pod),
        cmocka_unit_test(freed_at_work),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
