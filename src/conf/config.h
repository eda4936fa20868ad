/*
 * What the configuration file says, with every default filled in: one immutable tree, made by
 * config_load (conf/load.h) and freed whole. Whoever shares it counts its references outside; once
 * loaded, any number of threads may read it without a lock. Texts are borrowed from the tree and
 * live as long as it does; they stand NUL-terminated, but for the pieces of addresses and URLs.
 * Times are microseconds, shares parts per million, sizes bytes. 0 in a limit means that there is
 * none.
 */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/secret.h"
#include "base/span.h"
#include "conf/address.h"
#include "conf/hours.h"
#include "conf/place.h"
#include "conf/provider_kind.h"
#include "conf/url.h"
#include "secrets/credential.h"

enum { CONF_IDENTITY_BYTES = 32, CONF_SHA256_BYTES = 32, CONF_PPM = 1000000 };

/* A list of words, names or patterns; empty where the file is silent. */
struct conf_strings {
    struct span *items;
    size_t count;
};

/* What may be used up in a minute, and at once. */
struct conf_limits {
    uint32_t rpm;        /* requests in any 60 s */
    uint64_t tpm;        /* tokens in any 60 s */
    uint32_t concurrent; /* under way at once */
    uint32_t burst; /* requests that may come at once, of clients and classes; at least 1 where rpm
                       is set */
};

/* Of one model, by its name at the provider, in full. */
struct conf_limits_of {
    struct span model;
    struct conf_limits limits; /* burst: 0 */
};

struct conf_limits_by_model {
    struct conf_limits_of *items; /* each model once */
    size_t count;
};

/* Files of a certificate and its key, PEM; empty where there are none. Paths are absolute or
 * relative to the working directory. */
struct conf_certificate {
    struct span certificate;
    struct span private_key;
};

enum conf_half_close { CONF_HALF_CLOSE_ABORT, CONF_HALF_CLOSE_ANSWER };

struct conf_server_timeouts {
    uint64_t header_us;
    uint64_t body_us;
    uint64_t write_us; /* without any progress */
    uint64_t idle_us;
};

/* What is fetched in the place of a target that takes no URLs. */
struct conf_server_media {
    uint64_t max;        /* bytes of each one */
    uint64_t timeout_us; /* for each one */
    bool is_private;     /* from private addresses too */
};

struct conf_server {
    struct conf_addresses listen; /* at least one */
    struct conf_certificate tls;
    uint32_t workers; /* 0: one per core that the process may use */
    uint64_t max_body;
    uint64_t body_memory;
    uint32_t max_connections;
    struct conf_server_timeouts timeouts;
    struct conf_server_media media;
    uint64_t shutdown_delay_us;
    uint64_t shutdown_grace_us;
    enum conf_half_close half_close;
    struct conf_networks trusted_proxies;
    bool proxy_protocol; /* false until it is built */
    struct span zone;    /* empty: not known */
};

struct conf_admin {
    struct conf_addresses listen; /* exactly one */
    struct secret *token;         /* NULL: none, and the address is loopback or a unix socket */
};

/* What may be spent in a period of the calendar. */
struct conf_budget {
    uint64_t millionth_usd;
    uint32_t per; /* enum budget_period */
};

/* A client key: who may call the data plane. Found by name across reloads. */
struct conf_client {
    struct span name;
    uint8_t sha256[CONF_SHA256_BYTES]; /* of its secret, which is not kept */
    struct conf_strings models;        /* patterns with '*'; empty: all */
    struct span pool;                  /* name of one of config.pools, or empty */
    struct span class_name;            /* "standard" */
    struct conf_limits limits;
    struct conf_budget *budget; /* NULL: none */
    uint64_t expires_wall_us;   /* 0: never */
};

struct conf_client_list {
    struct conf_client *items;
    size_t count;
};

struct conf_clients {
    bool is_open;    /* any caller, any or no key */
    bool is_decided; /* the file says whether it is open; else its addresses and keys do */
    struct conf_client_list keys;
};

struct conf_pool {
    struct span name;
    struct conf_budget *budget; /* of all its clients; NULL: none */
};

struct conf_pools {
    struct conf_pool *items;
    size_t count;
};

