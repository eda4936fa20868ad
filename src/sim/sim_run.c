#include "sim/sim_run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "sim/scenario.h"
#include "sim/sim.h"

enum { MAX_FILE_BYTES = 16 << 20, MAX_COMPLAINT_BYTES = 1 << 20 };

struct arguments {
    const char *listen, *scenario, *certificate, *private_key;
    uint64_t seed;
    double time_scale;
};

static int read_number(const char *text, uint64_t *ret_value)
{
    return span_to_u64(span_from_text(text), ret_value);
}

static int read_scale(const char *text, double *ret_value)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value > 0) || value > 1e9)
        return ERR_SYNTAX;
    *ret_value = value;
    return 0;
}

static const char usage[] =
    "usage: bellwether sim [--listen ADDR] [--scenario FILE|NAME] [--seed N] [--time-scale F]\n"
    "                      [--certificate FILE --private-key FILE]\n";

static int read_arguments(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"scenario", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'n'},
        {"time-scale", required_argument, NULL, 't'},
        {"certificate", required_argument, NULL, 'c'},
        {"private-key", required_argument, NULL, 'k'},
        {0},
    };
    int c, err = 0;

    optind = 1;
    while (!err && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'l')
            args->listen = optarg;
        else if (c == 's')
            args->scenario = optarg;
        else if (c == 'n')
            err = read_number(optarg, &args->seed);
        else if (c == 't')
            err = read_scale(optarg, &args->time_scale);
        else if (c == 'c')
            args->certificate = optarg;
        else if (c == 'k')
            args->private_key = optarg;
        else
            err = ERR_SYNTAX;
    }
    if (optind < argc || !args->certificate != !args->private_key)
        err = ERR_SYNTAX;
    return err;
}

static bool is_builtin(const char *name)
{
    const char *builtin;

    for (size_t i = 0; (builtin = sim_scenario_builtin(i, NULL)); i++)
        if (!strcmp(name, builtin))
            return true;
    return false;
}

/* The file's text, or the name itself where it is a built-in scenario's. */
static int read_scenario(const char *name, struct buf *text)
{
    char piece[65536];
    size_t len;
    FILE *file;
    int err = 0;

    if (is_builtin(name))
        return buf_append_span(text, span_from_text(name));
    file = fopen(name, "r");
    if (!file) {
        err = err_from_errno(errno);
        fprintf(stderr, "bellwether sim: %s: %s; no scenario built in has that name either\n", name,
                err_text(err));
        return err;
    }
    while (!err && (len = fread(piece, 1, sizeof(piece), file)) > 0)
        err = buf_append(text, piece, len);
    if (!err && ferror(file))
        err = ERR_IO;
    fclose(file);
    if (err)
        fprintf(stderr, "bellwether sim: %s: %s\n", name, err_text(err));
    return err;
}

static int make_tls(const struct arguments *args, struct tls_context **ret_tls)
{
    struct tls_server_options options = {.certificate_path = args->certificate,
                                         .private_key_path = args->private_key};
    char error[TLS_ERROR_BYTES];
    int err;

    if (!args->certificate)
        return 0;
    err = tls_server_context_new(&options, error, ret_tls);
    if (err)
        fprintf(stderr, "bellwether sim: %s\n", error);
    return err;
}

static void print_ready(const struct sim *sim, bool is_tls)
{
    char text[ADDR_TEXT_BYTES];

    addr_write(sim_addr(sim), text);
    if (addr_is_unix(sim_addr(sim)))
        printf("bellwether sim listens on %s\n", text);
    else
        printf("bellwether sim listens on %s://%s\n", is_tls ? "https" : "http", text);
    /* Whoever started it reads this line through a pipe. */
    fflush(stdout);
}

static int run(struct loop *loop, const struct arguments *args)
{
    struct sim_options options = {.listen = span_from_text(args->listen),
                                  .name = args->scenario,
                                  .seed = args->seed,
                                  .time_scale = args->time_scale};
    struct sim *sim = NULL;
    struct buf text, complaints;
    int err;

    buf_init(&text, MAX_FILE_BYTES);
    buf_init(&complaints, MAX_COMPLAINT_BYTES);
    err = read_scenario(args->scenario, &text);
    if (!err)
        err = make_tls(args, &options.tls);
    if (err)
        goto out;
    options.scenario = buf_span(&text);
    err = sim_new(loop, &options, &complaints, &sim);
    if (err) {
        fprintf(stderr, "%s", complaints.len ? buf_text(&complaints) : err_text(err));
        goto out;
    }
    print_ready(sim, options.tls != NULL);
    err = loop_run(loop);
out:
    sim_free(&sim);
    tls_context_unref(&options.tls);
    buf_fini(&complaints);
    buf_fini(&text);
    return err ? 1 : 0;
}

int sim_main(struct loop *loop, int argc, char **argv)
{
    struct arguments args = {.listen = "127.0.0.1:8089", .scenario = "default"};

    if (read_arguments(argc, argv, &args)) {
        fputs(usage, stderr);
        return 2;
    }
    return run(loop, &args);
}
