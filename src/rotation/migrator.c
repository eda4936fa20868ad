#include "rotation/migrator.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/migrations.h"

enum {
    TICK_US = 100 * (int)US_PER_MS, /* while there is evidence to look at */
    NOTE_US = 30 * (int)US_PER_SEC, /* evidence is written down at least so often */
    AGAIN_US = 5 * (int)US_PER_SEC, /* a store that failed is asked again */
    SIDE_BYTES = 2 * 256 + 16,      /* "PROVIDER/MODEL" */
    NOTES_BYTES = 256 << 10,
};

struct migrator {
    struct migrator_options options;
    const struct conf_model *conf;
    struct crossing *crossing;
    struct migration_rules rules;
    struct migration migration;
    struct side sides[CROSSING_SIDES];
    struct migrator_compared compared; /* that were taken so far */
    struct crossing_stand set;         /* of the crossing */
    char *model, *from, *to;
    struct loop_timer timer;
    struct store_ask load, put;
    uint64_t noted_us; /* when it was last written down */
    uint64_t noted_requests;
    uint64_t told_state; /* what news and log were told last */
    bool is_loaded;
    bool has_looked; /* what the process before, or none, had counted is passed over */
    bool is_unread;  /* a person must begin it anew */
};

static uint64_t now_us(const struct migrator *migrator)
{
    return loop_now_us(migrator->options.loop);
}

static uint64_t wall_us(const struct migrator *migrator)
{
    return loop_wall_us(migrator->options.loop);
}

/* ---- what the file says ---- */

static struct migration_rules rules_of(const struct conf_migration *conf)
{
    uint64_t added_ms = (conf->max_added_latency_us + US_PER_MS - 1) / US_PER_MS;
    bool is_measured = conf->max_divergence_ppm != 0;

    return (struct migration_rules){
        .canary = {.ramp = ramp_in_strides(conf->initial_ppm, conf->step_ppm, conf->first_hold_us,
                                           conf->every_us),
                   .evidence = {.max_error_ppm = conf->max_error_ppm,
                                .max_latency_milli = EVIDENCE_NO_LIMIT,
                                .max_added_latency_ms =
                                    added_ms ? (uint32_t)added_ms : EVIDENCE_NO_LIMIT,
                                .max_divergence_ppm =
                                    is_measured ? conf->max_divergence_ppm : 20000,
                                .has_control = true,
                                .needs_comparisons = is_measured},
                   .min_requests = conf->min_requests,
                   .others = "old side"},
        .revert_window_us = conf->revert_window_us,
        .starts_by_itself = conf->start == CONF_MIGRATION_AUTO,
    };
}

static char *side_text(const struct conf_target *target)
{
    struct buf text;
    char *copy = NULL;

    buf_init(&text, SIDE_BYTES);
    if (buf_printf(&text, "%.*s/%.*s", SPAN_ARG(target->provider->name), SPAN_ARG(target->model)) ==
        0)
        copy = mem_strdup(text.data, text.len);
    buf_fini(&text);
    return copy;
}

/* ---- telling ---- */

static enum log_level level_of(const struct migrator *migrator)
{
    return migrator->migration.state == MIGRATION_REVERTED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
}

/* State, step and kept share in one number. */
static uint64_t told_of(const struct migration *migration)
{
    return ((uint64_t)migration->state << 56) | ((uint64_t)migration->canary.ramp.step << 32) |
           migration->kept_ppm;
}

static void tell(struct migrator *migrator)
{
    const struct migration *migration = &migrator->migration;
    char why[CANARY_EXPLAIN_BYTES];

    if (migrator->told_state == told_of(migration))
        return;
    migrator->told_state = told_of(migration);
    migration_explain(migration, &migrator->rules, why);
    if (migrator->options.log)
        log_write(migrator->options.log, level_of(migrator), "migration",
                  LOG_TEXT("model", migrator->model), LOG_TEXT("from", migrator->from),
                  LOG_TEXT("to", migrator->to),
                  LOG_TEXT("state", migration_state_text(migration->state)),
                  LOG_UINT("share_ppm", migration_share_ppm(migration, &migrator->rules)),
                  LOG_TEXT("reason", why));
    if (migrator->options.on_news)
        migrator->options.on_news(migrator->options.owner, migrator);
}

