/*
 * An exchange: one client request and everything done to answer it. It lives and dies on one worker
 * and walks the road of exchange/steps.def. Its parts stand in the order of the road: each step
 * owns the struct that bears its name, and reads those before it. Made at a request's head, freed
 * by the last step.
 */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include <stdbool.h>
#include <netinet/in.h>
#include <stdint.h>

#include "access/clients.h"
#include "base/arena.h"
#include "base/list.h"
#include "dialect/error_words.h"
#include "dialect/failure.h"
#include "dialect/openai_stream.h"
#include "dialect/request_scan.h"
#include "dialect/translate.h"
#include "dialect/translator.h"
#include "exchange/answer_errand.h"
#include "exchange/binding.h"
#include "exchange/hedge.h"
#include "exchange/host.h"
#include "exchange/inbound.h"
#include "exchange/media_errand.h"
#include "exchange/rewrite_errand.h"
#include "exchange/shadow.h"
#include "http/server.h"
#include "keypool/keypool.h"
#include "limits/bulkhead.h"
#include "limits/priority.h"
#include "route/plan.h"
#include "upstream/attempt.h"
#include "upstream/body.h"

enum step {
#define STEP(id, name, to, gone, deadline, shutdown, settles) STEP_##id,
#include "exchange/steps.def"
#undef STEP
    STEP_COUNT,
};

enum move_kind { MOVE_MORE, MOVE_PARK, MOVE_DONE };

/* What a step function returns. */
struct move {
    enum move_kind kind;
    enum step to; /* MOVE_DONE */
};

static inline struct move move_more(void)
{
    return (struct move){MOVE_MORE, STEP_END};
}

static inline struct move move_park(void)
{
    return (struct move){MOVE_PARK, STEP_END};
}

static inline struct move move_done(enum step to)
{
    return (struct move){MOVE_DONE, to};
}

/* Why an exchange ends early. */
enum interrupt { INTERRUPT_NONE, INTERRUPT_CLIENT_GONE, INTERRUPT_DEADLINE, INTERRUPT_SHUTDOWN };

enum {
    REQUEST_ID_BYTES = 128,
    ACCOUNT_NAME_BYTES = 64,
    ANSWER_FIELDS = 24,
    ANSWER_HELD_BYTES = 256 * 1024,
    RELAY_HELD_MAX = ANSWER_HELD_BYTES + 2 * LOOP_SCRATCH_BYTES, /* where no mode asks for more */
};

/* head: what is asked for. */
struct part_head {
    const struct http_head *head; /* while the head step and the auth step run; then NULL */
    enum inbound_kind kind;
    enum dialect_id dialect; /* the client's: errors are told in it */
    const struct inbound_row *row;
    struct inbound_facts facts; /* what the path says */
    struct span method, path;   /* in the arena */
    struct span fields;         /* lines that go upstream, in the arena */
    struct span own_fields;     /* those that go where the client's own bytes go */
    struct dialect_header
        *extras; /* fields that some provider's forward_headers name, in the arena */
    size_t extra_count;
    bool has_content_type, has_user_agent, has_version; /* of anthropic-version */
    struct span request_id; /* in the arena, or static; empty: not named yet */
    uint64_t session;       /* hash of the session that a field names (base/fnv); 0: none does */
    uint64_t start_us, start_wall_us;
};

/* auth: who asks. */
struct part_auth {
    const struct client *client;
    enum priority priority;     /* the class it runs in */
    struct issued_hold *issued; /* which has it; NULL: the snapshot does */
};

/* body: what was sent. */
struct part_body {
    struct request_scan *request; /* in the arena; NULL where there is no body to read */
    struct body *body;
    uint64_t expected; /* its length as announced; 0: not told */
    uint64_t bytes;    /* read */
    uint64_t whole_ns; /* stamp: read whole; for the overhead */
    bool is_whole;
    bool is_streaming;
    bool wants_usage; /* the client asked for the usage chunk itself */
    unsigned choices;
    uint64_t prompt_tokens;  /* estimated, for the target that was asked about last */
    uint64_t answer_tokens;  /* likewise, of the whole answer; 0: not known */
    uint64_t estimated_hash; /* which target that was; 0: none yet */
    enum thoughts thoughts;
    struct translation *translation; /* its tree, once a target needed that; NULL: none did */
    uint64_t media_bytes; /* that were fetched for it, counted against the host's lease */
};

