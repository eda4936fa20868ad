/* Client keys beside the file's: tables that follow each other while callers come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "access/issued.h"
#include "base/clock.h"
#include "base/err.h"

static const uint64_t wall = 1800000000 * US_PER_SEC;

/* A gateway with one key in its file, and those that were issued. */
struct house {
    struct config config;
    struct conf_client own;
    struct limiter_book *book, *issued_book;
    struct purse_book *purses;
    struct clients *clients;
    struct issued *issued;
    struct clients_memo memo;
};

static void hash(const char *secret, uint8_t *ret_sha256)
{
    crypto_hash_sha256(ret_sha256, (const unsigned char *)secret, strlen(secret));
}

static void open_house(struct house *house, bool is_open)
{
    const uint8_t key[CLIENTS_TAG_BYTES] = {1};

    *house = (struct house){.own = {.name = SPAN("own")}};
    hash("own-secret", house->own.sha256);
    house->config.clients.keys = (struct conf_client_list){&house->own, 1};
    house->config.clients.is_open = is_open;
    house->book = limiter_book_new();
    house->purses = purse_book_new();
    house->issued_book = limiter_book_new();
    assert_int_equal(clients_new(&house->config, house->book, house->purses, &house->clients), 0);
    clients_memo_clear(&house->memo, key);
}

static void close_house(struct house *house)
{
    issued_unref(&house->issued);
    clients_free(&house->clients);
    limiter_book_free(&house->book);
    purse_book_free(&house->purses);
    limiter_book_free(&house->issued_book);
}

static struct issued_facts facts_of(const char *name, const char *secret)
{
    struct issued_facts facts = {
        .id = span_from_text(name), .name = span_from_text(name), .class_name = SPAN("batch")};

    hash(secret, facts.sha256);
    return facts;
}

/* The table is that one client's from now on. */
static void issue(struct house *house, const struct issued_facts *facts)
{
    const uint8_t key[CLIENTS_TAG_BYTES] = {2};
    struct issued_client *client;

    assert_int_equal(issued_client_new(facts, house->issued_book, &client), 0);
    issued_unref(&house->issued);
    assert_int_equal(issued_new(&client, 1, &house->issued), 0);
    issued_client_unref(&client);
    clients_memo_clear(&house->memo, key);
}

static enum clients_verdict ask(struct house *house, const char *secret,
                                const struct client **ret_client)
{
    return clients_find(house->clients, house->issued, &house->memo, span_from_text(secret), wall,
                        ret_client);
}

static void test_both_are_known(void **state)
{
    struct issued_facts facts = facts_of("web", "web-secret");
    const struct client *client;
    struct house house;

    open_house(&house, false);
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_UNKNOWN);
    issue(&house, &facts);
    for (int i = 0; i < 2; i++) { /* by its digest, and by the memo */
        assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_OK);
        assert_true(span_is_equal(client->name, SPAN("web")));
        assert_true(span_is_equal(client->class_name, SPAN("batch")));
        assert_non_null(issued_of(client));
    }
    assert_int_equal(ask(&house, "own-secret", &client), CLIENTS_OK);
    assert_null(issued_of(client));
    assert_int_equal(ask(&house, "another", &client), CLIENTS_UNKNOWN);
    assert_int_equal(ask(&house, "", &client), CLIENTS_MISSING);
    close_house(&house);
}

static void test_a_revoked_key_is_refused_even_where_anybody_may_call(void **state)
{
    struct issued_facts facts = facts_of("web", "web-secret");
    const struct client *client;
    struct house house;

    open_house(&house, true);
    issue(&house, &facts);
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_OK);
    facts.revoked_wall_us = wall - 1;
    issue(&house, &facts);
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_UNKNOWN);
    assert_int_equal(ask(&house, "whatever", &client), CLIENTS_OK);
    assert_true(span_is_equal(client->name, SPAN("anonymous")));
    facts.revoked_wall_us = 0;
    facts.expires_wall_us = wall;
    issue(&house, &facts);
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_EXPIRED);
    close_house(&house);
}