/* ---- acting ---- */

static void follow(struct migrator *migrator)
{
    struct crossing_stand stand = migration_stand(&migrator->migration);

    if (stand.share_ppm == migrator->set.share_ppm && stand.has_old == migrator->set.has_old &&
        stand.has_new == migrator->set.has_new)
        return;
    migrator->set = stand;
    crossing_set(migrator->crossing, stand);
}

static void set_timer(struct migrator *migrator, uint64_t after_us)
{
    /* It is reserved. */
    (void)loop_timer_set(&migrator->timer, now_us(migrator) + after_us);
}

/* ---- writing it down ---- */

static void on_put(struct store_ask *ask, const struct store_answer *answer);

static int put(struct migrator *migrator, struct store_ask *ask)
{
    const struct migration *migration = &migrator->migration;
    struct buf note, old_side, new_side;
    struct migration_row row = {
        .model = span_from_text(migrator->model),
        .from = span_from_text(migrator->from),
        .to = span_from_text(migrator->to),
        .state = span_from_text(migration_state_text(migration->state)),
        .run = migration->run,
        .share_ppm = migration_share_ppm(migration, &migrator->rules),
        .reason = span_from_text(migration->reason),
    };
    int err;

    crossing_take_rest(migrator->crossing, migrator->sides);
    buf_init(&note, NOTES_BYTES);
    buf_init(&old_side, NOTES_BYTES);
    buf_init(&new_side, NOTES_BYTES);
    err = migration_write(migration, &note);
    if (!err)
        err = side_write(&migrator->sides[CROSSING_OLD], &old_side);
    if (!err)
        err = side_write(&migrator->sides[CROSSING_NEW], &new_side);
    row.note = buf_span(&note);
    row.old_side = buf_span(&old_side);
    row.new_side = buf_span(&new_side);
    if (!err)
        err = migrations_put(migrator->options.store, ask, &row, wall_us(migrator));
    buf_fini(&note);
    buf_fini(&old_side);
    buf_fini(&new_side);
    return err;
}

static void record(struct migrator *migrator)
{
    struct migration *migration = &migrator->migration;

    if (!migration_wants_record(migration))
        return;
    migration_begin_record(migration);
    migrator->noted_us = now_us(migrator);
    migrator->noted_requests = migration->canary.evidence.canary.requests;
    if (!migrator->options.store) {
        migration_end_record(migration, &migrator->rules, true);
        return;
    }
    migrator->put.on_done = on_put;
    if (put(migrator, &migrator->put))
        migration_end_record(migration, &migrator->rules, false);
}

/* What has changed is written down, done and told; and when to look again. */
static void settle(struct migrator *migrator)
{
    struct migration *migration = &migrator->migration;

    record(migrator);
    follow(migrator);
    tell(migrator);
    if (migration_is_live(migration, &migrator->rules))
        set_timer(migrator, TICK_US);
    else if (migration_wants_record(migration))
        set_timer(migrator, AGAIN_US);
    else
        loop_timer_clear(&migrator->timer);
}

static void on_put(struct store_ask *ask, const struct store_answer *answer)
{
    struct migrator *migrator = container_of(ask, struct migrator, put);

    migration_end_record(&migrator->migration, &migrator->rules, answer->err == 0);
    follow(migrator);
    /* The disk is tried again by the store; what it refused by the timer. */
    if (migration_wants_record(&migrator->migration))
        set_timer(migrator, answer->err ? AGAIN_US : 0);
}

/* ---- evidence ---- */

