#include "conf/schema.h"

#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/types.h"

#define MS   UINT64_C(1000)
#define HOUR UINT64_C(3600000000)
#define DAY  UINT64_C(86400000000)
#define SEC  UINT64_C(1000000)
#define KIB  (UINT64_C(1) << 10)
#define MIB  (UINT64_C(1) << 20)
#define GIB  (UINT64_C(1) << 30)
#define TIB  (UINT64_C(1) << 40)

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* The words of settings. One that is not built is known and refused. */
static const struct conf_word half_close_words[] = {
    {TEXT("abort"), CONF_HALF_CLOSE_ABORT, true},
    {TEXT("answer"), CONF_HALF_CLOSE_ANSWER, true},
};

static const struct conf_word class_words[] = {
    {TEXT("standard"), 0, true},
    {TEXT("critical"), 0, true},
    {TEXT("batch"), 0, true},
};

static const struct conf_word method_words[] = {
    {TEXT("GET"), 0, true},
    {TEXT("HEAD"), 0, true},
};

static const struct conf_word selection_words[] = {
    {TEXT("headroom"), CONF_SELECTION_HEADROOM, true},
    {TEXT("least_used"), CONF_SELECTION_LEAST_USED, true},
    {TEXT("round_robin"), CONF_SELECTION_ROUND_ROBIN, true},
    {TEXT("weighted"), CONF_SELECTION_WEIGHTED, true},
    {TEXT("priority"), CONF_SELECTION_PRIORITY, true},
    {TEXT("sticky"), CONF_SELECTION_STICKY, true},
};

static const struct conf_word retry_cause_words[] = {
    {TEXT("connect"), CONF_RETRY_CONNECT, true},
    {TEXT("timeout"), CONF_RETRY_TIMEOUT, true},
    {TEXT("rate_limit"), CONF_RETRY_RATE_LIMIT, true},
    {TEXT("overloaded"), CONF_RETRY_OVERLOADED, true},
    {TEXT("server_error"), CONF_RETRY_SERVER_ERROR, true},
    {TEXT("bad_key"), CONF_RETRY_BAD_KEY, true},
    {TEXT("depleted"), CONF_RETRY_DEPLETED, true},
};

static const struct conf_word issuer_method_words[] = {
    {TEXT("POST"), 0, true},   {TEXT("PUT"), 0, true}, {TEXT("PATCH"), 0, true},
    {TEXT("DELETE"), 0, true}, {TEXT("GET"), 0, true},
};

static const struct conf_word issuer_kind_words[] = {
    {TEXT("http"), CONF_ISSUER_HTTP, true},     {TEXT("command"), CONF_ISSUER_COMMAND, true},
    {TEXT("openai"), CONF_ISSUER_OPENAI, true}, {TEXT("openrouter"), CONF_ISSUER_OPENROUTER, true},
    {TEXT("gcp"), CONF_ISSUER_GCP, true},       {TEXT("store"), CONF_ISSUER_STORE, true},
};

static const struct conf_word vault_auth_words[] = {
    {TEXT("token"), CONF_VAULT_TOKEN, true},
    {TEXT("approle"), CONF_VAULT_APPROLE, true},
    {TEXT("kubernetes"), CONF_VAULT_KUBERNETES, true},
};

static const struct conf_word rotation_cause_words[] = {
    {TEXT("expiry"), CONF_ROTATION_EXPIRY, true},
    {TEXT("leaked"), CONF_ROTATION_LEAKED, true},
    {TEXT("error_rate"), CONF_ROTATION_ERROR_RATE, true},
    {TEXT("secret_changed"), CONF_ROTATION_SECRET_CHANGED, true},
    {TEXT("refused"), CONF_ROTATION_REFUSED, true},
    {TEXT("age"), CONF_ROTATION_AGE, true},
};

static const struct conf_word usage_span_words[] = {
    {TEXT("hour"), CONF_USAGE_HOUR, true},
    {TEXT("minute"), CONF_USAGE_MINUTE, true},
    {TEXT("never"), CONF_USAGE_NEVER, true},
};

/* As in ledger/budget.h. */
static const struct conf_word budget_period_words[] = {
    {TEXT("hour"), 0, true},
    {TEXT("day"), 1, true},
    {TEXT("week"), 2, true},
    {TEXT("month"), 3, true},
};

