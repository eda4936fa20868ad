/* GET /health and GET /ready: the data plane's own words. */
#include "admin/page.h"

void page_health(const struct page_view *view, struct page *page)
{
    (void)view;
    buf_append_span(&page->body, SPAN("{\"status\":\"ok\"}\n"));
}

void page_ready(const struct page_view *view, struct page *page)
{
    if (view->state.is_ready) {
        page_health(view, page);
        return;
    }
    page->status = 503;
    buf_append_span(&page->body, SPAN("{\"status\":\"not ready\"}\n"));
}
