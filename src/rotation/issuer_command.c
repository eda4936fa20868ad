/*
 * The operator's own program: see struct issuer_command_settings.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "json/tree.h"
#include "json/write.h"
#include "rotation/issuer_answer.h"
#include "rotation/issuer_inner.h"
#include "rotation/program.h"
#include "secrets/token_answer.h"

enum {
    ARGUMENTS_MAX = 64,
    VARIABLES_MAX = 64,
    ENVIRONMENT_MAX_BYTES = 256 << 10,
    /* Shorter values of variables are no credential. */
    CREDENTIAL_BYTES = 8,
    /* What the program says by its exit code: of sysexits.h, and what many tools have for "you
     * asked for what cannot be". */
    EXIT_REFUSED = 2,
    EXIT_NOT_NOW = 75,
};

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct variable {
    char *name;
    struct secret *value; /* NULL: empty */
};

struct command_issuer {
    struct issuer base;
    char **argv;
    struct variable *variables;
    size_t variable_count;
};

struct command_work {
    struct issuer_work base;
    struct program program;
};

static struct command_issuer *issuer_of(const struct command_work *work)
{
    return container_of(work->base.issuer, struct command_issuer, base);
}

/* ---- what came of it ---- */

/* "the program ended with 1: no such project" */
static void tell_end(const struct program_end *end, char *words)
{
    size_t len = span_find_byte(end->words, '\n');

    if (end->signal)
        snprintf(words, ISSUER_WHY_BYTES, "the program was ended by signal %d", end->signal);
    else
        snprintf(words, ISSUER_WHY_BYTES, "the program ended with %d", end->code);
    issuer_add_words(words, span_of(end->words.ptr, len == SIZE_MAX ? end->words.len : len));
}

static void guard(const struct command_work *work, const yyjson_val *root, char *why)
{
    const struct command_issuer *issuer = issuer_of(work);
    struct span key = json_tree_text(issuer_point(root, SPAN("/key")));

    for (size_t i = 0; i < issuer->variable_count; i++) {
        const struct secret *value = issuer->variables[i].value;

        if (value && secret_reveal(value).len >= CREDENTIAL_BYTES)
            token_words_guard(why, secret_reveal(value));
    }
    if (key.len)
        token_words_guard(why, key);
}

static void read_failure(const struct program_end *end, struct issuer_result *result)
{
    struct issuer_answer *answer = &result->answer;
    bool is_by_itself = !end->err && !end->signal;

    if (end->err == ERR_TIMEOUT)
        issuer_result_fail(result, end->err, "the program took too long and was killed");
    else if (end->err == ERR_FULL)
        issuer_result_fail(result, end->err, "the program wrote too much and was killed");
    else if (end->err)
        issuer_result_fail(result, end->err, NULL);
    else
        tell_end(end, result->why);
    if (is_by_itself && end->code == EXIT_REFUSED) {
        answer->err = ERR_DENIED;
        return;
    }
    if (!end->err)
        answer->err = is_by_itself && end->code == EXIT_NOT_NOW ? ERR_AGAIN : ERR_IO;
    answer->may_retry = true;
    answer->may_exist = answer->err != ERR_AGAIN;
}

static void read_output(const struct command_work *work, const yyjson_val *root,
                        struct issuer_result *result)
{
    struct issuer_shape shape = {.key = SPAN("/key"), .expires = SPAN("/expires")};
    bool has_id = issuer_point(root, SPAN("/id")) != NULL;

    if (work->base.call == ISSUER_REVOKE)
        return;
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)root)) {
        issuer_result_fail(result, ERR_PROTO, "the program wrote no JSON object");
        return;
    }
    if (has_id || work->base.issuer->traits.can_revoke)
        shape.id = SPAN("/id");
    if (work->base.call == ISSUER_CREATE)
        issuer_read_key(root, &shape, work->base.issuer->options.secrets, result);
    else if (has_id)
        issuer_read_listed(root, &shape, result);
    else
        issuer_result_fail(result, ERR_NOTFOUND, "there is no key of that name");
}

