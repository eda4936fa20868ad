/* bellwether check-config: every complaint, or the effective configuration with its secrets masked.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/setup.h"
#include "conf/print.h"

enum { PRINT_MAX_BYTES = 64 << 20 };

static int print(const struct config *config)
{
    struct buf text;
    int err;

    buf_init(&text, PRINT_MAX_BYTES);
    err = config_print(config, &text);
    if (!err)
        printf("%.*s", SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
    return err ? COMMAND_FAILED : COMMAND_OK;
}

int command_check_config(int argc, char **argv)
{
    struct config *config;
    struct setup setup;
    int status = COMMAND_FAILED;

    if (argc != 2)
        return command_bad_usage("check-config", "needs one FILE");
    if (setup_init(&setup))
        return COMMAND_FAILED;
    if (setup_load(&setup, argv[1], NULL, &config) == 0) {
        status = print(config);
        config_free(&config);
    }
    setup_fini(&setup);
    return status;
}

int command_help_config(void)
{
    struct buf text;
    int err;

    buf_init(&text, PRINT_MAX_BYTES);
    err = config_schema_print(&text);
    if (!err)
        printf("%.*s", SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
    return err ? COMMAND_FAILED : COMMAND_OK;
}
