/*
 * A Vault that is played, and a store of it, on a virtual clock that creeps while the server is
 * asked. A test's own; one thread.
 */
#ifndef TESTS_SECRETS_VAULT_STAGE_H
#define TESTS_SECRETS_VAULT_STAGE_H

#include "store_play.h"
#include "vault_double.h"

#include "secrets/vault_store.h"

struct stage {
    struct play play;
    struct vault_double *vault;
    struct fetcher *fetcher;
    struct secret *secret;
    struct vault_options options;
    char url[64];
    char why[SECRET_WORDS_BYTES];
};

static inline void turn(struct play *play)
{
    struct stage *stage = container_of(play, struct stage, play);
    bool is_idle = fetcher_is_idle(stage->fetcher);

    if (!is_idle)
        usleep(50);
    assert_int_equal(loop_turn(play->loop, is_idle ? 600 * US_PER_SEC : US_PER_MS), 0);
}

static inline void open_stage(struct stage *stage, int kv)
{
    memset(stage, 0, sizeof(*stage));
    play_open(&stage->play);
    loop_free(&stage->play.loop);
    stage->play.loop = loop_new_virtual(1000 * US_PER_SEC);
    assert_non_null(stage->play.loop);
    stage->play.turn = turn;
    stage->play.has_versions = kv == 2;
    stage->fetcher = fetcher_new(stage->play.loop);
    assert_non_null(stage->fetcher);
    stage->vault = vd_open(kv);
    snprintf(stage->url, sizeof(stage->url), "http://127.0.0.1:%u/", stage->vault->port);
    assert_int_equal(secret_new(stage->play.secrets, SPAN("root-token"), &stage->secret), 0);
    stage->options =
        (struct vault_options){.loop = stage->play.loop,
                               .fetcher = stage->fetcher,
                               .secrets = stage->play.secrets,
                               .url = stage->url,
                               .mount = "secret",
                               .login = {.kind = VAULT_LOGIN_TOKEN, .secret = stage->secret}};
}

static inline void open_store(struct stage *stage)
{
    assert_int_equal(vault_store_open(&stage->options, &stage->play.store, stage->why), 0);
}

/* The store of a role, whose logins can be counted. */
static inline void open_approle(struct stage *stage)
{
    secret_unref(&stage->secret);
    assert_int_equal(secret_new(stage->play.secrets, SPAN("secret-id-1"), &stage->secret), 0);
    stage->options.login = (struct vault_login){
        .kind = VAULT_LOGIN_APPROLE, .secret = stage->secret, .role = "role-1"};
    open_store(stage);
}

static inline void close_stage(struct stage *stage)
{
    play_close_store(&stage->play);
    fetcher_free(&stage->fetcher);
    secret_unref(&stage->secret);
    play_close(&stage->play);
    vd_close(&stage->vault);
}

static inline void refused(struct stage *stage, int err, int expected, const char *why)
{
    assert_int_equal(err, expected);
    assert_string_equal(stage->play.why, why);
}

/* Lets that much time go by. */
static inline void pass(struct stage *stage, uint64_t us)
{
    uint64_t until_us = loop_now_us(stage->play.loop) + us;

    while (loop_now_us(stage->play.loop) < until_us) {
        bool is_idle = fetcher_is_idle(stage->fetcher);
        uint64_t left_us = until_us - loop_now_us(stage->play.loop);

        if (!is_idle)
            usleep(50);
        assert_int_equal(loop_turn(stage->play.loop, is_idle ? left_us : US_PER_MS), 0);
    }
}

#endif