static void compare(struct migrator *migrator, struct evidence_tick *tick)
{
    struct migrator_compared now, *seen = &migrator->compared;

    if (!migrator->options.compared ||
        !migrator->options.compared(migrator->options.owner, span_from_text(migrator->model), &now))
        return;
    /* A shadow that began anew counts from 0. */
    if (now.compared < seen->compared || now.differing < seen->differing)
        *seen = (struct migrator_compared){0, 0};
    tick->compared = (uint32_t)(now.compared - seen->compared);
    tick->differing = (uint32_t)(now.differing - seen->differing);
    *seen = now;
}

/* What was counted and compared while nothing was on trial is no evidence: of the report alone. */
static void pass_over(struct migrator *migrator)
{
    struct evidence_tick tick;

    crossing_take(migrator->crossing, &tick, migrator->sides);
    compare(migrator, &tick);
}

static void look(struct migrator *migrator)
{
    struct migration *migration = &migrator->migration;
    struct evidence_tick tick;

    if (!migrator->has_looked)
        pass_over(migrator);
    migrator->has_looked = true;
    crossing_take(migrator->crossing, &tick, migrator->sides);
    compare(migrator, &tick);
    (void)migration_tick(migration, &migrator->rules, &tick, now_us(migrator), wall_us(migrator));
    if (now_us(migrator) - migrator->noted_us >= NOTE_US &&
        migration->canary.evidence.canary.requests != migrator->noted_requests)
        migration_touch(migration);
    settle(migrator);
}

/* ---- reading it ---- */

static void load(struct migrator *migrator);

static void read_side(struct migrator *migrator, struct span text, enum crossing_side side)
{
    /* A report that cannot be read is begun anew. */
    if (text.len && side_read(text, &migrator->sides[side]) && migrator->options.log)
        log_write(migrator->options.log, LOG_LEVEL_WARNING, "a migration's report begins anew",
                  LOG_TEXT("model", migrator->model));
}

static void take_over(struct migrator *migrator, const struct migration_row *row)
{
    bool is_same = span_is_equal(row->from, span_from_text(migrator->from)) &&
                   span_is_equal(row->to, span_from_text(migrator->to));
    int err = is_same ? migration_read(row->note, row->reason, &migrator->rules, now_us(migrator),
                                       &migrator->migration)
                      : 0;

    if (is_same && !err) {
        read_side(migrator, row->old_side, CROSSING_OLD);
        read_side(migrator, row->new_side, CROSSING_NEW);
        migrator->told_state = told_of(&migrator->migration);
        return;
    }
    /* Other sides than before: another migration. What cannot be read is given up, and it is for a
     * person to begin it anew. */
    migrator->migration.run = row->run;
    if (!err)
        return;
    migrator->is_unread = true;
    migrator->rules.starts_by_itself = false;
    if (migrator->options.log)
        log_write(migrator->options.log, LOG_LEVEL_ERROR,
                  "a migration's state cannot be read: the old side serves until it is started",
                  LOG_TEXT("model", migrator->model), LOG_TEXT("reason", err_text(err)));
}

static void on_loaded(struct store_ask *ask, const struct store_answer *answer)
{
    struct migrator *migrator = container_of(ask, struct migrator, load);

    if (answer->err && answer->err != ERR_NOTFOUND) {
        set_timer(migrator, AGAIN_US);
        return;
    }
    migrator->is_loaded = true;
    if (!answer->err && answer->count)
        take_over(migrator, migrations_told(answer));
    look(migrator);
}

static void load(struct migrator *migrator)
{
    migrator->load.on_done = on_loaded;
    if (migrations_find(migrator->options.store, &migrator->load, span_from_text(migrator->model)))
        set_timer(migrator, AGAIN_US);
}

static void on_timer(struct loop_timer *timer)
{
    struct migrator *migrator = container_of(timer, struct migrator, timer);

    if (migrator->is_loaded)
        look(migrator);
    else
        load(migrator);
}

/* ---- life ---- */

