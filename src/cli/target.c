#include "cli/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/commands.h"
#include "cli/option.h"
#include "cli/setup.h"

enum {
    TARGET_BYTES = 320,
    WHY_BYTES = 256,
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
    int err;

    target->setup.source.wish = CONF_WISH_ADMIN;
    err = setup_load(&target->setup, path, NULL, &config);
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

static int find_gateway(struct target *target, const char *path, const char *address)
{
    int status;

    snprintf(target->text, sizeof(target->text), "%s", address ? address : "127.0.0.1:9090");
    status = !address && path && path[0] ? read_config(target, path) : read_token(target);
    if (status == COMMAND_OK && conf_address_parse(span_from_text(target->text), &target->address))
        status = command_bad_usage(target->name, "the address must be HOST:PORT or unix:/path");
    return status;
}

/* --- what to ask --- */

static int tell_verbs(const char *name, const struct target_verb *verbs, const char *given)
{
    char why[WHY_BYTES];
    size_t len;

    if (verbs->name[0] == '\0')
        return command_bad_usage(name, "it takes no words, but --config FILE or --address ADDR");
    len = (size_t)snprintf(why, sizeof(why), given ? "there is no '%.64s'; it takes" : "takes",
                           given ? given : "");
    for (size_t i = 0; verbs[i].name && len < sizeof(why); i++)
        len += (size_t)snprintf(why + len, sizeof(why) - len, "%s %s",
                                i == 0 ? "" : (verbs[i + 1].name ? "," : " or"), verbs[i].name);
    return command_bad_usage(name, why);
}

static int tell_words(const char *name, const struct target_verb *verb)
{
    char why[WHY_BYTES];

    snprintf(why, sizeof(why), "'%s' takes %s", verb->name, verb->takes);
    return command_bad_usage(name, why);
}

/* NULL: what is wrong was told. */
static const struct target_verb *find_verb(const char *name, const struct target_verb *verbs,
                                           int argc, char **argv)
{
    /* Of a command that does one thing, its name says it. */
    if (argc == 0 && verbs->name[0] == '\0')
        return verbs;
    for (const struct target_verb *verb = verbs; argc > 0 && verb->name; verb++) {
        if (strcmp(verb->name, argv[0]) != 0)
            continue;
        if (argc - 1 >= verb->least && argc - 1 <= verb->most)
            return verb;
        tell_words(name, verb);
        return NULL;
    }
    tell_verbs(name, verbs, argc > 0 ? argv[0] : NULL);
    return NULL;
}

int target_command(const char *name, const struct target_verb *verbs, int argc, char **argv)
{
    const char *path = getenv("CONFIG_PATH"), *address = NULL;
    struct target target = {.name = name};
    const struct target_verb *verb;
    int status;

    if (!option_take(&argc, argv, "--config", &path) ||
        !option_take(&argc, argv, "--address", &address))
        return command_bad_usage(name,
                                 "--config takes a FILE, --address takes HOST:PORT or unix:/path");
    verb = find_verb(name, verbs, argc - 1, argv + 1);
    if (!verb)
        return COMMAND_BAD_USAGE;
    if (setup_init(&target.setup))
        return COMMAND_FAILED;
    status = find_gateway(&target, path, address);
    if (status == COMMAND_OK)
        status = verb->run(&target, argc - 1, argv + 1);
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
    if (status == 401)
        fprintf(stderr, "The token is that of the configuration (--config FILE, or CONFIG_PATH), "
                        "or ADMIN_TOKEN.\n");
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
