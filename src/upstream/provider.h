/*
 * A provider as all workers share it, beyond configurations: its keypool, the room where exchanges
 * wait for one of its keys, and the models that it says it serves. Counted; stands in the registry
 * under its name. The endpoint is not part of it: that one changes with the base URL.
 */
#ifndef UPSTREAM_PROVIDER_H
#define UPSTREAM_PROVIDER_H

#include "base/secret.h"
#include "base/span.h"
#include "dialect/model_list.h"
#include "keypool/keypool.h"
#include "keypool/shortage.h"
#include "keypool/waiting.h"

struct provider;

enum { PROVIDER_MAX_WAITING = 100000 };

/* For that many workers (the control thread not counted). NULL without memory. */
struct provider *provider_new(struct span name, uint32_t workers, struct secret_arena *secrets);
struct provider *provider_ref(struct provider *provider);
void provider_unref(struct provider **provider);

struct span provider_name(const struct provider *provider);
struct keypool *provider_keys(struct provider *provider);
struct waiting_room *provider_waiting(struct provider *provider);
struct shortage *provider_shortage(struct provider *provider);

/* What it last said it serves, with a reference; NULL where nobody has asked yet. */
struct model_list *provider_models(struct provider *provider);

/* Takes the list's reference over. */
void provider_set_models(struct provider *provider, struct model_list *models);

#endif
