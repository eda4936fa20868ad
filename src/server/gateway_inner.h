/*
 * What the files of the gateway share: gateway.c begins and ends it, gateway_phases.c knows when it
 * is ready and how it shuts down, gateway_news.c hears workers and probes, gateway_tokens.c gets
 * tokens for keys, gateway_rotations.c replaces them, gateway_clients.c issues
 * keys to clients, gateway_books.c adds up what is used, gateway_budgets.c holds keys, clients and
 * pools to their budgets, gateway_migrations.c takes
 * models over to other targets, gateway_media.c what exchanges have fetched, gateway_alerts.c wakes
 * somebody, gateway_events.c keeps what happens, gateway_reload.c takes a new configuration over.
 * Included by these alone; control thread.
 */
#ifndef SERVER_GATEWAY_INNER_H
#define SERVER_GATEWAY_INNER_H

#include "admin/admin.h"
#include "alerts/alert.h"
#include "alerts/journal.h"
#include "exchange/registry.h"
#include "obs/log.h"
#include "secrets/fetch.h"
#include "server/config_reader.h"
#include "server/gateway.h"
#include "server/sockets.h"
#include "server/worker.h"
#include "upstream/prober.h"

struct alert_desk;
struct archive;
struct bookkeeper;
struct media_desk;
struct rotor;
struct secret_store;
struct tokens_plan;

/* How far the process has come. */
enum phase { PHASE_STARTING, PHASE_READY, PHASE_DELAYING, PHASE_DRAINING, PHASE_CUT };

/* What one worker has to tell, in messages that stand ready. */
struct worker_news {
    struct gateway *gateway;
    struct loop_mail prepared, committed, issued, drained;
    int prepare_err; /* written before `prepared` is posted */
};

/* A configuration that the workers prepare for, and then go over to: all of them, or none. */
struct reload {
    struct snapshot *snapshot; /* being prepared for */
    bool is_committing;        /* with neither no reload is under way */
    bool is_reading;           /* the file, and the secrets that it names */
    struct tls_context *tls;
    struct prober_plan *probes;
    struct tokens_plan *tokens;
    uint32_t answers;
    int err;             /* the first of a worker that could not */
    bool is_asked_again; /* the file is to be read once more behind this one */
};

struct gateway {
    struct gateway_options options;
    struct loop *loop;
    struct log *log;
    struct registry registry;
    bool has_registry;
    struct snapshot *snapshot;
    struct tls_context *tls;
    struct sockets sockets;
    struct worker **workers;
    struct worker_news *news; /* one a worker */
    struct reload reload;
    struct loop_timer learning;     /* from what workers told of tokens */
    struct loop_timer reload_timer; /* until the log tells that a reload waits */
    uint32_t worker_count;
    struct admin *admin;
    struct prober *prober;
    struct fetcher *fetcher;      /* NULL until a key needs tokens */
    struct tokens_plan *tokens;   /* in force; NULL: none yet */
    struct archive *archive;      /* what outlives a restart; NULL: nothing does */
    struct media_desk *media;     /* NULL until media are fetched */
    struct alert_desk *alerts;    /* NULL while there is none: nobody is told */
    uint64_t heard;               /* the number of the last event that was looked at */
    struct list rotors;           /* of providers whose keys are rotated */
    struct list migrators;        /* of models that are migrated */
    struct config_reader *reader; /* the options', or its own */
    bool is_reader_own;
    struct client_desk *clients;   /* which issues client keys */
    struct bookkeeper *bookkeeper; /* of what was used */
    struct budgets *budgets;       /* NULL until there is one */
    uint32_t issued_answers;       /* of workers, to the last table of them */
    struct metrics *metrics;
    uint32_t reloads, media_fetches;
    enum phase phase;
    struct loop_timer regions_timer; /* until they are looked at again; unset: there are none */
    struct loop_timer timer;         /* readiness, then the steps of shutting down */
    uint32_t started;                /* workers whose thread took its sockets over */
    uint32_t drained;
    uint64_t started_wall_us, loaded_wall_us;
    bool is_ending; /* the workers are being stopped: they hear of nothing new */
};

/* What workers say; called on their threads. */
extern const struct worker_ops gateway_worker_ops;

/* The messages that workers send: 0 or ERR_NOMEM. */
int gateway_make_news(struct gateway *gateway);

/* A key has changed on this thread: who waits for one goes on, and it is probed where it should be.
 */
void gateway_follow(void *owner, struct provider *provider, const struct keypool_effect *effect);

/* How probes end. */
extern const struct prober_ops gateway_prober_ops;

/* Makes the probes of the snapshot's providers, for prober_commit: 0 or ERR_NOMEM. */
int gateway_prepare_probes(struct gateway *gateway, struct snapshot *snapshot,
                           struct prober_plan **ret_plan);

/* Makes what the snapshot's keys with tokens need: 0 or ERR_NOMEM. */
int gateway_prepare_tokens(struct gateway *gateway, const struct snapshot *snapshot,
                           struct tokens_plan **ret_plan);

/* Gets tokens by this plan from now on, which is taken. After snapshot_commit. */
void gateway_commit_tokens(struct tokens_plan **plan);

/* Frees a plan. Accepts NULL. */
void gateway_discard_tokens(struct tokens_plan **plan);

/* One of the provider's keys may want another token. */
void gateway_look_at_tokens(struct gateway *gateway, const struct provider *provider);

