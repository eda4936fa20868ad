#include "exchange/classes.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "conf/hours.h"

int classes_init(struct bulkhead *bulkheads[PRIORITIES], uint32_t workers)
{
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        bulkheads[p] = bulkhead_new(workers);
        if (!bulkheads[p])
            return ERR_NOMEM;
    }
    return 0;
}

void classes_fini(struct bulkhead *bulkheads[PRIORITIES])
{
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        bulkhead_free(&bulkheads[p]);
}

static int read_windows(const struct conf_strings *texts, struct snapshot_class *class)
{
    class->windows = mem_zalloc(texts->count + 1, sizeof(*class->windows));
    if (!class->windows)
        return ERR_NOMEM;
    for (size_t i = 0; i < texts->count; i++) {
        int err = hours_read(texts->items[i], &class->windows[i]);

        if (err)
            return err;
        class->window_count++;
    }
    return 0;
}

int classes_read(const struct config *config, struct snapshot_class classes[PRIORITIES])
{
    int err = 0;

    for (size_t i = 0; i < config->classes.count && !err; i++) {
        const struct conf_class *conf = &config->classes.items[i];

        bug_fatal_unless(conf->priority < PRIORITIES);
        classes[conf->priority].conf = conf;
        err = read_windows(&conf->windows, &classes[conf->priority]);
    }
    return err;
}

void classes_apply(const struct snapshot_class classes[PRIORITIES],
                   struct bulkhead *bulkheads[PRIORITIES])
{
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        const struct conf_class *conf = classes[p].conf;
        struct bulkhead_rules rules = {0};

        if (conf) {
            rules.concurrent = conf->concurrent;
            rules.queue = conf->queue;
            rules.rates =
                (struct rates_rules){conf->limits.rpm, conf->limits.burst, conf->limits.tpm};
        }
        bulkhead_set(bulkheads[p], conf ? &rules : NULL);
    }
}

void classes_forget(struct snapshot_class classes[PRIORITIES])
{
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        for (size_t i = 0; i < classes[p].window_count; i++)
            hours_fini(&classes[p].windows[i]);
        MEM_CLEAR(classes[p].windows);
        classes[p].window_count = 0;
    }
}
