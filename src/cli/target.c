#include "cli/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/commands.h"
#include "cli/setup.h"

enum {
    TARGET_BYTES = 320,
    ANSWER_MAX_BYTES = 64 << 20,
    TREE_MAX_BYTES = 512 << 20,
};

struct target {
    const char *name; /* of the command */
    char text[TARGET_BYTES];
    struct conf_address address;
    struct setup setup;
    struct secret *token;
};

static int fail(const struct target *target, const char *what, const char *why)
{
    fprintf(stderr, "bellwether %s: %s: %s\n", target->name, what, why);
    return COMMAND_FAILED;
}

/* --- whom to ask --- */

static int read_config(struct target *target, const char *path)
{
    struct config *config;
    int err = setup_load(&target->setup, path, NULL, &config);

    if (err)
        return COMMAND_FAILED;
    snprintf(target->text, sizeof(target->text), "%.*s",
             SPAN_ARG(config->admin.listen.items[0].text));
    if (config->admin.token)
        target->token = secret_ref(config->admin.token);
    config_free(&config);
    return COMMAND_OK;
}

static int read_token(struct target *target)
{
    const char *token = getenv("ADMIN_TOKEN");
    int err = 0;

    if (token && token[0])
        err = secret_new(target->setup.secrets, span_from_text(token), &target->token);
    return err ? fail(target, "ADMIN_TOKEN", "cannot be kept") : COMMAND_OK;
}

/* Takes the options off the front: how many there were, or -1. */
static int read_options(struct target *target, int argc, char **argv)
{
    const char *path = getenv("CONFIG_PATH");
    int status, taken = 0;

    snprintf(target->text, sizeof(target->text), "127.0.0.1:9090");
    if (argc > 2 && !strcmp(argv[1], "--address")) {
        snprintf(target->text, sizeof(target->text), "%s", argv[2]);
        path = NULL;
        taken = 2;
    } else if (argc > 2 && !strcmp(argv[1], "--config")) {
        path = argv[2];
        taken = 2;
    }
    status = path && path[0] ? read_config(target, path) : read_token(target);
    if (status)
        return -1;
    if (conf_address_parse(span_from_text(target->text), &target->address)) {
        command_bad_usage(target->name, "the address must be HOST:PORT or unix:/path");
        return -1;
    }
    return taken;
}

int target_command(const char *name, int argc, char **argv,
                   int (*run)(const struct target *target, int argc, char **argv))
{
    struct target target = {.name = name};
    int status = COMMAND_BAD_USAGE, taken;

    if (setup_init(&target.setup))
        return COMMAND_FAILED;
    taken = read_options(&target, argc, argv);
    if (taken >= 0)
        status = run(&target, argc - 1 - taken, argv + 1 + taken);
    secret_unref(&target.token);
    setup_fini(&target.setup);
    return status;
}

/* --- what it answers --- */

static int tell_refusal(const struct target *target, struct span body, int status)
{
    char why[32];
    struct json_tree tree;
    struct span message = {NULL, 0};

    if (json_tree_read(&tree, body, TREE_MAX_BYTES) == 0)
        message =
            json_tree_string(json_tree_member(yyjson_doc_get_root(tree.doc), "error"), "message");
    snprintf(why, sizeof(why), "HTTP %d", status);
    if (message.len)
        fprintf(stderr, "bellwether %s: %.*s\n", target->name, SPAN_ARG(message));
    else
        fail(target, "the gateway refuses", why);
    json_tree_fini(&tree);
    return COMMAND_FAILED;
}

int target_ask(const struct target *target, const char *method, const char *path, const char *body,
               void (*show)(const yyjson_val *root))
{
    struct json_tree tree;
    struct buf answer;
    int status, result = COMMAND_OK;

    buf_init(&answer, ANSWER_MAX_BYTES);
    status = call_ask(&target->address, method, path, target->token, body, &answer);
    if (status < 0) {
        result = fail(target, target->text, strerror(errno));
    } else if (status > 299) {
        result = tell_refusal(target, buf_span(&answer), status);
    } else {
        if (json_tree_read(&tree, buf_span(&answer), TREE_MAX_BYTES) == 0)
            show(yyjson_doc_get_root(tree.doc));
        else
            result = fail(target, target->text, "the answer is not that of a gateway");
        json_tree_fini(&tree);
    }
    buf_fini(&answer);
    return result;
}

double target_number(const yyjson_val *object, const char *name)
{
    double value = 0;

    (void)json_tree_double(json_tree_member(object, name), &value);
    return value;
}