/* route: where it may go. */
struct part_route {
    const struct plan_target *targets; /* in the order to try them; in the arena */
    uint32_t target_count;             /* 0: there is no plan yet */
    uint32_t label_index;              /* of the model, for metrics */
    struct limiter *limiter;           /* the model's; NULL: none */
    struct span model;                 /* as the client named it; in the arena */
    /* Of a model that is being migrated (exchange/cross.h). */
    struct crossing *crossing; /* NULL: there is nothing to count; the snapshot's */
    enum crossing_side side;
    uint64_t sent_us;                /* of the last attempt; 0: it was not sent */
    const struct outcome_row *blame; /* the last failure on that side; NULL: none */
};

/* admit: what it holds of the limits, and of its class (exchange/turn.h). */
struct part_admit {
    struct admission admission;
    struct limiter_reading nearest;
    bool is_admitted;               /* by its limits */
    bool is_waiting;                /* for its turn */
    bool has_place;                 /* in its class's bulkhead */
    bool is_displaced;              /* from the queue there */
    struct bulkhead_waiter *waiter; /* as which it waits, or waited; NULL: it never did */
    struct rates_taken taken;       /* of its class's limits, with a turn without waiting */
    uint64_t asked_us, until_us, held_until_us; /* in a class of the file */
    uint64_t since_us;                          /* its turn came; 0: it did not */
};

/* select: what was tried. */
struct part_select {
    /* In the arena from the first failure on. Apart, what the new side of a migration tried: its
     * failures say nothing of the same keys at the old one (cross_is_apart). */
    struct keypool_tried *tried, *tried_apart;
    struct keypool_grant grant;
    uint64_t session; /* with has_session: exchange/session.h */
    uint32_t target;  /* of the attempt, in the plan */
    uint32_t site;    /* of the attempt, at that target's provider */
    /* Of sites_target, the sites that failed, by bit: the others are asked first. */
    uint64_t failed_sites;
    uint32_t sites_target;
    uint32_t excluded; /* bit per target that is not asked again */
    uint32_t attempts; /* made, as the client is told */
    uint32_t tries;    /* of them, those that count against retry.attempts */
    uint32_t rotations, timeouts;
    uint64_t wait_until_us; /* retry.wait from the first time that no key was free; 0: not yet */
    uint64_t hint_us;       /* Retry-After of the last answer; 0: none */
    uint64_t not_before_us; /* backoff before the same key is tried again */
    uint64_t waited_us, parked_us;
    struct waiting_room *room; /* where it waits; NULL: nowhere */
    waiting_place place;
    struct waiting_ticket ticket;
    struct waiting_ticket granted; /* with a room: the grant that has not been used yet */
    struct loop_timer timer;
    bool has_other_site; /* the attempt at hand failed, and another region is asked next */
    bool has_backed_off; /* for the try to come */
    bool has_session;    /* a provider wanted to know it */
};

/* send: what goes upstream. */
struct part_send {
    struct attempt attempt;
    struct attempt *live; /* the attempt at hand: that one, or the hedge's */
    struct body *body;    /* written for settled_target; NULL: the client's own bytes go */
    uint32_t settled_target;
    struct chat_drops *drops;       /* what the target was not told; in the arena, or NULL */
    struct request_edits *edits;    /* in the attempt's arena */
    struct media_errand *errand;    /* what is being fetched for it; NULL: nothing */
    struct rewrite_errand *rewrite; /* a large body that is being told anew; NULL: none */
    struct waiting_ticket ticket;   /* with an errand: under which it is told */
    int media_err;                  /* 0, or ERR_FULL or ERR_NOMEM: no room for what was fetched */
    enum form form;                 /* in which the target is asked */
    bool is_told;                   /* the answer is told anew: it does not pass as it comes */
    bool is_begun;                  /* the attempt at hand was begun */
    bool is_usage_asked;            /* by us, not by the client */
    bool is_settled_asking;         /* it was when `body` was written */
};

enum relay_mode {
    RELAY_JSON,   /* one object: read along, held until its end */
    RELAY_STREAM, /* server-sent events */
    RELAY_WHOLE,  /* one object: gathered, then looked at or told in the client's form */
    RELAY_EVENTS, /* server-sent events: each looked at, or told in the client's form */
    RELAY_RAW,    /* passed unread: it came coded */
    RELAY_ERROR,  /* a status that is no success: gathered, then judged */
};

