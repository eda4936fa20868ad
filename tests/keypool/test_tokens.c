/* Keys whose credential is exchanged for tokens: when they are picked, what they send, and what a
 * refused token costs. */
#include <pthread.h>

#include "pool_play.h"

#define LIFE (3600 * SECONDS)

static const struct credential entra = {.kind = CREDENTIAL_AZURE_ENTRA};
static const struct credential federation = {.kind = CREDENTIAL_ANTHROPIC_FEDERATION};

/* One key with tokens, by that credential, and nothing else. */
static void begin(struct play *play, const struct credential *credential)
{
    play_init(play, 1);
    secret_unref(&play_key(play, 0)->secret);
    play_key(play, 0)->credential = credential;
    play_apply(play);
}

static struct key *the_key(struct play *play)
{
    const struct conf_key *conf = play_key(play, 0);
    struct key *key = keypool_find_identity(
        play->pool, span_of((const char *)conf->identity, CONF_IDENTITY_BYTES));

    assert_non_null(key);
    return key;
}

static struct keypool_effect give_token(struct play *play, const char *token)
{
    struct keypool_effect effect;
    struct key *key = the_key(play);

    assert_int_equal(keypool_set_token(play->pool, key, span_from_text(token), play->now + LIFE,
                                       play->now, &effect),
                     0);
    key_unref(&key);
    return effect;
}

static bool miss_token(struct play *play)
{
    struct key *key = the_key(play);
    bool has_changed = keypool_miss_token(play->pool, key);

    key_unref(&key);
    return has_changed;
}

static enum key_token token_of(struct play *play)
{
    struct key *key = the_key(play);
    enum key_token token = key_token(key, play->now);

    key_unref(&key);
    return token;
}

static struct keypool_choice look(struct play *play)
{
    struct keypool_ask ask = {.model = SPAN("m")};
    struct keypool_grant grant;
    struct keypool_choice choice = play_ask(play, &ask, &grant);

    if (choice.verdict == KEYPOOL_CHOSEN)
        keypool_cancel(play->views[0], &grant, play->now);
    return choice;
}

static const char *health_of(struct play *play)
{
    struct keypool_row row;
    size_t at = 0;

    assert_true(keypool_describe(play->pool, &at, play->now, &row));
    key_unref(&row.key);
    return row.health_text;
}

static void expect_line(const struct keypool_grant *grant, const char *line)
{
    assert_true(secret_is_equal(keypool_line(grant), span_from_text(line)));
}

static void no_request_before_the_first_token(void **state)
{
    struct keypool_grant grant;
    struct play play;

    (void)state;
    begin(&play, &entra);
    assert_int_equal(look(&play).verdict, KEYPOOL_LATER);
    assert_int_equal(look(&play).reason, KEYPOOL_VALIDATING);
    assert_string_equal(health_of(&play), "new");
    assert_false(keypool_is_settled(play.pool));
    assert_true(give_token(&play, "t1").wakes > 0);
    assert_string_equal(health_of(&play), "trial");
    grant = play_pick(&play, "m");
    expect_line(&grant, "Authorization: Bearer t1\r\n");
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    assert_string_equal(health_of(&play), "healthy");
    play_end(&play);
}

