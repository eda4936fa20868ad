#include "dialect/token_count.h"

#include "base/err.h"
#include "dialect/anthropic.h"
#include "json/write.h"

int token_count_write(struct buf *buf, enum form form, uint64_t tokens)
{
    struct json_writer writer;

    if (form == FORM_COUNT_TOKENS)
        return anthropic_write_count(buf, tokens);
    json_writer_init(&writer, buf);
    json_begin_object(&writer);
    json_member_uint(&writer, "totalTokens", tokens);
    json_end_object(&writer);
    return buf->err;
}

int token_count_read(enum form form, const yyjson_val *root, uint64_t *ret_tokens)
{
    const yyjson_val *total = json_tree_member(root, "totalTokens");
    int64_t tokens;

    if (form == FORM_COUNT_TOKENS)
        return anthropic_read_count(root, ret_tokens);
    if (!yyjson_is_obj(json_tree_plain(root)))
        return ERR_SYNTAX;
    /* Google leaves out what is nought. */
    if (!total)
        tokens = 0;
    else if (!json_tree_int(total, &tokens) || tokens < 0)
        return ERR_SYNTAX;
    *ret_tokens = (uint64_t)tokens;
    return 0;
}
