#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/loading.h"
#include "conf/printing.h"

_Static_assert(sizeof(enum conf_selection) == sizeof(uint32_t) &&
                   sizeof(enum conf_log_level) == sizeof(uint32_t) &&
                   sizeof(enum conf_log_format) == sizeof(uint32_t) &&
                   sizeof(enum conf_half_close) == sizeof(uint32_t) &&
                   sizeof(enum conf_issuer_kind) == sizeof(uint32_t),
               "a word is stored as 32 bits");

static const struct conf_word *find_word(const struct conf_row *row, struct span text)
{
    for (size_t i = 0; i < row->word_count; i++) {
        if (span_is_equal(row->words[i].name, text))
            return &row->words[i];
    }
    return NULL;
}

static void tell_word(const struct conf_row *row, struct buf *out)
{
    const char *before = "";

    for (size_t i = 0; i < row->word_count; i++) {
        if (!row->words[i].is_built)
            continue;
        buf_printf(out, "%s%.*s", before, SPAN_ARG(row->words[i].name));
        before = ", ";
    }
}

static int parse_word(const struct conf_row *row, struct span text, void *field)
{
    const struct conf_word *word = find_word(row, text);

    if (!word)
        return ERR_SYNTAX;
    if (!word->is_built)
        return ERR_UNSUPPORTED;
    memcpy(field, &word->value, sizeof(word->value));
    return 0;
}

static void print_word(struct printing *printing, const struct conf_row *row, const void *field)
{
    uint32_t value;

    memcpy(&value, field, sizeof(value));
    for (size_t i = 0; i < row->word_count; i++) {
        if (row->words[i].is_built && row->words[i].value == value)
            print_line(printing, row->name, row->words[i].name);
    }
}

const struct conf_type conf_type_word = {.name = "word",
                                         .read = conf_read_parsed,
                                         .parse = parse_word,
                                         .otherwise = "is not known",
                                         .print = print_word,
                                         .tell = tell_word};

static int parse_word_text(const struct conf_row *row, struct span text, void *field)
{
    const struct conf_word *word = find_word(row, text);

    if (!word)
        return ERR_SYNTAX;
    if (!word->is_built)
        return ERR_UNSUPPORTED;
    *(struct span *)field = word->name;
    return 0;
}

static void print_word_text(struct printing *printing, const struct conf_row *row,
                            const void *field)
{
    const struct span *word = field;

    if (word->len)
        print_line(printing, row->name, *word);
}

const struct conf_type conf_type_word_text = {.name = "word",
                                              .read = conf_read_parsed,
                                              .parse = parse_word_text,
                                              .otherwise = "is not known",
                                              .print = print_word_text,
                                              .tell = tell_word};

/* The default in the table is one text with spaces between. */
static int parse_words(const struct conf_row *row, struct span text, void *field)
{
    uint32_t bits = 0, bit;
    struct span token;

    while (span_next_token(&text, ' ', &token)) {
        int err = parse_word(row, token, &bit);

        if (err)
            return err;
        bits |= bit;
    }
    *(uint32_t *)field = bits;
    return 0;
}

static void read_words(struct loading *loading, const struct conf_row *row,
                       const struct yaml_node *node, void *field)
{
    uint32_t bits = 0;

    if (node->kind != YAML_LIST) {
        conf_read_parsed(loading, row, node, field);
        return;
    }
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        uint32_t bit = 0;

        conf_read_parsed(loading, row, item->value, &bit);
        bits |= bit;
    }
    *(uint32_t *)field = bits;
}

static void print_words(struct printing *printing, const struct conf_row *row, const void *field)
{
    const char *before = "";

    print_name(printing, row->name);
    buf_printf(printing->out, " [");
    for (size_t i = 0; i < row->word_count; i++) {
        if (!(row->words[i].value & *(const uint32_t *)field))
            continue;
        buf_printf(printing->out, "%s%.*s", before, SPAN_ARG(row->words[i].name));
        before = ", ";
    }
    buf_printf(printing->out, "]\n");
}

static void tell_words(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list of ");
    tell_word(row, out);
}

const struct conf_type conf_type_words = {.name = "list of words",
                                          .read = read_words,
                                          .parse = parse_words,
                                          .otherwise = "is not known",
                                          .print = print_words,
                                          .tell = tell_words};
