#include "mirror.h"

#include "base/alloc.h"

const char mirror_yaml[] = MIRROR_YAML("kind: compatible", "");
const char mirror_plain_yaml[] = "providers:\n"
                                 "  up: {kind: compatible, base_url: '@a',\n"
                                 "    health: {validate_new: false},\n"
                                 "    keys: [{name: one, secret: key-one}]}\n"
                                 "models: {up/m: {targets: [up/m]}}\n"
                                 "clients: {open: true}\n";

const char mirror_other_words[] =
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
    "\"assistant\",\"content\":\"Nothing of the kind\"},\"finish_reason\":\"length\"}],\"usage\":{"
    "\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}";

const char mirror_ok_answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 110\r\n\r\n"
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello there\"},"
    "\"finish_reason\":\"stop\"}]}       ";

/* ---- what is known ---- */

struct shadow_report *mirror_report(struct road *road)
{
    struct shadow_entry *entry =
        shadow_board_find(road->registry.shadows, SPAN("up/m"), SPAN("other/n"));
    struct shadow_report *report = mem_zalloc(1, sizeof(*report));

    if (entry)
        shadow_entry_report(entry, loop_wall_us(road->loop), report);
    return report;
}

void mirror_expect_counts(struct road *road, uint64_t drawn, uint64_t compared, uint64_t diverged)
{
    struct shadow_report *report = mirror_report(road);

    assert_int_equal(report->drawn, drawn);
    assert_int_equal(report->counts.compared, compared);
    assert_int_equal(report->counts.diverged, diverged);
    assert_int_equal(report->under_way, 0);
    mem_free(report);
}

void mirror_expect_skipped(struct road *road, enum shadow_skip skip, uint64_t times)
{
    struct shadow_report *report = mirror_report(road);

    for (int i = 0; i < SHADOW_SKIPS; i++) {
        if (report->skipped[i] != (i == (int)skip ? times : 0))
            fail_msg("%s: %u", shadow_skip_name((enum shadow_skip)i), (unsigned)report->skipped[i]);
    }
    assert_int_equal(report->counts.compared, 0);
    assert_int_equal(report->under_way, 0);
    mem_free(report);
}

/* What stands on the key of that name. */
uint64_t mirror_spent_on(struct road *road, struct span name)
{
    struct keypool_row row = {.key = NULL};
    uint64_t spent = 0;

    for (size_t i = 0; i < road->snapshot->provider_count; i++) {
        size_t at = 0;

        while (keypool_describe(provider_keys(road->snapshot->providers[i].provider), &at,
                                loop_now_us(road->loop), &row)) {
            if (span_is_equal(key_name(row.key), name))
                spent += row.spent_nanousd;
            key_unref(&row.key);
        }
    }
    return spent;
}

/* ---- the play ---- */

/* The client is answered well by 'a'. */
void mirror_serve(struct scene *scene)
{
    scene_chat(scene);
    scene_attempt(scene, "key-one");
    scene_serve(scene);
}

/* The shadow comes to 'b'. */
int mirror_shadow(struct scene *scene, char **ret_heard)
{
    char *heard;
    int shadow = road_attempt(&scene->road, 'b', -1, &heard);

    assert_non_null(strstr(heard, "key-two"));
    if (ret_heard)
        *ret_heard = heard;
    else
        mem_free(heard);
    return shadow;
}

void mirror_expect_none(struct scene *scene)
{
    wire_settle(scene->road.loop);
    assert_int_equal(road_try_accept(&scene->road, 'b'), -1);
    assert_int_equal(scene->road.host.shadows.count, 0);
}
