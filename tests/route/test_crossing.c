/* The plan of a model that goes over: where its two sides stand, by what the crossing says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"
#include "route/plan.h"

enum { PROVIDERS = 3, OLD = 0, NEW = 1, ELSE = 2 };

struct scene {
    struct config config;
    struct conf_provider providers[PROVIDERS];
    struct conf_target targets[20];
    struct conf_target fallback[1];
    struct conf_migration migration;
    struct conf_model model;
    struct limiter_book *limiters;
    struct crossing_book *book;
    struct routes *routes;
    struct crossing *crossing;
    struct rand rand;
};

static struct conf_target target(struct scene *scene, int provider, uint32_t weight)
{
    return (struct conf_target){
        .provider = &scene->providers[provider], .model = SPAN("x"), .weight = weight};
}

static void begin(struct scene *scene)
{
    static const char *const names[PROVIDERS] = {"old", "new", "else"};

    memset(scene, 0, sizeof(*scene));
    rand_init(&scene->rand, 1);
    map_init(&scene->config.provider_by_name, 100);
    for (int i = 0; i < PROVIDERS; i++)
        scene->providers[i] =
            (struct conf_provider){.name = span_from_text(names[i]), .kind = PROVIDER_COMPATIBLE};
    scene->config.providers = (struct conf_providers){scene->providers, PROVIDERS};
    scene->config.models = (struct conf_models){&scene->model, 1};
    scene->migration.to = target(scene, NEW, 0);
    scene->migration.from = target(scene, OLD, 0);
    scene->model = (struct conf_model){.name = SPAN("m"),
                                       .targets = {scene->targets, 0},
                                       .fallback = {scene->fallback, 0},
                                       .migration = &scene->migration};
    scene->limiters = limiter_book_new();
    scene->book = crossing_book_new(1);
}

static void add(struct scene *scene, int provider, uint32_t weight)
{
    scene->targets[scene->model.targets.count++] = target(scene, provider, weight);
}

static void compile(struct scene *scene)
{
    assert_int_equal(routes_new(&scene->config, scene->limiters, &scene->routes), 0);
    assert_int_equal(routes_join(scene->routes, scene->book), 0);
    scene->crossing = routes_crossing(scene->routes, SPAN("m"));
    assert_non_null(scene->crossing);
}

static void end(struct scene *scene)
{
    routes_free(&scene->routes);
    crossing_book_free(&scene->book);
    limiter_book_free(&scene->limiters);
    map_fini(&scene->config.provider_by_name);
}

/* "old new else", with a "+" behind it where it is counted. */
static const char *spell(struct scene *scene)
{
    static char text[512];
    struct plan plan;
    struct plan_turn turn;
    int len = 0;

    assert_int_equal(plan_make(scene->routes, SPAN("m"), &scene->rand, &plan), PLAN_OK);
    assert_non_null(plan.crossing);
    turn = plan_cross(&plan, 0);
    for (uint32_t i = 0; i < plan.count; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.*s", i ? " " : "",
                        SPAN_ARG(plan.targets[i].provider->name));
    snprintf(text + len, sizeof(text) - (size_t)len, "%s", turn.is_counted ? " +" : "");
    return text;
}

static void set(struct scene *scene, uint32_t share_ppm, bool has_old, bool has_new)
{
    crossing_set(scene->crossing, (struct crossing_stand){share_ppm, has_old, has_new});
}

static void test_where_the_sides_stand(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    add(&scene, OLD, 1);
    scene.fallback[0] = target(&scene, ELSE, 0);
    scene.model.fallback.count = 1;
    compile(&scene);
    assert_string_equal(spell(&scene), "old new else"); /* nothing is known so far */
    set(&scene, 0, true, false);
    assert_string_equal(spell(&scene), "old else");
    set(&scene, 1000000, true, true);
    assert_string_equal(spell(&scene), "new old else +");
    set(&scene, 1000000, false, true);
    assert_string_equal(spell(&scene), "new else");
    set(&scene, 1, true, true);
    assert_string_equal(spell(&scene), "old new else +");
    end(&scene);
}

/* Among other targets both have one place, with the weight of both; whoever's turn is another
 * target's has them behind it. */
static void test_among_others(void **state)
{
    static const uint32_t weights[][2] = {{70, 20}, {0, 90}, {90, 0}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct scene scene;
        int counted = 0;

        begin(&scene);
        add(&scene, ELSE, 10);
        add(&scene, i == 1 ? NEW : OLD, i == 1 ? weights[i][1] : weights[i][0]);
        if (i == 0)
            add(&scene, NEW, weights[i][1]);
        compile(&scene);
        set(&scene, 1000000, true, true);
        for (int k = 0; k < 10000; k++) {
            const char *plan = spell(&scene);

            if (strcmp(plan, "new old else +") == 0)
                counted++;
            else
                assert_string_equal(plan, "else new old");
        }
        assert_in_range(counted, 8850, 9150);
        set(&scene, 500000, true, true);
        for (int k = 0; k < 100; k++) {
            const char *plan = spell(&scene);

            assert_true(strcmp(plan, "new old else +") == 0 ||
                        strcmp(plan, "old new else +") == 0 || strcmp(plan, "else old new") == 0);
        }
        end(&scene);
    }
}

/* A plan that is full loses its last target. */
static void test_a_full_plan(void **state)
{
    struct scene scene;
    struct plan plan;

    (void)state;
    begin(&scene);
    add(&scene, OLD, 1);
    for (int i = 0; i < PLAN_MAX_TARGETS + 2; i++)
        add(&scene, ELSE, 0);
    compile(&scene);
    set(&scene, 1000000, true, true);
    assert_int_equal(plan_make(scene.routes, SPAN("m"), &scene.rand, &plan), PLAN_OK);
    plan_cross(&plan, 0);
    assert_int_equal(plan.count, PLAN_MAX_TARGETS);
    assert_ptr_equal(plan.targets[0].provider, &scene.providers[NEW]);
    assert_ptr_equal(plan.targets[1].provider, &scene.providers[OLD]);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_the_sides_stand),
        cmocka_unit_test(test_among_others),
        cmocka_unit_test(test_a_full_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
