#include "dialect/gemini_models.h"

static const struct gemini_model rows[] = {
#define GEMINI(pattern, thought, levels, can_rest, least, most, signs, schema, mixes, system,      \
               calls, media)                                                                       \
    {SPAN_INIT(pattern),                                                                           \
     GEMINI_THOUGHT_##thought,                                                                     \
     levels,                                                                                       \
     can_rest,                                                                                     \
     least,                                                                                        \
     most,                                                                                         \
     signs,                                                                                        \
     schema,                                                                                       \
     mixes,                                                                                        \
     system,                                                                                       \
     calls,                                                                                        \
     media},
#include "tables/gemini.def"
#undef GEMINI
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct span gemini_model_bare(struct span name)
{
    for (size_t at = name.len; at-- > 0;) {
        if (name.ptr[at] == '/')
            return span_skip(name, at + 1);
    }
    return name;
}

const struct gemini_model *gemini_model_find(struct span name)
{
    name = gemini_model_bare(name);
    for (size_t i = 0; i < ROWS - 1; i++) {
        if (span_matches(name, rows[i].pattern))
            return &rows[i];
    }
    return &rows[ROWS - 1];
}

bool gemini_takes_url(struct span url)
{
    static const struct span known[] = {
        SPAN_INIT("gs://*"),
        SPAN_INIT("https://generativelanguage.googleapis.com/*"),
        SPAN_INIT("https://www.youtube.com/*"),
        SPAN_INIT("https://youtube.com/*"),
        SPAN_INIT("https://m.youtube.com/*"),
        SPAN_INIT("https://youtu.be/*"),
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_matches(url, known[i]))
            return true;
    }
    return false;
}
