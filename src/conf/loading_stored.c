/* What a load takes from secret stores, from the file of sealed secrets, and the files that it
 * notes.
 */
#include "conf/loading.h"

#include <stdio.h>

#include "base/err.h"
#include "conf/files.h"
#include "conf/quote.h"
#include "secrets/sealed.h"
#include "secrets/sealed_disk.h"

enum { FILES_FIRST = 16 };

bool loading_is_unseen(const struct loading *loading)
{
    struct span path = span_of(loading->path, loading->path_len);

    switch (loading->source->wish) {
    case CONF_WISH_ALL:
        return false;
    case CONF_WISH_ADMIN:
        return !span_has_prefix(path, SPAN("admin."));
    case CONF_WISH_SECRETS:
        return true;
    }
    return false;
}

/* ---- stores ---- */

/* Words for what the source told. */
static int tell(int err, const char *told, char *why)
{
    switch (err) {
    case 0:
        return 0;
    case ERR_AGAIN:
        snprintf(why, LOADING_WHY_BYTES, "is not known yet; allowed: what its store has");
        break;
    case ERR_RANGE:
        snprintf(why, LOADING_WHY_BYTES, "has too long a member; allowed: at most 128 bytes");
        break;
    case ERR_NOMEM:
        snprintf(why, LOADING_WHY_BYTES, "finds no memory; allowed: fewer references");
        break;
    default:
        snprintf(why, LOADING_WHY_BYTES, "could not be read: %s; allowed: what its store has",
                 told);
        break;
    }
    return err;
}

/* The store of that kind can be asked. */
static int check_store(const struct loading *loading, enum conf_store_kind kind, char *why)
{
    const char *section = conf_place_section(kind);

    if (!loading->source->stored)
        snprintf(why, LOADING_WHY_BYTES,
                 "cannot be read here; allowed: ${env:NAME}, ${file:/path}");
    else if (!conf_secrets_has(&loading->config->secrets, kind))
        snprintf(why, LOADING_WHY_BYTES,
                 "needs to know how its store is reached; allowed: secrets.%s says it", section);
    else if (!loading->config->secrets.is_sound)
        snprintf(why, LOADING_WHY_BYTES,
                 "cannot be read as secrets is wrong; allowed: what is said there");
    else
        return 0;
    return ERR_UNSUPPORTED;
}

int loading_find_member(struct loading *loading, const struct conf_place *place, struct span member,
                        const struct secret **ret_value, char *why)
{
    int err = check_store(loading, place->kind, why);
    const char *told;

    *ret_value = NULL;
    if (err)
        return err;
    if (loading_is_unseen(loading)) {
        *ret_value = loading_keep_document(loading, (struct conf_mark){0, 0}, place->text);
        return *ret_value ? 0 : tell(ERR_NOMEM, NULL, why);
    }
    err = conf_stored_find(loading->source->stored, place, member, ret_value, &told);
    return tell(err, told, why);
}

int loading_list_stored(struct loading *loading, const struct conf_place *place,
                        struct span *ret_names, char *why)
{
    int err = check_store(loading, place->kind, why);
    const char *told;

    if (err)
        return err;
    *ret_names = SPAN("unseen\n");
    if (loading_is_unseen(loading))
        return 0;
    err = conf_stored_list(loading->source->stored, place, ret_names, &told);
    return tell(err, told, why);
}

int loading_find_stored(struct loading *loading, struct span text, const struct secret **ret_value,
                        char *why)
{
    size_t mark = span_find_byte(text, '#');
    struct span member = mark == SIZE_MAX ? SPAN("api_key") : span_skip(text, mark + 1);
    struct conf_place place;
    int err = conf_place_read_stored(mark == SIZE_MAX ? text : span_of(text.ptr, mark), &place);

    *ret_value = NULL;
    if (err || !member.len) {
        snprintf(why, LOADING_WHY_BYTES,
                 "names no secret; allowed: a path and a member, as in "
                 "${vault:secret/data/llm/openai#api_key}, ${aws:llm/openai#api_key}");
        return ERR_SYNTAX;
    }
    err = loading_find_member(loading, &place, member, ret_value, why);
    if (!err && !*ret_value) {
        snprintf(why, LOADING_WHY_BYTES,
                 "is not there: the store has no such entry, or the entry no such text; allowed: "
                 "what its store has");
        err = ERR_NOTFOUND;
    }
    return err;
}

/* ---- sealed secrets ---- */

static int find_sealed(const struct sealed_entries *entries, struct span name,
                       struct secret_arena *arena, struct buf *out, char *why)
{
    struct sealed_entry entry = sealed_entries_find(entries, name);
    struct secret *value = NULL;
    struct buf text;
    int err;

