#include "dialect/media.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/err.h"
#include "dialect/gemini_models.h"
#include "dialect/media_type.h"
#include "dialect/quirks.h"

enum media_state { MEDIA_MISSING, MEDIA_THERE, MEDIA_FAILED };

struct media_item {
    struct span url; /* borrowed from the conversation */
    enum media_state state;
    struct buf base64;
    char type[MEDIA_TYPE_BYTES];
    char why[MEDIA_WORDS_BYTES];
};

struct media {
    struct media_item items[MEDIA_URLS_MAX];
    size_t count;
};

/* A walk over the parts of a conversation that such a target is not told by their URL. */
struct walk {
    struct media **media;
    struct chat *chat;
    enum form form;
    uint32_t quirks;
    struct chat_refusal *refusal;
    size_t message, part; /* where it is */
    bool is_missing;      /* something is */
};

/* ---- which targets look up which URLs ---- */

static enum dialect_id own_dialect(const struct chat *chat)
{
    return form_row(chat->form)->dialect;
}

/* Of a body that is told again as it stands only images are replaced; what this API has no place
 * for at all is left to be refused. */
static bool openai_takes(const struct walk *walk, const struct chat_message *message,
                         const struct chat_part *part)
{
    bool is_own = walk->chat->form == FORM_CHAT;

    if (part->kind == CHAT_PART_IMAGE)
        return !(walk->quirks & QUIRK_NO_IMAGE_URL) || (is_own && message->role != CHAT_USER);
    return is_own || part->kind == CHAT_PART_VIDEO;
}

static bool is_taken(const struct walk *walk, const struct chat_message *message,
                     const struct chat_part *part)
{
    switch (walk->form) {
    case FORM_CHAT:
        return openai_takes(walk, message, part);
    case FORM_GENERATE:
    case FORM_MEASURE:
        return own_dialect(walk->chat) == DIALECT_GEMINI || gemini_takes_url(part->media.data);
    case FORM_MESSAGES:
    case FORM_COUNT_TOKENS:
    case FORM_COMPLETIONS:
    case FORM_RESPONSES:
    case FORM_EMBEDDINGS:
    case FORM_EMBED:
    case FORM_EMBED_BATCH:
    case FORM_COUNT:
        break;
    }
    return true;
}

static bool is_media(const struct chat_part *part)
{
    return part->kind == CHAT_PART_IMAGE || part->kind == CHAT_PART_AUDIO ||
           part->kind == CHAT_PART_DOCUMENT || part->kind == CHAT_PART_VIDEO;
}

/* ---- refusals ---- */

static const char *messages_name(enum form form)
{
    if (form == FORM_RESPONSES)
        return "input";
    return form_row(form)->dialect == DIALECT_GEMINI ? "contents" : "messages";
}

/* Only chat completions tell a message's place as it stands here. */
static void write_place(const struct walk *walk, char *place, size_t cap)
{
    const char *name = messages_name(walk->chat->form);

    if (walk->chat->form == FORM_CHAT)
        snprintf(place, cap, "%s[%zu].content[%zu]", name, walk->message, walk->part);
    else
        snprintf(place, cap, "%s", name);
}

/* The URL as it may be repeated: without name, password and query, and not all too long. */
static struct span repeatable(struct span url)
{
    size_t at = span_find(url, SPAN("://")), end = span_find_byte(url, '?');
    size_t most = 120;

    if (end != SIZE_MAX)
        url.len = end;
    if (at != SIZE_MAX && at + 3 <= url.len) {
        struct span rest = span_skip(url, at + 3);
        size_t slash = span_find_byte(rest, '/');
        size_t mark = span_find_byte(span_of(rest.ptr, slash == SIZE_MAX ? rest.len : slash), '@');

        if (mark != SIZE_MAX)
            url = span_skip(rest, mark + 1);
    }
    if (url.len > most) {
        url.len = most;
        while (url.len && ((unsigned char)url.ptr[url.len] & 0xc0) == 0x80)
            url.len--;
    }
    return url;
}

static int refuse(const struct walk *walk, const struct media_item *item, const char *why)
{
    char place[64];

    write_place(walk, place, sizeof(place));
    return chat_refuse(walk->refusal, FAILURE_FIELD_VALUE, place,
                       "Invalid value for '%s': The URL '%.*s' %s.", place,
                       SPAN_ARG(repeatable(item->url)), why);
}

/* ---- the items ---- */

static struct media_item *find_item(struct media *media, struct span url)
{
    for (size_t i = 0; media && i < media->count; i++) {
        if (span_is_equal(media->items[i].url, url))
            return &media->items[i];
    }
    return NULL;
}

