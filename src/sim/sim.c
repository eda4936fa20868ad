#include "sim/sim.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "http/server.h"
#include "io/listener.h"
#include "sim/call.h"
#include "sim/control.h"
#include "sim/issuing_call.h"

enum { NAME_BYTES = 256 };

struct sim {
    struct loop *loop;
    struct http_server server;
    struct listener *listener;
    struct addr addr;
    struct tls_context *tls;
    struct sim_calls calls;
    char name[NAME_BYTES]; /* of the scenario, in complaints */
    uint64_t seed;
    double time_scale;
    bool is_serving; /* `server` was set up */
};

static struct sim *of(struct http_server_conn *conn)
{
    return http_server_of(conn)->owner;
}

/* --- requests --- */

/* Whose 404 a path gets that nobody knows: the last dialect's, unless its prefix says better. */
static const struct sim_dialect *dialect_of(const struct http_head *head)
{
    struct span query, path = http_head_path(head, &query);
    size_t i;

    for (i = 0; sim_dialects[i + 1]; i++)
        if (sim_dialects[i]->prefix.ptr && span_has_prefix(path, sim_dialects[i]->prefix))
            return sim_dialects[i];
    return sim_dialects[i];
}

static void on_head(struct http_server_conn *conn, const struct http_head *head)
{
    struct sim *sim = of(conn);
    struct sim_route route;

    if (sim_control_begin(sim, conn, head) || sim_issuing_begin(&sim->calls, conn, head))
        return;
    for (size_t i = 0; sim_dialects[i]; i++) {
        if (sim_dialects[i]->match(head, &route)) {
            sim_call_begin(&sim->calls, conn, head, sim_dialects[i], &route);
            return;
        }
    }
    sim_calls_refuse(&sim->calls, conn, dialect_of(head),
                     &(struct sim_failure){.kind = SIM_FAILURE_PATH});
}

static void on_body(struct http_server_conn *conn, struct span data)
{
    struct sim_handler *handler = http_server_request(conn);

    if (handler)
        handler->on_body(handler, data);
}

static void on_end(struct http_server_conn *conn)
{
    struct sim_handler *handler = http_server_request(conn);

    if (handler)
        handler->on_end(handler);
}

static void on_room(struct http_server_conn *conn)
{
    struct sim_handler *handler = http_server_request(conn);

    if (handler)
        handler->on_room(handler);
}

static void on_gone(struct http_server_conn *conn, int err)
{
    struct sim_handler *handler = http_server_request(conn);

    (void)err;
    if (handler)
        handler->on_gone(handler);
}

static int bad_status(enum http_bad bad, enum http_problem problem)
{
    if (bad != HTTP_BAD_REQUEST)
        return 408;
    switch (problem) {
    case HTTP_PROBLEM_HEAD_LARGE:
        return 431;
    case HTTP_PROBLEM_TARGET_LONG:
        return 414;
    case HTTP_PROBLEM_VERSION:
        return 505;
    case HTTP_PROBLEM_CODING:
        return 501;
    case HTTP_PROBLEM_EXPECTATION:
        return 417;
    case HTTP_PROBLEM_NONE:
    case HTTP_PROBLEM_SYNTAX:
    case HTTP_PROBLEM_FRAMING:
    case HTTP_PROBLEM_HOST:
        break;
    }
    return 400;
}

static void on_bad(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem)
{
    struct sim_failure failure = {.kind = SIM_FAILURE_STATUS, .status = bad_status(bad, problem)};

    on_gone(conn, ERR_PROTO);
    sim_calls_refuse(&of(conn)->calls, conn, &sim_openai, &failure);
}

static void on_closed(struct http_server_conn *conn)
{
    (void)conn;
}

static const struct http_server_ops server_ops = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_bad = on_bad,
    .on_gone = on_gone,
    .on_room = on_room,
    .on_closed = on_closed,
};

static void on_accept(void *owner, int fd, const struct addr *peer)
{
    struct sim *sim = owner;

    /* A connection that cannot be had is closed, which is all that its client need know. */
    (void)http_server_accept(&sim->server, fd, peer);
}

/* --- its life --- */

static void use_world(struct sim *sim, struct sim_world *world)
{
    sim_world_unref(&sim->calls.world);
    sim->calls.world = world;
    sim->server.idle_timeout_us = world->scenario->idle_timeout_us;
}

