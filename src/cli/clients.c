/* bellwether clients: the client keys that a running gateway issues. A new key is printed once, on
 * a line of its own, and can be shown by nobody afterwards. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/target.h"
#include "json/write.h"

enum { PATH_BYTES = 512, BODY_BYTES = 4096, MAX_MODELS = 64 };

/* --- what it answers --- */

static void print_key(const yyjson_val *key)
{
    yyjson_val *models = json_tree_plain(json_tree_member(key, "models")), *model;
    struct span end = json_tree_string(key, "expires_at"),
                used = json_tree_string(key, "last_used");
    double rpm = target_number(key, "rate_limit");
    char limit[32] = "-";
    size_t i, count;

    if (rpm > 0)
        snprintf(limit, sizeof(limit), "%.0f", rpm);
    printf("%-28.*s %-24.*s %-8.*s %8s %-25.*s %-25.*s", SPAN_ARG(json_tree_string(key, "key_id")),
           SPAN_ARG(json_tree_string(key, "name")), SPAN_ARG(json_tree_string(key, "status")),
           limit, SPAN_ARG(end.len ? end : SPAN("never")),
           SPAN_ARG(used.len ? used : SPAN("never")));
    yyjson_arr_foreach(models, i, count, model)
        printf("%s%.*s", i ? "," : " ", SPAN_ARG(json_tree_text(model)));
    printf("\n");
}

static void print_head(void)
{
    printf("%-28s %-24s %-8s %8s %-25s %-25s %s\n", "ID", "NAME", "STATUS", "RPM", "EXPIRES",
           "LAST USED", "MODELS");
}

static void show_list(const yyjson_val *root)
{
    yyjson_val *keys = json_tree_plain(json_tree_member(root, "keys")), *key;
    size_t i, count;

    print_head();
    yyjson_arr_foreach(keys, i, count, key) print_key(key);
}

static void show_one(const yyjson_val *root)
{
    print_head();
    print_key(root);
}

/* The key alone on stdout, so that it can be put where it belongs; all else beside it. */
static void show_new(const yyjson_val *root)
{
    struct span note = json_tree_string(root, "note");

    fprintf(stderr, "%.*s is issued; its key is shown this once:\n",
            SPAN_ARG(json_tree_string(root, "key_id")));
    if (note.len)
        fprintf(stderr, "%.*s\n", SPAN_ARG(note));
    printf("%.*s\n", SPAN_ARG(json_tree_string(root, "api_key")));
}

/* --- what is asked --- */

/* The options of a key, as they were given; NULL: not. */
struct wanted {
    const char *days, *rpm, *tpm, *concurrent, *class_name;
    const char *models[MAX_MODELS];
    size_t model_count;
};

static const char **place_of(struct wanted *wanted, const char *option)
{
    if (!strcmp(option, "--days"))
        return &wanted->days;
    if (!strcmp(option, "--rpm"))
        return &wanted->rpm;
    if (!strcmp(option, "--tpm"))
        return &wanted->tpm;
    if (!strcmp(option, "--concurrent"))
        return &wanted->concurrent;
    if (!strcmp(option, "--class"))
        return &wanted->class_name;
    if (!strcmp(option, "--model") && wanted->model_count < MAX_MODELS)
        return &wanted->models[wanted->model_count++];
    return NULL;
}

static bool read_wanted(struct wanted *wanted, int argc, char **argv)
{
    *wanted = (struct wanted){.days = NULL};
    for (int i = 0; i < argc; i += 2) {
        const char **place = place_of(wanted, argv[i]);

        if (!place || i + 1 == argc)
            return false;
        *place = argv[i + 1];
    }
    return true;
}

/* A number as it was given; what is none is refused by the gateway, in its own words. */
static void put_number(struct json_writer *writer, const char *name, const char *text)
{
    char *end;
    double value;

    if (!text)
        return;
    value = strtod(text, &end);
    json_name(writer, name);
    if (end == text || *end)
        json_text(writer, text);
    else if (value >= 0 && value < 9e15 && (double)(uint64_t)value >= value)
        json_uint(writer, (uint64_t)value);
    else
        json_double(writer, value);
}

