/*
 * The classes of a configuration: what its snapshot holds of them, and the bulkheads of the
 * registry, one a class, which outlive it. Written by the control thread alone.
 */
#ifndef EXCHANGE_CLASSES_H
#define EXCHANGE_CLASSES_H

#include "conf/config.h"
#include "exchange/snapshot.h"
#include "limits/bulkhead.h"
#include "limits/priority.h"

/* One bulkhead for each class. 0 or ERR_NOMEM; classes_fini follows either way. */
int classes_init(struct bulkhead *bulkheads[PRIORITIES], uint32_t workers);
void classes_fini(struct bulkhead *bulkheads[PRIORITIES]);

/* The classes of a configuration, and their rules brought into force. 0; ERR_NOMEM, or what
 * hours_read says of a window; classes_forget follows either way. */
int classes_read(const struct config *config, struct snapshot_class classes[PRIORITIES]);
void classes_apply(const struct snapshot_class classes[PRIORITIES],
                   struct bulkhead *bulkheads[PRIORITIES]);
void classes_forget(struct snapshot_class classes[PRIORITIES]);

#endif
