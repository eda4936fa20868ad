/* bellwether catalogue: what models cost and what they can do, built in and by the file. */
#include "cli/catalogue.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "cli/commands.h"
#include "cli/option.h"
#include "cli/setup.h"
#include "ledger/prices.h"

enum { TEXT_MAX_BYTES = 64 << 20, NAME_BYTES = 640 };

/* What was asked for: words, none for all. */
struct question {
    char **words;
    int count;
    bool *is_met; /* by word */
};

/* ---- which ---- */

static bool is_alias_of(const struct catalogue_entry *entry, struct span word)
{
    struct span alias;
    size_t at = 0;

    if (entry->is_retired)
        return false;
    while (catalogue_alias_next(entry->kind, entry->model, &at, &alias)) {
        if (span_is_equal(word, alias))
            return true;
    }
    for (at = 0; entry->config &&
                 catalogue_own_alias_next(entry->config, entry->of, entry->model, &at, &alias);) {
        if (span_is_equal(word, alias))
            return true;
    }
    return false;
}

static bool is_meant_by(const struct catalogue_entry *entry, struct span word)
{
    char name[NAME_BYTES];
    int len = snprintf(name, sizeof(name), "%.*s/%.*s", SPAN_ARG(entry->provider),
                       SPAN_ARG(entry->model));

    return span_is_equal(word, entry->provider) ||
           span_is_equal(word, provider_row(entry->kind)->name) ||
           span_matches(entry->model, word) || span_is_equal(word, entry->model) ||
           (entry->is_retired && span_matches(word, entry->model)) || is_alias_of(entry, word) ||
           (len > 0 && (size_t)len < sizeof(name) &&
            span_matches(span_of(name, (size_t)len), word));
}

static bool is_asked_for(const struct question *question, const struct catalogue_entry *entry)
{
    bool is_asked = question->count == 0;

    for (int i = 0; i < question->count; i++) {
        if (!is_meant_by(entry, span_from_text(question->words[i])))
            continue;
        question->is_met[i] = true;
        is_asked = true;
    }
    return is_asked;
}

static int add(struct catalogue_entries *entries, const struct question *question,
               const struct catalogue_entry *entry)
{
    struct catalogue_entry *items;
    size_t cap;

    if (!is_asked_for(question, entry))
        return 0;
    if (entries->count == entries->cap) {
        cap = entries->cap ? 2 * entries->cap : 128;
        items = mem_realloc(entries->items, cap * sizeof(*items));
        if (!items)
            return -1;
        entries->items = items;
        entries->cap = cap;
    }
    entries->items[entries->count++] = *entry;
    return 0;
}

/* ---- what is built in ---- */

static struct catalogue_entry entry_of(enum provider_kind kind, struct span provider,
                                       struct span model)
{
    struct catalogue_entry entry = {.provider = provider, .model = model, .kind = kind};

    entry.has_price = price_builtin(kind, model, &entry.price);
    entry.price_date = catalogue_price_date(kind, model);
    catalogue_builtin(kind, model, &entry.facts);
    entry.ends = catalogue_end(kind, model, &entry.successor);
    return entry;
}

static int gather_retired(struct catalogue_entries *entries, const struct question *question,
                          enum provider_kind of, struct span provider)
{
    struct catalogue_entry entry = {.provider = provider, .is_retired = true};
    size_t at = 0;
    int err = 0;

    while (!err && catalogue_retired_next(&at, &entry.kind, &entry.model, &entry.successor)) {
        if (entry.kind == of)
            err = add(entries, question, &entry);
    }
    return err;
}

static int gather_builtin(struct catalogue_entries *entries, const struct question *question)
{
    enum provider_kind kind;
    struct price price;
    struct span model;
    size_t at = 0;
    int err = 0;

    while (!err && price_builtin_next(&at, &kind, &model, &price)) {
        struct catalogue_entry entry = entry_of(kind, provider_row(kind)->name, model);

        err = add(entries, question, &entry);
    }
    for (int k = 0; k < PROVIDER_KINDS && !err; k++)
        err = gather_retired(entries, question, (enum provider_kind)k,
                             provider_row((enum provider_kind)k)->name);
    return err;
}

/* ---- with a file ---- */

/* One provider of the file at a time. */
struct gathering {
    struct catalogue_entries *entries;
    const struct question *question;
    const struct config *config;
    const struct prices *prices;
    const struct conf_provider *provider;
    struct map seen; /* models of it */
};

static bool is_price_own(const struct gathering *gathering, struct span model)
{
    for (size_t i = 0; i < gathering->config->prices.count; i++) {
        const struct conf_price *row = &gathering->config->prices.items[i];

        if ((!row->provider || row->provider == gathering->provider) &&
            price_is_name_of(gathering->provider->kind, row->model, model))
            return true;
    }
    return false;
}

/* What the file says goes before what is announced. */
static void take_own_successor(const struct config *config, const struct conf_provider *provider,
                               struct catalogue_entry *entry)
{
    entry->own_successor = catalogue_own_successor(config, provider, entry->model);
    if (!entry->own_successor.len)
        return;
    entry->ends = span_of(NULL, 0);
    entry->successor =
        span_is_equal(entry->own_successor, SPAN("none")) ? entry->ends : entry->own_successor;
}

