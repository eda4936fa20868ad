/* Classes of exchanges. */
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/schema.h"

/* As enum priority has them. */
static const struct span class_names[CONF_CLASSES] = {
    {"critical", 8},
    {"standard", 8},
    {"batch", 5},
};

void hook_class_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                        void *object)
{
    struct conf_class *class = object;

    for (uint32_t i = 0; i < CONF_CLASSES; i++) {
        if (!span_is_equal(name, class_names[i]))
            continue;
        class->name = class_names[i];
        class->priority = i;
        return;
    }
    loading_error(loading, mark, "there is no such class; allowed: critical, standard or batch");
}

struct span hook_class_name(const void *object)
{
    return ((const struct conf_class *)object)->name;
}
