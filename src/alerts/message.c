#include "alerts/message.h"

#include "base/alloc.h"

struct alert_message *alert_message_ref(struct alert_message *message)
{
    message->refs++;
    return message;
}

void alert_message_unref(struct alert_message **message)
{
    if (*message && !--(*message)->refs)
        mem_free(*message);
    *message = NULL;
}
