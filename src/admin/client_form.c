#include "admin/client_form.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "conf/names.h"
#include "limits/priority.h"

enum { SECONDS_A_DAY = 86400 };

#define MAX_RPM        UINT64_C(4000000000)
#define MAX_TPM        UINT64_C(1000000000000000)
#define MAX_CONCURRENT UINT64_C(10000000)

static int refuse(struct client_form *form, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(struct client_form *form, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(form->why, sizeof(form->why), format, args);
    va_end(args);
    return ERR_SYNTAX;
}

static bool is_null(const yyjson_val *value)
{
    return yyjson_is_null(json_tree_plain(value));
}

/* ---- the members ---- */

static int read_name(struct client_form *form, const yyjson_val *value, uint64_t wall_us)
{
    (void)wall_us;
    form->facts.name = json_tree_text(value);
    if (!conf_name_is_valid(form->facts.name))
        return refuse(form, "'name' is no name; allowed: " CONF_NAME_ALLOWED);
    return 0;
}

static int read_class(struct client_form *form, const yyjson_val *value, uint64_t wall_us)
{
    (void)wall_us;
    form->facts.class_name = is_null(value) ? SPAN("standard") : json_tree_text(value);
    if (!span_is_equal(priority_name(priority_of(form->facts.class_name)), form->facts.class_name))
        return refuse(form, "'class' is none; allowed: critical, standard or batch");
    return 0;
}

static int read_days(struct client_form *form, const yyjson_val *value, uint64_t wall_us)
{
    double days;

    form->facts.expires_wall_us = 0;
    if (is_null(value))
        return 0;
    if (!json_tree_double(value, &days) || !(days > 0) || days > CLIENT_FORM_MAX_DAYS)
        return refuse(form, "'expires_in_days' is no such number; allowed: above 0, to %d",
                      CLIENT_FORM_MAX_DAYS);
    form->facts.expires_wall_us = wall_us + (uint64_t)(days * SECONDS_A_DAY * (double)US_PER_SEC);
    return 0;
}

static int read_end(struct client_form *form, const yyjson_val *value, uint64_t wall_us)
{
    (void)wall_us;
    form->facts.expires_wall_us = 0;
    if (is_null(value))
        return 0;
    if (datetime_read_rfc3339(json_tree_text(value), &form->facts.expires_wall_us))
        return refuse(form, "'expires_at' is no time; allowed: RFC 3339, as 2027-01-01T00:00:00Z");
    return 0;
}

static int read_models(struct client_form *form, const yyjson_val *value, uint64_t wall_us)
{
    yyjson_val *list = json_tree_plain(value), *item;
    size_t i, count;

    (void)wall_us;
    form->facts.models = (struct conf_strings){form->models, 0};
    if (is_null(value))
        return 0;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > CLIENT_FORM_MODELS)
        return refuse(form, "'models' is no such list; allowed: up to %d names or patterns with *",
                      CLIENT_FORM_MODELS);
    yyjson_arr_foreach(list, i, count, item)
    {
        form->models[i] = json_tree_text(item);
        if (!conf_model_is_valid(form->models[i]))
            return refuse(form, "'models' holds what is no model; allowed: " CONF_MODEL_ALLOWED);
    }
    form->facts.models.count = yyjson_arr_size(list);
    return 0;
}

static int read_number(struct client_form *form, const char *name, const yyjson_val *value,
                       uint64_t max, uint64_t *ret_number)
{
    yyjson_val *plain = json_tree_plain(value);

    *ret_number = 0;
    if (!value || is_null(value))
        return 0;
    if (!yyjson_is_uint(plain) || yyjson_get_uint(plain) > max)
        return refuse(form, "'%s' is no such number; allowed: a whole number to %llu; 0: no limit",
                      name, (unsigned long long)max);
    *ret_number = yyjson_get_uint(plain);
    return 0;
}

static int read_rate(struct client_form *form, const yyjson_val *value, uint64_t wall_us)
{
    uint64_t rpm;
    int err = read_number(form, "rate_limit", value, MAX_RPM, &rpm);

    (void)wall_us;
    form->facts.limits.rpm = (uint32_t)rpm;
    return err;
}

/* All of them, or those that it names. */
static int read_limits(struct client_form *form, const yyjson_val *value, uint64_t wall_us)
{
    static const struct {
        const char *name;
        uint64_t max;
    } rows[] = {
        {"rpm", MAX_RPM}, {"tpm", MAX_TPM}, {"concurrent", MAX_CONCURRENT}, {"burst", MAX_RPM}};
    struct conf_limits *limits = &form->facts.limits;
    uint64_t numbers[] = {limits->rpm, limits->tpm, limits->concurrent, limits->burst};
    yyjson_val *object = json_tree_plain(value), *key, *member;
    size_t i, count, row;

    (void)wall_us;
    if (is_null(value)) {
        *limits = (struct conf_limits){0};
        return 0;
    }
    if (!yyjson_is_obj(object))
        return refuse(form, "'limits' is no object; allowed: rpm, tpm, concurrent, burst");
    yyjson_obj_foreach(object, i, count, key, member)
    {
        for (row = 0; row < 4 && !yyjson_equals_str(key, rows[row].name); row++) {
        }
        if (row == 4)
            return refuse(form, "'limits' has an unknown member; allowed: rpm, tpm, concurrent, "
                                "burst");
        if (read_number(form, rows[row].name, member, rows[row].max, &numbers[row]))
            return ERR_SYNTAX;
    }
    *limits = (struct conf_limits){.rpm = (uint32_t)numbers[0],
                                   .tpm = numbers[1],
                                   .concurrent = (uint32_t)numbers[2],
                                   .burst = (uint32_t)numbers[3]};
    return 0;
}

static const struct {
    const char *name;
    int (*read)(struct client_form *form, const yyjson_val *value, uint64_t wall_us);
    bool is_of_new;
} members[] = {
    {"name", read_name, true},        {"expires_in_days", read_days, false},
    {"expires_at", read_end, false},  {"limits", read_limits, false},
    {"rate_limit", read_rate, false}, {"models", read_models, false},
    {"class", read_class, false},
};

enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

/* ---- the whole ---- */

static bool is_member(yyjson_val *key, bool is_new)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (yyjson_equals_str(key, members[i].name))
            return is_new || !members[i].is_of_new;
    }
    return false;
}

static int check_names(struct client_form *form, const yyjson_val *body, bool is_new)
{
    yyjson_val *key, *value;
    size_t i, count;

    yyjson_obj_foreach(json_tree_plain(body), i, count, key, value)
    {
        if (!is_member(key, is_new))
            return refuse(form,
                          "'%.64s' is not taken here; allowed: %sexpires_in_days, expires_at, "
                          "rate_limit, limits, models, class",
                          yyjson_get_str(key), is_new ? "name, " : "");
    }
    return 0;
}

int client_form_read(struct client_form *form, const yyjson_val *body,
                     const struct issued_facts *before, uint64_t wall_us)
{
    int err;

    form->facts = before ? *before : (struct issued_facts){.class_name = SPAN("standard")};
    form->why[0] = '\0';
    err = check_names(form, body, !before);
    for (size_t i = 0; i < MEMBERS && !err; i++) {
        const yyjson_val *value = yyjson_obj_get(json_tree_plain(body), members[i].name);

        if (value)
            err = members[i].read(form, value, wall_us);
    }
    if (!err && !form->facts.name.len)
        err = refuse(form, "'name' is missing; allowed: " CONF_NAME_ALLOWED);
    return err;
}