static int gather_model(struct gathering *gathering, struct span model)
{
    const struct conf_provider *provider = gathering->provider;
    uint32_t index = (uint32_t)(provider - gathering->config->providers.items);
    struct catalogue_entry entry = entry_of(provider->kind, provider->name, model);
    const struct price *price = prices_find(gathering->prices, index, model, map_hash(model));

    if (map_find(&gathering->seen, model))
        return 0;
    if (map_add(&gathering->seen, model, gathering))
        return -1;
    entry.config = gathering->config;
    entry.of = provider;
    entry.has_price = price != NULL;
    if (price)
        entry.price = *price;
    entry.is_price_own = is_price_own(gathering, model);
    if (entry.is_price_own)
        entry.price_date = span_of(NULL, 0);
    entry.is_facts_own = catalogue_is_overridden(gathering->config, provider, model);
    catalogue_find(gathering->config, provider, model, &entry.facts);
    take_own_successor(gathering->config, provider, &entry);
    return add(gathering->entries, gathering->question, &entry);
}

static int gather_provider(struct gathering *gathering)
{
    const struct config *config = gathering->config;
    const struct conf_provider *provider = gathering->provider;
    enum provider_kind kind;
    struct price price;
    struct span model;
    size_t at = 0;
    int err = 0;

    while (!err && price_builtin_next(&at, &kind, &model, &price)) {
        if (kind == price_kind(provider->kind))
            err = gather_model(gathering, model);
    }
    for (size_t i = 0; i < config->prices.count && !err; i++) {
        if (config->prices.items[i].provider == provider)
            err = gather_model(gathering, config->prices.items[i].model);
    }
    for (size_t i = 0; i < config->catalogue.count && !err; i++) {
        if (config->catalogue.items[i].provider == provider)
            err = gather_model(gathering, config->catalogue.items[i].model);
    }
    return err ? err
               : gather_retired(gathering->entries, gathering->question, provider->kind,
                                provider->name);
}

static int gather_file(struct catalogue_entries *entries, const struct question *question,
                       const struct config *config, const struct prices *prices)
{
    int err = 0;

    for (size_t i = 0; i < config->providers.count && !err; i++) {
        struct gathering gathering = {
            entries, question, config, prices, &config->providers.items[i], {0}};

        map_init(&gathering.seen, 1 << 20);
        err = gather_provider(&gathering);
        map_fini(&gathering.seen);
    }
    return err;
}

/* ---- the command ---- */

static int show(const struct catalogue_entries *entries, bool is_json)
{
    struct buf text;
    int err;

    buf_init(&text, TEXT_MAX_BYTES);
    if (is_json)
        catalogue_show_json(entries, &text);
    else
        catalogue_show_text(entries, &text);
    err = text.err;
    if (!err)
        fwrite(text.data, 1, text.len, stdout);
    buf_fini(&text);
    return err;
}

static int tell_unknown(const struct question *question)
{
    int status = COMMAND_OK;

    for (int i = 0; i < question->count; i++) {
        if (question->is_met[i])
            continue;
        fprintf(stderr, "bellwether catalogue: nothing is known of '%s'\n", question->words[i]);
        status = COMMAND_FAILED;
    }
    return status;
}

static int run(const struct question *question, const struct config *config, bool is_json)
{
    struct catalogue_entries entries = {NULL, 0, 0};
    struct prices *prices = NULL; /* entries point into it */
    int err = config ? prices_new(config, &prices) : 0;

    if (!err)
        err = config ? gather_file(&entries, question, config, prices)
                     : gather_builtin(&entries, question);
    if (!err && (entries.count || is_json))
        err = show(&entries, is_json);
    mem_free(entries.items);
    prices_free(&prices);
    if (err) {
        fprintf(stderr, "bellwether catalogue: out of memory\n");
        return COMMAND_FAILED;
    }
    return tell_unknown(question);
}

static int run_with_file(const struct question *question, const char *file, bool is_json)
{
    struct config *config;
    struct setup setup;
    int status = COMMAND_FAILED;

    if (setup_init(&setup))
        return COMMAND_FAILED;
    if (setup_load(&setup, file, NULL, &config) == 0) {
        status = run(question, config, is_json);
        config_free(&config);
    }
    setup_fini(&setup);
    return status;
}

/* Takes --json out of the words. */
static bool take_json(int *argc, char **argv)
{
    bool is_there = false;
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            is_there = true;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return is_there;
}

int command_catalogue(int argc, char **argv)
{
    struct question question = {.words = argv + 1};
    const char *file = NULL;
    bool is_json;
    int status;

    if (!option_take(&argc, argv, "--config", &file))
        return command_bad_usage("catalogue", "--config needs a FILE");
    is_json = take_json(&argc, argv);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            return command_bad_usage("catalogue", "takes --config, --json, and names");
    }
    question.count = argc - 1;
    question.is_met = mem_zalloc((size_t)argc, sizeof(*question.is_met));
    if (!question.is_met)
        return COMMAND_FAILED;
    status = file ? run_with_file(&question, file, is_json) : run(&question, NULL, is_json);
    mem_free(question.is_met);
    return status;
}