/* Whether it can be sent at all: no spaces or controls, no NUL. */
static bool is_url(struct span url)
{
    for (size_t i = 0; i < url.len; i++) {
        if ((unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == 0x7f)
            return false;
    }
    return url.len <= MEDIA_URL_BYTES;
}

/* NULL with *ret_err: ERR_NOMEM, or ERR_SYNTAX where there are too many. */
static struct media_item *add_item(const struct walk *walk, struct span url, int *ret_err)
{
    struct media *media = *walk->media;
    struct media_item *item;
    char place[64];

    if (!media)
        media = *walk->media = mem_zalloc(1, sizeof(*media));
    if (!media) {
        *ret_err = ERR_NOMEM;
        return NULL;
    }
    if (media->count == MEDIA_URLS_MAX) {
        write_place(walk, place, sizeof(place));
        *ret_err = chat_refuse(walk->refusal, FAILURE_FIELD_VALUE, place,
                               "Invalid value for '%s': The provider of this model looks up no "
                               "URLs, and of one request no more than %d are fetched for it.",
                               place, MEDIA_URLS_MAX);
        return NULL;
    }
    item = &media->items[media->count++];
    item->url = url;
    if (!is_url(url)) {
        item->state = MEDIA_FAILED;
        snprintf(item->why, sizeof(item->why), "is no valid URL");
    }
    return item;
}

/* ---- what is done with a part ---- */

static int look(struct walk *walk, struct chat_part *part)
{
    struct media_item *item = find_item(*walk->media, part->media.data);
    int err = 0;

    if (!item)
        item = add_item(walk, part->media.data, &err);
    if (!item)
        return err;
    if (item->state == MEDIA_FAILED)
        return refuse(walk, item, item->why);
    walk->is_missing |= item->state == MEDIA_MISSING;
    return 0;
}

/* What the bytes are, where the client did not say. */
static enum chat_part_kind kind_of(struct span type)
{
    if (span_has_prefix(type, SPAN("image/")))
        return CHAT_PART_IMAGE;
    if (span_has_prefix(type, SPAN("audio/")))
        return CHAT_PART_AUDIO;
    return span_has_prefix(type, SPAN("video/")) ? CHAT_PART_VIDEO : CHAT_PART_DOCUMENT;
}

static int fit_kind(const struct walk *walk, const struct media_item *item,
                    const struct chat_part *part)
{
    enum chat_part_kind kind = kind_of(span_from_text(item->type));

    if (part->kind == CHAT_PART_IMAGE && kind != CHAT_PART_IMAGE)
        return refuse(walk, item, "is no image");
    if (part->kind == CHAT_PART_AUDIO && kind != CHAT_PART_AUDIO)
        return refuse(walk, item, "is no sound");
    if (part->kind == CHAT_PART_VIDEO && kind != CHAT_PART_VIDEO)
        return refuse(walk, item, "is no video");
    if (!item->type[0])
        return refuse(walk, item, "is of no media type that is known");
    return 0;
}

static int place(struct walk *walk, struct chat_part *part)
{
    struct media_item *item = find_item(*walk->media, part->media.data);
    int err = fit_kind(walk, item, part);

    if (err)
        return err;
    part->kind = kind_of(span_from_text(item->type));
    part->media.source = CHAT_SOURCE_DATA;
    part->media.type = span_from_text(item->type);
    part->media.data = buf_span(&item->base64);
    return 0;
}

/* ---- the walk ---- */

static int visit(struct walk *walk, const struct chat_message *message, struct chat_part *part,
                 int (*act)(struct walk *walk, struct chat_part *part))
{
    if (!is_media(part) || part->media.source != CHAT_SOURCE_URL || is_taken(walk, message, part))
        return 0;
    return act(walk, part);
}

static int walk_parts(struct walk *walk, const struct chat_message *message,
                      struct chat_part *parts, size_t count,
                      int (*act)(struct walk *walk, struct chat_part *part))
{
    int err = 0;

    for (size_t i = 0; i < count && !err; i++) {
        walk->part = i;
        err = visit(walk, message, &parts[i], act);
        /* A result holds no results. */
        for (size_t k = 0; k < parts[i].part_count && !err; k++) {
            walk->part = k;
            err = visit(walk, message, &parts[i].parts[k], act);
        }
    }
    return err;
}

static int walk_chat(struct walk *walk, int (*act)(struct walk *walk, struct chat_part *part))
{
    struct chat *chat = walk->chat;
    int err = 0;

    for (size_t i = 0; i < chat->message_count && !err; i++) {
        struct chat_message *message = &chat->messages[i];

        walk->message = i;
        err = walk_parts(walk, message, message->parts, message->part_count, act);
    }
    return err;
}

int media_settle(struct media **media, struct chat *chat, enum form form, uint32_t quirks,
                 struct chat_refusal *refusal)
{
    struct walk walk = {
        .media = media, .chat = chat, .form = form, .quirks = quirks, .refusal = refusal};
    int err = walk_chat(&walk, look);

    if (err)
        return err;
    if (walk.is_missing)
        return ERR_AGAIN;
    return *media ? walk_chat(&walk, place) : 0;
}

/* ---- what was fetched ---- */

size_t media_missing(const struct media *media, struct span ret_urls[MEDIA_URLS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; media && i < media->count; i++) {
        if (media->items[i].state == MEDIA_MISSING)
            ret_urls[count++] = media->items[i].url;
    }
    return count;
}

void media_take(struct media *media, struct span url, struct span content_type, struct buf *base64)
{
    struct media_item *item = find_item(media, url);
    char head[(MEDIA_HEAD_BYTES + 2) / 3 * 3];
    size_t head_len = 0, len = base64_length(MEDIA_HEAD_BYTES);

    if (!item || item->state != MEDIA_MISSING)
        return;
    if (base64->len == 0) {
        media_fail(media, url, "is empty");
        return;
    }
    item->state = MEDIA_THERE;
    item->base64 = *base64;
    buf_init(base64, base64->max);
    if (len > item->base64.len)
        len = item->base64.len;
    if (!base64_read(span_of(item->base64.data, len), head, &head_len))
        head_len = 0;
    media_type_find(span_of(head, head_len), content_type, item->type);
}

void media_fail(struct media *media, struct span url, const char *why)
{
    struct media_item *item = find_item(media, url);

    if (!item || item->state != MEDIA_MISSING)
        return;
    item->state = MEDIA_FAILED;
    snprintf(item->why, sizeof(item->why), "%s", why);
}

void media_free(struct media **media)
{
    struct media *m = *media;

    *media = NULL;
    for (size_t i = 0; m && i < m->count; i++)
        buf_fini(&m->items[i].base64);
    mem_free(m);
}
