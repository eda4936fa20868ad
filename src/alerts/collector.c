#include "alerts/collector.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

#define FIRST_WINDOW_US   (30 * US_PER_SEC)
#define LONGEST_WINDOW_US (600 * US_PER_SEC)
#define PACE_US           (30 * US_PER_SEC)
#define PRESSING_PACE_US  US_PER_SEC

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void alert_collector_init(struct alert_collector *collector)
{
    memset(collector, 0, sizeof(*collector));
}

/* ---- groups ---- */

static struct alert_group *find(struct alert_collector *collector, enum alert_kind kind,
                                const char *provider)
{
    for (size_t i = 0; i < collector->group_count; i++) {
        struct alert_line *line = &collector->groups[i].line;

        if (line->kind == kind && !strcmp(line->provider, provider))
            return &collector->groups[i];
    }
    return NULL;
}

/* A place for one more: where all are taken, that of the group whose window ends first of those
 * that have nothing to tell, now or later; NULL. */
static struct alert_group *take_place(struct alert_collector *collector)
{
    struct alert_group *oldest = NULL;

    if (collector->group_count < ALERT_GROUPS_MAX)
        return &collector->groups[collector->group_count++];
    for (size_t i = 0; i < ALERT_GROUPS_MAX; i++) {
        struct alert_group *group = &collector->groups[i];

        if (!group->is_pending && !group->is_lasting &&
            (!oldest || group->until_us < oldest->until_us))
            oldest = group;
    }
    return oldest;
}

static struct alert_group *make(struct alert_collector *collector, enum alert_kind kind,
                                const char *provider)
{
    struct alert_group *group = take_place(collector);

    if (!group)
        return NULL;
    *group = (struct alert_group){.line.kind = kind};
    memcpy(group->line.provider, provider, strlen(provider) + 1);
    return group;
}

static void pend(struct alert_group *group, uint64_t due_us)
{
    group->due_us = group->is_pending ? least(group->due_us, due_us) : due_us;
    group->is_pending = true;
}

/* ---- what comes ---- */

static void note(struct alert_line *line, const struct alert *alert)
{
    alert_copy(line->last.key, sizeof(line->last.key), alert->key);
    alert_copy(line->last.reason, sizeof(line->last.reason), alert->reason);
    line->last.wall_us = alert->wall_us;
    line->is_over = alert->is_over;
    if (!line->count && !line->overs)
        line->first = line->last;
    if (alert->is_over)
        line->overs++;
    else
        line->count++;
}

static void add_end(struct alert_group *group, const struct alert *alert, uint64_t now_us)
{
    bool is_prompt = now_us >= group->prompt_from_us;

    note(&group->line, alert);
    group->is_lasting = false;
    group->prompt_from_us = now_us + LONGEST_WINDOW_US;
    if (is_prompt) {
        /* The storm is over: the next is a new one. */
        group->window_us = 0;
        pend(group, now_us);
    } else {
        pend(group, most(now_us, group->until_us));
    }
}

static void add_alert(struct alert_group *group, const struct alert *alert, uint64_t now_us)
{
    const struct alert_row *row = alert_row(alert->kind);
    bool is_new = now_us >= group->until_us;

    note(&group->line, alert);
    group->is_lasting = row->over[0] != '\0';
    if (is_new && !group->is_pending) {
        group->window_us = 0;
        group->is_pressing = row->severity == ALERT_CRITICAL;
    }
    pend(group, is_new ? now_us : group->until_us);
}

void alert_collector_add(struct alert_collector *collector, const struct alert *alert,
                         uint64_t now_us)
{
    struct alert_group *group;
    char provider[ALERT_NAME_BYTES];

    alert_copy(provider, sizeof(provider), alert->provider);
    group = find(collector, alert->kind, provider);
    if (alert->is_over) {
        if (group && group->is_lasting)
            add_end(group, alert, now_us);
        return;
    }
    if (!group)
        group = make(collector, alert->kind, provider);
    if (group)
        add_alert(group, alert, now_us);
    else
        collector->surplus++;
}