/* One upstream credential: a key as it is, or what is exchanged for one. */
struct conf_key {
    struct span name;
    struct secret *secret; /* the bare key; borrowed from the tree: secret_ref what outlives it */
    const struct credential *credential; /* in place of the secret; NULL where there is that */
    /* The same as the file writes it: at most one is there. */
    struct credential *azure_entra, *google_service_account, *anthropic_federation;
    uint8_t identity[CONF_IDENTITY_BYTES]; /* of provider name and secret, or credential: equal
                                              across reloads exactly where both are; usable as the
                                              key of a map */
    int32_t priority;                      /* lower is tried first */
    uint32_t weight;                       /* 0: standby */
    struct span account;                   /* empty: an account of its own */
    struct conf_limits limits;
    struct conf_limits_by_model model_limits; /* beside its limits in all */
    struct conf_strings models;               /* patterns with '*'; empty: all */
    struct span pool;                         /* name of one of config.pools, or empty: everybody */
    uint64_t expires_wall_us;                 /* 0: never */
    struct conf_budget *budget;               /* NULL: none */
    struct span id;                           /* by which the provider knows it; empty: not known */
    struct span made_in; /* of an entry that a rotation made: the folder of the store; else empty */
};

struct conf_key_list {
    struct conf_key *items;
    size_t count;
};

enum conf_selection {
    CONF_SELECTION_HEADROOM,
    CONF_SELECTION_LEAST_USED,
    CONF_SELECTION_ROUND_ROBIN,
    CONF_SELECTION_WEIGHTED,
    CONF_SELECTION_PRIORITY,
    CONF_SELECTION_STICKY,
};

struct conf_health {
    uint32_t max_failures;
    uint64_t cooldown_us;
    uint64_t ttl_us;
    uint64_t depleted_us;
    uint64_t probe_interval_us;
    bool validate_new;
};

struct conf_probe {
    struct span method; /* "GET" or "HEAD" */
    struct span path;   /* behind the base URL's own path; starts with '/' */
    uint64_t timeout_us;
};

struct conf_breaker {
    uint32_t failures;
    uint32_t ratio_ppm;
    uint64_t window_us;
    uint64_t open_us;
    uint32_t half_open_calls;
};

/* A limit of requests at once that is found by how latency follows it. */
struct conf_adaptive_concurrency {
    uint32_t initial, min, max;
};

/* A limit of requests a minute that is found by trying. */
struct conf_adaptive {
    uint32_t initial_rpm, min_rpm, max_rpm; /* 0: none is found */
    uint32_t backoff_milli, growth_milli;
    struct conf_adaptive_concurrency *concurrency; /* NULL: none is found */
};

struct conf_margin {
    uint32_t margin_ppm; /* kept free of every limit */
};

struct conf_first_byte {
    uint64_t streamed_us;
    uint64_t whole_us;
};

struct conf_provider_timeouts {
    uint64_t connect_us;
    uint64_t send_us;
    struct conf_first_byte first_byte;
    uint64_t idle_us;
    uint64_t total_us;
};

struct conf_connections {
    uint32_t max; /* per worker and endpoint, as all three */
    uint32_t idle;
    uint64_t keepalive_us;
};

struct conf_upstream_tls {
    bool verify;
    struct span ca; /* file, PEM; empty: the system's */
    struct conf_certificate client;
};

/* A field added to every request of a provider. The value may hold a credential, so it is kept as
 * one. */
struct conf_header {
    struct span name;
    struct secret *value;
    bool is_masked; /* never printed: a reference, or by its name a credential */
};

struct conf_headers {
    struct conf_header *items;
    size_t count;
};

/* ---- the life of a provider's keys ---- */

/* A JSON object that is sent, in JSON text. Its strings may hold secrets and placeholders. */
struct conf_body {
    struct secret *json; /* NULL: none */
    struct span shown;   /* the same as check-config prints it: YAML in one line, secrets masked */
};

/* One declared request of an issuer. */
struct conf_issuer_request {
    struct span method;
    struct span url;    /* http or https; may hold placeholders */
    bool is_url_masked; /* holds what a reference brought: only its host is printed */
    struct conf_headers headers;
    struct conf_body body;
};

/* Pointers into answers are JSON pointers (RFC 6901); "" is the whole, and a NULL ptr says that
 * there is none. */