/* relay: what comes back. */
struct part_relay {
    int status;              /* 0: no answer yet */
    enum dialect_id dialect; /* of the provider that gave it */
    enum relay_mode mode;
    struct dialect_header *fields; /* those that matter, in the attempt's arena */
    size_t field_count;
    uint64_t kept;     /* FIELD_BIT of each of them that is of the table */
    bool tells_limits; /* some of the others tell of limits */
    struct span content_type, content_encoding;
    int64_t length; /* of the upstream's body; HTTP_LENGTH_UNKNOWN */
    union {
        struct openai_answer *json;   /* in scan_arena; NULL once it was read whole */
        struct openai_stream *stream; /* in the attempt's arena */
    } reader;
    struct translator *translator; /* of RELAY_WHOLE and RELAY_EVENTS; in answer_arena */
    struct answer_errand *answer;  /* a large one that is read away from here; NULL: none */
    struct arena *answer_arena;    /* of an answer that is read and told anew; in the attempt's */
    struct sse *sse;
    struct buf held; /* bytes that may not go yet: pings first, then the beginning of an event */
    size_t ping_len; /* of them, those of whole pings */
    struct {
        char *data; /* borrowed from the connection for one run of the step */
        size_t len;
        bool is_last;
        bool is_there;
        enum outcome failed; /* OUTCOME_SUCCESS: it has not */
    } in;
    uint64_t first_byte_ns; /* stamp: first bytes of the answer read */
    /* Where its time counts for a region, the attempt was begun, and its answer's head was there;
     * 0: it does not. */
    uint64_t begun_us, answered_us;
    uint64_t bytes_out;
    uint64_t committed_us;
    const struct dialect_error *error; /* why the last attempt failed, as the provider said it; in
                                          the attempt's arena, or dialect_no_error */
    bool is_committed;
    bool is_whole;    /* the answer came to its end, and all of it was sent */
    bool is_broken;   /* after commit: ends with an error */
    bool is_ping_due; /* pings were held for long enough */
    bool has_pings;   /* RELAY_EVENTS: some came, and were not passed on yet */
    bool has_item;    /* of a stream that goes out as one array: one stands there */
};

/* respond: an answer of our own. */
struct part_respond {
    bool has_failure;
    enum failure failure;
    struct span message, param;     /* in the arena, or static */
    bool is_passed_on;              /* the provider's own answer, held in relay.held */
    uint64_t retry_after_us;        /* 0: none */
    const struct outcome_row *last; /* of the last failed attempt; NULL: none */
    int last_status;                /* of its answer; 0: none */
};

/* account: what it came to. */
struct part_account {
    struct dialect_usage usage;
    const struct price *price; /* of the target of that hash; NULL: it has none */
    uint64_t priced_hash;      /* 0: none was looked up yet */
    uint64_t sent_wall_us;     /* when the first attempt began: what prices go by; 0: none did */
    uint64_t cost_nanousd;     /* with has_cost; of the last attempt */
    bool has_cost;
    bool has_left; /* some attempt's request began to go upstream */
    enum interrupt cut_by;
    int status;                    /* sent to the client; 0: none */
    uint64_t overhead_ns;          /* the gateway's own time, both ways */
    struct span key_name;          /* of the last attempt's key, cut; in the arena */
    char remote[INET6_ADDRSTRLEN]; /* the client's address; the connection may be gone at the end */
    uint8_t remote_len;
};

struct exchange {
    struct exchange_host *host;
    struct binding *binding;
    struct http_server_conn *conn; /* NULL once the client is gone or has its whole answer */
    struct list link;              /* in host->exchanges */
    uint64_t id;
    enum step step;
    bool is_running;       /* a step is on the stack */
    struct shadow *shadow; /* that was drawn for it; NULL: none */
    struct arena arena, attempt_arena;
    struct arena
        scan_arena; /* for the scanner at work: in a moment mostly, so that few serve all */
    struct part_head head;
    struct part_auth auth;
    struct part_body body;
    struct part_route route;
    struct part_admit admit;
    struct part_select select;
    struct part_send send;
    struct part_hedge hedge;
    struct part_relay relay;
    struct loop_timer ping_timer; /* how long pings alone are held before commit */
    struct part_respond respond;
    struct part_account account;
};

/* The step functions, in files of their names. */
#define STEP(id, name, to, gone, deadline, shutdown, settles)                                      \
    struct move step_##name(struct exchange *x);
