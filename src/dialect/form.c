#include "dialect/form.h"

#include "base/bug.h"
#include "dialect/chat_answer.h"

static const struct form_row rows[FORM_COUNT] = {
#define FORM(id, name, dialect, purpose, path, meaning)                                            \
    [FORM_##id] = {SPAN_INIT(name), SPAN_INIT(path), DIALECT_##dialect, PURPOSE_##purpose},
#include "tables/forms.def"
#undef FORM
};

const struct form_row *form_row(enum form form)
{
    bug_fatal_unless((unsigned)form < FORM_COUNT);
    return &rows[form];
}

enum form form_for(enum dialect_id dialect, enum form_purpose purpose)
{
    static const enum form forms[DIALECT_COUNT][PURPOSE_MEASURE + 1] = {
        [DIALECT_OPENAI] = {FORM_CHAT, FORM_EMBEDDINGS, FORM_COUNT},
        [DIALECT_ANTHROPIC] = {FORM_MESSAGES, FORM_COUNT, FORM_COUNT_TOKENS},
        [DIALECT_GEMINI] = {FORM_GENERATE, FORM_EMBED_BATCH, FORM_MEASURE},
    };

    bug_fatal_unless((unsigned)dialect < DIALECT_COUNT && (unsigned)purpose <= PURPOSE_MEASURE);
    return forms[dialect][purpose];
}

enum form form_at(enum dialect_id dialect, enum form form)
{
    const struct form_row *row = form_row(form);

    return row->dialect == dialect ? form : form_for(dialect, row->purpose);
}