static void on_done(struct program *program, const struct program_end *end)
{
    struct command_work *work = container_of(program, struct command_work, program);
    struct issuer_result result = {.key = NULL};
    struct issuer_doc doc;
    /* Where it cannot be read there is none. */
    int err = issuer_doc_read(&doc, end->output);

    if (end->err || end->signal || end->code) {
        read_failure(end, &result);
    } else if (err == ERR_NOMEM) {
        issuer_result_fail(&result, err, NULL);
        result.answer.may_exist = true;
    } else {
        read_output(work, doc.root, &result);
        result.answer.may_exist = result.answer.err != 0;
    }
    result.answer.may_exist &= work->base.call == ISSUER_CREATE;
    if (result.answer.err)
        guard(work, doc.root, result.why);
    issuer_doc_fini(&doc);
    issuer_finish(&work->base, &result);
}

/* ---- calls ---- */

static int write_input(struct buf *out, enum issuer_call call, const struct issuer_subject *subject)
{
    static const char *const actions[] = {
        [ISSUER_CREATE] = "create", [ISSUER_FIND] = "find", [ISSUER_REVOKE] = "revoke"};
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_text(&writer, "action", actions[call]);
    json_member_string(&writer, "name", subject->name);
    if (call == ISSUER_REVOKE)
        json_member_string(&writer, "id", subject->id);
    json_end_object(&writer);
    buf_append_byte(out, '\n');
    return out->err;
}

/* "NAME=value" each with a NUL behind it, and pointers to them: free *ret_list. */
static int write_environment(const struct command_issuer *issuer, struct buf *out,
                             const char ***ret_list)
{
    const char *path = getenv("PATH"), **list, *at;
    size_t count = 0;

    buf_printf(out, "PATH=%s", path ? path : DEFAULT_PATH);
    buf_append_byte(out, '\0');
    for (size_t i = 0; i < issuer->variable_count; i++) {
        const struct variable *variable = &issuer->variables[i];

        buf_printf(out, "%s=", variable->name);
        if (variable->value)
            buf_append_span(out, secret_reveal(variable->value));
        buf_append_byte(out, '\0');
    }
    if (out->err)
        return out->err;
    list = mem_zalloc(issuer->variable_count + 2, sizeof(*list));
    if (!list)
        return ERR_NOMEM;
    for (at = out->data; at < out->data + out->len; at += strlen(at) + 1)
        list[count++] = at;
    *ret_list = list;
    return 0;
}

/* Static words for what kept the program from starting. */
static const char *why_not(int err)
{
    switch (err) {
    case ERR_NOTFOUND:
        return "the program cannot be started: there is no such file";
    case ERR_DENIED:
        return "the program cannot be started: it may not be executed";
    case ERR_FULL:
        return "the program cannot be started: a limit of the system is reached";
    default: /* of errors of posix_spawn, which are many */
        return "the program cannot be started";
    }
}

static int begin(struct issuer_work *base, const struct issuer_subject *subject,
                 const char **ret_why)
{
    struct command_work *work = container_of(base, struct command_work, base);
    const struct command_issuer *issuer = issuer_of(work);
    const char **environment = NULL;
    struct buf input, variables;
    int err;

    buf_init(&input, PROGRAM_INPUT_MAX_BYTES);
    buf_init(&variables, ENVIRONMENT_MAX_BYTES);
    variables.is_secret = true;
    err = write_input(&input, base->call, subject);
    if (!err)
        err = write_environment(issuer, &variables, &environment);
    if (!err) {
        const struct program_ask ask = {.argv = (const char *const *)issuer->argv,
                                        .environment = environment,
                                        .input = buf_span(&input),
                                        .timeout_us = base->issuer->timeout_us};

        err = program_begin(&work->program, base->issuer->options.loop, &ask);
        *ret_why = why_not(err);
    }
    mem_free(environment);
    buf_fini(&variables);
    buf_fini(&input);
    /* What is not there is the program here, not a key. */
    return err && err != ERR_NOMEM ? ERR_IO : err;
}

