/* What configurations refer to, asked of the secret stores: one that is away holds up no other, is
 * told of once, and once when it is back. On virtual time, that creeps while a server answers. */
#include "../conf/fake.h"
#include "../secrets/vault_double.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "server/stored_reader.h"

#define WITHIN_US (10 * US_PER_SEC)

struct stage {
    struct fake fake;
    struct loop *loop;
    struct vault_double *vault;
    int dead; /* takes connections, and never answers */
    struct secret_stores *stores;
    struct conf_stored stored;
    struct stored_reader *reader;
    char yaml[4096];
    /* What was told. */
    int asked, changes, troubles, away, back;
    char place[64], why[SECRET_WORDS_BYTES];
};

static void on_asked(void *owner)
{
    ((struct stage *)owner)->asked++;
}

static void on_change(void *owner)
{
    ((struct stage *)owner)->changes++;
}

static void on_trouble(void *owner, struct span place, const char *why)
{
    (void)place;
    ((struct stage *)owner)->troubles += why ? 1 : 0;
}

static void on_away(void *owner, struct span place, const char *why)
{
    struct stage *stage = owner;

    if (!why) {
        stage->back++;
        return;
    }
    stage->away++;
    snprintf(stage->place, sizeof(stage->place), "%.*s", SPAN_ARG(place));
    snprintf(stage->why, sizeof(stage->why), "%s", why);
}

