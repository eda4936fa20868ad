#include "cli/setup.h"

#include <stdio.h>

#include "base/err.h"

int setup_init(struct setup *setup)
{
    *setup = (struct setup){.secrets = NULL};
    setup->secrets = secret_arena_new(SECRETS_MAX_BYTES, &setup->is_locked);
    if (!setup->secrets) {
        fprintf(stderr, "bellwether: out of memory\n");
        return ERR_NOMEM;
    }
    setup->source = (struct conf_source){&conf_system_process, setup->secrets};
    return 0;
}

void setup_fini(struct setup *setup)
{
    secret_arena_free(&setup->secrets);
}

static void print_complaints(const struct complaints *complaints)
{
    struct buf text;

    buf_init(&text, 8 << 20);
    complaints_print(complaints, &text);
    fprintf(stderr, "%.*s", SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
}

int setup_load(struct setup *setup, const char *path, const char *text, struct config **ret_config)
{
    struct complaints complaints;
    int err;

    complaints_init(&complaints);
    if (text)
        err = config_load_text(&setup->source, SPAN("demo"), span_from_text(text), &complaints,
                               ret_config);
    else
        err = config_load(&setup->source, path, &complaints, ret_config);
    print_complaints(&complaints);
    complaints_fini(&complaints);
    if (err && err != ERR_SYNTAX)
        fprintf(stderr, "bellwether: the configuration cannot be loaded: %s\n", err_text(err));
    return err;
}
