/*
 * The rules of alerts, looked at as long as the process lives: what each asks is read from what the
 * workers share, every twentieth of `for`, and where the overhead is not among them at least every
 * 10 s. The control thread's.
 */
#ifndef SERVER_ALERT_RULES_H
#define SERVER_ALERT_RULES_H

#include "alerts/alert.h"
#include "exchange/registry.h"
#include "exchange/snapshot.h"
#include "rotation/rotation.h"

struct alert_rules;

struct alert_rules_options {
    struct loop *loop;
    struct registry *registry;
    /* The rotation of that provider's keys; NULL: none. */
    struct rotation *(*rotation)(void *owner, struct span provider);
    /* A rule is broken, or holds again; borrowed for the call. */
    void (*on_alert)(void *owner, const struct alert *alert);
    void *owner;
};

/* NULL without memory. There is no rule at first. */
struct alert_rules *alert_rules_new(const struct alert_rules_options *options);

/* Accepts a pointer to NULL. */
void alert_rules_free(struct alert_rules **place);

/* The rules and providers of that snapshot from now on; borrowed until the next call. Of rules and
 * providers that stay, what was seen of them stays too; what was told as broken and is not looked
 * at any more is told as over. What finds no memory is tried again at the next look. */
void alert_rules_set(struct alert_rules *rules, const struct snapshot *snapshot);

/* A rotation of the provider's keys has failed. */
void alert_rules_note_failure(struct alert_rules *rules, struct span provider);

#endif