static const struct conf_word period_words[] = {
    {TEXT("hour"), CONF_PERIOD_HOUR, true},
    {TEXT("day"), CONF_PERIOD_DAY, true},
    {TEXT("month"), CONF_PERIOD_MONTH, true},
};

static const struct conf_word migration_start_words[] = {
    {TEXT("auto"), CONF_MIGRATION_AUTO, true},
    {TEXT("manual"), CONF_MIGRATION_MANUAL, true},
};

/* As bits of hours_are_now. */
static const struct conf_word weekday_words[] = {
    {TEXT("mon"), 1, true},  {TEXT("tue"), 2, true},  {TEXT("wed"), 4, true},
    {TEXT("thu"), 8, true},  {TEXT("fri"), 16, true}, {TEXT("sat"), 32, true},
    {TEXT("sun"), 64, true},
};

static const struct conf_word optimise_words[] = {
    {TEXT("cost"), CONF_OPTIMISE_COST, true},
    {TEXT("latency"), CONF_OPTIMISE_LATENCY, true},
};

/* Of OpenAI's reasoning_effort. */
static const struct conf_word effort_words[] = {
    {TEXT("none"), 0, true},   {TEXT("minimal"), 0, true}, {TEXT("low"), 0, true},
    {TEXT("medium"), 0, true}, {TEXT("high"), 0, true},    {TEXT("xhigh"), 0, true},
    {TEXT("max"), 0, true},
};

static const struct conf_word log_level_words[] = {
    {TEXT("error"), CONF_LOG_ERROR, true},
    {TEXT("warn"), CONF_LOG_WARN, true},
    {TEXT("info"), CONF_LOG_INFO, true},
    {TEXT("debug"), CONF_LOG_DEBUG, true},
};

static const struct conf_word log_format_words[] = {
    {TEXT("json"), CONF_LOG_JSON, true},
};

static const struct conf_word alert_format_words[] = {
    {TEXT("slack"), CONF_ALERT_SLACK, true},
    {TEXT("json"), CONF_ALERT_JSON, true},
};

/* The rows name a struct by its group; these are called otherwise. */
#define conf_client_limits          conf_limits
#define conf_model_limits           conf_limits
#define conf_class_limits           conf_limits
#define conf_azure_entra            credential
#define conf_google_service_account credential
#define conf_anthropic_federation   credential
#define conf_aws                    conf_cloud
#define conf_google                 conf_cloud
#define conf_azure                  conf_cloud
#define conf_kubernetes             conf_cloud
#define conf_root                   config

static const struct conf_group group_certificate, group_server_timeouts, group_server_media,
    group_server, group_admin, group_pool, group_client_limits, group_client, group_clients,
    group_limits, group_limits_of, group_model_limits, group_class_limits, group_azure_entra,
    group_google_service_account, group_anthropic_federation, group_key, group_health, group_probe,
    group_adaptive_concurrency, group_adaptive, group_breaker, group_margin, group_first_byte,
    group_provider_timeouts, group_connections, group_upstream_tls, group_issuer_create,
    group_issuer_request, group_issuer_paging, group_issuer_list, group_issuer_usage, group_issuer,
    group_validate, group_error_rate, group_canary, group_rotation, group_provider, group_target,
    group_shadow_budget, group_shadow, group_migration, group_model, group_names, group_class,
    group_hedge, group_retry, group_log, group_vault, group_aws, group_google, group_azure,
    group_kubernetes, group_secrets, group_webhook, group_alert_rules, group_alerts,
    group_price_long, group_price_peak, group_price_tiers, group_price_later, group_price,
    group_currency, group_budget, group_size_row, group_set, group_catalogue;

/* First the rows of every group. */
#define BEGIN(id) static const struct conf_row id##_rows[] = {
#define END(id)                                                                                    \
    }                                                                                              \
    ;
#define FIELD(id, field) offsetof(struct conf_##id, field)
#define ROW(id, text, field, type_, fallback_, min_, max_, meaning_)                               \
    {.name = TEXT(text),                                                                           \
     .type = &conf_type_##type_,                                                                   \
     .offset = FIELD(id, field),                                                                   \
     .fallback = (fallback_),                                                                      \
     .min = (min_),                                                                                \
     .max = (max_),                                                                                \
     .meaning = (meaning_)},
