/*
 * bellwether demo: a simulated provider and a gateway in front of it in one process, on free ports;
 * two answers through them that anybody can repeat, and keys that are replaced under load; or, with
 * --strategies, one way to choose a key after another.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "cli/commands.h"
#include "cli/demo_folder.h"
#include "cli/demo_rotation.h"
#include "cli/demo_strategies.h"
#include "cli/demo_talk.h"
#include "cli/setup.h"
#include "cli/signals.h"
#include "server/gateway.h"
#include "sim/sim.h"

struct demo {
    struct loop *loop;
    struct sim *sim;
    struct gateway *gateway;
    struct demo_talk *talk;
    struct demo_rotation *rotation;
    struct demo_strategies *strategies;
    bool is_once, is_strategies;
    bool has_failed;
    char folder[DEMO_FOLDER_BYTES];
    char path[DEMO_FOLDER_BYTES + 16]; /* of the gateway's file; empty: it has none */
    char gateway_addr[ADDR_TEXT_BYTES], admin_addr[ADDR_TEXT_BYTES];
};

static void fail(struct demo *demo, const char *why)
{
    fprintf(stderr, "bellwether demo: %s\n", why);
    demo->has_failed = true;
    gateway_shut_down(demo->gateway);
}

static void say_what_to_try(const struct demo *demo)
{
    printf("\nThe gateway listens on http://%s, its admin API on http://%s. Try:\n\n"
           "  curl http://%s/v1/chat/completions -H 'Content-Type: application/json' \\\n"
           "       -d '%s'\n\n"
           "  build/bellwether keys --address %s list\n"
           "  build/bellwether keys --address %s rotate sim/sim-2\n"
           "  build/bellwether keys --address %s history\n"
           "  curl -s http://%s/metrics | grep requests_total\n\n",
           demo->gateway_addr, demo->admin_addr, demo->gateway_addr, demo_question,
           demo->admin_addr, demo->admin_addr, demo->admin_addr, demo->admin_addr);
    printf("Ctrl-C ends it.\n");
    fflush(stdout);
}

static void on_rotated(void *owner, const char *why)
{
    struct demo *demo = owner;

    demo_rotation_free(&demo->rotation);
    if (why) {
        fail(demo, why);
        return;
    }
    if (demo->is_once)
        gateway_shut_down(demo->gateway);
    else
        say_what_to_try(demo);
}

static void on_talked(void *owner, const char *why)
{
    struct demo *demo = owner;
    const struct demo_rotation_options options = {.loop = demo->loop,
                                                  .gateway = gateway_listen_addr(demo->gateway),
                                                  .admin = gateway_admin_addr(demo->gateway),
                                                  .provider = sim_addr(demo->sim),
                                                  .ask = demo_question,
                                                  .provider_name = "sim",
                                                  .key_name = "sim-1",
                                                  .on_end = on_rotated,
                                                  .owner = demo};

    demo_talk_free(&demo->talk);
    if (why) {
        fail(demo, why);
        return;
    }
    demo->rotation = demo_rotation_new(&options);
    if (!demo->rotation)
        fail(demo, "out of memory");
}

static void reload(void *owner)
{
    struct demo *demo = owner;

    gateway_reload(demo->gateway);
}

static void on_strategies(void *owner, const char *why)
{
    struct demo *demo = owner;

    demo_strategies_free(&demo->strategies);
    if (why)
        fail(demo, why);
    else
        gateway_shut_down(demo->gateway);
}

static void on_signal(void *owner, int number)
{
    struct demo *demo = owner;

    if (!demo->gateway || number == SIGUSR1)
        return;
    if (number != SIGHUP)
        gateway_shut_down(demo->gateway);
    else if (demo->path[0])
        reload(demo);
}

static int start_sim(struct demo *demo)
{
    struct sim_options options = {.listen = SPAN("127.0.0.1:0")};
    struct buf complaints;
    int err;

    if (demo->is_strategies)
        options.scenario = span_from_text(demo_strategies_scenario);
    buf_init(&complaints, 65536);
    err = sim_new(demo->loop, &options, &complaints, &demo->sim);
    if (err)
        fprintf(stderr, "%.*s", SPAN_ARG(buf_span(&complaints)));
    buf_fini(&complaints);
    return err;
}

/* The folder, and four times the simulator's address. */
static const char file[] =
    "server: {listen: 127.0.0.1:0, workers: 1, max_connections: 1000, shutdown_grace: 1s}\n"
    "admin: {listen: 127.0.0.1:0}\n"
    "clients: {open: true}\n"
    "secrets: {seal_key: \"file:%s/bellwether.key\"}\n"
    "providers:\n"
    "  sim:\n"
    "    kind: compatible\n"
    "    base_url: http://%s/v1\n"
    "    selection: round_robin\n"
    "    keys: [sk-demo-1, sk-demo-2, sk-demo-3]\n"
    "    rotation:\n"
    "      issuer:\n"
    "        kind: http\n"
    "        create: {url: \"http://%s/v1/keys\", headers: {Authorization: Bearer sk-sim-admin},\n"
    "                 body: {name: \"{name}\"}, key: /api_key, id: /key_id}\n"
    "        revoke: {url: \"http://%s/v1/keys/{id}\",\n"
    "                 headers: {Authorization: Bearer sk-sim-admin}}\n"
    "        list: {url: \"http://%s/v1/keys\", headers: {Authorization: Bearer sk-sim-admin},\n"
    "               items: /keys, name: /name, id: /key_id}\n"
    "      name: new-{time}\n"
    "      overlap: 1h\n"
    "      canary: {initial: 25%%, steps: 4, every: 1s, min_requests: 20}\n"
    "models: {gpt-4.1: sim/gpt-4.1}\n"
    "store: none\n"
    "log: {level: error, access: false}\n";

