/*
 * The types that settings have: tables/settings.def names them. Constant data; any thread.
 */
#ifndef CONF_TYPES_H
#define CONF_TYPES_H

#include "conf/schema.h"

/* Numbers (types_scalar.c). */
extern const struct conf_type conf_type_boolean;  /* bool */
extern const struct conf_type conf_type_never;    /* bool that must be false until it is built */
extern const struct conf_type conf_type_number;   /* uint32_t */
extern const struct conf_type conf_type_money;    /* uint64_t: millionths of a dollar */
extern const struct conf_type conf_type_large;    /* uint64_t */
extern const struct conf_type conf_type_signed;   /* int32_t from -max to max */
extern const struct conf_type conf_type_workers;  /* uint32_t; auto is 0 */
extern const struct conf_type conf_type_duration; /* uint64_t, microseconds */
extern const struct conf_type conf_type_size;     /* uint64_t, bytes */
extern const struct conf_type conf_type_share;    /* uint32_t, parts per million */
extern const struct conf_type conf_type_after;    /* struct conf_after */
extern const struct conf_type conf_type_time;     /* uint64_t, microseconds since 1970 */

/* Words of the row's list (types_word.c). */
extern const struct conf_type conf_type_word;      /* an enum: the word's value */
extern const struct conf_type conf_type_words;     /* uint32_t: the words' values as bits */
extern const struct conf_type conf_type_word_text; /* struct span: the word itself */

/* Text and lists of it (types_text.c). */
extern const struct conf_type conf_type_name;        /* struct span */
extern const struct conf_type conf_type_path;        /* struct span; the file can be read */
extern const struct conf_type conf_type_log_file;    /* struct span */
extern const struct conf_type conf_type_url_path;    /* struct span */
extern const struct conf_type conf_type_secret;      /* struct secret * */
extern const struct conf_type conf_type_patterns;    /* struct conf_strings */
extern const struct conf_type conf_type_windows;     /* struct conf_strings: hours of the day */
extern const struct conf_type conf_type_field_names; /* struct conf_strings, in lower case */
extern const struct conf_type conf_type_headers;     /* struct conf_headers */

/* Addresses (types_address.c). */
extern const struct conf_type conf_type_addresses; /* struct conf_addresses, min to max of them */
extern const struct conf_type conf_type_networks;  /* struct conf_networks */
extern const struct conf_type conf_type_url;       /* struct conf_url */

/* Groups of settings (types_group.c). */
extern const struct conf_type conf_type_group;    /* the struct itself */
extern const struct conf_type conf_type_optional; /* a pointer to it; NULL: not in the file */
extern const struct conf_type conf_type_list;     /* {items, count} of structs */
extern const struct conf_type conf_type_several;  /* the same; one may stand without the list */
extern const struct conf_type conf_type_map;      /* the same, in a map by name */

/* Credentials (types_credential.c); fields of struct credential. */
extern const struct conf_type conf_type_token_url; /* struct span */
extern const struct conf_type conf_type_scope;     /* struct span */
extern const struct conf_type
    conf_type_service_account; /* struct secret *, and what is beside it */

/* Clients, providers and models (types_client.c, types_provider.c, types_model.c). */
extern const struct conf_type conf_type_client_secret; /* SHA-256 of it */
extern const struct conf_type conf_type_client_sha256;
extern const struct conf_type conf_type_pool;      /* struct span, declared in pools */
extern const struct conf_type conf_type_regions;   /* struct conf_regions */
extern const struct conf_type conf_type_zones;     /* struct conf_zones */
extern const struct conf_type conf_type_kind;      /* enum provider_kind */
extern const struct conf_type conf_type_keys;      /* struct conf_key_list */
extern const struct conf_type conf_type_keys_from; /* the same; adds to it */
extern const struct conf_type conf_type_target;    /* struct conf_target */
extern const struct conf_type conf_type_fallback;  /* struct conf_targets */
extern const struct conf_type conf_type_model;     /* struct span, declared in models, or empty */

/* Models that choose others, and the catalogue (types_choice.c, types_set.c). */
extern const struct conf_type conf_type_use;            /* struct conf_use */
extern const struct conf_type conf_type_uses;           /* struct conf_uses */
extern const struct conf_type conf_type_able;           /* uint8_t, enum conf_able */
extern const struct conf_type conf_type_successor;      /* struct span; empty: not in the file */
extern const struct conf_type conf_type_aliases;        /* struct conf_strings */
extern const struct conf_type conf_type_decimal;        /* struct span; a number of JSON */
extern const struct conf_type conf_type_signed_decimal; /* the same, from -max */

/* Migrations (types_migration.c). */
extern const struct conf_type conf_type_limit_share;    /* uint32_t; 0: not in the file */
extern const struct conf_type conf_type_limit_duration; /* uint64_t; 0: not in the file */

/* Rotation (types_issuer.c, types_body.c, types_rotation.c). */
extern const struct conf_type conf_type_issuer_url;  /* struct conf_issuer_request, its url */
extern const struct conf_type conf_type_pointer;     /* struct span: a JSON pointer */
extern const struct conf_type conf_type_body;        /* struct conf_body */
extern const struct conf_type conf_type_revoke;      /* struct conf_issuer_revoke */
extern const struct conf_type conf_type_argv;        /* struct conf_argv */
extern const struct conf_type conf_type_environment; /* struct conf_headers */
extern const struct conf_type conf_type_schedule;    /* struct span, a good one */
extern const struct conf_type conf_type_issuer_find; /* bool; printed with kind command alone */
extern const struct conf_type conf_type_usd;         /* struct span: a decimal number */
extern const struct conf_type conf_type_key_name;    /* struct span, may hold {time} */
extern const struct conf_type conf_type_ratio;       /* uint32_t, thousandths */
extern const struct conf_type conf_type_seal_key;    /* struct span: a file; types_secrets.c */
extern const struct conf_type conf_type_store;       /* struct conf_store (types_store.c) */

extern const struct conf_type conf_type_price; /* uint64_t: millionths of a dollar */

/* Alerts (types_alerts.c). */
extern const struct conf_type conf_type_webhook_url; /* struct secret * */
extern const struct conf_type
    conf_type_duration_if;                        /* uint64_t, microseconds; 0: not in the file */
extern const struct conf_type conf_type_share_if; /* uint32_t, ppm; 0: not in the file */
extern const struct conf_type conf_type_above;    /* uint32_t, one more than the file says; 0:
                                                     not in it */

/* Stores of secrets (types_secrets.c). */
extern const struct conf_type conf_type_keep_in;      /* struct conf_place */
extern const struct conf_type conf_type_stored_place; /* struct conf_place; empty: none */
extern const struct conf_type conf_type_vault_path;   /* struct span; may be empty */

/* Stores of the clouds (types_cloud.c). */
extern const struct conf_type conf_type_identifier; /* struct span */

/* {items, count}: how every list of the tree begins. Sets or gets both without caring for the type
 * of the items. */
void conf_list_set(void *field, void *items, size_t count);
void *conf_list_get(const void *field, size_t *ret_count);

#endif
