/* bellwether serve: the gateway until a signal ends it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/commands.h"
#include "cli/option.h"
#include "cli/setup.h"
#include "cli/signals.h"
#include "server/gateway.h"

static void on_signal(void *owner, int number)
{
    struct gateway *gateway = *(struct gateway **)owner;

    if (!gateway)
        return;
    if (number == SIGHUP)
        gateway_reload(gateway);
    else if (number == SIGUSR1)
        gateway_reopen_log(gateway);
    else
        gateway_shut_down(gateway);
}

static int run(struct setup *setup, struct loop *loop, struct config_reader *reader,
               const char *path)
{
    struct gateway_options options = {
        .loop = loop,
        .secrets = setup->secrets,
        .is_locked = setup->is_locked,
        .config_path = path,
        .source = &setup->source,
        .reader = reader,
    };
    char error[GATEWAY_ERROR_BYTES];
    struct gateway *gateway = NULL;
    struct signals *signals = NULL;
    struct config *config;
    int status = COMMAND_FAILED;

    if (setup_read(reader, path, &config))
        return COMMAND_FAILED;
    if (signals_new(loop, on_signal, &gateway, &signals)) {
        config_free(&config);
        fprintf(stderr, "bellwether: signals cannot be read\n");
        return COMMAND_FAILED;
    }
    if (gateway_new(&options, config, error, &gateway) == 0)
        status = loop_run(loop) ? COMMAND_FAILED : COMMAND_OK;
    else
        fprintf(stderr, "bellwether: %s\n", error);
    /* First: the loop still turns while the gateway is taken apart, and a signal speaks to it. */
    signals_free(&signals);
    gateway_free(&gateway);
    return status;
}

int command_serve(int argc, char **argv)
{
    const char *path = NULL;
    struct config_reader *reader = NULL;
    struct setup setup;
    struct loop *loop;
    int status = COMMAND_FAILED;

    if (!option_take(&argc, argv, "--config", &path) || argc > 1)
        return command_bad_usage("serve", "takes --config FILE alone");
    if (setup_init(&setup))
        return COMMAND_FAILED;
    loop = loop_new();
    if (loop)
        reader = config_reader_new(loop, &setup.source);
    if (reader)
        status = run(&setup, loop, reader, path);
    config_reader_free(&reader);
    loop_free(&loop);
    setup_fini(&setup);
    return status;
}