static int set_up(struct migrator *migrator)
{
    const struct conf_model *conf = migrator->conf;

    loop_timer_init(&migrator->timer, migrator->options.loop, on_timer);
    migrator->model = mem_strdup(conf->name.ptr, conf->name.len);
    migrator->from = side_text(&conf->migration->from);
    migrator->to = side_text(&conf->migration->to);
    if (!migrator->model || !migrator->from || !migrator->to)
        return ERR_NOMEM;
    return loop_timer_reserve(&migrator->timer);
}

struct migrator *migrator_new(const struct migrator_options *options)
{
    struct migrator *migrator = mem_zalloc(1, sizeof(*migrator));

    if (!migrator)
        return NULL;
    migrator->options = *options;
    migrator->conf = options->conf;
    migrator->crossing = crossing_ref(options->crossing);
    migrator->rules = rules_of(options->conf->migration);
    migrator->told_state = UINT64_MAX;
    migrator->set = crossing_stand(options->crossing);
    migration_init(&migrator->migration, wall_us(migrator));
    if (set_up(migrator)) {
        migrator_free(&migrator);
        return NULL;
    }
    migrator->is_loaded = !options->store;
    set_timer(migrator, 0);
    return migrator;
}

void migrator_free(struct migrator **place)
{
    struct migrator *migrator = *place;

    *place = NULL;
    if (!migrator)
        return;
    store_cancel(&migrator->load);
    store_cancel(&migrator->put);
    /* Without memory it is as it was written last. */
    if (migrator->is_loaded && migrator->options.store && migrator->to)
        (void)put(migrator, NULL);
    loop_timer_fini(&migrator->timer);
    crossing_unref(&migrator->crossing);
    mem_free(migrator->model);
    mem_free(migrator->from);
    mem_free(migrator->to);
    mem_free(migrator);
}

void migrator_set_conf(struct migrator *migrator, const struct conf_model *conf)
{
    migrator->conf = conf;
    migrator->rules = rules_of(conf->migration);
    if (migrator->is_unread)
        migrator->rules.starts_by_itself = false;
    if (migrator->is_loaded)
        settle(migrator);
}

/* ---- orders ---- */

bool migrator_order(struct migrator *migrator, enum migration_order order)
{
    bool is_done;

    if (migrator->is_loaded && !migration_is_live(&migrator->migration, &migrator->rules))
        pass_over(migrator);
    is_done = migrator->is_loaded && migration_order(&migrator->migration, &migrator->rules, order,
                                                     now_us(migrator), wall_us(migrator));
    if (is_done)
        settle(migrator);
    return is_done;
}

bool migrator_send_back(struct migrator *migrator, uint32_t back_ppm)
{
    bool is_done =
        migrator->is_loaded &&
        migration_send_back(&migrator->migration, &migrator->rules, back_ppm, wall_us(migrator));

    if (is_done)
        settle(migrator);
    return is_done;
}

/* ---- what there is ---- */

struct span migrator_model(const struct migrator *migrator)
{
    return span_from_text(migrator->model);
}

struct span migrator_from(const struct migrator *migrator)
{
    return span_from_text(migrator->from);
}

struct span migrator_to(const struct migrator *migrator)
{
    return span_from_text(migrator->to);
}

struct span migrator_provider(const struct migrator *migrator)
{
    return migrator->conf->migration->to.provider->name;
}

bool migrator_has_provider(const struct migrator *migrator, struct span provider)
{
    return span_is_equal(migrator->conf->migration->from.provider->name, provider) ||
           span_is_equal(migrator->conf->migration->to.provider->name, provider);
}

bool migrator_is_loaded(const struct migrator *migrator)
{
    return migrator->is_loaded;
}

const struct crossing *migrator_crossing(const struct migrator *migrator)
{
    return migrator->crossing;
}

const struct migration *migrator_migration(const struct migrator *migrator)
{
    return &migrator->migration;
}

const struct migration_rules *migrator_rules(const struct migrator *migrator)
{
    return &migrator->rules;
}

const struct side *migrator_sides(struct migrator *migrator)
{
    crossing_take_rest(migrator->crossing, migrator->sides);
    return migrator->sides;
}
