#include "conf/yaml_text.h"

#include "json/skip.h"

struct span text_line(struct span text, uint32_t line)
{
    size_t end;

    for (; line > 1; line--) {
        end = span_find_byte(text, '\n');
        if (end == SIZE_MAX)
            return (struct span){0};
        text = span_skip(text, end + 1);
    }
    end = span_find_byte(text, '\n');
    return span_of(text.ptr, end == SIZE_MAX ? text.len : end);
}

static bool has_dash_at(struct span line, uint32_t column)
{
    for (uint32_t i = 0; i + 1 < column; i++) {
        if (i >= line.len || line.ptr[i] != ' ')
            return false;
    }
    return line.len >= column && line.ptr[column - 1] == '-';
}

struct conf_mark text_next_dash(struct span text, struct text_cursor *cursor, struct conf_mark list,
                                uint32_t from_line)
{
    while (cursor->at < text.len) {
        struct span rest = span_skip(text, cursor->at);
        size_t end = span_find_byte(rest, '\n');
        struct span line = span_of(rest.ptr, end == SIZE_MAX ? rest.len : end);
        uint32_t number = cursor->line;

        cursor->at += end == SIZE_MAX ? rest.len : end + 1;
        cursor->line++;
        if (number >= from_line && has_dash_at(line, list.column))
            return (struct conf_mark){number, list.column};
    }
    return list;
}

const char *text_fault(struct span text, struct conf_mark *ret_mark)
{
    const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;
    struct conf_mark mark = {1, 1};

    while (p < end) {
        size_t len = *p < 0x80 ? 1 : utf8_length(p, end);

        *ret_mark = mark;
        if (len == 0)
            return "a byte that is no UTF-8; allowed: text in UTF-8";
        if ((*p < ' ' && *p != '\t' && *p != '\n' && *p != '\r') || *p == 0x7f)
            return "a control character; allowed: text";
        mark.column++;
        if (*p == '\n')
            mark = (struct conf_mark){mark.line + 1, 1};
        p += len;
    }
    return NULL;
}
