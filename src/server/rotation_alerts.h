/*
 * Which of the news of a rotation are worth waking somebody for. Plain code over values; the
 * control thread's. Provider and time are the caller's to add.
 */
#ifndef SERVER_ROTATION_ALERTS_H
#define SERVER_ROTATION_ALERTS_H

#include "alerts/alert.h"
#include "rotation/rotation.h"

/* What a step of a key is worth: false: nothing. What was known before this process began is not
 * told again. life: what the key stands in. The alert borrows from the news. */
bool rotation_alert_of_news(const struct life *life, const struct rotation_news *news,
                            struct alert *ret_alert);

enum { ROTATION_LEAK_ALERTS = 2 };

/* A key was told to be leaked: how many alerts that is, none where it is not off. They borrow from
 * life. */
size_t rotation_alerts_of_leak(const struct life *life, struct span name,
                               struct alert ret_alerts[ROTATION_LEAK_ALERTS]);

#endif