static int listen_for_nothing(uint16_t *ret_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static void open_reader(struct stage *stage)
{
    struct stored_reader_options options = {.loop = stage->loop,
                                            .secrets = stage->fake.secrets,
                                            .stored = &stage->stored,
                                            .within_us = WITHIN_US,
                                            .on_asked = on_asked,
                                            .on_change = on_change,
                                            .on_trouble = on_trouble,
                                            .on_away = on_away,
                                            .owner = stage};

    conf_stored_init(&stage->stored);
    stage->fake.source.stored = &stage->stored;
    stage->stores = options.stores = secret_stores_new(stage->loop, stage->fake.secrets);
    assert_non_null(stage->stores);
    stage->reader = stored_reader_new(&options);
    assert_non_null(stage->reader);
}

static void close_reader(struct stage *stage)
{
    stored_reader_free(&stage->reader);
    conf_stored_fini(&stage->stored);
    secret_stores_free(&stage->stores);
}

static int begin(void **state)
{
    static struct stage stage;

    memset(&stage, 0, sizeof(stage));
    fake_init(&stage.fake);
    stage.loop = loop_new_virtual(1000 * US_PER_SEC);
    open_reader(&stage);
    stage.vault = vd_open(2);
    *state = &stage;
    return 0;
}

static int end(void **state)
{
    struct stage *stage = *state;

    close_reader(stage);
    vd_close(&stage->vault);
    if (stage->dead)
        close(stage->dead);
    loop_free(&stage->loop);
    fake_fini(&stage->fake);
    return 0;
}

/* Turns until the counter is there, for so much of virtual time at most. */
static bool wait_for(struct stage *stage, const int *counter, int least, uint64_t within_us)
{
    uint64_t until_us = loop_now_us(stage->loop) + within_us;

    while (*counter < least && loop_now_us(stage->loop) < until_us) {
        usleep(50);
        assert_int_equal(loop_turn(stage->loop, US_PER_MS), 0);
    }
    return *counter >= least;
}

static void pass(struct stage *stage, uint64_t us)
{
    const int never = 0;

    assert_false(wait_for(stage, &never, 1, us));
}

/* Loads the file and asks for what it wants. */
static void ask(struct stage *stage)
{
    int asked = stage->asked;

    if (fake_load(&stage->fake, stage->yaml) != ERR_AGAIN)
        fail_msg("%s", fake_complaints(&stage->fake));
    assert_int_equal(stored_reader_ask(stage->reader, &stage->fake.config->secrets), 0);
    assert_true(wait_for(stage, &stage->asked, asked + 1, WITHIN_US + US_PER_SEC));
}

static void follow(struct stage *stage)
{
    fake_must_load(&stage->fake, stage->yaml);
    stored_reader_follow(stage->reader, &stage->fake.config->secrets);
}

static const char *told(struct stage *stage, const char *place)
{
    struct conf_stored_entry *entry = map_find(&stage->stored.by_text, span_from_text(place));
    struct conf_stored_member *member;

    assert_non_null(entry);
    member = container_of(entry->members.next, struct conf_stored_member, link);
    return member->value ? secret_reveal(member->value).ptr : NULL;
}

static bool is_told(struct stage *stage, const char *place, const char *value)
{
    const char *text = told(stage, place);

    return text && !strncmp(text, value, strlen(value));
}

static void seal(struct stage *stage, bool is_sealed)
{
    pthread_mutex_lock(&stage->vault->lock);
    stage->vault->is_sealed = is_sealed;
    pthread_mutex_unlock(&stage->vault->lock);
}

static int reads(struct stage *stage)
{
    int count;

    pthread_mutex_lock(&stage->vault->lock);
    count = stage->vault->data_reads;
    pthread_mutex_unlock(&stage->vault->lock);
    return count;
}

static void write_yaml(struct stage *stage, const char *more, const char *keys)
{
    snprintf(stage->yaml, sizeof(stage->yaml),
             "secrets: {poll: 1s, vault: {address: \"http://127.0.0.1:%u\", token: root-token}%s}\n"
             "providers: {compatible: {base_url: http://h/v1, keys: [%s]}}\n",
             stage->vault->port, more, keys);
}

/* So many questions that they fill all that may be under way, and more. */
static void a_dead_store_holds_up_no_other(void **state)
{
    struct stage *stage = *state;
    char more[200], keys[2048] = "";
    uint16_t port;

    stage->dead = listen_for_nothing(&port);
    for (int i = 0; i < 40; i++)
        snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "\"${aws:dead-%d}\", ", i);
    snprintf(more, sizeof(more),
             ", aws: {url: \"http://127.0.0.1:%u\", region: eu-west-1, access_key_id: id, "
             "secret_access_key: sk-aws}",
             port);
    write_yaml(stage, more, keys);
    ask(stage);
    vd_put(stage->vault, "a", "{\"api_key\":\"sk-a\"}");
    snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "\"${vault:secret/data/a}\"");
    write_yaml(stage, more, keys);
    ask(stage);
    assert_true(is_told(stage, "vault:secret/data/a", "sk-a"));
    assert_null(told(stage, "aws:dead-0"));
}

/* The last value stands, the store is asked again, and both turns are told once, however many
 * secrets are there. */
static void a_store_goes_away_and_comes_back(void **state)
{
    struct stage *stage = *state;

    write_yaml(stage, "", "\"${vault:secret/data/a}\", \"${vault:secret/data/b}\"");
    vd_put(stage->vault, "a", "{\"api_key\":\"sk-a-1\"}");
    vd_put(stage->vault, "b", "{\"api_key\":\"sk-b-1\"}");
    ask(stage);
    follow(stage);
    pass(stage, 5 * US_PER_SEC);
    assert_int_equal(stage->away + stage->troubles, 0);
    seal(stage, true);
    assert_true(wait_for(stage, &stage->troubles, 2, 10 * US_PER_SEC));
    pass(stage, 5 * US_PER_SEC);
    assert_int_equal(stage->away, 1);
    assert_int_equal(stage->back, 0);
    assert_non_null(strstr(stage->place, "vault:secret/data/"));
    assert_non_null(strstr(stage->why, "ealed"));
    assert_true(is_told(stage, "vault:secret/data/a", "sk-a-1"));
    /* A load that asks anew learns nothing, and changes nothing. */
    conf_stored_doubt(&stage->stored);
    ask(stage);
    follow(stage);
    assert_int_equal(stage->away, 1);
    seal(stage, false);
    vd_put(stage->vault, "b", "{\"api_key\":\"sk-b-2\"}");
    assert_true(wait_for(stage, &stage->back, 1, 100 * US_PER_SEC));
    assert_true(wait_for(stage, &stage->changes, 1, 10 * US_PER_SEC));
    assert_true(is_told(stage, "vault:secret/data/b", "sk-b-2"));
    pass(stage, 5 * US_PER_SEC);
    assert_int_equal(stage->away, 1);
    assert_int_equal(stage->back, 1);
}

