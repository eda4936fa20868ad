/* References in strings: ${env:NAME}, ${file:/path}, ${sealed:NAME}, ${vault:PATH#MEMBER}, and $${
 * for a plain "${". */
#include "conf/loading.h"

#include "base/err.h"
#include "conf/quote.h"

#define REFERENCES_ALLOWED                                                                         \
    "${env:NAME}, ${file:/path}, ${sealed:NAME}, ${vault:PATH#MEMBER}, and as that aws, google, "  \
    "azure, k8s"

enum { NAME_BYTES = 256, PATH_BYTES = 4096 };

/* One reference being resolved into the scratch. */
struct resolving {
    struct loading *loading;
    struct conf_mark mark;
    struct span body; /* "env:NAME" */
};

static bool fail(const struct resolving *r, const char *what)
{
    struct buf text;

    buf_init(&text, NAME_BYTES);
    if (quote_is_safe(r->body))
        buf_printf(&text, "${%.*s}", SPAN_ARG(r->body));
    else
        buf_printf(&text, "the reference");
    loading_error(r->loading, r->mark, "%s %s", buf_text(&text), what);
    buf_fini(&text);
    return false;
}

static bool is_variable_name(struct span name)
{
    if (!name.len || name.len >= NAME_BYTES || (name.ptr[0] >= '0' && name.ptr[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return true;
}

static bool append_value(const struct resolving *r, struct span value)
{
    if (!value.len)
        return fail(r, "is empty; allowed: a value of at least one character");
    if (buf_append_span(&r->loading->scratch, value))
        return fail(r, "is too large; allowed: at most 1 MiB in all");
    return true;
}

static bool append_variable(const struct resolving *r, struct span name)
{
    const struct conf_system *system = r->loading->source->system;
    char text[NAME_BYTES];
    const char *value;

    if (!is_variable_name(name))
        return fail(r, "names no variable; allowed: letters, digits and '_', as in ${env:NAME}");
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    value = system->variable(system->ctx, text);
    if (!value)
        return fail(r, "is not set; allowed: a variable of the environment that is");
    return append_value(r, span_from_text(value));
}

/* One newline at the end belongs to the file, not to its value. */
static struct span without_newline(struct span text)
{
    if (span_has_suffix(text, SPAN("\n")))
        text.len--;
    if (span_has_suffix(text, SPAN("\r")))
        text.len--;
    return text;
}

static const char *file_fault(int err)
{
    if (err == ERR_NOTFOUND)
        return "is not there; allowed: a file that can be read";
    if (err == ERR_DENIED)
        return "cannot be read, permission denied; allowed: a file that can be read";
    if (err == ERR_FULL)
        return "is too large; allowed: at most 1 MiB";
    if (err == ERR_UNSUPPORTED)
        return "is a folder; allowed: a file";
    return "cannot be read; allowed: a file that can be read";
}

static bool append_file(const struct resolving *r, struct span path)
{
    const struct conf_system *system = r->loading->source->system;
    struct buf *file = &r->loading->file;
    struct span folder = r->loading->folder;
    char text[PATH_BYTES];
    bool is_read;
    int err;

    if (path.len && path.ptr[0] == '/')
        folder.len = 0;
    if (!path.len || folder.len + path.len >= sizeof(text))
        return fail(r, "names no file; allowed: a path, as in ${file:/run/secrets/key}");
    memcpy(text, folder.ptr, folder.len);
    memcpy(text + folder.len, path.ptr, path.len);
    text[folder.len + path.len] = '\0';
    err = system->read_file(system->ctx, text, file);
    loading_note_file(r->loading, span_from_text(text), buf_span(file));
    is_read = err ? fail(r, file_fault(err)) : append_value(r, without_newline(buf_span(file)));
    secret_wipe(file->data, file->len);
    buf_clear(file);
    return is_read;
}

/* Of the file beside the seal key, which `bellwether secrets seal` writes. */
static bool append_sealed(const struct resolving *r)
{
    char why[LOADING_WHY_BYTES];
    struct buf *file = &r->loading->file;
    bool is_read;
    int err;

    if (r->loading->is_in_secrets)
        return fail(r, "stands in the section that says where secrets are; allowed: ${env:NAME}, "
                       "${file:/path}");
    err = loading_read_sealed(r->loading, r->body, file, why);
    is_read = err ? fail(r, why) : append_value(r, buf_span(file));
    secret_wipe(file->data, file->len);
    buf_clear(file);
    return is_read;
}

static bool append_stored(const struct resolving *r)
{
    char why[LOADING_WHY_BYTES];
    const struct secret *value;
    int err;

    if (r->loading->is_in_secrets)
        return fail(r, "stands in the section that says where secrets are; allowed: ${env:NAME}, "
                       "${file:/path}");
    err = loading_find_stored(r->loading, r->body, &value, why);
    if (!err)
        return append_value(r, secret_reveal(value));
    (void)fail(r, why);
    /* What else the text refers to is wanted too. */
    r->loading->is_lacking = err == ERR_AGAIN;
    return r->loading->is_lacking;
}

static bool append_reference(const struct resolving *r)
{
    if (span_has_prefix(r->body, SPAN("env:")))
        return append_variable(r, span_skip(r->body, 4));
    if (span_has_prefix(r->body, SPAN("file:")))
        return append_file(r, span_skip(r->body, 5));
    if (span_has_prefix(r->body, SPAN("sealed:")))
        return append_sealed(r);
    if (conf_place_is_stored(r->body))
        return append_stored(r);
    return fail(r, "is no known reference; allowed: " REFERENCES_ALLOWED);
}

/* Resolves what stands at the head of `rest`, a '$', and returns how much of it that was; 0 after a
 * complaint. */
static size_t append_dollar(struct loading *loading, struct conf_mark mark, struct span rest)
{
    struct resolving r = {.loading = loading, .mark = mark};
    size_t end;

    if (span_has_prefix(rest, SPAN("$${"))) {
        buf_append(&loading->scratch, "${", 2);
        return 3;
    }
    if (!span_has_prefix(rest, SPAN("${"))) {
        buf_append_byte(&loading->scratch, '$');
        return 1;
    }
    end = span_find_byte(rest, '}');
    if (end == SIZE_MAX) {
        loading_error(loading, mark,
                      "a '${' without its '}'; allowed: " REFERENCES_ALLOWED ", or $${ for itself");
        return 0;
    }
    r.body = span_of(rest.ptr + 2, end - 2);
    return append_reference(&r) ? end + 1 : 0;
}

static bool resolve(struct loading *loading, struct conf_mark mark, struct span rest)
{
    while (rest.len) {
        size_t plain = span_find_byte(rest, '$'), used;

        if (plain == SIZE_MAX)
            plain = rest.len;
        if (buf_append(&loading->scratch, rest.ptr, plain)) {
            loading_error(loading, mark, "the value is too large; allowed: at most 1 MiB");
            return false;
        }
        rest = span_skip(rest, plain);
        if (!rest.len)
            break;
        used = append_dollar(loading, mark, rest);
        if (!used)
            return false;
        rest = span_skip(rest, used);
    }
    return true;
}

bool loading_has_reference(struct span text)
{
    size_t at;

    while ((at = span_find(text, SPAN("${"))) != SIZE_MAX) {
        if (at == 0 || text.ptr[at - 1] != '$')
            return true;
        text = span_skip(text, at + 2);
    }
    return false;
}

bool loading_text(struct loading *loading, const struct conf_row *row, const struct yaml_node *node,
                  struct span *ret_text)
{
    if (node->kind == YAML_NULL || node->kind == YAML_LIST || node->kind == YAML_MAP) {
        loading_refuse(loading, row, node, "stands where a single value should");
        return false;
    }
    if (span_find(node->text, SPAN("${")) == SIZE_MAX) {
        *ret_text = node->text;
        return true;
    }
    loading->is_lacking = false;
    if (!resolve(loading, node->mark, node->text) || loading->is_lacking) {
        loading_end_text(loading);
        return false;
    }
    *ret_text = buf_span(&loading->scratch);
    return true;
}

void loading_end_text(struct loading *loading)
{
    if (loading->scratch.len)
        secret_wipe(loading->scratch.data, loading->scratch.len);
    buf_clear(&loading->scratch);
}
