/* Who a caller is, and what it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "access/clients.h"
#include "base/clock.h"
#include "base/map.h"

static const uint64_t wall = 1800000000 * US_PER_SEC;

struct house {
    struct config config;
    struct conf_client *items;
    struct limiter_book *book;
    struct purse_book *purses;
    struct clients *clients;
};

static void declare(struct house *house, size_t at, const char *name, const char *secret)
{
    house->items[at] = (struct conf_client){.name = span_from_text(name)};
    crypto_hash_sha256(house->items[at].sha256, (const unsigned char *)secret, strlen(secret));
}

static void open_house(struct house *house, size_t count)
{
    *house = (struct house){.items = calloc(count, sizeof(*house->items))};
    assert_non_null(house->items);
    house->config.clients.keys = (struct conf_client_list){house->items, count};
    house->book = limiter_book_new();
    house->purses = purse_book_new();
}

static void compile(struct house *house)
{
    assert_int_equal(clients_new(&house->config, house->book, house->purses, &house->clients), 0);
}

static void close_house(struct house *house)
{
    clients_free(&house->clients);
    clients_free(&house->clients);
    limiter_book_free(&house->book);
    purse_book_free(&house->purses);
    free(house->items);
}

static enum clients_verdict ask(struct house *house, const char *secret,
                                const struct client **ret_client)
{
    return clients_find(house->clients, NULL, NULL, span_from_text(secret), wall, ret_client);
}

static void test_declared_clients_are_found(void **state)
{
    const struct client *client = NULL;
    struct house house;

    open_house(&house, 2);
    declare(&house, 0, "web", "secret-1");
    declare(&house, 1, "batch", "secret-2");
    house.items[1].class_name = SPAN("batch");
    house.items[1].pool = SPAN("search");
    compile(&house);
    assert_int_equal(ask(&house, "secret-2", &client), CLIENTS_OK);
    assert_true(span_is_equal(client->name, SPAN("batch")));
    assert_true(span_is_equal(client->class_name, SPAN("batch")));
    assert_int_equal(client->pool, map_hash(SPAN("search")));
    assert_int_equal(client->index, 2);
    assert_ptr_equal(clients_at(house.clients, 2), client);
    assert_int_equal(ask(&house, "secret-1", &client), CLIENTS_OK);
    assert_true(span_is_equal(client->class_name, SPAN("standard")));
    assert_int_equal(client->pool, 0);
    client = NULL;
    assert_int_equal(ask(&house, "secret-", &client), CLIENTS_UNKNOWN);
    assert_int_equal(ask(&house, "", &client), CLIENTS_MISSING);
    assert_null(client);
    assert_int_equal(clients_count(house.clients), 3);
    close_house(&house);
}

static void test_expiry(void **state)
{
    const struct client *client;
    struct house house;

    open_house(&house, 2);
    declare(&house, 0, "old", "one");
    declare(&house, 1, "new", "two");
    house.items[0].expires_wall_us = wall;
    house.items[1].expires_wall_us = wall + 1;
    compile(&house);
    assert_int_equal(ask(&house, "one", &client), CLIENTS_EXPIRED);
    assert_int_equal(ask(&house, "two", &client), CLIENTS_OK);
    close_house(&house);
}

static void test_open_house_takes_everybody(void **state)
{
    const struct client *client;
    struct house house;

    open_house(&house, 2);
    declare(&house, 0, "web", "secret-1");
    declare(&house, 1, "old", "secret-2");
    house.items[1].expires_wall_us = wall;
    house.config.clients.is_open = true;
    compile(&house);
    assert_int_equal(ask(&house, "", &client), CLIENTS_OK);
    assert_true(span_is_equal(client->name, SPAN("anonymous")));
    assert_true(client_may_use(client, SPAN("anything")));
    assert_int_equal(ask(&house, "whatever", &client), CLIENTS_OK);
    assert_int_equal(client->index, 0);
    assert_int_equal(ask(&house, "secret-1", &client), CLIENTS_OK);
    assert_int_equal(client->index, 1);
    assert_int_equal(ask(&house, "secret-2", &client), CLIENTS_EXPIRED);
    close_house(&house);
}

static void test_models(void **state)
{
    struct span patterns[] = {SPAN("gpt-4.1"), SPAN("deepseek-*")};
    const struct client *client;
    struct house house;

    open_house(&house, 1);
    declare(&house, 0, "web", "s");
    house.items[0].models = (struct conf_strings){patterns, 2};
    compile(&house);
    assert_int_equal(ask(&house, "s", &client), CLIENTS_OK);
    assert_true(client_may_use(client, SPAN("gpt-4.1")));
    assert_true(client_may_use(client, SPAN("deepseek-v3")));
    assert_false(client_may_use(client, SPAN("gpt-4.1-mini")));
    assert_false(client_may_use(client, SPAN("")));
    close_house(&house);
}

static void test_ten_thousand_clients(void **state)
{
    const struct client *client;
    struct house house;
    char(*names)[24] = calloc(10000, sizeof(*names));

    open_house(&house, 10000);
    for (size_t i = 0; i < 10000; i++) {
        snprintf(names[i], sizeof(names[i]), "client-%zu", i);
        declare(&house, i, names[i], names[i]);
    }
    compile(&house);
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(ask(&house, names[i], &client), CLIENTS_OK);
        assert_int_equal(client->index, i + 1);
    }
    assert_int_equal(ask(&house, "client-10000", &client), CLIENTS_UNKNOWN);
    close_house(&house);
    free(names);
}

static void assert_bearer(const char *field, const char *token)
{
    assert_true(span_is_equal(clients_bearer(span_from_text(field)), span_from_text(token)));
}

static void test_bearer(void **state)
{
    assert_bearer("Bearer abc", "abc");
    assert_bearer("bearer  abc ", "abc");
    assert_bearer("BEARER\tabc", "abc");
    assert_bearer("Bearer a b", "a b");
    assert_bearer("Bearer", "");
    assert_bearer("Bearer ", "");
    assert_bearer("Bearerabc", "");
    assert_bearer("Basic abc", "");
    assert_bearer("", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declared_clients_are_found), cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_open_house_takes_everybody), cmocka_unit_test(test_models),
        cmocka_unit_test(test_ten_thousand_clients),       cmocka_unit_test(test_bearer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
