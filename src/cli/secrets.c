/*
 * bellwether secrets: seals secrets under the seal key of a configuration, so that its file can
 * name them, ${sealed:NAME}, or hold them. They stand in bellwether.secrets beside the key, which
 * this command alone writes; a running gateway reads it anew when it has changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/commands.h"
#include "cli/option.h"
#include "cli/setup.h"
#include "conf/loading.h"
#include "io/helpers.h"
#include "json/write.h"
#include "secrets/sealed.h"
#include "secrets/sealed_file.h"

/* One call of the command. */
struct call {
    struct setup setup;
    struct config *config;
    struct loop *loop;
    struct helpers *helpers;
    struct secret_store *store;
    struct secret_ask ask;
    bool is_done;
    int err;
    char why[SECRET_WORDS_BYTES];
    struct buf names;
};

static int fail(const char *why)
{
    fprintf(stderr, "bellwether secrets: %s\n", why);
    return COMMAND_FAILED;
}

/* ---- the configuration ---- */

static int begin(struct call *call, const char *path)
{
    memset(call, 0, sizeof(*call));
    buf_init(&call->names, SECRET_LIST_MAX_BYTES);
    if (setup_init(&call->setup))
        return COMMAND_FAILED;
    call->setup.source.wish = CONF_WISH_SECRETS;
    return setup_load(&call->setup, path, NULL, &call->config) ? COMMAND_FAILED : COMMAND_OK;
}

static void end(struct call *call)
{
    secret_store_free(&call->store);
    helpers_free(&call->helpers);
    if (call->loop)
        loop_turn(call->loop, 0);
    loop_free(&call->loop);
    config_free(&call->config);
    buf_fini(&call->names);
    setup_fini(&call->setup);
}

static int open_store(struct call *call)
{
    const struct conf_secrets *conf = &call->config->secrets;
    struct sealed_file_options options = {.secrets = call->setup.secrets,
                                          .path = conf->named_file.ptr,
                                          .key_path = conf->seal_key.ptr};
    int err;

    call->loop = options.loop = loop_new();
    call->helpers = options.helpers = helpers_new(1, 1);
    if (!call->loop || !call->helpers)
        return fail(err_text(ERR_NOMEM));
    err = sealed_file_open(&options, &call->store, call->why);
    return err ? fail(call->why[0] ? call->why : err_text(err)) : COMMAND_OK;
}

static void on_done(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct call *call = container_of(ask, struct call, ask);

    call->is_done = true;
    call->err = answer->err;
    snprintf(call->why, sizeof(call->why), "%s", answer->why);
    if (!answer->err)
        call->err = buf_append_span(&call->names, answer->names);
}

/* Turns the loop until what was begun with `err` is done. */
static int await(struct call *call, int err)
{
    while (!err && !call->is_done)
        err = loop_turn(call->loop, UINT64_C(1000000));
    if (!err)
        err = call->err;
    if (!err)
        return COMMAND_OK;
    return fail(call->why[0] ? call->why : err_text(err));
}

/* ---- the secret ---- */

static int read_all(struct buf *out)
{
    for (;;) {
        ssize_t n;

        if (buf_reserve(out, 1))
            return ERR_FULL;
        n = read(STDIN_FILENO, out->data + out->len, out->cap - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        if (memchr(out->data, '\n', out->len) && isatty(STDIN_FILENO))
            return 0;
    }
}

/* From a terminal one line, which is not shown; else all there is. */
static int read_secret(struct buf *out)
{
    struct termios before, silent;
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    int err;

    if (is_terminal) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        fprintf(stderr, "the secret (it is not shown): ");
        if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent))
            return ERR_IO;
    }
    err = read_all(out);
    if (is_terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    if (!err && span_has_suffix(buf_span(out), SPAN("\n")))
        out->len--;
    if (!err && span_has_suffix(buf_span(out), SPAN("\r")))
        out->len--;
    return err;
}

static int write_entry(struct call *call, struct span name, struct span secret)
{
    struct json_writer json;
    struct buf entry;
    int err;

    buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
    entry.is_secret = true;
    json_writer_init(&json, &entry);
    json_begin_object(&json);
    json_member_string(&json, LOADING_SEALED_MEMBER, secret);
    json_end_object(&json);
    err = entry.err;
    if (!err) {
        call->ask.on_done = on_done;
        err = secret_store_write(call->store, &call->ask, name, buf_span(&entry), SECRET_ANY);
    }
    buf_fini(&entry);
    return await(call, err);
}