static void put_wanted(struct json_writer *writer, const struct wanted *wanted)
{
    put_number(writer, "expires_in_days", wanted->days);
    if (wanted->rpm || wanted->tpm || wanted->concurrent) {
        json_name(writer, "limits");
        json_begin_object(writer);
        put_number(writer, "rpm", wanted->rpm);
        put_number(writer, "tpm", wanted->tpm);
        put_number(writer, "concurrent", wanted->concurrent);
        json_end_object(writer);
    }
    if (wanted->class_name)
        json_member_text(writer, "class", wanted->class_name);
    if (!wanted->model_count)
        return;
    json_name(writer, "models");
    json_begin_array(writer);
    for (size_t i = 0; i < wanted->model_count; i++)
        json_text(writer, wanted->models[i]);
    json_end_array(writer);
}

static int send_wanted(const struct target *target, const char *method, const char *path,
                       const char *name, const struct wanted *wanted,
                       void (*show)(const yyjson_val *root))
{
    struct json_writer writer;
    struct buf body;
    int status;

    buf_init(&body, BODY_BYTES);
    json_writer_init(&writer, &body);
    json_begin_object(&writer);
    if (name)
        json_member_text(&writer, "name", name);
    put_wanted(&writer, wanted);
    json_end_object(&writer);
    status = body.err ? command_bad_usage("clients", "there is too much of it")
                      : target_ask(target, method, path, buf_text(&body), show);
    buf_fini(&body);
    return status;
}

static bool write_path(const char *name, char *to)
{
    int len = snprintf(to, PATH_BYTES, "/v1/keys/%s", name);

    /* What looks like an option was meant to be one. */
    return name[0] && name[0] != '-' && !strpbrk(name, " /?#%\r\n") && len > 0 && len < PATH_BYTES;
}

/* One client key by its name: method and path, and what it is to be. */
static int ask_one(const struct target *target, const char *method, char **argv)
{
    char path[PATH_BYTES];

    if (!write_path(argv[1], path))
        return command_bad_usage("clients", "a client key is named by its name or its id");
    return target_ask(target, method, path, "", show_one);
}

static int show(const struct target *target, int argc, char **argv)
{
    (void)argc;
    return ask_one(target, "GET", argv);
}

static int revoke(const struct target *target, int argc, char **argv)
{
    (void)argc;
    return ask_one(target, "DELETE", argv);
}

/* add and update. */
static int put(const struct target *target, int argc, char **argv)
{
    struct wanted wanted;
    char path[PATH_BYTES];

    if (!write_path(argv[1], path))
        return command_bad_usage("clients", "a client key is named by its name or its id");
    if (!read_wanted(&wanted, argc - 2, argv + 2))
        return command_bad_usage("clients", "takes --days, --rpm, --tpm, --concurrent, --class and "
                                            "--model, each with a value");
    if (!strcmp(argv[0], "add"))
        return send_wanted(target, "POST", "/v1/keys", argv[1], &wanted, show_new);
    return send_wanted(target, "PATCH", path, NULL, &wanted, show_one);
}

static int list(const struct target *target, int argc, char **argv)
{
    (void)argc, (void)argv;
    return target_ask(target, "GET", "/v1/keys", "", show_list);
}

static const struct target_verb verbs[] = {
    {"list", 0, 0, "nothing more", list},   {"show", 1, 1, "NAME", show},
    {"add", 1, INT_MAX, "NAME [...]", put}, {"update", 1, INT_MAX, "NAME [...]", put},
    {"revoke", 1, 1, "NAME", revoke},       {0},
};

int command_clients(int argc, char **argv)
{
    return target_command("clients", verbs, argc, argv);
}
