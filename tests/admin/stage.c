#include "stage.h"

#include <stdio.h>
#include <string.h>

#include "alerts/journal.h"
#include "base/err.h"

static const char *no_variable(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static int no_file(void *ctx, const char *path, struct buf *out)
{
    (void)ctx;
    (void)path;
    (void)out;
    return ERR_NOTFOUND;
}

static struct config *load(struct stage *stage, const char *yaml)
{
    const struct conf_system system = {
        .variable = no_variable, .read_file = no_file, .list_folder = no_file};
    struct conf_source source = {&system, stage->secrets};
    struct complaints complaints;
    struct config *config = NULL;
    struct buf said;

    complaints_init(&complaints);
    buf_init(&said, 1 << 20);
    (void)config_load_text(&source, SPAN("test.yaml"), span_from_text(yaml), &complaints, &config);
    complaints_print(&complaints, &said);
    if (!config)
        fail_msg("%s", buf_text(&said));
    buf_fini(&said);
    complaints_fini(&complaints);
    return config;
}

static struct rotation *no_rotation(void *owner, struct span provider)
{
    (void)owner, (void)provider;
    return NULL;
}

static struct migrator *no_migration(void *owner, size_t index)
{
    (void)owner, (void)index;
    return NULL;
}

void stage_load(struct stage *stage, const char *yaml)
{
    char error[1024];

    if (snapshot_new(&stage->registry, load(stage, yaml), STAGE_NOW_US, STAGE_WALL_US, error,
                     &stage->view.snapshot))
        fail_msg("%s", error);
}

void stage_begin(struct stage *stage, const char *yaml)
{
    static const struct admin_options admin = {.rotation = no_rotation, .migration = no_migration};
    bool is_locked;

    memset(stage, 0, sizeof(*stage));
    stage->secrets = secret_arena_new(16 << 20, &is_locked);
    assert_non_null(stage->secrets);
    assert_int_equal(registry_init(&stage->registry, STAGE_WORKERS, stage->secrets, NULL), 0);
    stage->registry.journal = journal_new(STAGE_EVENTS, STAGE_WALL_US);
    assert_non_null(stage->registry.journal);
    stage->view = (struct page_view){
        .registry = &stage->registry,
        .admin = &admin,
        .state = {true, STAGE_WALL_US - 10 * US_PER_SEC, STAGE_WALL_US - 5 * US_PER_SEC},
        .now_us = STAGE_NOW_US,
        .wall_us = STAGE_WALL_US,
    };
    stage_load(stage, yaml);
    for (uint32_t i = 0; i < STAGE_WORKERS; i++) {
        stage->workers[i] =
            keypool_view_new(provider_keys(stage->view.snapshot->providers[0].provider), i, 0);
        assert_non_null(stage->workers[i]);
    }
    buf_init(&stage->page.body, PAGE_MAX_BYTES);
}

void stage_end(struct stage *stage)
{
    buf_fini(&stage->page.body);
    for (uint32_t i = 0; i < STAGE_WORKERS; i++)
        keypool_view_free(&stage->workers[i]);
    snapshot_unref(&stage->view.snapshot);
    journal_free(&stage->registry.journal);
    registry_fini(&stage->registry);
    secret_arena_free(&stage->secrets);
}

void stage_pass(struct stage *stage, uint64_t us)
{
    stage->view.now_us += us;
    stage->view.wall_us += us;
}

struct span stage_attempt(struct stage *stage, unsigned worker, enum outcome outcome,
                          uint64_t hint_us)
{
    const struct keypool_ask ask = {.model = SPAN("gpt-4.1"), .tokens = 100};
    const struct keypool_end end = {
        .outcome = outcome_row(outcome), .hint_us = hint_us, .tokens = 150};
    struct keypool_view *view = stage->workers[worker];
    struct keypool_grant grant;
    struct span name;

    assert_int_equal(keypool_select(view, &ask, stage->view.now_us, &grant).verdict,
                     KEYPOOL_CHOSEN);
    name = key_name(grant.key);
    keypool_sent(view, &grant, stage->view.now_us);
    if (outcome == OUTCOME_SUCCESS)
        (void)keypool_good(view, &grant, stage->view.now_us);
    (void)keypool_end(view, &grant, &end, stage->view.now_us);
    return name;
}

const char *stage_show(struct stage *stage, page_write_fn *write)
{
    buf_clear(&stage->page.body);
    stage->page.status = 200;
    stage->page.type = "application/json";
    write(&stage->view, &stage->page);
    assert_int_equal(stage->page.body.err, 0);
    return buf_text(&stage->page.body);
}

/* cmocka's own messages are cut after a thousand bytes. */
static void fail_with(const char *what, const char *part, const char *text)
{
    fprintf(stderr, "%s\n", text);
    fail_msg("%s %s", what, part);
}

void stage_expect_part(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_with("lacks", part, text);
}

void stage_expect_no_part(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_with("has", part, text);
}
