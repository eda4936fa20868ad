/*
 * The whole road on virtual time: one loop, one exchange host with a snapshot made from YAML text,
 * the data plane's HTTP server, clients and upstreams played by hand on loopback sockets of the
 * same loop. A test says what the client and the upstream do, lets time pass, and looks at what
 * each of them heard and when. Answers are read by code of the test's own, so that a mistake in
 * http/ is not confirmed by itself.
 *
 * In the YAML "@a", "@b", ... stand for the base URLs of upstreams that the test plays.
 */
#ifndef TESTS_ROAD_ROAD_H
#define TESTS_ROAD_ROAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../io/wire.h"
#include "base/clock.h"
#include "exchange/exchange.h"
#include "exchange/host.h"
#include "io/helpers.h"
#include "obs/log.h"
#include "obs/metrics.h"

enum { ROAD_UPSTREAMS = 4, ROAD_ARENA_BYTES = 1 << 22 };

/* Virtual time and the wall clock begin on a Tuesday in November 2023. */
#define ROAD_START_US (UINT64_C(1700000000) * 1000000)

struct road {
    struct loop *loop;
    struct secret_arena *secrets;
    struct log *log;
    struct registry registry;
    struct exchange_host host;
    struct http_server server;
    struct snapshot *snapshot;
    char folder[64];
    struct {
        int listener; /* -1: nobody listens */
        char path[96];
    } upstreams[ROAD_UPSTREAMS];
    struct helper_job *jobs; /* that stand in line; each is put in front */
    size_t probes_wanted;
    size_t conns_closed;
};

/* An answer as far as it came. */
struct road_answer {
    int status; /* 0: no whole head */
    char head[16384];
    struct buf body; /* without chunks */
    bool is_chunked;
    bool is_whole; /* by its framing */
    size_t used;   /* bytes of the input that belong to it */
    enum wire_end end;
};

/* What most tests run on: one provider, one key named "one", no probes, any client. */
extern const char road_one_key[];

/* The same where the key may be used once at a time; where there may be one connection. */
extern const char road_one_at_once[], road_one_connection[];

void road_begin(struct road *road, const char *yaml);

/* Everything must have been settled: no exchange left, no body held, nobody waiting. */
void road_end(struct road *road);

/* True where a set-up without enough memory was refused cleanly: nothing is left then, and road_end
 * must not follow. For sweeps over failing allocations. */
bool road_try_begin(struct road *road, const char *yaml);

/* Binds the configuration anew, as a reload does. */
void road_reload(struct road *road, const char *yaml);

/* --- the client's side --- */

/* A connection to the gateway: its file descriptor, to be closed with close(). */
int road_connect(struct road *road);

/* A POST of the body to the path, with further header lines ("" or whole lines). */
void road_post(struct road *road, int client, const char *path, const char *lines,
               const char *body);

/* A chat request for model "m", streamed or not. */
void road_chat(struct road *road, int client);
void road_chat_stream(struct road *road, int client);

/* What came so far, read as one answer; road_answer_free follows. */
void road_hear(struct road *road, int client, struct road_answer *answer);
void road_answer_free(struct road_answer *answer);

/* The first answer of what `text` holds. */
void road_read_answer(struct span text, struct road_answer *answer);

/* The value of a header field (any case), "" where there is none. Valid until the next call. */
const char *road_field(const struct road_answer *answer, const char *name);
const char *road_body(struct road_answer *answer);

/* Hears a whole answer of this status, whose body is `body` (NULL: any), and frees it. */
void road_expect(struct road *road, int client, int status, const char *body);

/* The same for an error made here, by its code. */
void road_expect_error(struct road *road, int client, int status, const char *code);

/* Nothing has been said to the client, and its connection lives. */
void road_expect_silence(struct road *road, int client);

/* --- the upstream's side --- */

void road_listen(struct road *road, char name);
void road_unlisten(struct road *road, char name);

/* The next connection that the gateway made to it; the test fails where there is none. */
int road_accept(struct road *road, char name);

/* The same, or -1. */
int road_try_accept(struct road *road, char name);

/* What the gateway said on it since it was last asked, NUL-terminated; freed with mem_free. */
char *road_request(struct road *road, int upstream);

/* The attempt that comes next: on the connection at hand (-1: none) if it is used again, else on a
 * new one, for which the old is closed. The connection, and what was said. The test fails where
 * there is no attempt. */
int road_attempt(struct road *road, char name, int upstream, char **ret_request);

/* The same where its text does not matter but for the key that it must show. */
int road_attempt_with(struct road *road, char name, int upstream, const char *key);

/* No attempt is made, neither there nor on a new connection. */
void road_expect_no_attempt(struct road *road, char name, int upstream);

/* The same, forgotten at once: there must be a request. */
void road_take(struct road *road, int upstream);

/* Says a whole answer with a Content-Length. lines: "" or whole lines. */
void road_reply(struct road *road, int upstream, int status, const char *lines, const char *body);
void road_reply_ok(struct road *road, int upstream); /* road_ok */

/* Begins a stream of events, says a piece of it (one chunk), ends it. */
void road_stream_head(struct road *road, int upstream);
void road_stream(struct road *road, int upstream, const char *events);
void road_stream_end(struct road *road, int upstream);

/* A whole chat answer; a stream's first chunk with "Hi", its finish, its usage, its end. */
extern const char road_ok[], road_chunk[], road_finish[], road_usage[], road_done[];

/* The connection of the upstream was closed by the gateway. */
void road_expect_closed(struct road *road, int upstream);

/* --- the helpers --- */

/* How many jobs stand in line for the helper threads. */
size_t road_jobs(const struct road *road);

/* A helper thread does them all, the last first, and they come back. */
void road_help(struct road *road);

/* They come back undone, as without room, or at the helpers' end. */
void road_refuse_help(struct road *road);

/* --- time and numbers --- */

void road_pass_ms(struct road *road, uint64_t ms);
uint64_t road_now_ms(const struct road *road); /* since the start */

/* The number of a line of /metrics, by its name with labels; 0 where there is no such line. */
uint64_t road_metric(struct road *road, const char *line);

/* Attempts of the provider "up" that ended so. */
uint64_t road_attempts(struct road *road, const char *outcome);

/* All that the log has; NUL-terminated, freed with mem_free. Ends the log. */
char *road_log(struct road *road);

/* How often `what` stands in the text. */
size_t road_count(const char *text, const char *what);

#endif