    if (!entry.body) {
        snprintf(why, LOADING_WHY_BYTES,
                 "is not sealed; allowed: what `bellwether secrets seal` sealed");
        return ERR_NOTFOUND;
    }
    buf_init(&text, SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    err = sealed_body_write(entry.body, &text);
    if (!err)
        err = secret_entry_member(buf_span(&text), LOADING_SEALED_MEMBER, arena, &value);
    if (!err)
        err = buf_append_span(out, secret_reveal(value));
    if (err)
        snprintf(why, LOADING_WHY_BYTES, "cannot be read: %s; allowed: to seal it again",
                 err_text(err));
    secret_unref(&value);
    buf_fini(&text);
    return err;
}

/* The text within the file, which is noted. */
static int decrypt_file(struct loading *loading, struct buf *plain, char *words)
{
    const struct conf_secrets *conf = &loading->config->secrets;
    struct sealed_identity seen;
    struct seal_key key = {.bytes = NULL};
    struct buf file;
    int err;

    buf_init(&file, LOADING_SCRATCH_BYTES);
    err = sealed_disk_read(conf->named_file.ptr, &file, &seen, words);
    loading_note_file(loading, conf->named_file, buf_span(&file));
    if (err == ERR_NOTFOUND)
        snprintf(words, SECRET_WORDS_BYTES, "nothing was sealed so far");
    if (!err)
        err = seal_key_read(conf->seal_key.ptr, loading->source->secrets, &key, words);
    if (!err)
        err = sealed_open(&key, SEALED_FILE, buf_span(&file), plain, words);
    seal_key_fini(&key);
    buf_fini(&file);
    return err;
}

/* Once in a load, so that all of it sees one file. */
static const struct loading_sealed *open_file(struct loading *loading)
{
    struct loading_sealed *sealed = &loading->sealed;
    char words[SECRET_WORDS_BYTES] = "";
    struct buf plain;

    if (sealed->is_opened)
        return sealed;
    sealed->is_opened = true;
    buf_init(&plain, LOADING_SCRATCH_BYTES);
    plain.is_secret = true;
    sealed->err = decrypt_file(loading, &plain, words);
    if (!sealed->err)
        sealed->err = sealed_entries_read(&sealed->entries, buf_span(&plain));
    if (sealed->err)
        snprintf(sealed->why, sizeof(sealed->why),
                 "cannot be read: %s; allowed: what `bellwether secrets seal` sealed",
                 words[0] ? words : err_text(sealed->err));
    buf_fini(&plain);
    return sealed;
}

/* The secret stands in the reference itself. */
static int read_sealed_text(struct loading *loading, struct span text, struct buf *out, char *why)
{
    struct seal_key key = {.bytes = NULL};
    char words[SECRET_WORDS_BYTES] = "";
    int err =
        seal_key_read(loading->config->secrets.seal_key.ptr, loading->source->secrets, &key, words);

    if (!err)
        err = sealed_text_open(&key, text, out, words);
    if (err)
        snprintf(why, LOADING_WHY_BYTES,
                 "cannot be read: %s; allowed: what `bellwether secrets seal` printed",
                 words[0] ? words : err_text(err));
    seal_key_fini(&key);
    return err;
}

/* Of `secrets` something was complained of already. */
static bool is_without_key(const struct loading *loading)
{
    const struct conf_secrets *conf = &loading->config->secrets;

    return !conf->seal_key.ptr || !conf->named_file.ptr;
}

int loading_read_sealed(struct loading *loading, struct span text, struct buf *out, char *why)
{
    const struct span name = span_skip(text, sizeof("sealed:") - 1);
    const struct loading_sealed *sealed;

    if (loading_is_unseen(loading))
        return buf_append_span(out, text);
    if (is_without_key(loading)) {
        snprintf(why, LOADING_WHY_BYTES,
                 "cannot be read: it is not known where the key of sealed secrets is; allowed: to "
                 "mend `secrets` first");
        return ERR_SYNTAX;
    }
    if (span_has_prefix(name, SPAN(LOADING_SEALED_TEXT)))
        return read_sealed_text(loading, text, out, why);
    if (!secret_path_is_good(name)) {
        snprintf(why, LOADING_WHY_BYTES,
                 "names no sealed secret; allowed: letters, digits and any of . _ -, "
                 "as in ${sealed:openai}");
        return ERR_SYNTAX;
    }
    sealed = open_file(loading);
    if (!sealed->err)
        return find_sealed(&sealed->entries, name, loading->source->secrets, out, why);
    memcpy(why, sealed->why, sizeof(sealed->why));
    return sealed->err;
}

/* ---- files ---- */

/* A place for one more; NULL without memory. */
static struct conf_file *new_file(struct loading *loading, struct span path, bool is_folder)
{
    struct conf_files *files = &loading->config->files;
    struct conf_file *items;

    if (files->count == files->cap) {
        size_t cap = files->cap ? files->cap * 2 : FILES_FIRST;

        items = loading_alloc(loading, cap, sizeof(*items));
        if (!items)
            return NULL;
        if (files->count)
            memcpy(items, files->items, files->count * sizeof(*items));
        files->items = items;
        files->cap = cap;
    }
    items = &files->items[files->count];
    *items = (struct conf_file){.path = loading_keep(loading, path), .is_folder = is_folder};
    if (!items->path.ptr)
        return NULL;
    files->count++;
    return items;
}

void loading_note_file(struct loading *loading, struct span path, struct span content)
{
    struct conf_file *file = new_file(loading, path, false);

    if (file)
        conf_content_digest(content, file->digest);
}

void loading_note_folder(struct loading *loading, struct span path, const char *const *names,
                         size_t count)
{
    struct conf_file *file = new_file(loading, path, true);

    if (file)
        conf_names_digest(names, count, file->digest);
}