struct conf_issuer_create {
    struct conf_issuer_request request;
    struct span key, id, expires;
};

/* How a list goes on: the next page's name stands at `cursor` of an answer, or is the number of
 * items so far (is_count), and is sent as the parameter. */
struct conf_issuer_paging {
    struct span parameter; /* of the query */
    struct span cursor, more;
    bool is_count;
};

struct conf_issuer_list {
    struct conf_issuer_request request;
    struct span items, name, id, expires; /* name, id and expires are of each item */
    struct conf_issuer_paging *paging;    /* NULL: one page */
};

/* With kind http a request, with kind command whether the program can. */
struct conf_issuer_revoke {
    struct conf_issuer_request *request; /* NULL: none */
    bool is_able;
};

/* A program and its arguments. */
struct conf_argv {
    const char **items; /* ends with NULL; NULL: none */
    bool *is_masked;    /* beside each: holds what a reference brought */
    size_t count;
};

enum conf_issuer_kind {
    CONF_ISSUER_HTTP,
    CONF_ISSUER_COMMAND,
    CONF_ISSUER_OPENAI,
    CONF_ISSUER_OPENROUTER,
    CONF_ISSUER_GCP,
    CONF_ISSUER_STORE,
    CONF_ISSUER_KINDS,
};

enum conf_usage_span { CONF_USAGE_HOUR, CONF_USAGE_MINUTE, CONF_USAGE_NEVER };

/* How the provider's own count of each key's use is compared with ours. */
struct conf_issuer_usage {
    uint32_t per; /* enum conf_usage_span */
    uint64_t lag_us;
};

/* Who makes and destroys the keys. What the kind does not have is empty. */
struct conf_issuer {
    enum conf_issuer_kind kind;
    uint64_t timeout_us;               /* of one request, or of the program */
    uint64_t life_us;                  /* that is asked for a new key; 0: none */
    struct conf_issuer_create *create; /* http: never NULL */
    struct conf_issuer_list *list;     /* http; NULL: none */
    struct conf_issuer_revoke revoke;  /* http, command */
    struct conf_argv argv;             /* command; of a whole path first */
    struct conf_headers environment;   /* command; a value of NULL is empty */
    bool can_find;                     /* command */
    struct span url;                   /* openai, openrouter, gcp; empty: the provider's own */
    struct span project;               /* openai, gcp */
    struct secret *admin_key;          /* openai */
    struct conf_issuer_usage *usage;   /* openai; NULL: as usual */
    struct secret *provisioning_key;   /* openrouter */
    struct span limit_usd;             /* openrouter: a decimal number; empty: none */
    struct credential *account;        /* gcp: of a service account */
    struct conf_body restrictions;     /* gcp */
    struct conf_place from;            /* store: the entry */
};

struct conf_validate {
    uint32_t attempts;
    uint64_t base_delay_us; /* doubled for each further attempt */
};

/* How a new key is given its share of the traffic. */
struct conf_canary {
    uint32_t initial_ppm;
    uint32_t steps; /* the first included; 0: no ramp */
    uint64_t every_us;
    uint64_t min_requests;
    uint32_t max_error_ppm;
    uint32_t max_latency_milli; /* thousandths of the old keys' latency */
};

/* What starts a rotation besides an operator: bits of conf_rotation.on. */
enum conf_rotation_cause {
    CONF_ROTATION_EXPIRY = 1 << 0,
    CONF_ROTATION_LEAKED = 1 << 1,
    CONF_ROTATION_ERROR_RATE = 1 << 2,
    CONF_ROTATION_SECRET_CHANGED = 1 << 3,
    CONF_ROTATION_REFUSED = 1 << 4,
    CONF_ROTATION_AGE = 1 << 5,
};

struct conf_error_rate {
    uint32_t max_ppm;
    uint32_t min_requests;
    uint64_t window_us, calm_us;
    uint64_t prune_after_us; /* 0: never */
};

