/* GET /v1/admin/costs/{by}: what was used by each key, client, model or provider in the day and the
 * month at hand, and since the beginning; and the same in short, in the stats. */
#include "admin/page.h"
#include "admin/refusal.h"
#include "dialect/openai_error.h"
#include "ledger/books.h"

/* Of each kind, in the stats. */
enum { FEW = 100 };

static void put_use(struct json_writer *writer, const struct page_view *view,
                    enum books_period period, const struct use *use)
{
    json_name(writer, books_period_word(period));
    json_begin_object(writer);
    json_member_uint(writer, "requests", use->requests);
    json_member_uint(writer, "input_tokens", use->input_tokens);
    json_member_uint(writer, "cached_tokens", use->cached_tokens);
    json_member_uint(writer, "output_tokens", use->output_tokens);
    json_member_uint(writer, "reasoning_tokens", use->reasoning_tokens);
    page_begin_cost(writer, view, use->cost_nanousd);
    json_member_uint(writer, "unpriced_requests", use->unpriced);
    json_end_object(writer);
    json_end_object(writer);
}

static void put_row(struct json_writer *writer, const struct page_view *view,
                    const struct books_row *row)
{
    json_begin_object(writer);
    json_member_string(writer, "name", row->record.name);
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++)
        put_use(writer, view, period, &row->sums[period]);
    json_end_object(writer);
}

/* The first of them, as many as that; how many are left out. */
static size_t put_rows(struct json_writer *writer, const struct page_view *view,
                       const struct books *books, enum books_kind kind, size_t most)
{
    const struct roll *rows = &books->rows[kind];
    struct books_row *row = NULL;
    size_t count = 0;

    json_begin_array(writer);
    while (count < most && (row = roll_next(rows, row ? &row->record : NULL))) {
        put_row(writer, view, row);
        count++;
    }
    json_end_array(writer);
    return roll_count(rows) - count;
}

static void put_whole(struct json_writer *writer, const struct page_view *view,
                      const struct books *books)
{
    page_put_time(writer, "day_began_at", books->start_us[BOOKS_DAY]);
    page_put_time(writer, "month_began_at", books->start_us[BOOKS_MONTH]);
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++)
        put_use(writer, view, period, &books->whole[period]);
}

static const struct books *books_of(const struct page_view *view)
{
    return view->admin->books ? view->admin->books(view->admin->owner) : NULL;
}

void page_put_totals(struct json_writer *writer, const struct page_view *view)
{
    static const char *const names[BOOKS_KINDS] = {"keys", "clients", "models", "providers"};
    const struct books *books = books_of(view);
    size_t left_out = 0;

    if (!books)
        return;
    json_name(writer, "totals");
    json_begin_object(writer);
    put_whole(writer, view, books);
    for (enum books_kind kind = 0; kind < BOOKS_KINDS; kind++) {
        json_name(writer, names[kind]);
        left_out += put_rows(writer, view, books, kind, FEW);
    }
    json_member_uint(writer, "names_left_out", left_out);
    json_end_object(writer);
}

static bool find_kind(struct span word, enum books_kind *ret_kind)
{
    for (enum books_kind kind = 0; kind < BOOKS_KINDS; kind++) {
        if (!span_is_equal(word, span_from_text(books_kind_word(kind))))
            continue;
        *ret_kind = kind;
        return true;
    }
    return false;
}

void page_costs(const struct page_view *view, struct page *page)
{
    const struct failure_row *refusal = refusal_row(REFUSAL_NO_COSTS);
    const struct books *books = books_of(view);
    struct json_writer writer;
    enum books_kind kind;

    if (!books || !find_kind(view->name, &kind)) {
        page->status = refusal->status;
        openai_write_error(&page->body, refusal, span_of(NULL, 0), span_of(NULL, 0));
        return;
    }
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_member_text(&writer, "by", books_kind_word(kind));
    put_whole(&writer, view, books);
    json_name(&writer, "rows");
    (void)put_rows(&writer, view, books, kind, BOOKS_MAX);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}