/* ---- what is told ---- */

/* When the group's message may go out: its own time, and not before the pace allows. */
static uint64_t due_of(const struct alert_collector *collector, const struct alert_group *group)
{
    uint64_t pace_us = collector->told_us + PACE_US;

    if (!collector->has_told)
        return group->due_us;
    if (group->is_pressing)
        pace_us = least(pace_us, most(collector->told_us + PRESSING_PACE_US, collector->early_us));
    return most(group->due_us, pace_us);
}

uint64_t alert_collector_due_us(const struct alert_collector *collector)
{
    uint64_t due_us = UINT64_MAX;

    for (size_t i = 0; i < collector->group_count; i++) {
        if (collector->groups[i].is_pending)
            due_us = least(due_us, due_of(collector, &collector->groups[i]));
    }
    /* What has no group waits for those that have: there are as many as there can be. */
    if (collector->surplus)
        due_us = least(due_us, collector->has_told ? collector->told_us + PACE_US : 0);
    return due_us;
}

/* The worst first; then what has ended behind what has not; then the most frequent. */
static int compare(const void *one, const void *other)
{
    const struct alert_line *a = &(*(struct alert_group *const *)one)->line;
    const struct alert_line *b = &(*(struct alert_group *const *)other)->line;
    enum alert_severity worse_a = alert_row(a->kind)->severity;
    enum alert_severity worse_b = alert_row(b->kind)->severity;

    if (worse_a != worse_b)
        return worse_a > worse_b ? -1 : 1;
    if (a->is_over != b->is_over)
        return a->is_over ? 1 : -1;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return strcmp(a->provider, b->provider);
}

static size_t gather(struct alert_collector *collector, struct alert_group **groups)
{
    size_t count = 0;

    for (size_t i = 0; i < collector->group_count; i++) {
        if (collector->groups[i].is_pending)
            groups[count++] = &collector->groups[i];
    }
    if (count)
        qsort(groups, count, sizeof(struct alert_group *), compare);
    return count;
}

static uint64_t told_by(const struct alert_line *line)
{
    return line->count + line->overs;
}

/* Told: its next window begins. */
static void settle(struct alert_group *group, uint64_t now_us)
{
    group->window_us =
        group->window_us ? least(2 * group->window_us, LONGEST_WINDOW_US) : FIRST_WINDOW_US;
    group->until_us = now_us + group->window_us;
    group->is_pending = group->is_pressing = false;
    group->line.count = group->line.overs = 0;
}

static void keep_pace(struct alert_collector *collector, uint64_t now_us)
{
    if (!collector->has_told)
        collector->early_us = now_us;
    else if (now_us < collector->told_us + PACE_US)
        collector->early_us = now_us + PACE_US;
    collector->told_us = now_us;
    collector->has_told = true;
}

int alert_collector_take(struct alert_collector *collector, uint64_t now_us,
                         struct alert_message **ret_message)
{
    struct alert_group *groups[ALERT_GROUPS_MAX];
    size_t count = gather(collector, groups);
    size_t shown = least(count, ALERT_LINES_MAX);
    struct alert_message *message;

    if (!count && !collector->surplus)
        return ERR_NOTFOUND;
    message = mem_zalloc(1, sizeof(*message) + shown * sizeof(message->lines[0]));
    if (!message)
        return ERR_NOMEM;
    message->refs = 1;
    message->line_count = shown;
    message->more = message->total = collector->surplus;
    collector->surplus = 0;
    for (size_t i = 0; i < count; i++) {
        message->total += told_by(&groups[i]->line);
        if (i < shown)
            message->lines[i] = groups[i]->line;
        else
            message->more += told_by(&groups[i]->line);
        settle(groups[i], now_us);
    }
    keep_pace(collector, now_us);
    *ret_message = message;
    return 0;
}
