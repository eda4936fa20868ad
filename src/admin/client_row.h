/* An issued client key as a row of the store, and back. Texts are borrowed. Pure; any thread. */
#ifndef ADMIN_CLIENT_ROW_H
#define ADMIN_CLIENT_ROW_H

#include "access/issued.h"
#include "store/client_keys.h"

struct client_key_row client_row_of(const struct issued_client *client);
struct issued_facts client_row_facts(const struct client_key_row *row);

#endif
