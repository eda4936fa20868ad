/* Keys that somebody else puts into a store: here one in memory, which a test fills and breaks. */
#include "stage.h"

#include "secrets/secret_store_kind.h"

static const struct double_step no_script[] = {{.line = NULL}};

/* One entry, told at the end of the turn. */
struct shelf {
    struct secret_store store;
    struct loop_task task;
    struct secret_ask *ask;
    const char *text; /* NULL: there is none */
    uint64_t version;
    bool is_away;
    int asked;
};

static void tell(struct loop_task *task)
{
    struct shelf *shelf = container_of(task, struct shelf, task);
    struct secret_answer answer = {.why = ""};
    struct secret_ask *ask = shelf->ask;

    shelf->ask = NULL;
    shelf->asked++;
    if (shelf->is_away) {
        secret_ask_fail(ask, ERR_TIMEOUT, "vault: no answer");
        return;
    }
    if (shelf->text)
        answer.entry = (struct secret_entry){span_from_text(shelf->text), shelf->version};
    secret_ask_finish(ask, &answer);
}

static int begin(struct secret_store *store, struct secret_ask *ask,
                 const struct secret_request *request)
{
    struct shelf *shelf = container_of(store, struct shelf, store);

    assert_int_equal(request->act, SECRET_READ);
    assert_true(span_is_equal(request->path, SPAN("llm/next")));
    assert_null(shelf->ask);
    shelf->ask = ask;
    loop_defer(store->loop, &shelf->task);
    return 0;
}

static void cancel(struct secret_ask *ask)
{
    struct shelf *shelf = container_of(ask->store, struct shelf, store);

    shelf->ask = NULL;
    loop_task_cancel(&shelf->task);
}

static void free_shelf(struct secret_store *store)
{
    assert_null(container_of(store, struct shelf, store)->ask);
}

static const struct secret_store_ops shelf_ops = {
    .kind = "shelf", .begin = begin, .cancel = cancel, .free = free_shelf};

struct scene {
    struct stage stage;
    struct shelf shelf;
    struct secret_store *store;
};

static void open_scene(struct scene *scene, const char *text)
{
    struct issuer_settings settings = {.kind = ISSUER_STORE, .timeout_us = 20 * US_PER_SEC};

    memset(scene, 0, sizeof(*scene));
    stage_open(&scene->stage, no_script);
    scene->store = &scene->shelf.store;
    secret_store_init(scene->store, &shelf_ops, scene->stage.loop);
    loop_task_init(&scene->shelf.task, tell);
    scene->shelf.text = text;
    scene->shelf.version = 1;
    settings.store =
        (struct issuer_store_settings){.store = scene->store, .path = SPAN("llm/next")};
    assert_int_equal(stage_new_issuer(&scene->stage, &settings), 0);
}

static void close_scene(struct scene *scene)
{
    issuer_cancel(&scene->stage.ask);
    issuer_free(&scene->stage.issuer);
    secret_store_free(&scene->store);
    stage_close(&scene->stage);
}

static void begin_creation(struct scene *scene)
{
    struct issuer_subject subject = stage_subject(&scene->stage, "n", NULL);

    assert_int_equal(issuer_create(scene->stage.issuer, &scene->stage.ask, &subject), 0);
    assert_int_equal(scene->stage.answers, 0);
}

/* Lets so much time pass. */
static void pass(struct scene *scene, uint64_t us)
{
    uint64_t until_us = loop_now_us(scene->stage.loop) + us;

    while (loop_now_us(scene->stage.loop) < until_us)
        assert_int_equal(loop_turn(scene->stage.loop, until_us - loop_now_us(scene->stage.loop)),
                         0);
}

static void put(struct scene *scene, const char *text)
{
    scene->shelf.text = text;
    scene->shelf.version++;
    list_for_each_safe (link, &scene->store->watches) {
        struct secret_watch *watch = container_of(link, struct secret_watch, link);

        watch->on_change(watch);
    }
}

#define CURRENT "{\"api_key\":\"sk-current-0123456789\"}"

static void waits_until_it_is_there(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, NULL);
    assert_true(issuer_traits(scene.stage.issuer).takes_long);
    assert_false(issuer_traits(scene.stage.issuer).can_find);
    assert_false(issuer_traits(scene.stage.issuer).can_revoke);
    begin_creation(&scene);
    pass(&scene, 86400 * US_PER_SEC);
    /* The key that serves, and entries without a key, are not the next one. */
    put(&scene, CURRENT);
    pass(&scene, 86400 * US_PER_SEC);
    put(&scene, "{\"note\":\"soon\"}");
    pass(&scene, 86400 * US_PER_SEC);
    assert_int_equal(scene.stage.answers, 0);
    put(&scene, "{\"api_key\":\"sk-next\",\"key_id\":\"k_2\",\"created_by\":\"me\","
                "\"expires_at\":\"2026-12-20T10:15:00Z\"}");
    pass(&scene, 1);
    assert_int_equal(scene.stage.answers, 1);
    assert_int_equal(scene.stage.answer.err, 0);
    assert_string_equal(scene.stage.key, "sk-next");
    assert_string_equal(scene.stage.id, "k_2");
    assert_true(scene.stage.answer.issued.expires_wall_us == STAGE_START + 30 * 86400 * US_PER_SEC);
    close_scene(&scene);
}

