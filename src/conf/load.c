#include "conf/load.h"

#include "base/alloc.h"
#include "base/err.h"
#include "conf/loading.h"

enum { TREE_MAX_BYTES = 512 << 20, ENVIRONMENT_MAX_BYTES = 16384 };

static struct config_box *box_new(void)
{
    struct config_box *box = mem_zalloc(1, sizeof(*box));

    if (!box)
        return NULL;
    arena_pool_init(&box->pool, 0);
    arena_init(&box->arena, &box->pool, TREE_MAX_BYTES);
    map_init(&box->config.provider_by_name, YAML_MAX_NODES);
    map_init(&box->config.model_by_name, YAML_MAX_NODES);
    return box;
}

static int loading_init(struct loading *loading, const struct conf_source *source,
                        struct complaints *complaints, struct span file)
{
    size_t folder = file.len;

    *loading = (struct loading){.source = source, .complaints = complaints};
    buf_init(&loading->scratch, LOADING_SCRATCH_BYTES);
    buf_init(&loading->file, LOADING_SCRATCH_BYTES);
    map_init(&loading->pools, YAML_MAX_NODES);
    sealed_entries_init(&loading->sealed.entries, source->secrets);
    loading->box = box_new();
    if (!loading->box)
        return ERR_NOMEM;
    loading->config = &loading->box->config;
    while (folder > 0 && file.ptr[folder - 1] != '/')
        folder--;
    loading->folder = span_of(file.ptr, folder);
    loading->config->file = loading_keep(loading, file);
    /* All their room at once: growing would leave copies of secrets behind. */
    if (buf_reserve(&loading->scratch, LOADING_SCRATCH_BYTES) ||
        buf_reserve(&loading->file, LOADING_SCRATCH_BYTES))
        return ERR_NOMEM;
    return loading->err;
}

/* What was not handed out goes. */
static void loading_fini(struct loading *loading)
{
    struct config *config = loading->config;

    config_free(&config);
    map_fini(&loading->pools);
    sealed_entries_fini(&loading->sealed.entries);
    buf_fini(&loading->scratch);
    buf_fini(&loading->file);
}

static void read_root(struct loading *loading)
{
    if (loading->root->kind != YAML_MAP && loading->root->kind != YAML_NULL) {
        complaint_error(loading->complaints, loading->root->mark,
                        "%s stands where a map should; allowed: a map with providers",
                        yaml_kind_text(loading->root));
        return;
    }
    conf_group_read(loading, &conf_schema, loading->root, (struct span){0}, loading->root->mark,
                    loading->config);
    conf_check(loading);
}

/* What the errors among the complaints come to. */
static int fault_of(const struct loading *loading)
{
    const struct conf_source *source = loading->source;

    if (source->wish == CONF_WISH_SECRETS && loading->config->secrets.is_sound)
        return 0;
    return source->stored && source->stored->is_wanting ? ERR_AGAIN : ERR_SYNTAX;
}

static int load_text(const struct conf_source *source, struct span file, struct span text,
                     struct complaints *complaints, struct config **ret_config)
{
    struct loading loading;
    struct yaml_doc doc;
    int err = loading_init(&loading, source, complaints, file);
    bool is_parsed = false;

    if (err)
        goto out;
    err = yaml_parse(&doc, text, complaints);
    is_parsed = true;
    if (err)
        goto out;
    loading.root = doc.root;
    read_root(&loading);
    err = loading.err;
    if (!err && !complaints_allow(complaints))
        err = fault_of(&loading);
    if (!err || err == ERR_AGAIN) {
        *ret_config = loading.config;
        loading.config = NULL;
    }
out:
    if (is_parsed)
        yaml_fini(&doc);
    loading_fini(&loading);
    return err;
}

int config_load_text(const struct conf_source *source, struct span file, struct span text,
                     struct complaints *complaints, struct config **ret_config)
{
    int err;

    if (source->stored)
        conf_stored_begin(source->stored);
    complaints_set_file(complaints, file);
    if (text.len > CONF_FILE_MAX_BYTES) {
        complaint_error(complaints, (struct conf_mark){0, 0},
                        "the file is too large; allowed: at most 4 MiB");
        return ERR_SYNTAX;
    }
    err = load_text(source, file, text, complaints, ret_config);
    complaints_sort(complaints);
    return err;
}

static const char *file_fault(int err)
{
    if (err == ERR_NOTFOUND)
        return "there is no such file";
    if (err == ERR_DENIED)
        return "the file cannot be read, permission denied";
    if (err == ERR_FULL)
        return "the file is too large; allowed: at most 4 MiB";
    if (err == ERR_UNSUPPORTED)
        return "this is a folder; allowed: a file";
    return "the file cannot be read";
}

static int load_file(const struct conf_source *source, const char *path,
                     struct complaints *complaints, struct config **ret_config)
{
    struct buf text;
    int err;

    complaints_set_file(complaints, span_from_text(path));
    buf_init(&text, CONF_FILE_MAX_BYTES);
    err = source->system->read_file(source->system->ctx, path, &text);
    if (err && err != ERR_NOMEM) {
        complaint_error(complaints, (struct conf_mark){0, 0}, "%s", file_fault(err));
        err = ERR_SYNTAX;
    }
    if (!err)
        err =
            config_load_text(source, span_from_text(path), buf_span(&text), complaints, ret_config);
    if (text.len)
        secret_wipe(text.data, text.len);
    buf_fini(&text);
    return err;
}

static int load_environment(const struct conf_source *source, struct complaints *complaints,
                            struct config **ret_config)
{
    struct span file = SPAN("environment");
    struct buf text;
    int err;

    complaints_set_file(complaints, file);
    complaints->has_no_places = true;
    buf_init(&text, ENVIRONMENT_MAX_BYTES);
    err = conf_environment_write(source->system, complaints, &text);
    if (err == ERR_NOTFOUND) {
        complaint_error(
            complaints, (struct conf_mark){0, 0},
            "no configuration file, and no variable that names a key; allowed: --config "
            "FILE, CONFIG_PATH, or keys in OPENAI_API_KEY, DEEPSEEK_API_KEYS and the like");
        err = ERR_SYNTAX;
    }
    if (!err)
        err = config_load_text(source, file, buf_span(&text), complaints, ret_config);
    buf_fini(&text);
    return err;
}

int config_load(const struct conf_source *source, const char *path, struct complaints *complaints,
                struct config **ret_config)
{
    if (!path) {
        path = source->system->variable(source->system->ctx, "CONFIG_PATH");
        if (path && !path[0])
            path = NULL;
    }
    return path ? load_file(source, path, complaints, ret_config)
                : load_environment(source, complaints, ret_config);
}