struct conf_rotation {
    struct conf_issuer *issuer; /* never NULL */
    struct span name;           /* of new keys; {time} stands for the time, at most once */
    struct conf_place keep_in;  /* the folder of new keys, and of the state */
    uint64_t overlap_us;        /* an old key stays valid, once its successor is promoted */
    uint32_t max_keys;          /* valid at once; at least 2 */
    struct conf_validate validate;
    uint32_t on;               /* enum conf_rotation_cause */
    struct span schedule;      /* a good one, as the file says it; empty: none */
    uint64_t max_age_us;       /* 0: none is too old, or for a schedule all are */
    uint64_t warn_before_us;   /* of an expiry; 0: no warning */
    uint64_t rotate_before_us; /* likewise */
    uint64_t refused_for_us;
    struct conf_error_rate error_rate;
    struct conf_canary canary;
};

/* One base URL of a provider. */
struct conf_region {
    struct span name;
    struct conf_url url; /* as base_url below */
};

struct conf_regions {
    struct conf_region *items;
    size_t count;
};

struct conf_zone {
    struct span zone, region;
};

struct conf_zones {
    struct conf_zone *items;
    size_t count;
};

struct conf_provider {
    struct span name;
    enum provider_kind kind;
    struct conf_url base_url;  /* its path without the version, where the dialect adds that */
    struct span api_version;   /* of Azure's deployment URLs; empty: base_url names its v1 API */
    struct conf_key_list keys; /* at least one */
    enum conf_selection selection;
    struct conf_health health;
    struct conf_probe probe;
    struct conf_breaker breaker;
    struct conf_adaptive *adaptive; /* NULL: off */
    struct conf_margin limits;
    struct conf_limits_by_model model_limits; /* of each key that says nothing of the model */
    struct conf_provider_timeouts timeouts;
    struct conf_connections connections;
    struct conf_upstream_tls tls;
    struct conf_regions regions; /* in place of base_url, which then names the first; none: it */
    struct conf_zones zones;
    struct span default_region; /* empty: none */
    struct conf_headers headers;
    struct conf_strings forward_headers; /* in lower case */
    struct conf_rotation *rotation;      /* NULL: its keys are only watched */
};

struct conf_providers {
    struct conf_provider *items;
    size_t count;
};

/* A provider and the model's name there. */
struct conf_target {
    const struct conf_provider *provider;
    struct span model;
    uint32_t weight; /* share among the targets of one model; 0 in a fallback */
};

struct conf_targets {
    struct conf_target *items;
    size_t count;
};

enum conf_migration_start { CONF_MIGRATION_AUTO, CONF_MIGRATION_MANUAL };

/* One target ramped in for another. Their place among the model's targets is that of whichever
 * stands there, with the weight of both where both do. */
struct conf_migration {
    struct conf_target to, from; /* from: settled from the targets where the file is silent */
    enum conf_migration_start start;
    uint32_t initial_ppm;
    uint64_t first_hold_us;
    uint32_t step_ppm;
    uint64_t every_us;
    uint64_t min_requests;
    uint32_t max_error_ppm;
    uint32_t max_divergence_ppm;   /* 0: the file says nothing of it */
    uint64_t max_added_latency_us; /* 0: not judged */
    uint64_t revert_window_us;
};

/* A name that clients send. Its plan: a weighted choice of targets, then the other targets, then
 * the fallbacks in order. */
enum conf_period { CONF_PERIOD_HOUR, CONF_PERIOD_DAY, CONF_PERIOD_MONTH };

/* How much a model's shadow may cost in a period; 0: no cap. */
struct conf_shadow_budget {
    uint64_t micro_usd, requests, tokens;
    uint32_t per; /* enum conf_period */
};

/* A share of a model's exchanges is mirrored. */
struct conf_shadow {
    struct conf_target target; /* without its weight */
    struct span key;           /* of that provider; empty: any */
    uint32_t share_ppm;
    uint32_t min_similarity_ppm;
    struct conf_shadow_budget budget;
};

/* A model that another one chooses: a name under `models`, or PROVIDER/MODEL. */
struct conf_use {
    struct span name;          /* as the file has it */
    struct conf_target target; /* of PROVIDER/MODEL; provider NULL: it is a model's name */
};

struct conf_uses {
    struct conf_use *items;
    size_t count;
};

struct conf_size_row {
    uint64_t below; /* characters; 0: the last row, which takes the rest */
    struct conf_use use;
};