static int load_text(struct demo *demo, struct setup *setup, const char *sim,
                     struct config **ret_config)
{
    struct buf text;
    int err;

    buf_init(&text, 16 << 10);
    buf_printf(&text, file, demo->folder, sim, sim, sim, sim);
    err = text.err ? text.err : setup_load(setup, NULL, buf_text(&text), ret_config);
    buf_fini(&text);
    return err;
}

/* From a file, which is changed and read again. */
static int load_file(struct demo *demo, struct setup *setup, struct config **ret_config)
{
    snprintf(demo->path, sizeof(demo->path), "%s/demo.yaml", demo->folder);
    if (demo_strategies_write(demo->path, demo->sim, 0)) {
        fprintf(stderr, "bellwether demo: %s: %s\n", demo->path, strerror(errno));
        return ERR_IO;
    }
    return setup_load(setup, demo->path, NULL, ret_config);
}

static int start_gateway(struct demo *demo, struct setup *setup)
{
    struct gateway_options options = {.loop = demo->loop,
                                      .secrets = setup->secrets,
                                      .is_locked = true, /* nothing secret here */
                                      .source = &setup->source};
    char sim[ADDR_TEXT_BYTES], error[GATEWAY_ERROR_BYTES];
    struct config *config;
    int err;

    addr_write(sim_addr(demo->sim), sim);
    err = demo->is_strategies ? load_file(demo, setup, &config)
                              : load_text(demo, setup, sim, &config);
    if (err)
        return err;
    if (demo->path[0])
        options.config_path = demo->path;
    if (gateway_new(&options, config, error, &demo->gateway)) {
        fprintf(stderr, "bellwether demo: %s\n", error);
        return ERR_IO;
    }
    addr_write(gateway_listen_addr(demo->gateway), demo->gateway_addr);
    addr_write(gateway_admin_addr(demo->gateway), demo->admin_addr);
    printf("a simulated provider listens on http://%s; the gateway in front of it, with %s "
           "keys, on http://%s\n",
           sim, demo->is_strategies ? "four" : "three", demo->gateway_addr);
    return 0;
}

static int begin_talk(struct demo *demo)
{
    demo->talk = demo_talk_new(demo->loop, gateway_listen_addr(demo->gateway), on_talked, demo);
    return demo->talk ? 0 : ERR_NOMEM;
}

static int begin_strategies(struct demo *demo)
{
    const struct demo_strategies_options options = {.loop = demo->loop,
                                                    .sim = demo->sim,
                                                    .gateway = gateway_listen_addr(demo->gateway),
                                                    .path = demo->path,
                                                    .ask = demo_question,
                                                    .is_once = demo->is_once,
                                                    .reload = reload,
                                                    .on_end = on_strategies,
                                                    .owner = demo};

    demo->strategies = demo_strategies_new(&options);
    return demo->strategies ? 0 : ERR_NOMEM;
}

static int run(struct demo *demo, struct setup *setup)
{
    int err = start_sim(demo);

    if (!err)
        err = start_gateway(demo, setup);
    if (!err)
        err = demo->is_strategies ? begin_strategies(demo) : begin_talk(demo);
    if (!err)
        err = loop_run(demo->loop);
    demo_strategies_free(&demo->strategies);
    demo_talk_free(&demo->talk);
    demo_rotation_free(&demo->rotation);
    gateway_free(&demo->gateway);
    sim_free(&demo->sim);
    return err || demo->has_failed ? COMMAND_FAILED : COMMAND_OK;
}

/* False: something else stands there. */
static bool read_options(struct demo *demo, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--once") == 0)
            demo->is_once = true;
        else if (strcmp(argv[i], "--strategies") == 0)
            demo->is_strategies = true;
        else
            return false;
    }
    return true;
}

int command_demo(int argc, char **argv)
{
    struct demo *demo = mem_zalloc(1, sizeof(*demo));
    struct signals *signals = NULL;
    struct setup setup;
    int status = COMMAND_FAILED;

    if (demo && !read_options(demo, argc, argv)) {
        mem_free(demo);
        return command_bad_usage("demo", "takes --once and --strategies alone");
    }
    if (!demo || setup_init(&setup)) {
        mem_free(demo);
        return COMMAND_FAILED;
    }
    demo->loop = loop_new();
    if (demo_folder_make(demo->folder))
        fprintf(stderr, "bellwether demo: no folder for its files: %s\n", strerror(errno));
    else if (demo->loop && signals_new(demo->loop, on_signal, demo, &signals) == 0)
        status = run(demo, &setup);
    demo_folder_remove(demo->folder);
    signals_free(&signals);
    loop_free(&demo->loop);
    setup_fini(&setup);
    mem_free(demo);
    return status;
}
