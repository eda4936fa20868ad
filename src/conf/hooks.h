/*
 * What surrounds the reading of the groups of tables/settings.def: names taken from maps, short
 * forms, defaults that follow from other settings, and the rules within a group. schema.c hangs
 * them into the table. Called while loading, by its thread.
 */
#ifndef CONF_HOOKS_H
#define CONF_HOOKS_H

#include "conf/schema.h"

struct conf_model;
struct conf_price_peak;
struct conf_price_peaks;
struct conf_provider;

/* Groups of plain settings (hooks.c). */
void hook_certificate_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object);
void hook_upstream_tls_finish(struct loading *loading, const struct yaml_node *node,
                              struct conf_mark mark, void *object);
void hook_server_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);
void hook_first_byte_short(struct loading *loading, const struct yaml_node *node, void *object);
void hook_adaptive_concurrency_finish(struct loading *loading, const struct yaml_node *node,
                                      struct conf_mark mark, void *object);
void hook_adaptive_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object);
void hook_connections_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object);
void hook_retry_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object);
void hook_names_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object);

/* Clients and pools (types_client.c); limits of classes as well. */
void hook_pool_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                       void *object);
struct span hook_pool_name(const void *object);
void hook_limits_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);
void hook_client_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);
void hook_clients_finish(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, void *object);

/* Classes (types_class.c). */
void hook_class_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                        void *object);
struct span hook_class_name(const void *object);

/* Providers (types_provider.c) and their keys (types_key.c). */
void hook_provider_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                           void *object);
void hook_provider_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object);
struct span hook_provider_name(const void *object);
void hook_key_short(struct loading *loading, const struct yaml_node *node, void *object);
void hook_key_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                     void *object);

/* Limits of keys for one model (types_model_limits.c). */
void hook_limits_of_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                            void *object);
void hook_limits_of_finish(struct loading *loading, const struct yaml_node *node,
                           struct conf_mark mark, void *object);
struct span hook_limits_of_name(const void *object);

/* Credentials of keys (types_credential.c). */
void hook_azure_entra_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                              void *object);
void hook_azure_entra_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object);
void hook_google_service_account_prepare(struct loading *loading, struct span name,
                                         struct conf_mark mark, void *object);
void hook_google_service_account_short(struct loading *loading, const struct yaml_node *node,
                                       void *object);
void hook_google_service_account_finish(struct loading *loading, const struct yaml_node *node,
                                        struct conf_mark mark, void *object);
void hook_anthropic_federation_prepare(struct loading *loading, struct span name,
                                       struct conf_mark mark, void *object);
void hook_anthropic_federation_finish(struct loading *loading, const struct yaml_node *node,
                                      struct conf_mark mark, void *object);

/* Shadows (types_shadow.c). */
void hook_shadow_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);

/* Issuers (issuer_rules.c), rotation and what keeps secrets (types_rotation.c). */
void hook_issuer_request_finish(struct loading *loading, const struct yaml_node *node,
                                struct conf_mark mark, void *object);
void hook_issuer_create_finish(struct loading *loading, const struct yaml_node *node,
                               struct conf_mark mark, void *object);
void hook_issuer_paging_finish(struct loading *loading, const struct yaml_node *node,
                               struct conf_mark mark, void *object);
void hook_issuer_list_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object);
void hook_issuer_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                         void *object);
void hook_issuer_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);
void hook_canary_short(struct loading *loading, const struct yaml_node *node, void *object);
void hook_rotation_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object);

/* Where secrets are kept (types_secrets.c). */
void hook_vault_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object);
void hook_aws_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                     void *object);
void hook_google_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);
void hook_azure_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object);
void hook_secrets_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                          void *object);
void hook_secrets_finish(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, void *object);

/* Alerts (types_alerts.c). */
void hook_webhook_short(struct loading *loading, const struct yaml_node *node, void *object);
void hook_webhook_finish(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, void *object);
void hook_alerts_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);

/* Duplicates among a provider's keys, and their look. */
void conf_keys_check(struct loading *loading, const struct yaml_node *node);

/* That zones and default_region name regions of the provider; what is said beside them in vain. */
void conf_regions_check(struct loading *loading, const struct yaml_node *node,
                        const struct conf_provider *provider);

/* Models and targets (types_model.c). */
void hook_target_short(struct loading *loading, const struct yaml_node *node, void *object);
void hook_target_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);
void hook_migration_finish(struct loading *loading, const struct yaml_node *node,
                           struct conf_mark mark, void *object);
void hook_model_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                        void *object);
void hook_model_short(struct loading *loading, const struct yaml_node *node, void *object);
void hook_model_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object);
struct span hook_model_name(const void *object);

/* The catalogue (types_catalogue.c), and models that choose others (types_choice.c). */
void hook_catalogue_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                            void *object);
struct span hook_catalogue_name(const void *object);

/* Once all rows are known: no name may mean two models, nor one that has a row of its own. */
void conf_aliases_check(struct loading *loading);

void hook_size_row_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object);

/* What a model that chooses others may say, and must; and of all of them, once all models are
 * known: whom they use. */
void conf_choice_settle(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, struct conf_model *model);
void conf_choices_check(struct loading *loading);

/* A name as `prices` and `catalogue` have them: PROVIDER/MODEL, or a model at any provider (NULL).
 */
void conf_name_split(struct loading *loading, struct span name, struct conf_mark mark,
                     struct span *ret_name, const struct conf_provider **ret_provider,
                     struct span *ret_model);

/* Prices (types_price.c). */
void hook_price_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                        void *object);
struct span hook_price_name(const void *object);
void hook_price_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object);
void hook_budget_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object);
void hook_currency_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object);
void hook_price_long_finish(struct loading *loading, const struct yaml_node *node,
                            struct conf_mark mark, void *object);
void hook_price_peak_finish(struct loading *loading, const struct yaml_node *node,
                            struct conf_mark mark, void *object);
void hook_price_later_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object);

/* The hours at which a price holds (types_peak.c): reads them; and, once all of a price are read,
 * complains where two hold at the same time. */
void conf_peak_settle(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                      struct conf_price_peak *peak);
void conf_peaks_check(struct loading *loading, const struct yaml_node *node,
                      const struct conf_price_peaks *peaks);

/* Of a model whose targets were read (types_migration.c): settles which side is the old one, and
 * complains of a migration that has no place among the targets. */
void conf_migration_settle(struct loading *loading, struct conf_mark mark,
                           struct conf_model *model);

#endif
