/*
 * JSON scanning: what the scanner takes, yyjson takes, and the other way round; pieces make no
 * difference; and an edited request is still JSON, with the model that was asked for, as is one
 * that was given parameters, where all stands where it is said to. The first byte says how the rest
 * is cut into pieces.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "dialect/additions.h"

static void feed(struct request_scan *request, struct span body, size_t piece)
{
    for (size_t at = 0; at < body.len; at += piece) {
        size_t len = body.len - at < piece ? body.len - at : piece;
        char *copy = malloc(len);

        must(copy != NULL);
        memcpy(copy, body.ptr + at, len);
        (void)request_scan_feed(request, span_of(copy, len));
        free(copy);
    }
    (void)request_scan_finish(request);
}

static void check_same(const struct json_scan *a, const struct json_scan *b)
{
    must(a->fault == b->fault && a->fault_row == b->fault_row);
    if (a->fault)
        return;
    must(a->text_chars == b->text_chars && a->text_bytes == b->text_bytes);
    for (int i = 0; i < REQUEST_FIELD_COUNT; i++) {
        must(a->seen[i].type == b->seen[i].type && a->seen[i].start == b->seen[i].start);
        must(a->seen[i].end == b->seen[i].end && a->seen[i].number == b->seen[i].number);
        must(span_is_equal(json_scan_text(a, i), json_scan_text(b, i)));
    }
}

/* An escape of a surrogate: yyjson wants both halves, the grammar does not. */
static bool has_surrogate(struct span body)
{
    for (size_t i = 0; i + 2 < body.len; i++) {
        if (body.ptr[i] == '\\' && body.ptr[i + 1] == 'u' && (body.ptr[i + 2] | 0x20) == 'd')
            return true;
    }
    return false;
}

static bool is_object(struct span body, yyjson_read_flag flags)
{
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)body.ptr, body.len, flags, NULL, NULL);
    bool is = yyjson_is_obj(yyjson_doc_get_root(doc));

    yyjson_doc_free(doc);
    return is;
}

static void check_grammar(struct span body)
{
    static const struct json_watchlist nothing = {.count = 0};
    struct json_scan scan;
    bool is_good;

    json_scan_init(&scan, &nothing, JSON_DEPTH_MAX);
    (void)json_scan_feed(&scan, body);
    is_good = json_scan_finish(&scan) == 0;
    if (scan.fault == JSON_FAULT_DEPTH || has_surrogate(body))
        return;
    /* As text, numbers have no range. */
    must(is_good == (body.len && is_object(body, YYJSON_READ_NUMBER_AS_RAW)));
}

static void check_edits(const struct request_scan *request, struct span body)
{
    const struct span model = SPAN("provider/\"model\"");
    struct request_edits edits;
    struct request_scan again;
    struct json_scan scan;
    char *out;
    bool is_asking = request->form == FORM_CHAT || request->form == FORM_COMPLETIONS;
    size_t at = 0, len = 0, out_len;

    if (form_row(request->form)->dialect == DIALECT_GEMINI)
        return; /* the model stands in the path */
    must(request_scan_edit(request, model, is_asking, &edits) == 0);
    out_len = body.len;
    for (size_t i = 0; i < edits.count; i++)
        out_len = out_len - edits.at[i].remove + edits.at[i].insert.len;
    out = malloc(out_len);
    must(out != NULL);
    for (size_t i = 0; i <= edits.count; i++) {
        size_t upto = i < edits.count ? edits.at[i].offset : body.len;

        must(upto >= at && upto <= body.len);
        memcpy(out + len, body.ptr + at, upto - at);
        len += upto - at;
        at = upto;
        if (i == edits.count)
            break;
        memcpy(out + len, edits.at[i].insert.ptr, edits.at[i].insert.len);
        len += edits.at[i].insert.len;
        at += edits.at[i].remove;
    }
    must(len == out_len);
    request_scan_init(&again, request->form, &scan);
    must(request_scan_feed(&again, span_of(out, len)) == 0 && request_scan_finish(&again) == 0);
    must(span_is_equal(request_scan_model(&again), model));
    must(request_scan_is_streaming(&again) == request_scan_is_streaming(request));
    must(!is_asking || !request_scan_is_streaming(&again) || request_scan_wants_usage(&again));
    free(out);
}

