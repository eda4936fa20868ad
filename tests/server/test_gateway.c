/* The gateway on several threads: traffic, reloads, lines across workers, the end. */
#include "house.h"

#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "../io/names.h"

/* A key whose tokens nobody gives out. */
#define WITH_TOKENS                                                                                \
    "{azure_entra: {tenant: t, client_id: c, client_secret: x, authority: 'http://127.0.0.1:1'}}"

static const char two_workers[] =
    "server: {listen: '127.0.0.1:0', workers: 2, shutdown_grace: 20s}\n"
    "admin: {listen: '127.0.0.1:0'}\n"
    "log: {level: error, access: false}\n"
    "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1',\n"
    "  health: {validate_new: false}, keys: [{name: k1, secret: s1}, {name: k2, secret: s2}]}}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\n";

static const char other_keys[] =
    "server: {listen: '127.0.0.1:0', workers: 2, shutdown_grace: 20s}\n"
    "admin: {listen: '127.0.0.1:0'}\n"
    "log: {level: error, access: false}\n"
    "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1',\n"
    "  health: {validate_new: false}, connections: {max: 3},\n"
    "  keys: [{name: k2, secret: s2}, {name: k3, secret: s3, limits: {concurrent: 5}}]},\n"
    "  more: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1', keys: [s4, " WITH_TOKENS "]}}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\n";

static const char one_at_once[] =
    "server: {listen: '127.0.0.1:0', workers: 2}\n"
    "admin: {listen: '127.0.0.1:0'}\n"
    "log: {level: error, access: false}\n"
    "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1',\n"
    "  health: {validate_new: false}, keys: [{name: k1, secret: s1, limits: {concurrent: 1}}]}}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\nretry: {wait: 50s}\n";

/* A client on a thread of its own: asks so many times, and tells how it went. */
struct visitor {
    struct house *house;
    pthread_t thread;
    unsigned number, asks;
    unsigned good, refused, cut; /* cut: a request that was sent whole got no whole answer */
    atomic_uint under_way;       /* asked and not answered yet */
    bool is_endless;             /* until nobody answers any more */
};

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    int client = house_connect(visitor->house);
    bool is_last = false;

    for (unsigned i = 0; client >= 0 && (visitor->is_endless || i < visitor->asks); i++) {
        unsigned number = visitor->number * 100000 + i;
        int status;

        if (is_last) {
            close(client);
            client = house_connect(visitor->house);
            is_last = false;
            if (client < 0)
                break;
        }
        atomic_store(&visitor->under_way, 1);
        status = house_ask(client, number) ? house_hear(client, number, &is_last) : 0;
        atomic_store(&visitor->under_way, 0);
        visitor->good += status == 200;
        visitor->refused += status > 200;
        visitor->cut += status < 0;
        /* Closed before a byte of the answer: allowed only to an idle connection at the end. */
        if (status <= 0)
            break;
    }
    if (client >= 0)
        close(client);
    return NULL;
}

static void send_visitors(struct house *house, struct visitor *visitors, unsigned count,
                          unsigned asks)
{
    for (unsigned i = 0; i < count; i++) {
        visitors[i] =
            (struct visitor){.house = house, .number = i, .asks = asks, .is_endless = asks == 0};
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]), 0);
    }
}

static unsigned await_visitors(struct visitor *visitors, unsigned count)
{
    unsigned good = 0;

    for (unsigned i = 0; i < count; i++) {
        pthread_join(visitors[i].thread, NULL);
        assert_int_equal(visitors[i].cut, 0);
        good += visitors[i].good;
    }
    return good;
}

static void test_traffic(void **state)
{
    struct house house;
    struct visitor visitors[8];

    (void)state;
    house_begin(&house, two_workers);
    assert_int_equal(house_open(&house), 0);
    send_visitors(&house, visitors, 8, 60);
    assert_int_equal(await_visitors(visitors, 8), 8 * 60);
    house_end(&house);
}

/* Keys and providers come and go under load; nobody is refused for it. */
static void test_reloads(void **state)
{
    struct house house;
    struct visitor visitors[6];

    (void)state;
    house_begin(&house, two_workers);
    assert_int_equal(house_open(&house), 0);
    send_visitors(&house, visitors, 6, 150);
    for (int i = 0; i < 20; i++) {
        house_reload(&house, i % 2 ? two_workers : other_keys);
        usleep(5000);
    }
    /* A bad file leaves the running one in force. */
    house_reload(&house, "providers: nonsense\n");
    assert_int_equal(await_visitors(visitors, 6), 6 * 150);
    house_end(&house);
}

