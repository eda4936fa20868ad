#include "play.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/listener.h"

enum { TURNS_TO_SETTLE = 20 };

static struct admin_state tell_state(void *owner)
{
    return ((struct play *)owner)->stage.view.state;
}

void play_settle(struct play *play)
{
    for (int i = 0; i < TURNS_TO_SETTLE; i++)
        assert_int_equal(loop_turn(play->loop, 0), 0);
}

void play_pass(struct play *play, uint64_t us)
{
    uint64_t end_us = loop_now_us(play->loop) + us;

    play_settle(play);
    while (loop_now_us(play->loop) < end_us)
        assert_int_equal(loop_turn(play->loop, end_us - loop_now_us(play->loop)), 0);
    play_settle(play);
}

static struct rotation *no_rotation(void *owner, struct span provider)
{
    (void)owner, (void)provider;
    return NULL;
}

static struct migrator *no_migration(void *owner, size_t index)
{
    (void)owner, (void)index;
    return NULL;
}

static void note_effect(void *owner, struct provider *provider, const struct keypool_effect *effect)
{
    struct play *play = owner;

    assert_non_null(provider);
    play->effects++;
    play->wakes += effect->wakes;
}

static struct store *tell_store(void *owner)
{
    return ((struct play *)owner)->store;
}

static void note_order(void *owner, const struct admin_order_note *note)
{
    struct play *play = owner;

    snprintf(play->noted, sizeof(play->noted), "%.*s %.*s/%.*s %s %.*s", SPAN_ARG(note->action),
             SPAN_ARG(note->provider), SPAN_ARG(note->key), note->is_done ? "done" : "refused",
             SPAN_ARG(note->detail));
}

/* An abstract unix address takes as much as it is asked for and no more; TCP shows its Host. */
static void open_address(struct play *play, bool is_tcp)
{
    struct admin_options options = {
        .loop = play->loop,
        .registry = &play->stage.registry,
        .state = tell_state,
        .rotation = no_rotation,
        .migration = no_migration,
        .on_effect = note_effect,
        .store = tell_store,
        .on_order = note_order,
        .owner = play,
    };
    struct addr addr = {.len = sizeof(sa_family_t)};

    addr.storage.ss_family = AF_UNIX;
    if (is_tcp) {
        assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &addr), 0);
        assert_int_equal(listener_open(&addr, false, &options.fd, &play->addr), 0);
    } else {
        options.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(options.fd, (struct sockaddr *)&addr.storage, addr.len), 0);
        assert_int_equal(listen(options.fd, 256), 0);
        play->addr.len = sizeof(play->addr.storage);
        assert_int_equal(
            getsockname(options.fd, (struct sockaddr *)&play->addr.storage, &play->addr.len), 0);
    }
    assert_int_equal(admin_new(&options, &play->admin), 0);
    admin_set_snapshot(play->admin, play->stage.view.snapshot);
}

void play_begin(struct play *play, const char *yaml, bool is_tcp)
{
    memset(play, 0, sizeof(*play));
    stage_begin(&play->stage, yaml);
    play->loop = loop_new_virtual(STAGE_NOW_US);
    assert_non_null(play->loop);
    buf_init(&play->heard, PAGE_MAX_BYTES);
    open_address(play, is_tcp);
}

void play_reload(struct play *play, const char *yaml)
{
    struct snapshot *old = play->stage.view.snapshot;

    stage_load(&play->stage, yaml);
    admin_set_snapshot(play->admin, play->stage.view.snapshot);
    snapshot_unref(&old);
    play_settle(play);
}

void play_end(struct play *play)
{
    admin_free(&play->admin);
    assert_int_equal(loop_turn(play->loop, 0), 0);
    loop_free(&play->loop);
    buf_fini(&play->heard);
    stage_end(&play->stage);
}

int play_call(struct play *play)
{
    int fd = socket(play->addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&play->addr.storage, play->addr.len), 0);
    return fd;
}

void play_say(struct play *play, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    play_settle(play);
}

bool play_read(struct play *play, int fd)
{
    char piece[65536];

    for (;;) {
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

        if (n <= 0)
            return n == 0 || errno != EAGAIN;
        assert_int_equal(buf_append(&play->heard, piece, (size_t)n), 0);
    }
}

const char *play_hear(struct play *play, int fd)
{
    buf_clear(&play->heard);
    play_settle(play);
    play_read(play, fd);
    return buf_text(&play->heard);
}

const char *play_ask(struct play *play, const char *request)
{
    int fd = play_call(play);

    play_say(play, fd, request);
    play_hear(play, fd);
    close(fd);
    play_settle(play);
    return buf_text(&play->heard);
}

void play_expect_status(const char *answer, int status)
{
    char start[32];

    snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
    if (strncmp(answer, start, strlen(start)) != 0)
        fail_msg("not %d: %.400s", status, answer);
}