/* One that is there already is taken at once; but only once. */
static void each_is_told_once(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, "{\"api_key\":\"sk-next\"}");
    assert_int_equal(stage_create(&scene.stage, "n"), 0);
    assert_string_equal(scene.stage.key, "sk-next");
    assert_string_equal(scene.stage.id, "");
    scene.stage.answers = 0;
    begin_creation(&scene);
    pass(&scene, 86400 * US_PER_SEC);
    assert_int_equal(scene.stage.answers, 0);
    /* Put there once more, it is meant. */
    put(&scene, "{\"api_key\":\"sk-next\"}");
    pass(&scene, 1);
    assert_int_equal(scene.stage.answers, 1);
    close_scene(&scene);
}

static bool is_old(void *owner, const struct secret *key)
{
    (void)owner;
    return span_is_equal(secret_reveal(key), SPAN("sk-old"));
}

/* One that was told before a restart is no news. */
static void a_known_key_is_waited_out(void **state)
{
    struct scene scene;
    struct issuer_subject subject;

    (void)state;
    open_scene(&scene, "{\"api_key\":\"sk-old\"}");
    subject = stage_subject(&scene.stage, "n", NULL);
    subject.is_known = is_old;
    assert_int_equal(issuer_create(scene.stage.issuer, &scene.stage.ask, &subject), 0);
    pass(&scene, 86400 * US_PER_SEC);
    put(&scene, "{\"api_key\":\"sk-old\"}");
    pass(&scene, 86400 * US_PER_SEC);
    assert_int_equal(scene.stage.answers, 0);
    put(&scene, "{\"api_key\":\"sk-next\"}");
    pass(&scene, 1);
    assert_int_equal(scene.stage.answers, 1);
    assert_string_equal(scene.stage.key, "sk-next");
    close_scene(&scene);
}

static void a_key_that_cannot_be_used(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, "{\"api_key\":\"a b\"}");
    assert_int_equal(stage_create(&scene.stage, "n"), ERR_PROTO);
    assert_string_equal(scene.stage.told_why,
                        "the answer holds a key that no header could carry at /api_key");
    assert_false(scene.stage.answer.may_exist);
    scene.stage.answers = 0;
    begin_creation(&scene);
    pass(&scene, 3600 * US_PER_SEC);
    put(&scene, "{\"api_key\":\"sk-next\"}");
    pass(&scene, 1);
    assert_int_equal(scene.stage.answer.err, 0);
    close_scene(&scene);
}

/* Told where it never answers; waited for where it did. */
static void a_store_that_is_away(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, CURRENT);
    scene.shelf.is_away = true;
    begin_creation(&scene);
    pass(&scene, 19 * US_PER_SEC);
    assert_int_equal(scene.stage.answers, 0);
    pass(&scene, 20 * US_PER_SEC);
    assert_int_equal(scene.stage.answers, 1);
    assert_int_equal(scene.stage.answer.err, ERR_AGAIN);
    assert_string_equal(scene.stage.told_why, "vault: no answer");
    assert_true(scene.stage.answer.may_retry);
    assert_false(scene.stage.answer.may_exist);
    scene.shelf.is_away = false;
    scene.stage.answers = 0;
    begin_creation(&scene);
    pass(&scene, US_PER_SEC);
    scene.shelf.is_away = true;
    scene.shelf.asked = 0;
    put(&scene, "{\"api_key\":\"sk-next\"}");
    pass(&scene, 86400 * US_PER_SEC);
    assert_int_equal(scene.stage.answers, 0);
    /* Once a minute at most, but for the beginning. */
    assert_true(scene.shelf.asked > 1400 && scene.shelf.asked < 1450);
    scene.shelf.is_away = false;
    pass(&scene, 61 * US_PER_SEC);
    assert_int_equal(scene.stage.answers, 1);
    assert_string_equal(scene.stage.key, "sk-next");
    close_scene(&scene);
}

/* A change while the entry is being read is not missed. */
static void changed_while_it_is_read(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, CURRENT);
    begin_creation(&scene);
    put(&scene, CURRENT);
    scene.shelf.asked = 0;
    pass(&scene, US_PER_SEC);
    assert_int_equal(scene.shelf.asked, 2);
    close_scene(&scene);
}

static void what_it_cannot_do_is_said(void **state)
{
    struct issuer_settings settings = {.kind = ISSUER_STORE};
    struct scene scene;

    (void)state;
    open_scene(&scene, NULL);
    assert_int_equal(stage_find(&scene.stage, "n"), ERR_UNSUPPORTED);
    assert_int_equal(stage_revoke(&scene.stage, "n", "1"), ERR_UNSUPPORTED);
    scene.stage.answers = 0;
    begin_creation(&scene);
    issuer_cancel(&scene.stage.ask);
    pass(&scene, US_PER_SEC);
    assert_int_equal(scene.stage.answers, 0);
    settings.store = (struct issuer_store_settings){.store = scene.store, .path = SPAN("../x")};
    assert_int_equal(stage_new_issuer(&scene.stage, &settings), ERR_SYNTAX);
    assert_string_equal(scene.stage.why, "the path is none that a store could have");
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_until_it_is_there),   cmocka_unit_test(each_is_told_once),
        cmocka_unit_test(a_known_key_is_waited_out), cmocka_unit_test(a_key_that_cannot_be_used),
        cmocka_unit_test(a_store_that_is_away),      cmocka_unit_test(changed_while_it_is_read),
        cmocka_unit_test(what_it_cannot_do_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