static struct issuer_work *work_new(struct issuer *issuer)
{
    struct command_work *work = mem_zalloc(1, sizeof(*work));

    (void)issuer;
    if (!work)
        return NULL;
    work->program.on_done = on_done;
    return &work->base;
}

static void work_free(struct issuer_work *base)
{
    struct command_work *work = container_of(base, struct command_work, base);

    program_cancel(&work->program);
    mem_free(work);
}

/* ---- life ---- */

static void command_free(struct issuer *base)
{
    struct command_issuer *issuer = container_of(base, struct command_issuer, base);

    for (size_t i = 0; issuer->argv && issuer->argv[i]; i++)
        mem_free(issuer->argv[i]);
    for (size_t i = 0; i < issuer->variable_count; i++) {
        mem_free(issuer->variables[i].name);
        secret_unref(&issuer->variables[i].value);
    }
    mem_free(issuer->argv);
    mem_free(issuer->variables);
    mem_free(issuer);
}

static const struct issuer_ops ops = {
    .work_new = work_new, .begin = begin, .work_free = work_free, .free = command_free};

static int keep_arguments(struct command_issuer *issuer, const char *const *argv, char *why)
{
    size_t count = 0;

    if (!argv || !argv[0] || argv[0][0] != '/')
        return issuer_complain(why, ERR_SYNTAX, "the program is wanted by its whole path");
    while (argv[count])
        count++;
    if (count > ARGUMENTS_MAX)
        return issuer_complain(why, ERR_RANGE, "the program has more than %d arguments",
                               ARGUMENTS_MAX);
    issuer->argv = mem_zalloc(count + 1, sizeof(*issuer->argv));
    if (!issuer->argv)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        issuer->argv[i] = mem_strdup(argv[i], strlen(argv[i]));
        if (!issuer->argv[i])
            return ERR_NOMEM;
    }
    return 0;
}

static bool is_name(struct span name)
{
    return name.len && span_find_byte(name, '=') == SIZE_MAX &&
           span_find_byte(name, '\0') == SIZE_MAX;
}

static int keep_variables(struct command_issuer *issuer,
                          const struct issuer_command_settings *settings, char *why)
{
    if (settings->environment_count > VARIABLES_MAX)
        return issuer_complain(why, ERR_RANGE, "the environment has more than %d variables",
                               VARIABLES_MAX);
    issuer->variables = mem_zalloc(settings->environment_count + 1, sizeof(*issuer->variables));
    if (!issuer->variables)
        return ERR_NOMEM;
    for (size_t i = 0; i < settings->environment_count; i++) {
        const struct issuer_field *field = &settings->environment[i];
        struct variable *kept = &issuer->variables[i];

        if (!is_name(field->name) ||
            (field->value && span_find_byte(secret_reveal(field->value), '\0') != SIZE_MAX))
            return issuer_complain(why, ERR_SYNTAX, "the environment cannot hold such a variable");
        kept->name = mem_strdup(field->name.ptr, field->name.len);
        if (!kept->name)
            return ERR_NOMEM;
        kept->value = field->value ? secret_ref(field->value) : NULL;
        issuer->variable_count++;
    }
    return 0;
}

int issuer_command_new(const struct issuer_options *options, const struct issuer_settings *settings,
                       char *why, struct issuer **ret_issuer)
{
    const struct issuer_command_settings *command = &settings->command;
    struct command_issuer *issuer = mem_zalloc(1, sizeof(*issuer));
    int err;

    if (!issuer)
        return ERR_NOMEM;
    issuer_init(&issuer->base, &ops, options, settings);
    err = keep_arguments(issuer, command->argv, why);
    if (!err)
        err = keep_variables(issuer, command, why);
    if (err) {
        command_free(&issuer->base);
        return err;
    }
    issuer->base.traits.can_find = command->can_find;
    issuer->base.traits.can_revoke = command->can_revoke;
    *ret_issuer = &issuer->base;
    return 0;
}
