/*
 * What every store of a cloud is held to beside store_conforms: that it may be busy, silent or
 * away, that it is freed at any time, and finds no memory at any time. A test's scene begins with a
 * struct cloud_stage.
 */
#ifndef TESTS_SECRETS_CLOUD_CHECKS_H
#define TESTS_SECRETS_CLOUD_CHECKS_H

#include "cloud_double.h"

#include "base/alloc.h"

/* Opens stage->play.store: what the store's own open function returned. */
typedef int (*check_open)(struct cloud_stage *stage);

/* Busy, it is asked again a few times within seconds; what says otherwise is not waited for. */
static inline void check_busy(struct cloud_stage *stage, struct cloud_double *cd)
{
    cd->busy_answer = "HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n";
    cd->busy = 3;
    assert_int_equal(play_write(&stage->play, "a", PLAY_ONE, SECRET_ANY), 0);
    cd->busy = 100;
    assert_int_equal(play_read(&stage->play, "a"), ERR_UNREACHABLE);
    assert_int_equal(cd->busy, 96);
    cd->busy_answer = "HTTP/1.1 429 X\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(play_read(&stage->play, "a"), ERR_UNREACHABLE);
    assert_int_equal(cd->busy, 95);
    cd->busy = 0;
}

/* A 404 that is not the cloud's own says nothing of what is there: no key goes because of it. */
static inline void check_foreign_404(struct cloud_stage *stage, struct cloud_double *cd)
{
    static const char *const answers[] = {
        "HTTP/1.1 404 X\r\nContent-Length: 18\r\n\r\n404 page not found",
        "HTTP/1.1 404 X\r\nContent-Length: 21\r\n\r\n{\"error\":\"not_found\"}"};

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        cd->canned = answers[i];
        assert_int_equal(play_read(&stage->play, "a"), ERR_PROTO);
        cd->canned = answers[i];
        assert_int_equal(play_remove(&stage->play, "a", 77), ERR_PROTO);
        cd->canned = answers[i];
        assert_int_equal(play_remove(&stage->play, "a", SECRET_ANY), ERR_PROTO);
        if (stage->play.has_versions) {
            cd->canned = answers[i];
            assert_int_equal(play_versions(&stage->play, "a"), ERR_PROTO);
        }
    }
}

/* Opened with a total_us of less than a second, and at the end of a test. */
static inline void check_unreachable(struct cloud_stage *stage, struct cloud_double *cd)
{
    assert_int_equal(play_read(&stage->play, "a"), 0);
    atomic_store(&cd->is_silent, true);
    assert_int_equal(play_read(&stage->play, "a"), ERR_TIMEOUT);
    assert_non_null(strstr(stage->play.why, "Operation timed out"));
    atomic_store(&cd->is_silent, false);
    cd_stop(cd);
    assert_int_equal(play_read(&stage->play, "a"), ERR_REFUSED);
    assert_int_equal(play_write(&stage->play, "a", PLAY_ONE, 0), ERR_REFUSED);
    assert_int_equal(play_remove(&stage->play, "a", 0), ERR_REFUSED);
    assert_int_equal(play_list(&stage->play, ""), ERR_REFUSED);
}

static inline void check_freed_at_work(struct cloud_stage *stage, check_open open)
{
    struct play *play = &stage->play;

    for (int turns = 0; turns < 24; turns++) {
        assert_int_equal(open(stage), 0);
        play->ask.on_done = play_on_done;
        play_watch(play, "a");
        assert_int_equal(secret_store_write(play->store, &play->ask, SPAN("a"), SPAN(PLAY_ONE), 0),
                         0);
        for (int i = 0; i < turns; i++)
            play_turn(play);
        secret_store_free(&play->store);
        assert_null(play->watch.store);
        assert_null(play->ask.store);
    }
}

#ifdef BW_FAULTS
static inline void check_without_memory(struct cloud_stage *stage, check_open open)
{
    struct play *play = &stage->play;
    bool is_pending = false;

    for (long after = 0; !is_pending; after++) {
        int err;

        mem_fail_after(after);
        err = open(stage);
        if (!err)
            err = play_write(play, "b/c", PLAY_TWO, SECRET_ANY);
        if (!err)
            err = play_read(play, "b/c");
        if (!err)
            err = play_write(play, "b/c", PLAY_ONE, play->version);
        if (!err && play->has_versions)
            err = play_versions(play, "b/c");
        if (!err)
            err = play_list(play, "b");
        if (!err)
            err = play_remove(play, "b/c", SECRET_ANY);
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        if (err && err != ERR_NOMEM)
            fail_msg("after %ld: %d %s", after, err, play->why);
        play_close_store(play);
    }
}
#endif

#endif