#include "exchange/steps.def"
#undef STEP

/* The name of a step, and what it settles: for logs and documents. */
const char *step_name(enum step step);

/* An exchange for a request whose head has come, or that could not be read (head NULL). NULL
 * without memory. */
struct exchange *exchange_new(struct exchange_host *host, struct http_server_conn *conn,
                              const struct http_head *head);

/* Walks on from where it stands, until it parks or ends. Called by events; may free the exchange.
 */
void exchange_run(struct exchange *x);

/* Leads where the row of its step says, and walks on. */
void exchange_interrupt(struct exchange *x, enum interrupt interrupt);

/* ---- what happens to the attempt at hand; a hedge's events come here too ---- */

void exchange_note_sent(struct exchange *x);
void exchange_take_head(struct exchange *x, const struct http_head *head);
void exchange_take_data(struct exchange *x, char *data, size_t len, bool is_last);
void exchange_take_failure(struct exchange *x, enum outcome outcome);

/* Another attempt is at hand from now on: where it stands on the road, for where this one does. */
void exchange_swap_step(struct exchange *x, enum step *aside);

/* Names the request by the client's own id where that is sane, else by one made here. */
void head_name_request(struct exchange *x, struct span own);

/* A piece of the body arrives while the body step is parked: true where the exchange must go on at
 * once. */
bool body_take(struct exchange *x, struct span data);

/* --- the answer under way (relay*.c, verdict.c) --- */

/* Forgets the last attempt's answer. */
void relay_reset(struct exchange *x);

/* The attempt failed: books it, and tries again or answers, as retry: says. */
struct move relay_failed(struct exchange *x, const struct outcome_row *row);

/* Ends the attempt that was granted or begun, for a reason of our own. */
struct move relay_give_up(struct exchange *x, enum failure failure);

/* Books the end of the attempt with its key and its endpoint: once for each grant. row NULL:
 * nothing is known. */
void relay_book(struct exchange *x, const struct outcome_row *row, uint64_t hint_us);

/* What follows from what an attempt's outcome changed: others are woken, operators told. */
void relay_follow(struct exchange *x, const struct key *key, const struct keypool_effect *effect,
                  const struct outcome_row *row);

/* The head goes out, with the first bytes: from here on there is no way back. */
void relay_commit(struct exchange *x, int64_t length, struct span first, bool is_last);

/* Further bytes of a committed answer. */
void relay_pass(struct exchange *x, struct span data, bool is_last);

/* Nothing but pings has come: they are held for a while. */
void relay_hold_pings(struct exchange *x);

/* The terminal event has come: what follows it is not waited for long. */
void relay_note_done(struct exchange *x);

/* The answer is whole and sent. */
struct move relay_finish(struct exchange *x);

/* After commit: ends the answer so that the client sees the failure. */
struct move relay_break(struct exchange *x, const struct outcome_row *row);

/* One read's worth of the answer, by its mode. */
struct move relay_json(struct exchange *x, char *data, size_t len, bool is_last);
struct move relay_stream(struct exchange *x, char *data, size_t len, bool is_last);
struct move relay_whole(struct exchange *x, char *data, size_t len, bool is_last);
struct move relay_events(struct exchange *x, char *data, size_t len, bool is_last);
struct move relay_raw(struct exchange *x, char *data, size_t len, bool is_last);
struct move relay_error(struct exchange *x, char *data, size_t len, bool is_last);

/* Notes what the attempt at hand used as far as its answer came, told or estimated. */
void account_note_produced(struct exchange *x);

/* An answer that was cut, after commit, is billed for what was produced: notes that, once. */
void account_note_cut(struct exchange *x);

/* What the provider bills of an attempt that nobody waits for any more: what it told, or else the
 * prompt and what had come of the answer. Of a refusal, or a request that had not left whole, it
 * bills nothing. Notes that, before the attempt ends. */
void account_note_left(struct exchange *x);

/* The same of an attempt that client, deadline or shutdown end; before commit alone. */
void account_note_interrupted(struct exchange *x);

/* What limits are told that the attempt at hand used; 0: not known. */
uint64_t account_tokens(const struct exchange *x);

/* Notes what the object used as far as it came, estimated from its text where it has not told. */
void relay_json_usage(struct exchange *x);

/* True where all of a stream that counts has been sent: what becomes of the upstream then takes
 * nothing away. relay_stream_end finishes it without waiting for the upstream's own end. */