struct conf_size_rows {
    struct conf_size_row *items;
    size_t count;
};

enum conf_optimise { CONF_OPTIMISE_NOTHING, CONF_OPTIMISE_COST, CONF_OPTIMISE_LATENCY };

/* Parameters that are added where a client sends none, as JSON has them; empty: it is not added. */
struct conf_set {
    struct span max_tokens, temperature, top_p, top_k, seed, presence_penalty, frequency_penalty;
    struct span reasoning_effort; /* without quotes */
};

/* It has targets, or chooses another model: by_size, or among. */
struct conf_model {
    struct span name;
    struct conf_targets targets;
    struct conf_targets fallback;
    struct conf_size_rows by_size;
    enum conf_optimise optimise;
    struct conf_uses among;
    struct conf_set *set; /* NULL: none */
    struct conf_limits limits;
    struct conf_shadow *shadow;       /* NULL: none */
    struct conf_migration *migration; /* NULL: none */
};

struct conf_models {
    struct conf_model *items;
    size_t count;
};

struct conf_names {
    bool direct;               /* PROVIDER/MODEL is served */
    struct span unknown;       /* model served for a name that nobody has; empty: refuse with 404 */
    struct span absent;        /* the same where the request names none; empty: refuse with 400 */
    struct conf_limits limits; /* of each model without limits of its own */
};

/* What a retry may follow: bits of conf_retry.on. */
enum conf_retry_cause {
    CONF_RETRY_CONNECT = 1 << 0,
    CONF_RETRY_TIMEOUT = 1 << 1,
    CONF_RETRY_RATE_LIMIT = 1 << 2,
    CONF_RETRY_OVERLOADED = 1 << 3,
    CONF_RETRY_SERVER_ERROR = 1 << 4,
    CONF_RETRY_BAD_KEY = 1 << 5,
    CONF_RETRY_DEPLETED = 1 << 6,
};

/* When a second attempt begins beside a slow one. */
struct conf_after {
    uint32_t percent; /* of the times to the first token lately, 50 to 99; 0: us holds */
    uint64_t us;
};

struct conf_hedge {
    struct conf_after after;
    uint32_t budget_ppm; /* of exchanges, over 10 s */
};

struct conf_retry {
    uint32_t attempts;
    uint32_t rotations;
    uint64_t base_delay_us;
    uint64_t max_delay_us;
    uint64_t wait_us;
    uint32_t on; /* enum conf_retry_cause */
    uint32_t timeouts;
    uint32_t budget_ppm;
    struct conf_hedge *hedge; /* NULL: none */
};

enum conf_log_level { CONF_LOG_ERROR, CONF_LOG_WARN, CONF_LOG_INFO, CONF_LOG_DEBUG };
enum conf_log_format { CONF_LOG_JSON };

struct conf_log {
    enum conf_log_level level;
    enum conf_log_format format;
    bool access;
    struct span file; /* "stderr", "stdout" or a path */
};

/* How Vault knows who asks. */
enum conf_vault_auth { CONF_VAULT_TOKEN, CONF_VAULT_APPROLE, CONF_VAULT_KUBERNETES };

/* HashiCorp Vault, or OpenBao. What the way of logging in does not use is empty. */
struct conf_vault {
    struct span address; /* without a slash at its end */
    enum conf_vault_auth auth;
    struct secret *token;     /* TOKEN; NULL: token_file */
    struct span token_file;   /* TOKEN: that an agent writes */
    struct span role_id;      /* APPROLE */
    struct secret *secret_id; /* APPROLE; NULL: secret_id_file */
    struct span secret_id_file;
    struct span role;       /* KUBERNETES */
    struct span jwt_file;   /* KUBERNETES */
    struct span auth_mount; /* of the way of logging in; empty: its usual one */
    struct span name_space; /* empty: none */
    struct span ca;         /* file, PEM; empty: the system's */
    struct span created_by; /* who makes entries, as they say it */
};

/* Another store of secrets: of AWS, Google, Azure, or a Kubernetes cluster. What it does not have
 * is empty. Without anything that proves who asks, the platform where the gateway runs does. */