/* Nobody waits for a store that nobody asks any more. */
static void what_is_read_no_more_is_over(void **state)
{
    struct stage *stage = *state;

    write_yaml(stage, "", "\"${vault:secret/data/a}\"");
    vd_put(stage->vault, "a", "{\"api_key\":\"sk-a\"}");
    ask(stage);
    follow(stage);
    seal(stage, true);
    assert_true(wait_for(stage, &stage->away, 1, 10 * US_PER_SEC));
    write_yaml(stage, "", "sk-own");
    follow(stage);
    assert_int_equal(stage->back, 1);
    pass(stage, 5 * US_PER_SEC);
    assert_int_equal(stage->away + stage->back, 2);
}

/* A text that is none of ours is told, and not held against its store. */
static void what_is_no_entry_is_no_store_away(void **state)
{
    struct stage *stage = *state;
    int seen;

    write_yaml(stage, "", "\"${vault:secret/data/a}\"");
    vd_put(stage->vault, "a", "{\"api_key\":\"sk-a\"}");
    ask(stage);
    follow(stage);
    vd_put(stage->vault, "a", "{\"api_key\":5}");
    assert_true(wait_for(stage, &stage->troubles, 1, 10 * US_PER_SEC));
    assert_true(is_told(stage, "vault:secret/data/a", "sk-a"));
    assert_int_equal(stage->away, 0);
    /* It is looked at, and read once it has changed. */
    pass(stage, 2 * US_PER_SEC);
    seen = reads(stage);
    pass(stage, 5 * US_PER_SEC);
    assert_int_equal(reads(stage), seen);
    vd_put(stage->vault, "a", "{\"api_key\":\"sk-b\"}");
    assert_true(wait_for(stage, &stage->changes, 1, 10 * US_PER_SEC));
    assert_true(is_told(stage, "vault:secret/data/a", "sk-b"));
}

#ifdef BW_FAULTS
/* Whatever was missing, it is told in the end, and the next load has it. */
static void memory_may_run_out_anywhere(void **state)
{
    struct stage *stage = *state;
    bool is_pending = false;

    write_yaml(stage, "", "\"${vault:secret/data/a}\"");
    vd_put(stage->vault, "a", "{\"api_key\":\"sk-a\"}");
    for (long after = 0; !is_pending; after++) {
        int err, asked = stage->asked;

        assert_int_equal(fake_load(&stage->fake, stage->yaml), ERR_AGAIN);
        mem_fail_after(after);
        err = stored_reader_ask(stage->reader, &stage->fake.config->secrets);
        assert_true(!err || err == ERR_NOMEM);
        if (!err)
            assert_true(wait_for(stage, &stage->asked, asked + 1, WITHIN_US + US_PER_SEC));
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        conf_stored_doubt(&stage->stored);
        ask(stage);
        assert_true(is_told(stage, "vault:secret/data/a", "sk-a"));
        close_reader(stage);
        open_reader(stage);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dead_store_holds_up_no_other, begin, end),
        cmocka_unit_test_setup_teardown(a_store_goes_away_and_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(what_is_read_no_more_is_over, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_entry_is_no_store_away, begin, end),
#ifdef BW_FAULTS
        cmocka_unit_test_setup_teardown(memory_may_run_out_anywhere, begin, end),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