/* Where no key is so far, one is made. */
static int get_key(struct call *call, struct seal_key *key)
{
    const char *path = call->config->secrets.seal_key.ptr;
    int err = seal_key_read(path, call->setup.secrets, key, call->why);

    if (err == ERR_NOTFOUND)
        err = seal_key_make(path, call->setup.secrets, key, call->why);
    return err ? fail(call->why) : COMMAND_OK;
}

/* The reference that holds the secret, to be put into the file. */
static int print_sealed(struct call *call, struct span secret)
{
    struct seal_key key = {.bytes = NULL};
    struct buf text;
    int status = get_key(call, &key);

    buf_init(&text, 4 * SECRET_MAX_BYTES);
    if (status == COMMAND_OK && sealed_text_close(&key, secret, &text))
        status = fail("the secret cannot be sealed, for want of memory");
    if (status == COMMAND_OK)
        printf("${%.*s}\n", SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
    seal_key_fini(&key);
    return status;
}

/* ---- what can be done ---- */

static int seal(struct call *call, const char *name)
{
    struct buf secret;
    int status = COMMAND_FAILED, err;

    buf_init(&secret, SECRET_MAX_BYTES + 1);
    secret.is_secret = true;
    err = read_secret(&secret);
    if (err == ERR_FULL || secret.len > SECRET_MAX_BYTES)
        fail("the secret is too long; allowed: at most 16384 bytes");
    else if (err)
        fail(err_text(err));
    else if (!secret.len)
        fail("there is no secret on standard input; allowed: one of at least one character");
    else if (!name)
        status = print_sealed(call, buf_span(&secret));
    else if (open_store(call) == COMMAND_OK)
        status = write_entry(call, span_from_text(name), buf_span(&secret));
    if (status == COMMAND_OK && name)
        printf("${sealed:%s}\n", name);
    buf_fini(&secret);
    return status;
}

static int list(struct call *call)
{
    int status = open_store(call);

    if (status != COMMAND_OK)
        return status;
    call->ask.on_done = on_done;
    status = await(call, secret_store_list(call->store, &call->ask, SPAN("")));
    if (status == COMMAND_OK)
        printf("%.*s", SPAN_ARG(buf_span(&call->names)));
    return status;
}

/* One that is not there is an error: it may have been a slip of the fingers. */
static int drop(struct call *call, const char *name)
{
    const struct span listed = span_from_text(name);
    int status = open_store(call);
    struct span rest, one;
    bool is_there = false;

    if (status != COMMAND_OK)
        return status;
    call->ask.on_done = on_done;
    status = await(call, secret_store_list(call->store, &call->ask, SPAN("")));
    rest = buf_span(&call->names);
    while (span_next_token(&rest, '\n', &one))
        is_there |= span_is_equal(one, listed);
    if (status == COMMAND_OK && !is_there)
        return fail("there is no sealed secret of that name; 'bellwether secrets list' lists them");
    if (status != COMMAND_OK)
        return status;
    call->is_done = false;
    return await(call, secret_store_remove(call->store, &call->ask, listed, SECRET_ANY));
}

/* One segment, so that a list shows it as it is named. */
static bool is_name(const char *name)
{
    return secret_path_is_good(span_from_text(name)) && name[0] != '-' && !strchr(name, '/') &&
           strncmp(name, LOADING_SEALED_TEXT, strlen(LOADING_SEALED_TEXT)) != 0;
}

static int act(struct call *call, const char *verb, const char *name)
{
    if (!strcmp(verb, "list"))
        return list(call);
    return strcmp(verb, "seal") ? drop(call, name) : seal(call, name);
}

/* What is wrong with the arguments; NULL: nothing is. */
static const char *fault_of(int argc, char **argv)
{
    const char *verb = argc > 0 ? argv[0] : "";

    if (strcmp(verb, "seal") != 0 && strcmp(verb, "list") != 0 && strcmp(verb, "remove") != 0)
        return "takes seal [NAME], list, or remove NAME";
    if (argc > (strcmp(verb, "list") != 0 ? 2 : 1))
        return "takes one NAME";
    if (argc == 1 && !strcmp(verb, "remove"))
        return "remove needs a NAME";
    if (argc == 2 && !is_name(argv[1]))
        return "that is no NAME; allowed: letters, digits and any of . _ -, as in openai-1";
    return NULL;
}

int command_secrets(int argc, char **argv)
{
    const char *path = NULL, *why;
    struct call call;
    int status;

    if (!option_take(&argc, argv, "--config", &path))
        return command_bad_usage("secrets", "--config takes a FILE");
    why = fault_of(argc - 1, argv + 1);
    if (why)
        return command_bad_usage("secrets", why);
    status = begin(&call, path);
    if (status == COMMAND_OK)
        status = act(&call, argv[1], argc > 2 ? argv[2] : NULL);
    end(&call);
    return status;
}
