#include "rotation/issuer_request.h"

#include "base/alloc.h"
#include "base/err.h"
#include "rotation/issuer_inner.h"
#include "secrets/token_answer.h"

enum {
    URL_MAX_BYTES = 8192,
    LINES_MAX_BYTES = 64 << 10,
    BODY_MAX_BYTES = 256 << 10,
    FIELDS_MAX = 32,
    /* Shorter words of a header field are no credential: "Bearer". */
    CREDENTIAL_BYTES = 8,
};

/* ---- kept ---- */

static struct span text_of(const struct secret *secret)
{
    return secret ? secret_reveal(secret) : SPAN("");
}

static int complain_of(char *why, const char *what, const char *part, int err, struct span unknown)
{
    if (unknown.len)
        return issuer_complain(why, err, "%s: there is no placeholder {%.*s} (in its %s)", what,
                               SPAN_ARG(unknown), part);
    return issuer_complain(why, err, "%s: its %s cannot be understood", what, part);
}

/* RFC 9110 5.6.2. */
static bool is_token(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f ||
            span_find_byte(SPAN("\"(),/:;<=>?@[\\]{}"), text.ptr[i]) != SIZE_MAX)
            return false;
    }
    return text.len > 0;
}

/* Nothing that would end a line, or be taken for something else by a server. */
static bool is_field_text(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_url(struct span url)
{
    for (size_t i = 0; i < url.len; i++) {
        if (url.ptr[i] <= ' ' || url.ptr[i] >= 0x7f)
            return false;
    }
    return span_has_prefix(url, SPAN("http://")) || span_has_prefix(url, SPAN("https://"));
}

static int keep_url(struct issuer_template *kept, const struct issuer_request *request,
                    const char *what, char *why)
{
    struct span unknown = {NULL, 0};
    int err = issuer_text_check(request->url, &kept->used, &unknown);

    if (err)
        return complain_of(why, what, "url", err, unknown);
    if (!is_url(request->url) || request->url.len > URL_MAX_BYTES / 2)
        return complain_of(why, what, "url", ERR_SYNTAX, unknown);
    if (kept->used & 1u << ISSUER_PUT_CURRENT_KEY)
        return issuer_complain(why, ERR_SYNTAX,
                               "%s: {current_key} is a secret and cannot stand in a url", what);
    kept->url = mem_strdup(request->url.ptr, request->url.len);
    return kept->url ? 0 : ERR_NOMEM;
}

static int keep_field(struct issuer_template *kept, const struct issuer_field *field,
                      const char *what, char *why)
{
    struct issuer_kept_field *copy = &kept->fields[kept->field_count];
    struct span unknown = {NULL, 0}, value = text_of(field->value);
    unsigned used = 0;
    int err = issuer_text_check(value, &used, &unknown);

    if (err)
        return complain_of(why, what, "headers", err, unknown);
    if (!is_token(field->name) || !is_field_text(value))
        return complain_of(why, what, "headers", ERR_SYNTAX, unknown);
    kept->used |= used;
    kept->has_type |= span_is_equal_nocase(field->name, SPAN("Content-Type"));
    kept->has_accept |= span_is_equal_nocase(field->name, SPAN("Accept"));
    copy->name = mem_strdup(field->name.ptr, field->name.len);
    if (!copy->name)
        return ERR_NOMEM;
    copy->value = field->value ? secret_ref(field->value) : NULL;
    kept->field_count++;
    return 0;
}

static int keep_fields(struct issuer_template *kept, const struct issuer_request *request,
                       const char *what, char *why)
{
    int err = 0;

    if (request->field_count > FIELDS_MAX)
        return issuer_complain(why, ERR_RANGE, "%s: it has more than %d headers", what, FIELDS_MAX);
    kept->fields = mem_zalloc(request->field_count + 1, sizeof(*kept->fields));
    if (!kept->fields)
        return ERR_NOMEM;
    for (size_t i = 0; i < request->field_count && !err; i++)
        err = keep_field(kept, &request->fields[i], what, why);
    return err;
}

static int keep_body(struct issuer_template *kept, const struct issuer_request *request,
                     const char *what, char *why)
{
    struct span unknown = {NULL, 0};
    unsigned used = 0;
    int err;

    if (!request->body)
        return 0;
    err = issuer_body_check(secret_reveal(request->body), &used, &unknown);
    if (err)
        return err == ERR_NOMEM ? err : complain_of(why, what, "body", err, unknown);
    kept->used |= used;
    kept->body = secret_ref(request->body);
    return 0;
}

int issuer_template_init(struct issuer_template *kept, const struct issuer_request *request,
                         const char *method, const char *what, char *why)
{
    struct span name = request->method.len ? request->method : span_from_text(method);
    int err;

    *kept = (struct issuer_template){.method = NULL};
    if (!request->url.len)
        return 0;
    if (!is_token(name) || name.len > 32)
        return complain_of(why, what, "method", ERR_SYNTAX, SPAN(""));
    err = keep_url(kept, request, what, why);
    if (!err)
        err = keep_fields(kept, request, what, why);
    if (!err)
        err = keep_body(kept, request, what, why);
    if (!err && kept->body && span_is_equal(name, SPAN("GET")))
        return issuer_complain(why, ERR_SYNTAX, "%s: a GET has no body", what);
    if (err)
        return err;
    kept->method = mem_strdup(name.ptr, name.len);
    return kept->method ? 0 : ERR_NOMEM;
}

void issuer_template_fini(struct issuer_template *kept)
{
    for (size_t i = 0; i < kept->field_count; i++) {
        mem_free(kept->fields[i].name);
        secret_unref(&kept->fields[i].value);
    }
    mem_free(kept->fields);
    mem_free(kept->method);
    mem_free(kept->url);
    secret_unref(&kept->body);
    *kept = (struct issuer_template){.method = NULL};
}

/* ---- written ---- */

static int write_lines(struct issuer_message *message, const struct issuer_template *kept,
                       const struct issuer_words *words)
{
    struct buf *lines = &message->lines;
    int err = 0;

    for (size_t i = 0; i < kept->field_count && !err; i++) {
        struct span value = text_of(kept->fields[i].value);

        /* libcurl takes a name with nothing behind its colon for one to leave out. */
        buf_printf(lines, "%s%s", kept->fields[i].name, value.len ? ": " : ";");
        err = issuer_text_write(lines, value, words, false);
        buf_append_byte(lines, '\0');
    }
    if (!kept->has_accept)
        buf_append(lines, "Accept: application/json", sizeof("Accept: application/json"));
    if (!kept->has_type && kept->body)
        buf_append(lines, "Content-Type: application/json",
                   sizeof("Content-Type: application/json"));
    return err ? err : lines->err;
}

static int point_at_lines(struct issuer_message *message)
{
    const char *line = message->lines.data;
    size_t count = 0;

    message->fields = mem_zalloc(FIELDS_MAX + 3, sizeof(*message->fields));
    if (!message->fields)
        return ERR_NOMEM;
    while (message->lines.len && line < message->lines.data + message->lines.len) {
        message->fields[count++] = line;
        line += strlen(line) + 1;
    }
    return 0;
}

int issuer_message_write(struct issuer_message *message, const struct issuer_template *kept,
                         const struct issuer_words *words)
{
    int err;

    issuer_message_fini(message);
    buf_init(&message->url, URL_MAX_BYTES);
    buf_init(&message->lines, LINES_MAX_BYTES);
    buf_init(&message->body, BODY_MAX_BYTES);
    message->lines.is_secret = message->body.is_secret = true;
    err = issuer_text_write(&message->url, span_from_text(kept->url), words, true);
    if (!err)
        err = write_lines(message, kept, words);
    if (!err)
        err = point_at_lines(message);
    if (!err && kept->body)
        err = issuer_body_write(&message->body, secret_reveal(kept->body), words);
    return err;
}

void issuer_message_fini(struct issuer_message *message)
{
    buf_fini(&message->url);
    buf_fini(&message->lines);
    buf_fini(&message->body);
    MEM_CLEAR(message->fields);
}

void issuer_message_guard(const struct issuer_message *message, const struct issuer_template *kept,
                          const struct issuer_words *words, char *why)
{
    struct span current = words->of[ISSUER_PUT_CURRENT_KEY], word;

    for (size_t i = 0; i < kept->field_count && message->fields; i++) {
        struct span line = span_from_text(message->fields[i]);

        line = span_skip(line, strlen(kept->fields[i].name) + 1);
        while (span_next_token(&line, ' ', &word)) {
            if (word.len >= CREDENTIAL_BYTES)
                token_words_guard(why, word);
        }
    }
    if (current.len)
        token_words_guard(why, current);
    if (kept->body)
        issuer_body_guard(secret_reveal(kept->body), why);
}