bool relay_is_over(const struct exchange *x);

/* True where the terminal event has been sent as well: the client, too, has all that counts. */
bool relay_has_done(const struct exchange *x);

/* Ends such a stream without waiting for the upstream's own end. */
struct move relay_end(struct exchange *x);
struct move relay_stream_end(struct exchange *x);
struct move relay_events_end(struct exchange *x);

/* Pings were held for long enough: the head goes out, with one of the client's own form. */
struct move relay_events_release(struct exchange *x);
struct move relay_whole_release(struct exchange *x);

/* A large one was read away from here, and is back. */
struct move relay_whole_answered(struct exchange *x);

/* After commit, a stream that failed: its error event, in the client's form. */
void relay_events_fail(struct exchange *x, const struct dialect_error *error);

/* The same where the provider's own events pass. */
void relay_events_break(struct exchange *x, const struct error_ours *error);

/* The head of the answer has come in RELAY_WHOLE or RELAY_EVENTS. Without memory there is no
 * translator. */
void relay_make_translator(struct exchange *x);

/* Notes what was used of such an answer as far as it came. */
void relay_translator_usage(struct exchange *x);

/* Keeps bytes for later: false where there is no room or memory. */
bool relay_hold(struct exchange *x, const char *data, size_t len);

/* Keeps what the provider said of the failure. Without memory nothing was said. */
void relay_keep_error(struct exchange *x, const struct dialect_error *error);

/* An error told inside a success (200), or as a stream's first event. */
struct move relay_error_in_success(struct exchange *x);

/* A buffer over the loop's scratch, for texts that are used at once; never freed, never grows. */
struct buf exchange_scratch(struct exchange *x);

/* The lines of the answer's head, in the loop's scratch; valid until the next use of it. */
struct span answer_fields(struct exchange *x, bool is_own);

/* What the attempt's tokens, as far as they are known, cost: true and *ret_picousd, or false where
 * the tokens or the price are not known. */
bool exchange_cost(struct exchange *x, uint64_t *ret_picousd);

/* That, and what the attempts cost that hedging has cancelled; it stands still at its most. */
uint64_t exchange_whole_cost(const struct exchange *x, uint64_t picousd);

/* The provider's own id of the request, by whatever field it tells it; a NULL ptr: none. */
struct span answer_upstream_id(const struct exchange *x);

/* Ends with what the last attempt came to: the provider's own answer, or the failure of its
 * outcome. */
struct move respond_with_last(struct exchange *x);

/* Whether an answer with that status says when to come back: the gateway's own word. */
bool respond_tells_wait(int status);

/* Whether the gateway's own word on trying again, not the provider's, stands in an answer: on 502,
 * 503, 504 and Anthropic's 529 after tries of its own. */
bool respond_judges_retry(const struct exchange *x, int status);

/* The answer's head has come: kept for the relay step, which runs with the first data. */
void relay_note_head(struct exchange *x, const struct http_head *head);

/* Whether a Content-Type is that of server-sent events; whether an answer came coded. */
bool relay_is_event_stream(struct span content_type);
bool relay_is_coded(const struct http_head *head);

/* --- the request in the target's form (way.c) --- */

/* In which form a provider is asked for what the client asks for; FORM_COUNT where it has none. */
enum form way_form(const struct exchange *x, const struct snapshot_provider *row);

/* Writes the body for the target at hand, in send.form, where the client's own bytes will not do:
 * 0; ERR_SYNTAX with *ret_refusal where that target cannot be told this request; ERR_AGAIN where
 * media must be fetched first (media_fetch), or, with x->send.rewrite, where a large body is away
 * for it; ERR_FULL or ERR_NOMEM. */
int way_settle(struct exchange *x, const struct snapshot_provider *row,
               struct chat_refusal *ret_refusal);

/* What telling the body anew for the target at hand takes: of the exchange's own memory. */
struct rewrite way_rewrite(struct exchange *x, const struct snapshot_provider *row);

/* Whether that name of a model would make another path of the request. */
bool way_leads_elsewhere(const struct conf_provider *conf, struct span model);

/* Takes what came of it. */
void way_take(struct exchange *x, const struct rewrite *rewrite);

/* Appends the path of the request: the endpoint's own, and what the form asks for behind it. */
void way_write_path(struct exchange *x, const struct snapshot_provider *row, struct buf *out);

