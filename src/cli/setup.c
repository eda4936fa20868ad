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
    setup->source = (struct conf_source){.system = &conf_system_process, .secrets = setup->secrets};
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

/* What is wrong where nobody looks is not told. */
static int tell(int err, bool is_whole, struct complaints *complaints)
{
    if (err || is_whole)
        print_complaints(complaints);
    complaints_fini(complaints);
    if (err && err != ERR_SYNTAX)
        fprintf(stderr, "bellwether: the configuration cannot be loaded: %s\n", err_text(err));
    return err;
}

static int read_file(struct config_reader *reader, const char *path, bool is_whole,
                     struct config **ret_config)
{
    struct complaints complaints;

    complaints_init(&complaints);
    return tell(config_reader_read(reader, path, &complaints, ret_config), is_whole, &complaints);
}

int setup_read(struct config_reader *reader, const char *path, struct config **ret_config)
{
    return read_file(reader, path, true, ret_config);
}

static int load_text(struct setup *setup, const char *text, struct config **ret_config)
{
    struct complaints complaints;

    complaints_init(&complaints);
    return tell(config_load_text(&setup->source, SPAN("demo"), span_from_text(text), &complaints,
                                 ret_config),
                true, &complaints);
}

int setup_load(struct setup *setup, const char *path, const char *text, struct config **ret_config)
{
    struct loop *loop = text ? NULL : loop_new();
    struct config_reader *reader = loop ? config_reader_new(loop, &setup->source) : NULL;
    int err = ERR_NOMEM;

    if (text)
        err = load_text(setup, text, ret_config);
    else if (reader)
        err = read_file(reader, path, setup->source.wish == CONF_WISH_ALL, ret_config);
    else
        fprintf(stderr, "bellwether: out of memory\n");
    config_reader_free(&reader);
    loop_free(&loop);
    return err;
}