static const char other_model[] =
    "server: {listen: '127.0.0.1:0', workers: 2, shutdown_grace: 20s}\n"
    "admin: {listen: '127.0.0.1:0'}\n"
    "log: {level: error, access: false}\n"
    "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1',\n"
    "  health: {validate_new: false}, keys: [{name: k1, secret: s1}]},\n"
    "  more: {kind: compatible, base_url: 'http://127.0.0.1:%u/v1', keys: [s4, " WITH_TOKENS "]}}\n"
    "models: {n: up/n}\n"
    "clients: {keys: [{name: c, secret: abc, limits: {rpm: 5}}], open: true}\n";

/* How many of eight fresh connections, which both workers get some of, are served the model m. */
static unsigned count_served(struct house *house)
{
    unsigned good = 0;

    for (unsigned i = 0; i < 8; i++) {
        int client = house_connect(house);
        bool is_last;

        assert_true(client >= 0);
        assert_true(house_ask(client, i));
        good += house_hear(client, i, &is_last) == 200;
        close(client);
    }
    return good;
}

/* Whatever allocation of a reload fails, on whichever thread: the new configuration is in force on
 * all workers or on none. */
static void test_reload_without_memory(void **state)
{
    struct house house;
    bool is_new = false;

    (void)state;
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    house_begin(&house, two_workers);
    house.fail_after = -1;
    assert_int_equal(house_open(&house), 0);
    assert_int_equal(count_served(&house), 8);
    for (long n = 0; !is_new; n++) {
        unsigned served;
        bool was_hit;

        house.fail_after = n;
        house_reload(&house, other_model);
        house_await_reload(&house);
        was_hit = !mem_fail_is_pending();
        mem_fail_after(-1);
        /* Twice: the workers hear of it in the turn in which the first come. */
        count_served(&house);
        served = count_served(&house);
        assert_true(served == 0 || served == 8);
        is_new = served == 0 && !was_hit;
        if (served == 0 && was_hit) {
            /* Something that can be done without. */
            house.fail_after = -1;
            house_reload(&house, two_workers);
            house_await_reload(&house);
            count_served(&house);
            assert_int_equal(count_served(&house), 8);
        }
    }
    house_end(&house);
}

/* One place at the key, and those who want it on two workers: each gets it, one after another. */
static void test_line_across_workers(void **state)
{
    struct house house;
    struct visitor visitors[6];

    (void)state;
    house_begin(&house, one_at_once);
    house.delay_ms = 1;
    assert_int_equal(house_open(&house), 0);
    send_visitors(&house, visitors, 6, 25);
    assert_int_equal(await_visitors(visitors, 6), 6 * 25);
    assert_int_equal(atomic_load(&house.requests), 6 * 25);
    assert_int_equal(atomic_load(&house.most_at_once), 1);
    house_end(&house);
}

/* Shut down under load: what was asked is answered, then the listeners are gone. */
static void test_shut_down_under_load(void **state)
{
    struct house house;
    struct visitor visitors[6];

    (void)state;
    house_begin(&house, two_workers);
    house.delay_ms = 20;
    assert_int_equal(house_open(&house), 0);
    send_visitors(&house, visitors, 6, 0);
    while (atomic_load(&house.requests) < 24)
        usleep(1000);
    house_shut_down(&house);
    assert_true(await_visitors(visitors, 6) >= 24);
    house_join(&house);
    assert_int_equal(house_connect(&house), -1);
    house_end(&house);
}

/* At the end of the grace what still runs is cut: here, at a second call. */
static void test_cut(void **state)
{
    struct house house;
    struct visitor visitor;

    (void)state;
    house_begin(&house, two_workers);
    house.delay_ms = 3000;
    assert_int_equal(house_open(&house), 0);
    send_visitors(&house, &visitor, 1, 1);
    while (atomic_load(&house.requests) == 0)
        usleep(1000);
    house_shut_down(&house);
    house_shut_down(&house);
    pthread_join(visitor.thread, NULL);
    assert_int_equal(visitor.refused, 1);
    house_join(&house);
    house_end(&house);
}

/* Whatever fails at the start: it is said in a line, and nothing is left behind. */
static void test_without_memory(void **state)
{
    struct house house;
    bool is_open = false;

    (void)state;
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    house_begin(&house, other_keys);
    for (long n = 0; !is_open; n++) {
        house.fail_after = n;
        is_open = house_open(&house) == 0;
        if (is_open && !mem_fail_is_pending()) {
            /* Something that can be done without. */
            mem_fail_after(-1);
            house_shut_down(&house);
            house_shut_down(&house);
            house_join(&house);
            gateway_free(&house.gateway);
            is_open = false;
        } else if (!is_open) {
            mem_fail_after(-1);
            assert_string_not_equal(house.error, "");
            assert_null(house.gateway);
        }
    }
    mem_fail_after(-1);
    house_end(&house);
}

