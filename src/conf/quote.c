#include "conf/quote.h"

#include "conf/provider_kind.h"

/* Words and names have no such run of letters and digits without a break; keys do. */
enum { SECRET_RUN_BYTES = 16 };

static bool has_usual_look(struct span text)
{
    for (int kind = 0; kind < PROVIDER_KINDS; kind++) {
        struct span look = provider_row((enum provider_kind)kind)->usual_look;

        if (look.len && span_find(text, look) != SIZE_MAX)
            return true;
    }
    return false;
}

static bool has_mixed_run(struct span text)
{
    size_t letters = 0, digits = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c >= '0' && c <= '9')
            digits++;
        else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '=')
            letters++;
        else
            letters = digits = 0;
        if (letters && digits && letters + digits >= SECRET_RUN_BYTES)
            return true;
    }
    return false;
}

bool quote_is_safe(struct span text)
{
    if (text.len > QUOTE_MAX_BYTES || has_usual_look(text) || has_mixed_run(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

void quote_append(struct buf *out, struct span text, const char *instead)
{
    if (quote_is_safe(text))
        buf_printf(out, "'%.*s'", SPAN_ARG(text));
    else
        buf_printf(out, "%s", instead);
}
