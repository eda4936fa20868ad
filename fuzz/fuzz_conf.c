/*
 * A configuration file of any bytes: it is refused with a complaint or gives a tree; a tree prints,
 * and what it prints reads back to the same; and no complaint or print holds what came by a
 * reference as a secret.
 */
#include "fuzz.h"

#include <stdio.h>

#include "base/err.h"
#include "conf/load.h"
#include "conf/print.h"
#include "conf/stored.h"

#define FUZZ_SECRET "0fuzz1secret2value3"

const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 forgets a buffer of 2 KiB where a quoted scalar with many doubled quotes never ends.
 */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

/* NAME holds a word, LIST some keys, N<number> a key of that number, and KEY the secret. */
static const char *variable(void *ctx, const char *name)
{
    static char text[64];

    (void)ctx;
    if (!strcmp(name, "KEY"))
        return FUZZ_SECRET;
    if (!strcmp(name, "LIST"))
        return "sk-1, sk-2 sk-3";
    if (name[0] != 'N')
        return NULL;
    snprintf(text, sizeof(text), "sk-%.40s", name);
    return text;
}

static int read_file(void *ctx, const char *path, struct buf *out)
{
    (void)ctx;
    return strstr(path, "none") ? ERR_NOTFOUND : buf_append(out, path, strlen(path));
}

static int list_folder(void *ctx, const char *path, struct buf *out)
{
    (void)ctx;
    return strstr(path, "none") ? ERR_NOTFOUND : buf_append(out, "b\0a", 4);
}

static const struct conf_system fuzz_system = {NULL, variable, read_file, list_folder};

/* Every store has every entry that is wanted, whose members are the secret, and two in a folder. */
static void answer(struct secret_arena *secrets, struct conf_stored *stored)
{
    list_for_each (link, &stored->entries) {
        struct conf_stored_entry *entry = container_of(link, struct conf_stored_entry, link);

        entry->is_wanted = false;
        entry->is_known = true;
        buf_clear(&entry->names);
        must(buf_append(&entry->names, "a\nb\n", 4) == 0);
        list_for_each (place, &entry->members) {
            struct conf_stored_member *member =
                container_of(place, struct conf_stored_member, link);

            member->is_known = true;
            if (!member->value)
                must(secret_new(secrets, SPAN(FUZZ_SECRET), &member->value) == 0);
        }
    }
}

static int load_once(const struct conf_source *source, struct span text, struct config **ret_config,
                     struct complaints *complaints)
{
    int err;

    complaints_init(complaints);
    err = config_load_text(source, SPAN("f"), text, complaints, ret_config);
    if (err == ERR_AGAIN) {
        must(source->stored->is_wanting);
        config_free(ret_config);
        complaints_fini(complaints);
        answer(source->secrets, source->stored);
    }
    return err;
}

static int load(struct secret_arena *secrets, struct span text, struct config **ret_config,
                struct buf *told)
{
    struct conf_stored stored;
    const struct conf_source source = {
        .system = &fuzz_system, .secrets = secrets, .stored = &stored};
    struct complaints complaints;
    int err = ERR_AGAIN;

    conf_stored_init(&stored);
    /* A folder, its entries, and then all is there. */
    for (int round = 0; round < 4 && err == ERR_AGAIN; round++)
        err = load_once(&source, text, ret_config, &complaints);
    must(err != ERR_AGAIN);
    conf_stored_fini(&stored);
    must((err == 0) == (complaints_allow(&complaints) && err != ERR_NOMEM));
    must(complaints_print(&complaints, told) == 0);
    must(err != ERR_SYNTAX || told->len > 0);
    complaints_fini(&complaints);
    return err;
}

/* Each mask becomes a reference of its own, so that it is masked again; a name that looks like one
 * stays. */
static void unmask(struct span text, struct buf *out)
{
    static const struct span mask = {"\"***\"", 5};
    unsigned count = 0;
    size_t at;

    while ((at = span_find(text, mask)) != SIZE_MAX) {
        buf_append(out, text.ptr, at);
        text = span_skip(text, at + mask.len);
        if (span_has_prefix(text, SPAN(":")))
            buf_append_span(out, mask);
        else
            buf_printf(out, "\"${env:N%u}\"", count++);
    }
    buf_append_span(out, text);
    must(out->err == 0);
}

static void check_print(struct secret_arena *secrets, const struct config *config)
{
    struct buf first, text, again, told;
    struct config *copy = NULL;

    buf_init(&first, 64 << 20);
    buf_init(&text, 64 << 20);
    buf_init(&again, 64 << 20);
    buf_init(&told, 64 << 20);
    must(config_print(config, &first) == 0);
    unmask(buf_span(&first), &text);
    must(load(secrets, buf_span(&text), &copy, &told) == 0);
    must(config_print(copy, &again) == 0);
    must(span_is_equal(buf_span(&first), buf_span(&again)));
    config_free(&copy);
    buf_fini(&first);
    buf_fini(&text);
    buf_fini(&again);
    buf_fini(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_locked;
    struct secret_arena *secrets = secret_arena_new(1 << 20, &is_locked);
    struct config *config = NULL;
    struct buf told;

    must(secrets != NULL);
    buf_init(&told, 64 << 20);
    if (!load(secrets, span_of((const char *)data, size), &config, &told))
        check_print(secrets, config);
    must(span_find(span_of((const char *)data, size), SPAN(FUZZ_SECRET)) != SIZE_MAX ||
         span_find(buf_span(&told), SPAN(FUZZ_SECRET)) == SIZE_MAX);
    config_free(&config);
    buf_fini(&told);
    secret_arena_free(&secrets);
    return 0;
}
