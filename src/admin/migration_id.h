/*
 * What names a migration in a path of the admin address: its model, in which a slash and other
 * signs that a path cannot hold are written as %XX. The control thread's.
 */
#ifndef ADMIN_MIGRATION_ID_H
#define ADMIN_MIGRATION_ID_H

#include "admin/page.h"

struct migrator;

/* The migration of that id, as the path spells it; NULL: there is none. */
struct migrator *migration_of_id(const struct page_view *view, struct span id);

#endif
