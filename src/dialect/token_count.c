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
    int64_t tokens;

    if (form == FORM_COUNT_TOKENS)
        return anthropic_read_count(root, ret_tokens);
    if (!json_tree_int(json_tree_member(root, "totalTokens"), &tokens) || tokens < 0)
        return ERR_SYNTAX;
    *ret_tokens = (uint64_t)tokens;
    return 0;
}
