/*
 * A system without variables and files but those of the test, and a load against it. For the tests
 * of conf/, and for those that begin with the text of a file.
 */
#ifndef TESTS_CONF_FAKE_H
#define TESTS_CONF_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "conf/load.h"
#include "conf/print.h"

struct fake_pair {
    const char *name;
    const char *value; /* a file without one cannot be read */
};

struct fake {
    const struct fake_pair *variables; /* ends with a NULL name */
    const struct fake_pair *files;     /* by path; ends with a NULL name */
    struct conf_system system;
    struct secret_arena *secrets;
    struct conf_source source;
    struct complaints complaints;
    struct buf text; /* of what was printed last */
    struct config *config;
};

static inline const char *fake_variable(void *ctx, const char *name)
{
    const struct fake *fake = ctx;

    for (const struct fake_pair *pair = fake->variables; pair && pair->name; pair++) {
        if (!strcmp(pair->name, name))
            return pair->value;
    }
    return NULL;
}

static inline int fake_read_file(void *ctx, const char *path, struct buf *out)
{
    const struct fake *fake = ctx;

    for (const struct fake_pair *pair = fake->files; pair && pair->name; pair++) {
        if (!strcmp(pair->name, path))
            return pair->value ? buf_append(out, pair->value, strlen(pair->value)) : ERR_DENIED;
    }
    return ERR_NOTFOUND;
}

static inline int fake_list_folder(void *ctx, const char *path, struct buf *out)
{
    const struct fake *fake = ctx;
    size_t len = strlen(path);

    for (const struct fake_pair *pair = fake->files; pair && pair->name; pair++) {
        const char *name = pair->name + len + 1;

        if (strncmp(pair->name, path, len) != 0 || pair->name[len] != '/')
            continue;
        if (buf_append(out, name, strlen(name) + 1))
            return out->err;
    }
    return out->len ? 0 : ERR_NOTFOUND;
}

static inline void fake_init(struct fake *fake)
{
    bool is_locked;

    *fake = (struct fake){.secrets = secret_arena_new(1 << 24, &is_locked)};
    assert_non_null(fake->secrets);
    fake->system = (struct conf_system){fake, fake_variable, fake_read_file, fake_list_folder};
    fake->source = (struct conf_source){&fake->system, fake->secrets};
    complaints_init(&fake->complaints);
    buf_init(&fake->text, 64 << 20);
}

/* Every secret must be gone by then, or the arena ends the process. */
static inline void fake_fini(struct fake *fake)
{
    config_free(&fake->config);
    complaints_fini(&fake->complaints);
    buf_fini(&fake->text);
    secret_arena_free(&fake->secrets);
}

/* For cmocka's set-up and tear-down of a program: all of its tests have one fake, with these
 * variables and files. */
static inline int fake_set_up(void **state, const struct fake_pair *variables,
                              const struct fake_pair *files)
{
    static struct fake fake;

    fake_init(&fake);
    fake.variables = variables;
    fake.files = files;
    *state = &fake;
    return 0;
}

static inline int fake_tear_down(void **state)
{
    fake_fini(*state);
    return 0;
}

/* Loads the text as file "b.yaml", after forgetting what was loaded before. */
static inline int fake_load(struct fake *fake, const char *yaml)
{
    config_free(&fake->config);
    complaints_fini(&fake->complaints);
    complaints_init(&fake->complaints);
    return config_load_text(&fake->source, SPAN("b.yaml"), span_from_text(yaml), &fake->complaints,
                            &fake->config);
}

/* The complaints as they are printed. */
static inline const char *fake_complaints(struct fake *fake)
{
    buf_clear(&fake->text);
    assert_int_equal(complaints_print(&fake->complaints, &fake->text), 0);
    return buf_text(&fake->text);
}

/* Loads a text that must go, with no complaint but warnings. */
static inline const struct config *fake_must_load(struct fake *fake, const char *yaml)
{
    int err = fake_load(fake, yaml);

    if (err)
        print_message("%s", fake_complaints(fake));
    assert_int_equal(err, 0);
    return fake->config;
}

/* Loads the text, and compares what is told of it. */
static inline void fake_expect(struct fake *fake, const char *yaml, const char *complaints)
{
    int err = fake_load(fake, yaml);

    assert_string_equal(fake_complaints(fake), complaints);
    assert_int_equal(err, complaints_allow(&fake->complaints) ? 0 : ERR_SYNTAX);
}

static inline void assert_span(struct span span, const char *text)
{
    assert_int_equal(span.len, strlen(text));
    assert_memory_equal(span.ptr, text, span.len);
}

#endif
