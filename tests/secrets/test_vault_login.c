/* How a store of Vault logs in, and keeps its token: renewed in time, got anew, given up. */
#include "vault_stage.h"

static void logged_in_by_a_role(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.vault->root_token = NULL;
    open_approle(&stage);
    assert_int_equal(stage.vault->logins, 0);
    store_conforms(&stage.play);
    assert_int_equal(stage.vault->logins, 1);
    assert_int_equal(stage.vault->refusals, 0);
    close_stage(&stage);
}

static void a_role_that_is_refused(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.vault->secret_id = "another";
    open_approle(&stage);
    refused(&stage, play_read(&stage.play, "a"), ERR_DENIED,
            "vault: invalid role or secret ID for auth/approle/login (400)");
    stage.vault->secret_id = "secret-id-1";
    assert_int_equal(play_read(&stage.play, "a"), 0);
    close_stage(&stage);
}

static void logged_in_by_kubernetes(void **state)
{
    char folder[512], path[600];
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.vault->root_token = NULL;
    play_make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/token", folder);
    stage.options.login = (struct vault_login){
        .kind = VAULT_LOGIN_KUBERNETES, .file = path, .role = "gateway", .mount = "k8s"};
    open_store(&stage);
    assert_int_equal(play_read(&stage.play, "a"), ERR_NOTFOUND);
    assert_non_null(strstr(stage.play.why, "cannot be read for the login: not found"));
    play_write_file(path, "jwt-1\n", 6, 0600);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    /* The next one, which kubelet writes, is taken for the next login. */
    vd_revoke_all(stage.vault);
    stage.vault->jwt = "jwt-2";
    play_write_file(path, "jwt-2\n", 6, 0600);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_int_equal(stage.vault->logins, 2);
    close_stage(&stage);
    play_remove_folder(folder);
}

static void the_token_of_an_agent(void **state)
{
    char folder[512], path[600];
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    play_make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/sink", folder);
    stage.options.login = (struct vault_login){.kind = VAULT_LOGIN_TOKEN_FILE, .file = path};
    open_store(&stage);
    play_write_file(path, "\n", 1, 0600);
    assert_int_equal(play_read(&stage.play, "a"), ERR_SYNTAX);
    play_write_file(path, "root-token\n", 11, 0600);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    stage.vault->root_token = "token-2";
    refused(&stage, play_read(&stage.play, "a"), ERR_DENIED,
            "vault: permission denied for secret/data/a (403)");
    play_write_file(path, "token-2\n", 8, 0600);
    pass(&stage, 61 * US_PER_SEC);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_int_equal(stage.vault->logins, 0);
    close_stage(&stage);
    play_remove_folder(folder);
}

/* Never does a request go out with a token that has ended, for a day of one-hour tokens. */
static void renewed_at_two_thirds(void **state)
{
    struct stage stage;
    uint64_t began_us;

    (void)state;
    open_stage(&stage, 2);
    open_approle(&stage);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    began_us = loop_now_us(stage.play.loop);
    pass(&stage, 2150 * US_PER_SEC);
    assert_int_equal(stage.vault->renewals, 0);
    pass(&stage, 380 * US_PER_SEC);
    assert_int_equal(stage.vault->renewals, 1);
    pass(&stage, began_us + 86400 * US_PER_SEC - loop_now_us(stage.play.loop));
    assert_in_range(stage.vault->renewals, 86400 / 2520, 86400 / 2160);
    assert_int_equal(stage.vault->logins, 1);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_int_equal(stage.vault->refusals, 0);
    close_stage(&stage);
}

/* The longest life of a token nears: a renewal grants less, and another token is got. */
static void the_longest_life_nears(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    open_approle(&stage);
    stage.vault->renewed_s = 1200;
    assert_int_equal(play_read(&stage.play, "a"), 0);
    pass(&stage, 2600 * US_PER_SEC);
    assert_int_equal(stage.vault->renewals, 1);
    assert_int_equal(stage.vault->logins, 2);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    close_stage(&stage);
}

/* A token ends while the server takes its time to renew it: who wants one meanwhile gets it then.
 */
