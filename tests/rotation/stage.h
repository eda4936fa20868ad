/*
 * What an issuer needs around it in a test, and the last answer it gave. The loop's time is
 * virtual, and creeps while a server is asked, which needs the world's time.
 */
#ifndef TESTS_ROTATION_STAGE_H
#define TESTS_ROTATION_STAGE_H

#include "double.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "rotation/issuer.h"

/* 2026-11-20T10:15:00Z, as the loop's clock is the wall's. */
#define STAGE_START (UINT64_C(1795169700) * US_PER_SEC)

struct stage {
    struct double_server server;
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
    struct secret *current_key, *admin;
    struct issuer *issuer;
    struct issuer_ask ask;
    char url[64], why[ISSUER_WHY_BYTES];
    /* The last answer. */
    int answers;
    struct issuer_answer answer;
    char told_why[ISSUER_WHY_BYTES], key[8192], id[ISSUER_ID_MAX_BYTES + 1];
};

static inline void stage_on_done(struct issuer_ask *ask, const struct issuer_answer *answer)
{
    struct stage *stage = container_of(ask, struct stage, ask);
    struct span key = answer->issued.key ? secret_reveal(answer->issued.key) : SPAN("");

    assert_null(ask->work);
    stage->answers++;
    stage->answer = *answer;
    snprintf(stage->told_why, sizeof(stage->told_why), "%s", answer->why);
    snprintf(stage->key, sizeof(stage->key), "%.*s", SPAN_ARG(key));
    snprintf(stage->id, sizeof(stage->id), "%.*s", SPAN_ARG(answer->issued.id));
    assert_true((answer->err == 0) == (answer->why[0] == '\0'));
}

static inline struct secret *stage_secret(struct stage *stage, const char *text)
{
    struct secret *secret;

    assert_int_equal(secret_new(stage->secrets, span_from_text(text), &secret), 0);
    return secret;
}

static inline void stage_open_on(struct stage *stage, const struct double_step *script,
                                 struct loop *loop)
{
    bool is_locked;

    memset(stage, 0, sizeof(*stage));
    double_open(&stage->server, script);
    snprintf(stage->url, sizeof(stage->url), "http://127.0.0.1:%u", stage->server.port);
    stage->loop = loop;
    assert_non_null(stage->loop);
    stage->fetcher = fetcher_new(stage->loop);
    assert_non_null(stage->fetcher);
    stage->secrets = secret_arena_new(1 << 20, &is_locked);
    assert_non_null(stage->secrets);
    stage->current_key = stage_secret(stage, "sk-current-0123456789");
    stage->admin = stage_secret(stage, "sk-admin-0123456789");
    stage->ask.on_done = stage_on_done;
}

static inline void stage_open(struct stage *stage, const struct double_step *script)
{
    stage_open_on(stage, script, loop_new_virtual(STAGE_START));
}

static inline void stage_close(struct stage *stage)
{
    issuer_cancel(&stage->ask);
    issuer_free(&stage->issuer);
    secret_unref(&stage->current_key);
    secret_unref(&stage->admin);
    fetcher_free(&stage->fetcher);
    loop_free(&stage->loop);
    /* Every other reference must be gone: the arena says so. */
    secret_arena_free(&stage->secrets);
    double_close(&stage->server);
}

static inline int stage_new_issuer(struct stage *stage, const struct issuer_settings *settings)
{
    const struct issuer_options options = {stage->loop, stage->fetcher, stage->secrets};

    issuer_free(&stage->issuer);
    return issuer_new(&options, settings, stage->why, &stage->issuer);
}

/* Turns until the next answer. */
static inline void stage_wait(struct stage *stage)
{
    uint64_t give_up_us = clock_now_us() + 60 * US_PER_SEC;
    int before = stage->answers;

    while (stage->answers == before) {
        usleep(100);
        assert_int_equal(loop_turn(stage->loop, US_PER_MS), 0);
        if (clock_now_us() > give_up_us)
            fail_msg("no answer came");
    }
}

static inline struct issuer_subject stage_subject(struct stage *stage, const char *name,
                                                  const char *id)
{
    return (struct issuer_subject){
        .name = span_from_text(name), .id = span_from_text(id), .current_key = stage->current_key};
}

/* Each asks, and waits for the answer: its error. */
static inline int stage_create(struct stage *stage, const char *name)
{
    struct issuer_subject subject = stage_subject(stage, name, NULL);

    assert_int_equal(issuer_create(stage->issuer, &stage->ask, &subject), 0);
    stage_wait(stage);
    return stage->answer.err;
}

static inline int stage_find(struct stage *stage, const char *name)
{
    struct issuer_subject subject = stage_subject(stage, name, NULL);

    assert_int_equal(issuer_find(stage->issuer, &stage->ask, &subject), 0);
    stage_wait(stage);
    return stage->answer.err;
}

static inline int stage_revoke(struct stage *stage, const char *name, const char *id)
{
    struct issuer_subject subject = stage_subject(stage, name, id);

    assert_int_equal(issuer_revoke(stage->issuer, &stage->ask, &subject), 0);
    stage_wait(stage);
    return stage->answer.err;
}

/* This build can make allocations fail. */
static inline bool stage_has_faults(void)
{
    bool has_faults;

    mem_fail_after(1L << 30);
    has_faults = mem_fail_is_pending();
    mem_fail_after(-1);
    return has_faults;
}

/* Whatever allocation fails, no issuer is made of these settings, and nothing is left behind. */
static inline void stage_new_without_memory(struct stage *stage,
                                            const struct issuer_settings *settings)
{
    bool is_pending = !stage_has_faults();
    long after = 0;

    while (!is_pending) {
        int err;

        issuer_free(&stage->issuer);
        mem_fail_after(after++);
        err = stage_new_issuer(stage, settings);
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        assert_int_equal(err, is_pending ? 0 : ERR_NOMEM);
        assert_int_equal(stage->issuer != NULL, is_pending);
    }
}

#endif
