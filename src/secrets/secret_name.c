#include "secrets/secret_name.h"

#include "base/err.h"
#include "secrets/secret_store.h"

/* How a style writes what its names cannot hold: an escape and a letter. */
struct style {
    size_t max;
    char escape;         /* 0: none is needed */
    const char *slash;   /* a '/' */
    const char *dash;    /* a '-' within a segment; NULL: as it is */
    const char *edge;    /* a '-' that a segment begins or ends with; NULL: as it is */
    const char *under;   /* a '_' */
    const char *dot;     /* a '.' */
    const char *self;    /* the escape, where it is a letter; NULL: it is none */
    const char *capital; /* before the small one; NULL: as it is */
};

static const struct style styles[] = {
    [SECRET_NAME_PLAIN] = {512, 0, "/", NULL, NULL, "_", ".", NULL, NULL},
    [SECRET_NAME_GOOGLE] = {255, '_', "__", NULL, NULL, "_u", "_d", NULL, NULL},
    [SECRET_NAME_AZURE] = {127, '-', "--", "-h", "-h", "-u", "-d", NULL, "-c"},
    [SECRET_NAME_KUBERNETES] = {253, 'z', ".", NULL, "zh", "zu", "zd", "zz", "zc"},
};

struct out {
    char *text;
    size_t len, max;
};

static void put(struct out *out, const char *text)
{
    for (; *text; text++) {
        if (out->len < out->max)
            out->text[out->len] = *text;
        out->len++;
    }
}

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_edge(struct span path, size_t at)
{
    return at == 0 || at + 1 == path.len || path.ptr[at - 1] == '/' || path.ptr[at + 1] == '/';
}

/* The code of a character; NULL: it stands for itself. */
static const char *code_of(const struct style *style, struct span path, size_t at)
{
    char c = path.ptr[at];

    if (c == '/')
        return style->slash;
    if (c == '-')
        return is_edge(path, at) ? style->edge : style->dash;
    if (c == '_')
        return style->under;
    if (c == '.')
        return style->dot;
    if (c == style->escape)
        return style->self;
    return is_capital(c) ? style->capital : NULL;
}

static void write_path(const struct style *style, struct span path, struct out *out)
{
    for (size_t i = 0; i < path.len; i++) {
        const char *code = code_of(style, path, i);
        char plain[2] = {path.ptr[i], '\0'};

        if (code)
            put(out, code);
        if (code && is_capital(plain[0]))
            plain[0] = (char)(plain[0] - 'A' + 'a');
        if (!code || is_capital(path.ptr[i]))
            put(out, plain);
    }
}

int secret_name_write(enum secret_name_style style, struct span folder, struct span path,
                      char name[SECRET_NAME_BYTES])
{
    struct out out = {.text = name, .max = styles[style].max};

    write_path(&styles[style], folder, &out);
    if (folder.len && path.len)
        put(&out, styles[style].slash);
    write_path(&styles[style], path, &out);
    if (out.len > out.max)
        return ERR_RANGE;
    name[out.len] = '\0';
    return 0;
}

/* What a code at the front of the rest stands for, as a guess that writing it again confirms: its
 * length, or 0. */
static size_t read_code(const struct style *style, struct span rest, char *ret_c)
{
    const struct {
        const char *code;
        char c;
    } codes[] = {{style->slash, '/'}, {style->edge, '-'}, {style->dash, '-'},
                 {style->under, '_'}, {style->dot, '.'},  {style->self, style->escape}};
    struct span capital = span_from_text(style->capital);

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct span code = span_from_text(codes[i].code);

        if (code.len && span_has_prefix(rest, code)) {
            *ret_c = codes[i].c;
            return code.len;
        }
    }
    if (!capital.len || !span_has_prefix(rest, capital) || rest.len == capital.len)
        return 0;
    *ret_c = (char)(rest.ptr[capital.len] - 'a' + 'A');
    return capital.len + 1;
}

bool secret_name_read(enum secret_name_style style, struct span name, char path[SECRET_NAME_BYTES])
{
    char again[SECRET_NAME_BYTES];
    struct span rest = name;
    size_t len = 0;

    if (name.len > styles[style].max)
        return false;
    while (rest.len) {
        size_t code = read_code(&styles[style], rest, &path[len]);

        if (!code)
            path[len] = rest.ptr[0];
        rest = span_skip(rest, code ? code : 1);
        len++;
    }
    path[len] = '\0';
    return secret_path_is_good(span_of(path, len)) &&
           !secret_name_write(style, SPAN(""), span_of(path, len), again) &&
           span_is_equal(span_from_text(again), name);
}