#define WORDED(id, text, field, type_, list_, fallback_, meaning_)                                 \
    {.name = TEXT(text),                                                                           \
     .type = &conf_type_##type_,                                                                   \
     .offset = FIELD(id, field),                                                                   \
     .fallback = (fallback_),                                                                      \
     .words = list_##_words,                                                                       \
     .word_count = sizeof(list_##_words) / sizeof(list_##_words[0]),                               \
     .meaning = (meaning_)},
#define WORD(id, text, field, list_, fallback_, meaning_)                                          \
    WORDED(id, text, field, word, list_, fallback_, meaning_)
#define WORDS(id, text, field, list_, fallback_, meaning_)                                         \
    WORDED(id, text, field, words, list_, fallback_, meaning_)
#define WORD_TEXT(id, text, field, list_, fallback_, meaning_)                                     \
    WORDED(id, text, field, word_text, list_, fallback_, meaning_)
#define PARTS(id, text, field, type_, inner_, max_, meaning_)                                      \
    {.name = TEXT(text),                                                                           \
     .type = &conf_type_##type_,                                                                   \
     .offset = FIELD(id, field),                                                                   \
     .max = (max_),                                                                                \
     .group = &group_##inner_,                                                                     \
     .meaning = (meaning_)},
#define PART(id, text, field, type_, inner_, meaning_)                                             \
    PARTS(id, text, field, type_, inner_, 0, meaning_)
#define LATER(id, text, meaning_) {.name = TEXT(text), .meaning = (meaning_)},
#include "tables/settings.def"

/* Then the groups, with their hooks. */
#define ROWS(id)                                                                                   \
    .rows = id##_rows, .count = sizeof(id##_rows) / sizeof(id##_rows[0]),                          \
    .bytes = sizeof(struct conf_##id)

static const struct conf_group group_certificate = {ROWS(certificate),
                                                    .finish = hook_certificate_finish};
static const struct conf_group group_server_timeouts = {ROWS(server_timeouts)};
static const struct conf_group group_server_media = {ROWS(server_media)};
static const struct conf_group group_server = {ROWS(server), .finish = hook_server_finish};
static const struct conf_group group_admin = {ROWS(admin)};
static const struct conf_group group_pool = {ROWS(pool), .prepare = hook_pool_prepare,
                                             .name = hook_pool_name};
static const struct conf_group group_client_limits = {ROWS(client_limits),
                                                      .finish = hook_limits_finish};
static const struct conf_group group_client = {ROWS(client), .finish = hook_client_finish};
static const struct conf_group group_clients = {ROWS(clients), .finish = hook_clients_finish};
static const struct conf_group group_limits = {ROWS(limits)};
static const struct conf_group group_limits_of = {
    ROWS(limits_of), .prepare = hook_limits_of_prepare, .finish = hook_limits_of_finish,
    .name = hook_limits_of_name};
static const struct conf_group group_model_limits = {ROWS(model_limits)};
static const struct conf_group group_azure_entra = {
    ROWS(azure_entra), .prepare = hook_azure_entra_prepare, .finish = hook_azure_entra_finish};
static const struct conf_group group_google_service_account = {
    ROWS(google_service_account), .prepare = hook_google_service_account_prepare,
    .read_short = hook_google_service_account_short, .finish = hook_google_service_account_finish};
static const struct conf_group group_anthropic_federation = {
    ROWS(anthropic_federation), .prepare = hook_anthropic_federation_prepare,
    .finish = hook_anthropic_federation_finish};
static const struct conf_group group_key = {ROWS(key), .read_short = hook_key_short,
                                            .finish = hook_key_finish};
static const struct conf_group group_health = {ROWS(health)};
static const struct conf_group group_probe = {ROWS(probe)};
static const struct conf_group group_adaptive_concurrency = {
    ROWS(adaptive_concurrency), .finish = hook_adaptive_concurrency_finish};
static const struct conf_group group_adaptive = {ROWS(adaptive), .finish = hook_adaptive_finish};
static const struct conf_group group_breaker = {ROWS(breaker)};
static const struct conf_group group_margin = {ROWS(margin)};
static const struct conf_group group_first_byte = {ROWS(first_byte),
                                                   .read_short = hook_first_byte_short};
static const struct conf_group group_provider_timeouts = {ROWS(provider_timeouts)};
static const struct conf_group group_connections = {ROWS(connections),
                                                    .finish = hook_connections_finish};
static const struct conf_group group_upstream_tls = {ROWS(upstream_tls),
                                                     .finish = hook_upstream_tls_finish};
static const struct conf_group group_issuer_create = {ROWS(issuer_create),
                                                      .finish = hook_issuer_create_finish};
static const struct conf_group group_issuer_request = {ROWS(issuer_request),
                                                       .finish = hook_issuer_request_finish};
static const struct conf_group group_issuer_paging = {ROWS(issuer_paging),
                                                      .finish = hook_issuer_paging_finish};
static const struct conf_group group_issuer_list = {ROWS(issuer_list),
                                                    .finish = hook_issuer_list_finish};
static const struct conf_group group_issuer_usage = {ROWS(issuer_usage)};
static const struct conf_group group_issuer = {ROWS(issuer), .prepare = hook_issuer_prepare,
                                               .finish = hook_issuer_finish};
static const struct conf_group group_validate = {ROWS(validate)};
static const struct conf_group group_error_rate = {ROWS(error_rate)};
static const struct conf_group group_canary = {ROWS(canary), .read_short = hook_canary_short};
static const struct conf_group group_rotation = {ROWS(rotation), .finish = hook_rotation_finish};
static const struct conf_group group_provider = {ROWS(provider), .prepare = hook_provider_prepare,
                                                 .finish = hook_provider_finish,
                                                 .name = hook_provider_name};
static const struct conf_group group_target = {ROWS(target), .read_short = hook_target_short,
                                               .finish = hook_target_finish};
static const struct conf_group group_shadow_budget = {ROWS(shadow_budget)};
static const struct conf_group group_shadow = {ROWS(shadow), .finish = hook_shadow_finish};
static const struct conf_group group_migration = {ROWS(migration), .finish = hook_migration_finish};
static const struct conf_group group_model = {ROWS(model), .prepare = hook_model_prepare,
                                              .read_short = hook_model_short,
                                              .finish = hook_model_finish, .name = hook_model_name};
static const struct conf_group group_names = {ROWS(names), .finish = hook_names_finish};
static const struct conf_group group_class_limits = {ROWS(class_limits),
                                                     .finish = hook_limits_finish};
static const struct conf_group group_class = {ROWS(class), .prepare = hook_class_prepare,
                                              .name = hook_class_name};
static const struct conf_group group_hedge = {ROWS(hedge)};
static const struct conf_group group_retry = {ROWS(retry), .finish = hook_retry_finish};
static const struct conf_group group_log = {ROWS(log)};
static const struct conf_group group_vault = {ROWS(vault), .finish = hook_vault_finish};
static const struct conf_group group_aws = {ROWS(aws), .finish = hook_aws_finish};
static const struct conf_group group_google = {ROWS(google), .finish = hook_google_finish};
static const struct conf_group group_azure = {ROWS(azure), .finish = hook_azure_finish};
static const struct conf_group group_kubernetes = {ROWS(kubernetes)};
static const struct conf_group group_secrets = {ROWS(secrets), .prepare = hook_secrets_prepare,
                                                .finish = hook_secrets_finish};
static const struct conf_group group_price_long = {ROWS(price_long),
                                                   .finish = hook_price_long_finish};
static const struct conf_group group_price_peak = {ROWS(price_peak),
                                                   .finish = hook_price_peak_finish};
static const struct conf_group group_price_tiers = {ROWS(price_tiers)};
static const struct conf_group group_price_later = {ROWS(price_later),
                                                    .finish = hook_price_later_finish};
static const struct conf_group group_price = {ROWS(price), .prepare = hook_price_prepare,
                                              .finish = hook_price_finish, .name = hook_price_name};
static const struct conf_group group_budget = {ROWS(budget), .finish = hook_budget_finish};
static const struct conf_group group_size_row = {ROWS(size_row), .finish = hook_size_row_finish};
static const struct conf_group group_set = {ROWS(set)};
static const struct conf_group group_catalogue = {
    ROWS(catalogue), .prepare = hook_catalogue_prepare, .name = hook_catalogue_name};
static const struct conf_group group_currency = {ROWS(currency), .finish = hook_currency_finish};
static const struct conf_group group_webhook = {ROWS(webhook), .read_short = hook_webhook_short,
                                                .finish = hook_webhook_finish};
static const struct conf_group group_alert_rules = {ROWS(alert_rules)};
static const struct conf_group group_alerts = {ROWS(alerts), .finish = hook_alerts_finish};

const struct conf_group conf_schema = {ROWS(root)};