/* Whether the target is asked in the client's own form. */
bool way_is_same_form(const struct exchange *x);

/* --- the head of the request (step_send.c) --- */

/* Whether the target at hand is to be asked what a stream uses. */
bool send_asks_usage(const struct exchange *x, const struct snapshot_provider *row);

/* Appends the request line and our own fields, all but the Content-Length. */
void send_put_head(struct exchange *x, const struct snapshot_provider *row, struct buf *head);

/* --- what is fetched for the target (media_errand.c) --- */

/* Has the media fetched that way_settle misses, and parks until they are there; the key is given
 * back meanwhile. */
struct move media_fetch(struct exchange *x);

/* What is still being fetched is of no use any more. Harmless where nothing is. */
void media_leave(struct exchange *x);

/* --- what is away for an exchange (away.c) --- */

/* Parks until what is away is back, media or large bodies; past the deadline it leaves that, and is
 * refused. */
struct move exchange_await(struct exchange *x);

/* Nothing that is away is waited for any more. Harmless where nothing is. */
void exchange_leave(struct exchange *x);

/* --- a request's large body (rewrite_errand.c) --- */

/* Sends it to a helper thread, with all that the rewrite takes of the exchange, which keeps its key
 * and waits in step send: ERR_AGAIN with x->send.rewrite, or ERR_NOMEM with all as it was. */
int rewrite_send(struct exchange *x, const struct rewrite *rewrite);

/* Takes what came of it once it is back: as rewrite_run. */
int rewrite_take(struct exchange *x, struct chat_refusal *ret_refusal);

/* It is of no use any more: frees what is back, and gives the key back that it would have gone to.
 * Harmless where there is nothing. */
void rewrite_leave(struct exchange *x);

/* --- an answer's large body (answer_errand.c) --- */

/* Sends the answer in relay.held to a helper thread, which reads `body` of it within max_bytes of
 * memory and tells it by this plan, whose texts are copied; the attempt ends. 0 with
 * x->relay.answer, which is then waited for in step relay, or ERR_NOMEM with all as it was. */
int answer_send(struct exchange *x, const struct translator_plan *plan, struct span body,
                size_t max_bytes);

/* It is back: what the request said is the exchange's again. It is freed with answer_free. */
struct answer_errand *answer_take(struct exchange *x);

/* Accepts a pointer to NULL. */
void answer_free(struct answer_errand **errand);

/* It is of no use any more. Harmless where there is nothing. */
void answer_leave(struct exchange *x);

/* --- what there is to ask for (models.c) --- */

/* Appends the list of the models that the client may use. */
void models_write_list(struct exchange *x, struct buf *body);

/* Appends one model; false where it is not served, or not to this client. */
bool models_write_one(struct exchange *x, struct span name, struct buf *body);

/* --- for the steps --- */

static inline const struct config *exchange_config(const struct exchange *x)
{
    return x->binding->snapshot->config;
}

static inline struct loop *exchange_loop(const struct exchange *x)
{
    return x->host->loop;
}

/* NULL before the plan. */
static inline const struct plan_target *exchange_target(const struct exchange *x)
{
    return x->route.target_count ? &x->route.targets[x->select.target] : NULL;
}

/* The outlet (worker's part of the provider) of the target at hand. */
static inline struct outlet *exchange_outlet(const struct exchange *x)
{
    return &x->binding->outlets[x->route.targets[x->select.target].provider_index];
}

/* The base URL of the attempt, of that provider's. */
static inline struct outlet_site *exchange_site(const struct exchange *x)
{
    return &exchange_outlet(x)->sites[x->select.site];
}

/* Until when the first byte must be on its way to the client, by the total time-out of the target
 * at hand; on the loop's clock. */
uint64_t exchange_deadline_us(struct exchange *x);

static inline struct attempt *exchange_attempt(struct exchange *x)
{
    return x->send.live;
}

/* Gives back the translator and all that it made. */
static inline void relay_drop_translator(struct exchange *x)
{
    translator_fini(&x->relay.translator);
    if (x->relay.answer_arena)
        arena_fini(x->relay.answer_arena);
    x->relay.answer_arena = NULL;
}

/* The exchange ends with this failure; the first one wins. message and param may be empty; they
 * must live as long as the exchange. */
struct move exchange_refuse(struct exchange *x, enum failure failure, struct span message,
                            struct span param);

#endif
