/*
 * What webhooks need around them in a test. The loop's time is virtual: it jumps from one moment to
 * the next, and creeps while a server is asked, which needs the world's time.
 */
#ifndef TESTS_ALERTS_STAGE_H
#define TESTS_ALERTS_STAGE_H

#include "hook.h"

#include <fcntl.h>

#include "alerts/webhook.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "obs/metrics_schema.h"

/* 2026-11-20T10:15:00Z, as the loop's clock is the wall's. */
#define STAGE_START (UINT64_C(1795169700) * US_PER_SEC)
#define S           US_PER_SEC

struct stage {
    struct webhook_surroundings surroundings;
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
    char log_path[64];
    char log_text[65536]; /* once it is closed */
};

static inline void stage_open(struct stage *stage)
{
    struct log_options options = {.level = LOG_LEVEL_DEBUG, .file = stage->log_path};
    bool is_locked;
    int fd;

    memset(stage, 0, sizeof(*stage));
    snprintf(stage->log_path, sizeof(stage->log_path), "/tmp/bw-alerts-XXXXXX");
    fd = mkstemp(stage->log_path);
    assert_true(fd >= 0);
    close(fd);
    stage->loop = loop_new_virtual(STAGE_START);
    assert_non_null(stage->loop);
    stage->fetcher = fetcher_new(stage->loop);
    assert_non_null(stage->fetcher);
    stage->secrets = secret_arena_new(1 << 20, &is_locked);
    assert_non_null(stage->secrets);
    stage->surroundings.loop = stage->loop;
    stage->surroundings.fetcher = stage->fetcher;
    stage->surroundings.schema = metrics_schema_new();
    assert_non_null(stage->surroundings.schema);
    stage->surroundings.metrics = metrics_attach(stage->surroundings.schema);
    assert_non_null(stage->surroundings.metrics);
    assert_int_equal(log_new(&options, &stage->surroundings.log), 0);
    snprintf(stage->surroundings.instance, sizeof(stage->surroundings.instance), "gw-1");
}

/* Whoever used it must be gone. In no line of the log stands a part of a webhook's URL. */
static inline void stage_close(struct stage *stage)
{
    size_t len;
    FILE *file;

    fetcher_free(&stage->fetcher);
    loop_free(&stage->loop);
    metrics_schema_free(&stage->surroundings.schema);
    log_free(&stage->surroundings.log);
    /* Every reference must be gone: the arena says so. */
    secret_arena_free(&stage->secrets);
    file = fopen(stage->log_path, "r");
    assert_non_null(file);
    len = fread(stage->log_text, 1, sizeof(stage->log_text) - 1, file);
    stage->log_text[len] = '\0';
    fclose(file);
    unlink(stage->log_path);
    assert_null(strstr(stage->log_text, "T00000000"));
    assert_null(strstr(stage->log_text, "B11111111"));
    assert_null(strstr(stage->log_text, "sEcReT"));
    assert_null(strstr(stage->log_text, "127.0.0.1"));
}

static inline size_t stage_logged(const struct stage *stage, const char *text)
{
    size_t count = 0;

    for (const char *at = stage->log_text; (at = strstr(at, text)); at++)
        count++;
    return count;
}

static inline struct secret *stage_url(struct stage *stage, uint16_t port)
{
    struct secret *url;
    char text[256];

    snprintf(text, sizeof(text), "http://127.0.0.1:%u" HOOK_PATH, port);
    assert_int_equal(secret_new(stage->secrets, span_from_text(text), &url), 0);
    return url;
}

static inline uint64_t stage_counted(const struct stage *stage, const char *number,
                                     enum metric_delivery result)
{
    struct span name = span_from_text(number);

    return metrics_sum(stage->surroundings.schema,
                       metrics_series(stage->surroundings.schema, METRIC_ALERTS, &name) + result);
}

/* A jump to what comes next, at most so far, or a millisecond while an answer is on its way. */
static inline void stage_turn(struct stage *stage, uint64_t most_us)
{
    bool is_idle = fetcher_is_idle(stage->fetcher);

    if (!is_idle)
        usleep(100);
    assert_int_equal(loop_turn(stage->loop, is_idle ? most_us : US_PER_MS), 0);
}

/* Lets so much time pass. */
static inline void stage_pass(struct stage *stage, uint64_t us)
{
    uint64_t until_us = loop_now_us(stage->loop) + us;

    while (loop_now_us(stage->loop) < until_us || !fetcher_is_idle(stage->fetcher))
        stage_turn(stage, until_us - loop_now_us(stage->loop));
}

#endif