/* What additions_note says of a body stands there. */
static void check_places(const struct request_scan *noted, const struct request_scan *found)
{
    for (int i = 0; i < REQUEST_FIELD_COUNT; i++) {
        if (i == REQUEST_MAX_TOKENS || i == REQUEST_MAX_COMPLETION_TOKENS ||
            i == REQUEST_INNER_MAX || !noted->seen[i].type)
            continue;
        must(noted->seen[i].type == found->seen[i].type);
        must(noted->seen[i].start == found->seen[i].start);
        must(noted->seen[i].end == found->seen[i].end);
    }
}

/* Of a body that was taken: signs are the same in whatever pieces, and what is added is missing no
 * more. */
static void check_additions(enum form form, struct span body, size_t piece)
{
    const struct conf_set set = {SPAN("77"), SPAN("0.5"),  SPAN("1"), SPAN("9"),
                                 SPAN("3"),  SPAN("-0.5"), SPAN("2"), SPAN("low")};
    struct request_scan whole, pieces, again;
    struct json_scan scan;
    struct additions additions;
    char *out;

    request_scan_init(&pieces, form, &scan);
    request_scan_look_for_signs(&pieces);
    feed(&pieces, body, piece);
    request_scan_init(&whole, form, &scan);
    request_scan_look_for_signs(&whole);
    feed(&whole, body, body.len);
    must(!scan.fault && whole.signs == pieces.signs && whole.text_chars == pieces.text_chars);
    additions_of(&whole, &set, piece % 2 != 0, &additions);
    if (!additions.len)
        return;
    must(additions.offset > 0 && additions.offset <= body.len);
    out = malloc(body.len + additions.len);
    must(out != NULL);
    memcpy(out, body.ptr, additions.offset);
    memcpy(out + additions.offset, additions.text, additions.len);
    memcpy(out + additions.offset + additions.len, body.ptr + additions.offset,
           body.len - additions.offset);
    request_scan_init(&again, form, &scan);
    request_scan_look_for_signs(&again);
    must(request_scan_feed(&again, span_of(out, body.len + additions.len)) == 0);
    must(request_scan_finish(&again) == 0);
    additions_note(&whole, &set, &additions);
    check_places(&whole, &again);
    additions_of(&again, &set, piece % 2 != 0, &additions);
    must(additions.len == 0);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request_scan whole, pieces;
    struct json_scan whole_scan, pieces_scan;
    struct span body;

    if (size < 1)
        return 0;
    body = span_of((const char *)data + 1, size - 1);
    check_grammar(body);
    for (int form = 0; form < FORM_COUNT; form++) {
        request_scan_init(&whole, (enum form)form, &whole_scan);
        request_scan_init(&pieces, (enum form)form, &pieces_scan);
        request_scan_count_kinds(&whole);
        request_scan_count_kinds(&pieces);
        feed(&whole, body, body.len ? body.len : 1);
        /* Every other one is large enough for blocks of 64. */
        feed(&pieces, body, data[0] % 2 ? data[0] + 1u : data[0] % 32 + 1u);
        check_same(&whole_scan, &pieces_scan);
        must(whole_scan.fault || memcmp(&whole.kinds, &pieces.kinds, sizeof(whole.kinds)) == 0);
        if (whole_scan.fault) {
            struct request_refusal refusal;

            request_scan_refusal(&whole, &refusal);
            must(refusal.message[0] != '\0');
        } else {
            check_edits(&whole, body);
            check_additions((enum form)form, body, data[0] % 32 + 1u);
        }
    }
    return 0;
}