struct conf_cloud {
    struct span url;                /* AZURE: of the vault; else in place of the usual one */
    struct span region;             /* AWS */
    struct span project, location;  /* GOOGLE */
    struct span name_space, prefix; /* KUBERNETES */
    struct span access_key_id;      /* AWS, with the next two */
    struct secret *secret_access_key;
    struct secret *session_token;
    struct span role;            /* AWS: of a web identity, with token_file */
    struct span credentials_url; /* AWS: of a container, perhaps with token_file */
    struct span token_file;
    struct credential *account; /* GOOGLE, AZURE: what is exchanged for tokens */
    struct span client_id;      /* AZURE: of one of several managed identities */
    struct span kms_key;        /* AWS */
    uint32_t recovery_days;     /* AWS */
    struct span ca;             /* file, PEM; empty: the usual ones */
};

/* A file that was read, or a folder whose names were, while loading. */
struct conf_file {
    struct span path;
    bool is_folder;
    uint8_t digest[CONF_SHA256_BYTES]; /* of what stood there (conf/files.h) */
};

struct conf_files {
    struct conf_file *items;
    size_t count, cap;
};

/* What seals secrets that are kept, and where. Paths are absolute or relative to the working
 * directory. */
struct conf_secrets {
    struct span seal_key;     /* file; need not be there yet */
    struct span sealed_file;  /* in the same folder; what the gateway keeps */
    struct span named_file;   /* in the same folder; what `secrets seal` sealed */
    struct conf_vault *vault; /* NULL: none; so are these */
    struct conf_cloud *aws, *google, *azure, *kubernetes;
    bool is_sound;    /* nothing of it was complained of */
    uint64_t poll_us; /* between two looks at what was read from stores and files */
};

/* Where key states, rotations and the audit trail are kept. */
struct conf_store {
    struct span
        path;      /* of the database; absolute or relative to the working directory; empty: none */
    bool is_given; /* the file names it: where it cannot be opened, nothing starts */
};

/* USD per million tokens, in millionths: picodollars a token. */
struct conf_price_rates {
    uint64_t input, output;
    uint64_t cached_input, cache_write, cache_write_long; /* that of input where nothing is said */
};

/* What a prompt of more tokens makes of a request's price. */
struct conf_price_long {
    uint64_t above; /* tokens */
    struct conf_price_rates rates;
};

/* By rising bounds; none: it makes no difference. */
struct conf_price_longs {
    struct conf_price_long *items;
    size_t count;
};

/* What certain hours make of it. */
struct conf_price_peak {
    struct conf_strings hours; /* as the file has them; empty: all day */
    uint32_t days;             /* on which they begin; the lowest bit: Monday */
    struct hours_list list;    /* read; at least one */
    struct conf_price_rates rates;
    struct conf_price_longs longs; /* none: those that hold at other hours */
};

/* No two of them hold at the same time. */
struct conf_price_peaks {
    struct conf_price_peak *items;
    size_t count;
};

/* What it costs by how it was served, in thousandths of the usual. */
struct conf_price_tiers {
    uint32_t flex_permille, batch_permille, priority_permille;
};

struct conf_price_terms {
    struct conf_price_rates rates;
    struct conf_price_longs longs;
    struct conf_price_peaks peaks;
    struct conf_price_tiers *tiers; /* NULL: nothing is said */
};

/* In the place of what is before it, but for tiers of which it says nothing. */
struct conf_price_later {
    uint64_t from_us; /* since 1970 */
    struct conf_price_terms terms;
};

/* By rising times. */
struct conf_price_laters {
    struct conf_price_later *items;
    size_t count;
};

struct conf_price {
    struct span name;                     /* as the file has it */
    const struct conf_provider *provider; /* NULL: any */
    struct span model;                    /* as the provider calls it */
    struct conf_price_terms terms;
    struct conf_price_laters laters;
};

/* Another currency that sums are shown in. */
struct conf_currency {
    struct span second;
    uint64_t rate; /* of it for a dollar, in millionths */
};

struct conf_prices {
    struct conf_price *items;
    size_t count;
};

/* What a model can do: where nobody told, it is unknown. */
enum conf_able { CONF_ABLE_UNKNOWN, CONF_ABLE_YES, CONF_ABLE_NO };