int sim_load(struct sim *sim, struct span text, struct buf *complaints)
{
    struct sim_scenario *scenario = NULL;
    struct sim_world *world;
    int err = sim_scenario_new(sim->name, text, sim->time_scale, complaints, &scenario);

    if (!err)
        err = sim_world_new(scenario, sim->seed, &world);
    if (!err)
        use_world(sim, world);
    sim_scenario_unref(&scenario);
    return err;
}

int sim_reset(struct sim *sim)
{
    struct sim_world *world;
    int err = sim_world_new(sim->calls.world->scenario, sim->seed, &world);

    if (!err)
        use_world(sim, world);
    return err;
}

static int listen_at(struct sim *sim, struct span text, struct buf *complaints)
{
    struct addr addr;
    int fd, err = addr_parse(text, &addr);

    if (!err)
        err = listener_open(&addr, false, &fd, &sim->addr);
    if (err) {
        buf_printf(complaints, "%.*s: cannot listen there: %s\n", SPAN_ARG(text), err_text(err));
        return err;
    }
    return listener_new(sim->loop, fd, false, on_accept, sim, &sim->listener);
}

static int start(struct sim *sim, const struct sim_options *options, struct buf *complaints)
{
    int err = http_server_init(&sim->server, sim->loop, &server_ops, sim);

    if (err)
        return err;
    sim->is_serving = true;
    sim->server.header_timeout_us = 60 * US_PER_SEC;
    sim->server.body_timeout_us = 60 * US_PER_SEC;
    sim->server.write_timeout_us = 60 * US_PER_SEC;
    if (options->tls)
        sim->server.tls = sim->tls = tls_context_ref(options->tls);
    err = sim_load(sim, options->scenario, complaints);
    return err ? err : listen_at(sim, options->listen, complaints);
}

int sim_new(struct loop *loop, const struct sim_options *options, struct buf *complaints,
            struct sim **ret_sim)
{
    struct span name = span_from_text(options->name ? options->name : "scenario");
    struct sim *sim = mem_zalloc(1, sizeof(*sim));
    int err;

    if (!sim)
        return ERR_NOMEM;
    sim->loop = loop;
    sim->seed = options->seed;
    sim->time_scale = options->time_scale;
    memcpy(sim->name, name.ptr, name.len < NAME_BYTES - 1 ? name.len : NAME_BYTES - 1);
    sim_calls_init(&sim->calls, loop);
    err = start(sim, options, complaints);
    if (err)
        sim_free(&sim);
    else
        *ret_sim = sim;
    return err;
}

void sim_stop(struct sim *sim)
{
    listener_free(&sim->listener);
    if (sim->is_serving)
        http_server_fini(&sim->server);
    sim->is_serving = false;
}

void sim_free(struct sim **sim)
{
    struct sim *s = *sim;

    *sim = NULL;
    if (!s)
        return;
    sim_stop(s);
    sim_calls_fini(&s->calls);
    sim_world_unref(&s->calls.world);
    tls_context_unref(&s->tls);
    mem_free(s);
}

const struct addr *sim_addr(const struct sim *sim)
{
    return &sim->addr;
}

/* --- control --- */

int sim_set_key(struct sim *sim, struct span key, struct span text, struct buf *complaints)
{
    struct sim_world *world = sim->calls.world;
    struct sim_behaviour *behaviour;
    int err = sim_scenario_read_key("key", text, world->scenario->time_scale,
                                    sim_world_behaviour(world, key), complaints, &behaviour);

    return err ? err : sim_world_set_key(world, key, behaviour);
}

int sim_set_issuing(struct sim *sim, struct span text, struct buf *complaints)
{
    struct sim_world *world = sim->calls.world;
    struct sim_issuing_rules rules;
    int err = sim_scenario_read_issuing("issuer", text, world->scenario, &world->issuing.rules,
                                        complaints, &rules);

    if (!err)
        sim_issuing_set(&world->issuing, &rules);
    return err;
}

int sim_write_issuing_stats(const struct sim *sim, struct buf *out)
{
    sim_issuing_write_stats(&sim->calls.world->issuing, out);
    return out->err;
}

int sim_write_stats(const struct sim *sim, struct buf *out)
{
    sim_world_write_stats(sim->calls.world, out);
    return out->err;
}

int sim_write_key_stats(const struct sim *sim, struct span name, struct buf *out)
{
    const struct sim_key *key = map_find(&sim->calls.world->keys, name);

    if (!key)
        return ERR_NOTFOUND;
    sim_key_write_stats(key, out);
    return out->err;
}
