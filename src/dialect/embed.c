#include "dialect/embed.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/bug.h"
#include "base/err.h"

enum { FLOAT_BYTES = 4 };

const struct embed_ops *embed_ops(enum form form)
{
    static const struct embed_ops *const ops[FORM_COUNT] = {
        [FORM_EMBEDDINGS] = &openai_embed_ops,
        [FORM_EMBED] = &gemini_embed_ops,
        [FORM_EMBED_BATCH] = &gemini_embed_batch_ops,
    };

    bug_fatal_unless((unsigned)form < FORM_COUNT);
    return ops[form];
}

/* --- numbers --- */

/* Little-endian, whatever the machine. */
static void put_float(unsigned char *out, double number)
{
    float value = (float)number;
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    for (unsigned i = 0; i < FLOAT_BYTES; i++)
        out[i] = (unsigned char)(bits >> 8 * i);
}

static double get_float(const unsigned char *in)
{
    uint32_t bits = 0;
    float value;

    for (unsigned i = 0; i < FLOAT_BYTES; i++)
        bits |= (uint32_t)in[i] << 8 * i;
    memcpy(&value, &bits, sizeof(value));
    return (double)value;
}

static int write_list(struct buf *out, yyjson_val *list)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;

    while ((item = yyjson_arr_iter_next(&items))) {
        if (!json_tree_number(item).ptr)
            return ERR_SYNTAX;
    }
    return json_tree_write(out, list);
}

static int write_floats(struct buf *out, const unsigned char *bytes, size_t count)
{
    (void)buf_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        double number = get_float(bytes + i * FLOAT_BYTES);

        if (!isfinite(number))
            return ERR_SYNTAX;
        (void)buf_printf(out, i ? ",%.9g" : "%.9g", number);
    }
    return buf_append_byte(out, ']');
}

int embed_write_values(struct buf *out, const struct embed_vector *vector)
{
    int err = ERR_SYNTAX;
    size_t len;
    char *bytes;

    if (vector->values)
        return write_list(out, json_tree_plain(vector->values));
    bytes = mem_alloc(vector->base64.len + 1);
    if (!bytes)
        return ERR_NOMEM;
    if (base64_read(vector->base64, bytes, &len) && len % FLOAT_BYTES == 0)
        err = write_floats(out, (const unsigned char *)bytes, len / FLOAT_BYTES);
    mem_free(bytes);
    return err;
}

static int pack(unsigned char *bytes, yyjson_val *list)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;
    double number;

    while ((item = yyjson_arr_iter_next(&items))) {
        if (!json_tree_double(item, &number))
            return ERR_SYNTAX;
        put_float(bytes, number);
        bytes += FLOAT_BYTES;
    }
    return 0;
}

int embed_write_base64(struct buf *out, const struct embed_vector *vector)
{
    size_t count = yyjson_arr_size(json_tree_plain(vector->values));
    unsigned char *bytes;
    int err;

    if (!vector->values) {
        (void)buf_append_byte(out, '"');
        (void)buf_append_span(out, vector->base64);
        return buf_append_byte(out, '"');
    }
    bytes = mem_alloc(count * FLOAT_BYTES + 1);
    if (!bytes)
        return ERR_NOMEM;
    err = pack(bytes, json_tree_plain(vector->values));
    (void)buf_append_byte(out, '"');
    if (!err)
        err = base64_write(out, span_of((const char *)bytes, count * FLOAT_BYTES));
    (void)buf_append_byte(out, '"');
    mem_free(bytes);
    return err ? err : out->err;
}
