/*
 * A store of secrets played with from a test: each ask is waited for, on the loop's thread, and
 * what came of it stands in the play. store_conforms holds every kind to secrets/secret_store.h.
 */
#ifndef TESTS_SECRETS_STORE_PLAY_H
#define TESTS_SECRETS_STORE_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/helpers.h"
#include "secrets/secret_store.h"

struct play {
    struct loop *loop;
    struct helpers *helpers;
    struct secret_arena *secrets;
    struct secret_store *store;
    void (*turn)(struct play *play); /* NULL: a turn of a loop on the real clock */
    size_t entry_max; /* of a store that takes less than SECRET_ENTRY_MAX_BYTES; 0: none */
    bool has_versions;
    struct secret_ask ask;
    /* What came of the last one. */
    int done, err;
    char why[SECRET_WORDS_BYTES];
    uint64_t version;
    char text[SECRET_ENTRY_MAX_BYTES + 1];
    char names[4096];
    /* Of the watch. */
    struct secret_watch watch;
    int changes, troubles;
    char trouble[SECRET_WORDS_BYTES];
};

static inline void play_open(struct play *play)
{
    bool is_locked;

    memset(play, 0, sizeof(*play));
    play->loop = loop_new();
    play->helpers = helpers_new(2, 64);
    play->secrets = secret_arena_new(64 << 20, &is_locked);
    assert_non_null(play->loop);
    assert_non_null(play->helpers);
    assert_non_null(play->secrets);
}

static inline void play_turn(struct play *play)
{
    if (play->turn)
        play->turn(play);
    else
        assert_int_equal(loop_turn(play->loop, 20 * US_PER_MS), 0);
}

static inline void play_close_store(struct play *play)
{
    while (play->store && secret_store_is_busy(play->store))
        play_turn(play);
    secret_store_free(&play->store);
}

static inline void play_close(struct play *play)
{
    play_close_store(play);
    helpers_free(&play->helpers);
    assert_int_equal(loop_turn(play->loop, 0), 0);
    loop_free(&play->loop);
    secret_arena_free(&play->secrets);
}

static inline void play_on_done(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct play *play = container_of(ask, struct play, ask);

    play->done++;
    play->err = answer->err;
    assert_true(answer->err == 0 || *answer->why);
    snprintf(play->why, sizeof(play->why), "%s", answer->why);
    play->version = answer->entry.version;
    assert_true(answer->entry.text.len < sizeof(play->text));
    snprintf(play->text, sizeof(play->text), "%.*s", SPAN_ARG(answer->entry.text));
    snprintf(play->names, sizeof(play->names), "%.*s", SPAN_ARG(answer->names));
}

/* The end of what began with that error. */
static inline int play_wait(struct play *play, int begun)
{
    uint64_t give_up_us = clock_now_us() + 30 * US_PER_SEC;
    int done = play->done;

    if (begun)
        return begun;
    assert_non_null(play->ask.store);
    while (play->done == done) {
        play_turn(play);
        if (clock_now_us() > give_up_us)
            fail_msg("no answer comes");
    }
    assert_null(play->ask.store);
    return play->err;
}

static inline void play_until(struct play *play, const int *counter, int least)
{
    uint64_t give_up_us = clock_now_us() + 30 * US_PER_SEC;

    while (*counter < least) {
        play_turn(play);
        if (clock_now_us() > give_up_us)
            fail_msg("it does not come to pass: %d changes, %d troubles, %s", play->changes,
                     play->troubles, play->trouble);
    }
}

static inline int play_read(struct play *play, const char *path)
{
    play->ask.on_done = play_on_done;
    return play_wait(play, secret_store_read(play->store, &play->ask, span_from_text(path)));
}

static inline int play_write(struct play *play, const char *path, const char *text,
                             uint64_t expected)
{
    play->ask.on_done = play_on_done;
    return play_wait(play, secret_store_write(play->store, &play->ask, span_from_text(path),
                                              span_from_text(text), expected));
}

static inline int play_remove(struct play *play, const char *path, uint64_t expected)
{
    play->ask.on_done = play_on_done;
    return play_wait(play,
                     secret_store_remove(play->store, &play->ask, span_from_text(path), expected));
}

static inline int play_list(struct play *play, const char *folder)
{
    play->ask.on_done = play_on_done;
    return play_wait(play, secret_store_list(play->store, &play->ask, span_from_text(folder)));
}

static inline int play_versions(struct play *play, const char *path)
{
    play->ask.on_done = play_on_done;
    return play_wait(play, secret_store_versions(play->store, &play->ask, span_from_text(path)));
}