static void test_models_and_limits_are_its_own(void **state)
{
    struct span patterns[] = {SPAN("gpt-*")};
    struct issued_facts facts = facts_of("web", "web-secret");
    struct admission first, second;
    const struct client *client;
    struct house house;

    open_house(&house, false);
    facts.models = (struct conf_strings){patterns, 1};
    facts.limits = (struct conf_limits){.concurrent = 1};
    issue(&house, &facts);
    patterns[0] = SPAN("changed behind its back");
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_OK);
    assert_true(client_may_use(client, SPAN("gpt-4.1")));
    assert_false(client_may_use(client, SPAN("o3")));
    assert_true(admission_begin(&first, client->limiter, NULL, 1, 1000000).is_admitted);
    assert_false(admission_begin(&second, client->limiter, NULL, 1, 1000000).is_admitted);
    admission_end(&first, 1, 1000000);
    close_house(&house);
}

/* What was used stays used when a key is changed; the new numbers apply once they are published. */
static void test_a_change_keeps_what_was_used(void **state)
{
    struct issued_facts facts = facts_of("web", "web-secret");
    struct issued_hold *hold;
    const struct client *client;
    struct admission_verdict verdict;
    struct admission admission;
    struct house house;

    open_house(&house, false);
    facts.limits = (struct conf_limits){.rpm = 10, .burst = 1};
    issue(&house, &facts);
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_OK);
    assert_true(admission_begin(&admission, client->limiter, NULL, 1, 1000000).is_admitted);
    admission_end(&admission, 1, 1000000);
    hold = issued_hold_new(house.issued); /* an exchange goes on */
    facts.limits.rpm = 20;
    issue(&house, &facts);
    limiter_book_commit(house.issued_book, false);
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_OK);
    verdict = admission_begin(&admission, client->limiter, NULL, 1, 1000000);
    assert_false(verdict.is_admitted);
    assert_int_equal(verdict.nearest.limit, 20);
    issued_hold_unref(&hold);
    close_house(&house);
}

static void test_use_is_noted_now_and_then(void **state)
{
    struct issued_facts facts = facts_of("web", "web-secret");
    const struct client *client;
    struct house house;

    open_house(&house, false);
    issue(&house, &facts);
    assert_int_equal(ask(&house, "web-secret", &client), CLIENTS_OK);
    assert_int_equal(issued_last_use(issued_of(client)), 0);
    issued_note_use(issued_of(client), wall);
    issued_note_use(issued_of(client), wall + ISSUED_USE_US - 1);
    assert_int_equal(issued_last_use(issued_of(client)), wall);
    issued_note_use(issued_of(client), wall + ISSUED_USE_US);
    assert_int_equal(issued_last_use(issued_of(client)), wall + ISSUED_USE_US);
    issued_note_use(issued_of(client), wall); /* the clock was set back */
    assert_int_equal(issued_last_use(issued_of(client)), wall);
    close_house(&house);
}

static void test_as_many_as_there_may_be(void **state)
{
    struct issued_client **clients = calloc(ISSUED_MAX, sizeof(*clients));
    const struct client *client;
    struct house house;
    char name[32];

    open_house(&house, false);
    for (size_t i = 0; i < ISSUED_MAX; i++) {
        struct issued_facts facts;

        snprintf(name, sizeof(name), "client-%zu", i);
        facts = facts_of(name, name);
        assert_int_equal(issued_client_new(&facts, house.issued_book, &clients[i]), 0);
    }
    assert_int_equal(issued_new(clients, ISSUED_MAX + 1, &house.issued), ERR_FULL);
    assert_int_equal(issued_new(clients, ISSUED_MAX, &house.issued), 0);
    for (size_t i = 0; i < ISSUED_MAX; i++) {
        snprintf(name, sizeof(name), "client-%zu", i);
        assert_int_equal(ask(&house, name, &client), CLIENTS_OK);
        assert_true(span_is_equal(client->name, span_from_text(name)));
        issued_client_unref(&clients[i]);
    }
    assert_int_equal(ask(&house, "client-", &client), CLIENTS_UNKNOWN);
    close_house(&house);
    free(clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_are_known),
        cmocka_unit_test(test_a_revoked_key_is_refused_even_where_anybody_may_call),
        cmocka_unit_test(test_models_and_limits_are_its_own),
        cmocka_unit_test(test_a_change_keeps_what_was_used),
        cmocka_unit_test(test_use_is_noted_now_and_then),
        cmocka_unit_test(test_as_many_as_there_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