static void wanted_while_it_is_renewed(void **state)
{
    struct stage stage;
    int done;

    (void)state;
    open_stage(&stage, 2);
    stage.options.total_us = 3600 * US_PER_SEC;
    stage.vault->lease_s = stage.vault->renewed_s = 20;
    open_approle(&stage);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    atomic_store(&stage.vault->is_silent, true);
    /* Time creeps while the server is asked. */
    pass(&stage, 19 * US_PER_SEC);
    assert_false(fetcher_is_idle(stage.fetcher));
    done = stage.play.done;
    assert_int_equal(secret_store_read(stage.play.store, &stage.play.ask, SPAN("a")), 0);
    for (int i = 0; i < 50; i++)
        play_turn(&stage.play);
    assert_int_equal(stage.play.done, done);
    atomic_store(&stage.vault->is_silent, false);
    assert_int_equal(play_wait(&stage.play, 0), 0);
    assert_int_equal(stage.vault->renewals, 1);
    assert_int_equal(stage.vault->logins, 1);
    close_stage(&stage);
}

static void a_token_that_cannot_be_renewed(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.vault->is_renewable = false;
    open_approle(&stage);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    pass(&stage, 2600 * US_PER_SEC);
    assert_int_equal(stage.vault->renewals, 0);
    assert_int_equal(stage.vault->logins, 2);
    close_stage(&stage);
}

/* The server forgot it: another one is got, and the same is asked again. */
static void a_token_that_was_revoked(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    open_approle(&stage);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, SECRET_ANY), 0);
        assert_int_equal(stage.vault->logins, i);
        vd_revoke_all(stage.vault);
    }
    /* Also where that comes out at a renewal. */
    pass(&stage, 2600 * US_PER_SEC);
    assert_int_equal(stage.vault->logins, 4);
    assert_int_equal(stage.vault->refusals, 3);
    close_stage(&stage);
}

/* A path that is forbidden: the first time it might have been the token, after that it is known. */
static void no_login_for_each_refusal(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    open_approle(&stage);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    stage.vault->is_all_forbidden = true;
    for (int i = 0; i < 20; i++)
        refused(&stage, play_read(&stage.play, "a"), ERR_DENIED,
                "vault: permission denied for secret/data/a (403)");
    assert_int_equal(stage.vault->logins, 2);
    for (int i = 0; i < 24 * 60; i++) {
        pass(&stage, 60 * US_PER_SEC);
        assert_int_equal(play_read(&stage.play, "a"), ERR_DENIED);
    }
    /* In a day, with pauses that grow to an hour. */
    assert_in_range(stage.vault->logins, 24, 36);
    stage.vault->is_all_forbidden = false;
    assert_int_equal(play_read(&stage.play, "a"), 0);
    close_stage(&stage);
}

static void a_given_token_is_renewed(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    open_store(&stage);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    pass(&stage, 3600 * US_PER_SEC);
    assert_int_equal(stage.vault->lookups, 1);
    assert_int_equal(stage.vault->renewals, 1);
    /* One that nothing can replace is used until it is taken no more. */
    stage.vault->root_token = NULL;
    pass(&stage, 3600 * US_PER_SEC);
    assert_int_equal(play_read(&stage.play, "a"), ERR_DENIED);
    close_stage(&stage);
}

/* A day without the server: tries grow rarer, and it goes on when the server is back. */
static void the_server_is_away(void **state)
{
    struct stage stage;
    int requests;

    (void)state;
    open_stage(&stage, 2);
    open_approle(&stage);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    stage.vault->is_sealed = true;
    pass(&stage, 86400 * US_PER_SEC);
    requests = stage.vault->requests;
    assert_in_range(requests, 86400 / 61, 86400 / 30 + 20);
    assert_int_equal(play_read(&stage.play, "a"), ERR_UNREACHABLE);
    stage.vault->is_sealed = false;
    vd_revoke_all(stage.vault);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logged_in_by_a_role),
        cmocka_unit_test(a_role_that_is_refused),
        cmocka_unit_test(logged_in_by_kubernetes),
        cmocka_unit_test(the_token_of_an_agent),
        cmocka_unit_test(renewed_at_two_thirds),
        cmocka_unit_test(the_longest_life_nears),
        cmocka_unit_test(wanted_while_it_is_renewed),
        cmocka_unit_test(a_token_that_cannot_be_renewed),
        cmocka_unit_test(a_token_that_was_revoked),
        cmocka_unit_test(no_login_for_each_refusal),
        cmocka_unit_test(a_given_token_is_renewed),
        cmocka_unit_test(the_server_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