static void test_port_in_use(void **state)
{
    struct house house, second;
    char yaml[1024];
    const struct addr *addr;

    (void)state;
    house_begin(&house, two_workers);
    assert_int_equal(house_open(&house), 0);
    addr = gateway_listen_addr(house.gateway);
    snprintf(yaml, sizeof(yaml),
             "server: {listen: '127.0.0.1:%d', workers: 2}\nadmin: {listen: '127.0.0.1:0'}\n"
             "log: {level: error}\n"
             "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%%u/v1', keys: [s]}}\n"
             "clients: {open: true}\n",
             addr_port(addr));
    house_begin(&second, yaml);
    assert_int_not_equal(house_open(&second), 0);
    assert_non_null(strstr(second.error, "127.0.0.1:"));
    assert_null(second.gateway);
    house_end(&second);
    house_end(&house);
}

static void begin_on_unix_socket(struct house *house, const char *path)
{
    char yaml[1024];

    snprintf(yaml, sizeof(yaml),
             "server: {listen: 'unix:%s', workers: 2}\nadmin: {listen: '127.0.0.1:0'}\n"
             "log: {level: error, access: false}\n"
             "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:%%u/v1',\n"
             "  health: {validate_new: false}, keys: [s]}}\n"
             "models: {m: up/m}\nclients: {open: true}\n",
             path);
    house_begin(house, yaml);
}

/* One unix socket for all workers; its file goes with the gateway. */
static void test_unix_socket(void **state)
{
    struct house house;
    struct visitor visitors[4];
    char path[64];
    struct stat found;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/bellwether-gateway-%d", (int)getpid());
    begin_on_unix_socket(&house, path);
    assert_int_equal(house_open(&house), 0);
    send_visitors(&house, visitors, 4, 20);
    assert_int_equal(await_visitors(visitors, 4), 4 * 20);
    assert_int_equal(stat(path, &found), 0);
    house_end(&house);
    assert_int_not_equal(stat(path, &found), 0);
}

/* While one gateway drains another takes its path over, and keeps it when the first has ended. */
static void test_unix_socket_of_a_successor(void **state)
{
    struct house first, second;
    struct visitor visitors[4];
    char path[64];
    struct stat found;
    int idle;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/bellwether-gateway-%d", (int)getpid());
    begin_on_unix_socket(&first, path);
    assert_int_equal(house_open(&first), 0);
    idle = house_connect(&first);
    assert_true(idle >= 0);
    house_shut_down(&first);
    for (int ms = 0; ms < 5000 && stat(path, &found) == 0; ms++)
        usleep(1000);
    begin_on_unix_socket(&second, path);
    assert_int_equal(house_open(&second), 0);
    close(idle);
    house_join(&first);
    house_end(&first);
    send_visitors(&second, visitors, 4, 20);
    assert_int_equal(await_visitors(visitors, 4), 4 * 20);
    house_end(&second);
    assert_int_not_equal(stat(path, &found), 0);
}

/* The names of probes and of exchanges come too late, to loops that have had their last turn. */
static void test_ends_while_a_name_is_looked_up(void **state)
{
    static const char yaml[] =
        "server: {listen: '127.0.0.1:0', workers: 2}\nadmin: {listen: '127.0.0.1:0'}\n"
        "log: {level: error, access: false}\n"
        "providers: {up: {kind: compatible, base_url: 'http://slow.test:%u/v1',\n"
        "  health: {validate_new: false}, keys: [s]}}\n"
        "models: {m: up/m}\nclients: {open: true}\n";
    struct house house;
    struct visitor visitors[4];

    (void)state;
    names_begin();
    house_begin(&house, yaml);
    assert_int_equal(house_open(&house), 0);
    send_visitors(&house, visitors, 4, 1);
    sem_wait(&names_asked);
    house_shut_down(&house);
    house_shut_down(&house);
    for (int i = 0; i < 4; i++)
        pthread_join(visitors[i].thread, NULL);
    house_join(&house);
    house_end(&house);
    names_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traffic),
        cmocka_unit_test(test_reloads),
        cmocka_unit_test(test_reload_without_memory),
        cmocka_unit_test(test_line_across_workers),
        cmocka_unit_test(test_shut_down_under_load),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_unix_socket_of_a_successor),
        cmocka_unit_test(test_ends_while_a_name_is_looked_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