enum conf_ability {
    CONF_TOOLS,
    CONF_VISION,
    CONF_STRUCTURED, /* answers by a JSON schema */
    CONF_AUDIO,
    CONF_REASONING,
    CONF_EMBEDDINGS,
    CONF_ABILITIES,
};

struct conf_abilities {
    uint64_t context, max_input, max_output; /* tokens; 0: unknown */
    uint8_t able[CONF_ABILITIES];            /* enum conf_able */
};

struct conf_catalogue {
    struct span name;                     /* as the file has it */
    const struct conf_provider *provider; /* NULL: any */
    struct span model;                    /* as the provider calls it */
    struct conf_abilities facts;
    struct span
        successor; /* what is asked for in its place; "none": it lives; empty: as built in */
    struct conf_strings aliases; /* other names of it, which no row in reach has */
};

struct conf_catalogue_rows {
    struct conf_catalogue *items;
    size_t count;
};

enum conf_alert_format { CONF_ALERT_SLACK, CONF_ALERT_JSON };

enum { CONF_WEBHOOKS_MAX = 16 };

struct conf_webhook {
    struct secret *url;
    enum conf_alert_format format;
    struct span ca; /* file; empty: the system's certificates */
};

struct conf_webhooks {
    struct conf_webhook *items;
    size_t count;
};

/* Each 0: there is no such rule. */
struct conf_alert_rules {
    uint32_t active_keys; /* so many of a provider are to be usable */
    uint64_t overhead_p95_us;
    uint32_t canary_error_ppm;
    uint32_t rotation_errors_from; /* so many are too many: one more than the file says */
    uint64_t for_us;
};

struct conf_alerts {
    struct conf_webhooks webhooks;
    struct conf_alert_rules *rules; /* NULL: none */
};

enum { CONF_CLASSES = 3 };

/* A class of exchanges: how many run at once, and how the others wait. */
struct conf_class {
    struct span name;
    uint32_t priority;   /* enum priority (limits/priority.h) */
    uint32_t concurrent; /* 0: no limit */
    uint32_t queue;
    uint64_t wait_us;
    struct conf_limits limits;   /* requests and tokens a minute; concurrent: 0 */
    struct conf_strings windows; /* hours_read reads each; empty: at any time */
};

struct conf_class_list {
    struct conf_class *items;
    size_t count;
};

struct config {
    struct span file; /* as complaints name it; "environment" where there was no file */
    struct conf_server server;
    struct conf_admin admin;
    struct conf_clients clients;
    struct conf_pools pools;
    struct conf_providers providers; /* at least one */
    struct conf_models models;       /* empty: every provider's own models by their own names */
    struct conf_names names;
    struct conf_class_list classes; /* one that is not in it has no limit and no queue */
    struct conf_retry retry;
    struct conf_log log;
    struct conf_secrets secrets;
    struct conf_store store;
    struct conf_prices prices;            /* before what is built in */
    struct conf_catalogue_rows catalogue; /* the same */
    struct conf_currency *currency;       /* NULL: none */
    struct conf_alerts alerts;
    struct conf_files files; /* what is to be loaded again when it changes */

    struct map provider_by_name; /* struct conf_provider */
    struct map model_by_name;    /* struct conf_model */
};

/* Wipes the secrets' references and frees the tree. Accepts a pointer to NULL. */
void config_free(struct config **config);

/* It is said how stores of that kind are reached. */
bool conf_secrets_has(const struct conf_secrets *secrets, enum conf_store_kind kind);

/* Who makes entries in stores of that kind, as they say it. */
struct span conf_secrets_created_by(const struct conf_secrets *secrets, enum conf_store_kind kind);

/* The provider or model of that name, or NULL. */
const struct conf_provider *config_find_provider(const struct config *config, struct span name);
const struct conf_model *config_find_model(const struct config *config, struct span name);

/* True where the list is empty or one of its patterns covers the name. */
bool conf_strings_match(const struct conf_strings *patterns, struct span name);

enum { CONFIG_RESTART_SETTINGS = 7 };

/* What differs between the two and takes effect at a restart alone (listen, workers, connections,
 * the listeners' having TLS): how many settings, their names in ret_names, static texts. */
size_t config_needs_restart(const struct config *from, const struct config *to,
                            const char *ret_names[CONFIG_RESTART_SETTINGS]);

#endif