static inline int play_read_version(struct play *play, const char *path, const char *version)
{
    play->ask.on_done = play_on_done;
    return play_wait(play, secret_store_read_version(play->store, &play->ask, span_from_text(path),
                                                     span_from_text(version)));
}

static inline void play_on_change(struct secret_watch *watch)
{
    container_of(watch, struct play, watch)->changes++;
}

static inline void play_on_trouble(struct secret_watch *watch, const char *why)
{
    struct play *play = container_of(watch, struct play, watch);

    play->troubles++;
    snprintf(play->trouble, sizeof(play->trouble), "%s", why ? why : "(over)");
}

static inline void play_watch(struct play *play, const char *path)
{
    play->watch.on_change = play_on_change;
    play->watch.on_trouble = play_on_trouble;
    play->changes = play->troubles = 0;
    assert_int_equal(secret_store_watch(play->store, &play->watch, span_from_text(path)), 0);
}

/* ---- a folder of the test's own ---- */

static inline void play_make_folder(char *folder, size_t size)
{
    snprintf(folder, size, "%s/bellwether-secrets-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(folder));
}

static inline void play_remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[2048];

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        struct stat about;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(path, sizeof(path), "%.1700s/%s", folder, entry->d_name);
        assert_int_equal(lstat(path, &about), 0);
        if (S_ISDIR(about.st_mode))
            play_remove_folder(path);
        else
            assert_int_equal(unlink(path), 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}

static inline void play_write_file(const char *path, const void *bytes, size_t len, unsigned mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* The bytes of a file: how many. */
static inline size_t play_read_file(const char *path, char *bytes, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t len;

    assert_non_null(file);
    len = fread(bytes, 1, size, file);
    assert_true(len < size);
    fclose(file);
    return len;
}

/* ---- what every kind does ---- */

#define PLAY_ONE "{\"api_key\":\"sk-one\",\"key_id\":\"k1\"}"
#define PLAY_TWO "{\"api_key\":\"sk-two\"}"
#define PLAY_STATE                                                                                 \
    "{\"version\":1,\"keys\":[{\"id\":\"k1\",\"step\":3}],\"share\":0.25,\"over\":null}"
#define PLAY_THREE "{\"api_key\":\"\\u00e4\\\"\\\\\"}"

static inline void conforms_reading(struct play *play)
{
    assert_int_equal(play_read(play, "openai/pool-a"), 0);
    assert_int_equal(play->version, 0);
    assert_string_equal(play->text, "");
    assert_int_equal(play_list(play, ""), 0);
    assert_string_equal(play->names, "");
    assert_int_equal(play_list(play, "openai"), 0);
    assert_string_equal(play->names, "");
    assert_int_equal(play_remove(play, "openai/pool-a", SECRET_ANY), 0);
    assert_int_equal(play_remove(play, "openai/pool-a", 0), 0);
}

static inline void conforms_writing(struct play *play)
{
    uint64_t first, second;

    assert_int_equal(play_write(play, "openai/pool-a", PLAY_ONE, 0), 0);
    first = play->version;
    assert_int_not_equal(first, 0);
    assert_int_equal(play_read(play, "openai/pool-a"), 0);
    assert_string_equal(play->text, PLAY_ONE);
    assert_true(play->version == first);

    assert_int_equal(play_write(play, "openai/pool-a", PLAY_TWO, 0), ERR_EXISTS);
    assert_int_equal(play_write(play, "openai/pool-a", PLAY_TWO, first + 77), ERR_EXISTS);
    assert_int_equal(play_write(play, "openai/pool-b", PLAY_TWO, first), ERR_EXISTS);
    assert_int_equal(play_read(play, "openai/pool-a"), 0);
    assert_string_equal(play->text, PLAY_ONE);
    assert_true(play->version == first);

    assert_int_equal(play_write(play, "openai/pool-a", PLAY_TWO, first), 0);
    second = play->version;
    assert_true(second != first && second != 0);
    assert_int_equal(play_read(play, "openai/pool-a"), 0);
    assert_string_equal(play->text, PLAY_TWO);
    assert_true(play->version == second);
    assert_int_equal(play_write(play, "openai/pool-a", PLAY_THREE, SECRET_ANY), 0);
    assert_int_equal(play_read(play, "openai/pool-a"), 0);
    assert_non_null(strstr(play->text, "\\\"\\\\\"}"));
    /* What is no key is kept as well. */
    assert_int_equal(play_write(play, "openai/pool-a", PLAY_STATE, SECRET_ANY), 0);
    assert_int_equal(play_read(play, "openai/pool-a"), 0);
    assert_string_equal(play->text, PLAY_STATE);
}

static inline void conforms_listing(struct play *play)
{
    assert_int_equal(play_write(play, "openai/pool-b", PLAY_ONE, SECRET_ANY), 0);
    assert_int_equal(play_write(play, "openai/eu/pool", PLAY_ONE, SECRET_ANY), 0);
    assert_int_equal(play_write(play, "anthropic", PLAY_ONE, SECRET_ANY), 0);
    assert_int_equal(play_list(play, ""), 0);
    assert_string_equal(play->names, "anthropic\nopenai/\n");
    assert_int_equal(play_list(play, "openai"), 0);
    assert_string_equal(play->names, "eu/\npool-a\npool-b\n");
    assert_int_equal(play_list(play, "open"), 0);
    assert_string_equal(play->names, "");
    /* A folder is no entry. */
    assert_int_equal(play_read(play, "openai"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_read(play, "anthropic/x"), 0);
    assert_int_equal(play->version, 0);
}

static inline void conforms_removing(struct play *play)
{
    uint64_t version;

    assert_int_equal(play_read(play, "openai/pool-b"), 0);
    version = play->version;
    assert_int_equal(play_remove(play, "openai/pool-b", version + 77), ERR_EXISTS);
    assert_int_equal(play_remove(play, "openai/pool-b", 0), ERR_EXISTS);
    assert_int_equal(play_remove(play, "openai/pool-b", version), 0);
    assert_int_equal(play_read(play, "openai/pool-b"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_remove(play, "openai/pool-b", version), ERR_EXISTS);
    assert_int_equal(play_remove(play, "openai/pool-b", SECRET_ANY), 0);
    assert_int_equal(play_list(play, "openai"), 0);
    assert_string_equal(play->names, "eu/\npool-a\n");
    /* And anew: what was removed is not there. */
    assert_int_equal(play_write(play, "openai/pool-b", PLAY_TWO, 0), 0);
    assert_int_equal(play_read(play, "openai/pool-b"), 0);
    assert_string_equal(play->text, PLAY_TWO);
}

static inline void conforms_refusing(struct play *play)
{
    static const char *const paths[] = {"",       "/a",   "a/",   "a//b", "..",    ".a",
                                        "a/../b", "a/.b", "a b",  "a.",   "a\x80", "a\nb",
                                        "a?b",    "a#b",  "a%2f", "a\\b", "a:b",   "a/./b"};
    static const char *const texts[] = {"",
                                        "sk-plain",
                                        "[]",
                                        "{\"api_key\":1}",
                                        "{\"api_key\":null}",
                                        "1",
                                        "{\"a\":\"1\",\"a\":\"2\"}",
                                        "{\"api_key\":\"\"}",
                                        "{\"api_key\":\"a\\nb\"}",
                                        "{\"api_key\":\"a\\u0000b\"}",
                                        "{\"api_key\":\"a\"} x"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(play_read(play, paths[i]), ERR_SYNTAX);
        assert_int_equal(play_write(play, paths[i], PLAY_ONE, SECRET_ANY), ERR_SYNTAX);
        assert_int_equal(play_remove(play, paths[i], SECRET_ANY), ERR_SYNTAX);
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(play_write(play, "refused", texts[i], SECRET_ANY), ERR_SYNTAX);
    assert_int_equal(play_read(play, "refused"), 0);
    assert_int_equal(play->version, 0);
}

/* The largest there may be, and one byte more. */
static inline void conforms_large(struct play *play)
{
    static char text[SECRET_ENTRY_MAX_BYTES + 2];
    size_t max = play->entry_max ? play->entry_max : SECRET_ENTRY_MAX_BYTES;

    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "{\"api_key\":\"", 12);
    memcpy(text + max - 2, "\"}", 3);
    assert_int_equal(play_write(play, "large", text, 0), 0);
    assert_int_equal(play_read(play, "large"), 0);
    assert_string_equal(play->text, text);
    memcpy(text + max - 2, "x\"}", 4);
    assert_int_equal(play_write(play, "large", text, SECRET_ANY),
                     play->entry_max ? ERR_FULL : ERR_SYNTAX);
    assert_int_equal(play_remove(play, "large", SECRET_ANY), 0);
}

/* An ask that ends untold, at once and a little later, leaves the store as it was. */
static inline void conforms_cancelling(struct play *play)
{
    for (int turns = 0; turns < 3; turns++) {
        int done = play->done;

        assert_int_equal(secret_store_read(play->store, &play->ask, SPAN("anthropic")), 0);
        for (int i = 0; i < turns && play->done == done; i++)
            play_turn(play);
        secret_ask_cancel(&play->ask);
        assert_null(play->ask.store);
        secret_ask_cancel(&play->ask);
        done = play->done;
        assert_int_equal(play_list(play, ""), 0);
        assert_int_equal(play->done, done + 1);
        assert_int_equal(
            secret_store_write(play->store, &play->ask, SPAN("anthropic"), SPAN(PLAY_TWO), 77777),
            0);
        secret_ask_cancel(&play->ask);
    }
    assert_int_equal(play_read(play, "anthropic"), 0);
    assert_string_equal(play->text, PLAY_ONE);
}

/* Own changes are told too; of other paths nothing is. */
static inline void conforms_watching(struct play *play)
{
    int changes;

    play_watch(play, "openai/pool-a");
    assert_int_equal(play_write(play, "openai/pool-a", PLAY_ONE, SECRET_ANY), 0);
    play_until(play, &play->changes, 1);
    changes = play->changes;
    assert_int_equal(play_remove(play, "openai/pool-a", SECRET_ANY), 0);
    play_until(play, &play->changes, changes + 1);
    secret_watch_cancel(&play->watch);
    secret_watch_cancel(&play->watch);
    changes = play->changes;
    assert_int_equal(play_write(play, "openai/pool-a", PLAY_TWO, SECRET_ANY), 0);
    assert_int_equal(play_read(play, "openai/pool-a"), 0);
    assert_int_equal(play->changes, changes);
    assert_int_equal(play->troubles, 0);
    assert_int_equal(secret_store_watch(play->store, &play->watch, SPAN("../x")), ERR_SYNTAX);
}

/* The name in a line of the versions. */
static inline const char *play_version_name(const struct play *play, int line, char *name)
{
    const char *at = play->names;

    for (int i = 0; i < line; i++) {
        at = strchr(at, '\n');
        assert_non_null(at++);
    }
    snprintf(name, 200, "%.*s", (int)strcspn(at, " \n"), at);
    assert_true(*name);
    return name;
}

/* What a store keeps of an entry that was written over: the newest first, each readable. */
static inline void conforms_versions(struct play *play)
{
    char one[200], two[200], again[200];
    uint64_t version;

    if (!play->has_versions) {
        assert_int_equal(play_versions(play, "versions/a"), ERR_UNSUPPORTED);
        assert_int_equal(play_read_version(play, "versions/a", "1"), ERR_UNSUPPORTED);
        assert_int_equal(secret_store_versions(play->store, &play->ask, SPAN("versions/a")), 0);
        secret_ask_cancel(&play->ask);
        return;
    }
    assert_int_equal(play_versions(play, "versions/a"), 0);
    assert_string_equal(play->names, "");
    assert_int_equal(play_write(play, "versions/a", PLAY_ONE, 0), 0);
    version = play->version;
    assert_int_equal(play_versions(play, "versions/a"), 0);
    play_version_name(play, 0, one);
    assert_non_null(strchr(play->names, '\n'));
    assert_string_equal(strchr(play->names, '\n'), "\n");
    assert_int_equal(play_write(play, "versions/a", PLAY_TWO, version), 0);
    version = play->version;
    assert_int_equal(play_versions(play, "versions/a"), 0);
    play_version_name(play, 0, two);
    assert_string_not_equal(one, two);
    assert_string_equal(play_version_name(play, 1, again), one);
    assert_int_equal(play_read_version(play, "versions/a", two), 0);
    assert_string_equal(play->text, PLAY_TWO);
    assert_true(play->version == version);
    assert_int_equal(play_read_version(play, "versions/a", one), 0);
    assert_string_equal(play->text, PLAY_ONE);
    assert_true(play->version != version && play->version != 0);
    /* One that there never was; and what can be none. */
    assert_int_equal(play_read_version(play, "versions/a", "77777"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_read_version(play, "versions/a", "no-such-version"), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_read_version(play, "versions/a", "a/b"), ERR_SYNTAX);
    assert_int_equal(play_read_version(play, "versions/a", ""), ERR_SYNTAX);
    assert_int_equal(play_read_version(play, "versions/none", one), 0);
    assert_int_equal(play->version, 0);
    assert_int_equal(play_remove(play, "versions/a", SECRET_ANY), 0);
    assert_int_equal(play_versions(play, "versions/a"), 0);
    assert_string_equal(play->names, "");
}

/* Of an empty store. */
static inline void store_conforms(struct play *play)
{
    conforms_reading(play);
    conforms_writing(play);
    conforms_listing(play);
    conforms_removing(play);
    conforms_refusing(play);
    conforms_large(play);
    conforms_versions(play);
    conforms_cancelling(play);
    conforms_watching(play);
}

#endif