/* Rotates the keys of the providers for which the snapshot in force says so. What cannot be is told
 * to the log. */
void gateway_follow_rotations(struct gateway *gateway);

/* The registry hears of the keys beside the file, before a reload prepares for another. */
void gateway_tell_extras(struct gateway *gateway, const struct config *next);

/* The provider's canary may have failed. */
void gateway_hurry_rotation(struct gateway *gateway, const struct provider *provider);

/* Whoever rotates that provider's keys; NULL: nobody. */
struct rotor *gateway_find_rotor(const struct gateway *gateway, struct span provider);

/* What the admin address asks: see struct admin_options. */
struct rotation *gateway_rotation(void *owner, struct span provider);
enum rotation_begun gateway_rotate(void *owner, struct span provider, struct span name,
                                   bool is_leaked, uint64_t *ret_id);

/* Migrates the models for which the snapshot in force says so (gateway_migrations.c). */
void gateway_follow_migrations(struct gateway *gateway);

/* The durable store has told how far they are, or has been waited for long enough. */
bool gateway_has_loaded_migrations(const struct gateway *gateway);

/* How far they are is written down once more. */
void gateway_drop_migrations(struct gateway *gateway);

/* What the admin address asks: see struct admin_options. */
struct migrator *gateway_migrator(void *owner, size_t index);

/* What is under way ends untold, and is taken up again by the next process. */
void gateway_drop_rotations(struct gateway *gateway);

/* An exchange misses media: they are fetched on the control thread, and told to its worker. Called
 * on the worker's thread, for worker_ops. */
void gateway_fetch_media(void *owner, struct media_errand *errand);

/* Ends what is being fetched, untold: no exchange may be left. */
void gateway_drop_media(struct gateway *gateway);

/* Something is worth waking somebody for, or is over: the webhooks are told, as far as the
 * configuration names any. Copied; cannot fail. Harmless before there is an alert desk. */
void gateway_alert(struct gateway *gateway, const struct alert *alert);

/* The desk of alerts, with the webhooks of the snapshot in force: 0 or ERR_NOMEM. */
int gateway_open_alerts(struct gateway *gateway);

/* The webhooks of the snapshot in force are told from now on. What cannot be is said in the log. */
void gateway_follow_alerts(struct gateway *gateway);

/* What was not sent so far is not sent. */
void gateway_drop_alerts(struct gateway *gateway);

/* The workers have ended all they had: stops the loop once the alerts have been sent, or have had
 * their time. */
void gateway_end(struct gateway *gateway);

/* The journal of what happens, which the registry lends to whoever sees something: 0 or ERR_NOMEM.
 * From gateway_silence_journal on nobody hears of it; it is freed when all threads have ended. */
int gateway_open_journal(struct gateway *gateway);
void gateway_silence_journal(struct gateway *gateway);

/* A key under rotation has taken a step: see struct rotor_options. */
void gateway_note_rotation(void *owner, struct span provider, const struct rotation_news *news);

/* Something that is neither a provider's nor a key's; reason may be NULL. */
void gateway_note(struct gateway *gateway, enum event_kind kind, const char *state,
                  const char *reason);

/* One more worker has answered (gateway_reload). */
void gateway_note_prepared(struct gateway *gateway, int err);
void gateway_note_committed(struct gateway *gateway);

/* The desk of issued client keys; those of the store are read, and the workers, which do not run
 * yet, have them. 0 or ERR_NOMEM. */
int gateway_make_clients(struct gateway *gateway);

/* One more worker goes by the issued keys that were published last. */
void gateway_note_issued(struct gateway *gateway);

/* Collects what is used, and keeps it: 0 or ERR_NOMEM. The store was opened. */
int gateway_open_books(struct gateway *gateway);

/* The workers have stopped: what they used last is asked to be written. */
void gateway_drop_books(struct gateway *gateway);

/* What the admin address asks: see struct admin_options. */
const struct books *gateway_books(void *owner);

/* Watches the budgets of the snapshot in force: of keys, clients and pools. */
void gateway_follow_budgets(struct gateway *gateway);
void gateway_drop_budgets(struct gateway *gateway);

/* Looks at the regions of the snapshot in force, and goes on while it has some. */
void gateway_look_at_regions(struct loop_timer *timer);

/* What the admin address asks: see struct admin_options. */
bool gateway_budget(void *owner, size_t *at, struct admin_budget *ret_budget);

/* The timer of a reload that is waited for. */
void gateway_on_reload_timer(struct loop_timer *timer);

/* What the reader tells: it reloads when a secret has changed. */
extern const struct config_reader_ops gateway_reader_ops;

/* Throws a reload away that was not decided yet. */
void gateway_drop_reload(struct gateway *gateway);

/* Begins to look whether it is ready, until it is. */
void gateway_check_ready(struct gateway *gateway);

/* The timer of the phases. */
void gateway_on_timer(struct loop_timer *timer);

/* What the admin address tells of the process. */
struct admin_state gateway_state(void *owner);

/* The listeners' certificate as its files are now; NULL where there is none. 0, ERR_TLS with a text
 * in ret_error (GATEWAY_ERROR_BYTES), or ERR_NOMEM. */
int gateway_make_tls(const struct config *config, char *ret_error, struct tls_context **ret_tls);

/* The log that the configuration asks for. */
struct log_options gateway_log_options(const struct config *config);

#endif