static void anthropics_tokens_need_a_line_beside_them(void **state)
{
    struct keypool_grant grant;
    struct play play;

    (void)state;
    begin(&play, &federation);
    give_token(&play, "sk-ant-oat01-x");
    grant = play_pick(&play, "m");
    expect_line(&grant, "Authorization: Bearer sk-ant-oat01-x\r\n"
                        "anthropic-beta: oauth-2025-04-20\r\n");
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* Who is under way keeps what he sends; who comes later sends the new one. */
static void a_renewal_changes_no_request_under_way(void **state)
{
    struct keypool_grant before, after;
    struct play play;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    before = play_pick(&play, "m");
    assert_int_equal(give_token(&play, "t2").wakes, 0);
    after = play_pick(&play, "m");
    expect_line(&before, "Authorization: Bearer t1\r\n");
    expect_line(&after, "Authorization: Bearer t2\r\n");
    play_finish(&play, &before, OUTCOME_SUCCESS, 0);
    play_finish(&play, &after, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void a_token_is_used_until_its_end(void **state)
{
    struct play play;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    play.now += LIFE - 1;
    /* Renewal fails meanwhile. */
    assert_false(miss_token(&play));
    assert_int_equal(look(&play).verdict, KEYPOOL_CHOSEN);
    play.now += 1;
    assert_int_equal(look(&play).verdict, KEYPOOL_NEVER);
    assert_int_equal(look(&play).reason, KEYPOOL_INVALID);
    assert_string_equal(health_of(&play), "invalid");
    assert_true(give_token(&play, "t2").wakes > 0);
    assert_int_equal(look(&play).verdict, KEYPOOL_CHOSEN);
    play_end(&play);
}

/* A token server that is down at the start: the process gets ready, and the key comes later. */
static void a_key_without_any_token_is_invalid_until_one_comes(void **state)
{
    struct play play;

    (void)state;
    begin(&play, &entra);
    assert_true(miss_token(&play));
    assert_false(miss_token(&play));
    assert_true(keypool_is_settled(play.pool));
    assert_string_equal(health_of(&play), "invalid");
    assert_int_equal(look(&play).verdict, KEYPOOL_NEVER);
    give_token(&play, "t1");
    assert_int_equal(look(&play).verdict, KEYPOOL_CHOSEN);
    play_end(&play);
}

static void a_new_key_is_probed_with_its_first_token(void **state)
{
    struct secret *line;
    struct play play;
    struct key *key;
    uint64_t next_us;

    (void)state;
    play_init(&play, 1);
    secret_unref(&play_key(&play, 0)->secret);
    play_key(&play, 0)->credential = &entra;
    play.conf.health.validate_new = true;
    play_apply(&play);
    assert_null(keypool_probe_take(play.pool, play.now, &next_us));
    play.now += 600 * SECONDS;
    give_token(&play, "t1");
    assert_string_equal(health_of(&play), "new");
    key = keypool_probe_take(play.pool, play.now, &next_us);
    assert_non_null(key);
    line = key_take_line(key);
    assert_true(secret_is_equal(line, SPAN("Authorization: Bearer t1\r\n")));
    secret_unref(&line);
    keypool_probe_end(play.pool, &key, PROBE_KNOWN, play.now);
    assert_string_equal(health_of(&play), "healthy");
    play_end(&play);
}

static void a_refused_token_is_replaced_before_the_key_is_given_up(void **state)
{
    struct keypool_grant first, second;
    struct play play;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    first = play_pick(&play, "m");
    second = play_pick(&play, "m");
    play_finish(&play, &first, OUTCOME_INVALID_KEY, 0);
    assert_true(play.effect.wants_probe);
    assert_false(play.effect.key_moved);
    assert_int_equal(token_of(&play), KEY_TOKEN_AWAITED);
    assert_int_equal(look(&play).reason, KEYPOOL_VALIDATING);
    /* The same token, refused by the same news. */
    play_finish(&play, &second, OUTCOME_INVALID_KEY, 0);
    assert_false(play.effect.wants_probe);
    give_token(&play, "t2");
    first = play_pick(&play, "m");
    play_finish(&play, &first, OUTCOME_INVALID_KEY, 0);
    assert_true(play.effect.key_moved);
    assert_string_equal(health_of(&play), "invalid");
    play_end(&play);
}

static void a_token_that_works_earns_the_next_renewal(void **state)
{
    struct keypool_grant grant, late;
    struct play play;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    late = play_pick(&play, "m");
    for (int i = 0; i < 3; i++) {
        grant = play_pick(&play, "m");
        play_finish(&play, &grant, OUTCOME_INVALID_KEY, 0);
        assert_int_equal(token_of(&play), KEY_TOKEN_AWAITED);
        give_token(&play, "t2");
        grant = play_pick(&play, "m");
        play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    }
    /* One that was replaced long ago tells nothing of the one in hand. */
    play_finish(&play, &late, OUTCOME_INVALID_KEY, 0);
    assert_int_equal(token_of(&play), KEY_TOKEN_HELD);
    assert_string_equal(health_of(&play), "healthy");
    play_end(&play);
}

static void a_failed_renewal_gives_the_key_up(void **state)
{
    struct keypool_grant grant;
    struct play play;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    grant = play_pick(&play, "m");
    play_finish(&play, &grant, OUTCOME_INVALID_KEY, 0);
    assert_true(miss_token(&play));
    assert_int_equal(look(&play).verdict, KEYPOOL_NEVER);
    give_token(&play, "t2");
    assert_int_equal(look(&play).verdict, KEYPOOL_CHOSEN);
    play_end(&play);
}

static void a_refused_probe_renews_too(void **state)
{
    struct keypool_effect effect;
    struct play play;
    struct key *key;
    uint64_t next_us;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    for (int i = 0; i < 2; i++) {
        play.now += 600 * SECONDS;
        key = keypool_probe_take(play.pool, play.now, &next_us);
        assert_non_null(key);
        effect = keypool_probe_end(play.pool, &key, PROBE_REFUSED, play.now);
        assert_int_equal(effect.wants_probe, i == 0);
        assert_int_equal(effect.key_moved, i == 1);
        if (i == 0)
            give_token(&play, "t2");
    }
    assert_string_equal(health_of(&play), "invalid");
    /* The next token is tried at once, long before the next probe was due. */
    play.now += SECONDS;
    give_token(&play, "t3");
    key = keypool_probe_take(play.pool, play.now, &next_us);
    assert_non_null(key);
    keypool_probe_end(play.pool, &key, PROBE_KNOWN, play.now);
    assert_string_equal(health_of(&play), "healthy");
    play_end(&play);
}

static void a_reload_keeps_the_token(void **state)
{
    struct keypool_grant grant;
    struct play play;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    play_key(&play, 0)->weight = 7;
    play_apply(&play);
    grant = play_pick(&play, "m");
    expect_line(&grant, "Authorization: Bearer t1\r\n");
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void a_token_too_long_changes_nothing(void **state)
{
    static char token[SECRET_MAX_BYTES];
    struct keypool_effect effect;
    struct keypool_grant grant;
    struct play play;
    struct key *key;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "t1");
    memset(token, 'x', sizeof(token));
    key = the_key(&play);
    assert_int_equal(keypool_set_token(play.pool, key, span_of(token, sizeof(token)),
                                       play.now + LIFE, play.now, &effect),
                     ERR_RANGE);
    key_unref(&key);
    grant = play_pick(&play, "m");
    expect_line(&grant, "Authorization: Bearer t1\r\n");
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* ---- several threads ---- */

enum { PICKS = 4000 };

struct crowd {
    struct play *play;
    _Atomic bool is_over;
};

struct worker {
    struct crowd *crowd;
    uint32_t number;
};

/* Sends what it was granted, reading every byte; now and then it is refused. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    struct keypool_view *view = worker->crowd->play->views[worker->number];
    const struct keypool_ask ask = {.model = SPAN("m")};

    for (int i = 0; i < PICKS; i++) {
        struct keypool_end end = {.outcome =
                                      outcome_row(i % 50 ? OUTCOME_SUCCESS : OUTCOME_INVALID_KEY)};
        struct keypool_grant grant;
        struct span line;

        if (keypool_select(view, &ask, worker->crowd->play->now, &grant).verdict != KEYPOOL_CHOSEN)
            continue;
        line = secret_reveal(keypool_line(&grant));
        bug_fatal_unless(span_has_prefix(line, SPAN("Authorization: Bearer token-")) &&
                         span_has_suffix(line, SPAN("\r\n")));
        keypool_end(view, &grant, &end, worker->crowd->play->now);
    }
    return NULL;
}

static void *renew(void *arg)
{
    struct crowd *crowd = arg;

    for (unsigned i = 0; !atomic_load(&crowd->is_over); i++) {
        char token[64];

        snprintf(token, sizeof(token), "token-%u", i);
        give_token(crowd->play, token);
    }
    return NULL;
}

static void workers_borrow_while_it_is_renewed(void **state)
{
    struct worker workers[PLAY_WORKERS];
    pthread_t threads[PLAY_WORKERS], renewer;
    struct crowd crowd = {.is_over = false};
    struct play play;

    (void)state;
    begin(&play, &entra);
    give_token(&play, "token-first");
    crowd.play = &play;
    for (uint32_t i = 0; i < PLAY_WORKERS; i++) {
        workers[i] = (struct worker){&crowd, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    assert_int_equal(pthread_create(&renewer, NULL, renew, &crowd), 0);
    for (uint32_t i = 0; i < PLAY_WORKERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&crowd.is_over, true);
    pthread_join(renewer, NULL);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_request_before_the_first_token),
        cmocka_unit_test(anthropics_tokens_need_a_line_beside_them),
        cmocka_unit_test(a_renewal_changes_no_request_under_way),
        cmocka_unit_test(a_token_is_used_until_its_end),
        cmocka_unit_test(a_key_without_any_token_is_invalid_until_one_comes),
        cmocka_unit_test(a_new_key_is_probed_with_its_first_token),
        cmocka_unit_test(a_refused_token_is_replaced_before_the_key_is_given_up),
        cmocka_unit_test(a_token_that_works_earns_the_next_renewal),
        cmocka_unit_test(a_failed_renewal_gives_the_key_up),
        cmocka_unit_test(a_refused_probe_renews_too),
        cmocka_unit_test(a_reload_keeps_the_token),
        cmocka_unit_test(a_token_too_long_changes_nothing),
        cmocka_unit_test(workers_borrow_while_it_is_renewed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
