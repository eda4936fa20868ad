#include "conf/names.h"

enum { NAME_MAX_BYTES = 64, MODEL_MAX_BYTES = 256, FIELD_MAX_BYTES = 128 };

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool conf_name_is_valid(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!is_alphanumeric(c) && c != '.' && c != '_' && c != ':' && c != '@' && c != '-')
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

bool conf_model_is_valid(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] <= ' ' || name.ptr[i] == 0x7f)
            return false;
    }
    return name.len > 0 && name.len <= MODEL_MAX_BYTES;
}

bool conf_model_is_full(struct span name)
{
    return conf_model_is_valid(name) && span_find_byte(name, '*') == SIZE_MAX;
}

/* RFC 9110 5.6.2. */
static bool is_token(struct span text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.len; i++) {
        if (!is_alphanumeric(text.ptr[i]) &&
            span_find_byte(span_of(others, sizeof(others) - 1), text.ptr[i]) == SIZE_MAX)
            return false;
    }
    return text.len > 0 && text.len <= FIELD_MAX_BYTES;
}

static bool is_among(struct span name, const struct span *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal_nocase(name, names[i]))
            return true;
    }
    return false;
}

#define NAME(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

bool conf_header_name_is_allowed(struct span name)
{
    static const struct span framing[] = {
        NAME("host"),       NAME("content-length"),   NAME("transfer-encoding"),
        NAME("connection"), NAME("keep-alive"),       NAME("proxy-connection"),
        NAME("te"),         NAME("trailer"),          NAME("upgrade"),
        NAME("expect"),     NAME("content-encoding"), NAME("accept-encoding"),
    };

    return is_token(name) && !is_among(name, framing, sizeof(framing) / sizeof(framing[0]));
}

bool conf_field_name_is_allowed(struct span name)
{
    static const struct span private[] = {
        NAME("authorization"),  NAME("proxy-authorization"), NAME("x-api-key"),
        NAME("api-key"),        NAME("x-goog-api-key"),      NAME("cookie"),
        NAME("set-cookie"),     NAME("forwarded"),           NAME("openai-organization"),
        NAME("openai-project"),
    };
    static const size_t forwarded = sizeof("x-forwarded-") - 1;

    if (name.len > forwarded &&
        span_is_equal_nocase(span_of(name.ptr, forwarded), SPAN("x-forwarded-")))
        return false;
    return conf_header_name_is_allowed(name) &&
           !is_among(name, private, sizeof(private) / sizeof(private[0]));
}

bool conf_header_name_is_secret(struct span name)
{
    static const struct span hints[] = {NAME("auth"),   NAME("key"),    NAME("token"),
                                        NAME("secret"), NAME("cookie"), NAME("password")};

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        for (size_t at = 0; at + hints[i].len <= name.len; at++) {
            if (span_is_equal_nocase(span_of(name.ptr + at, hints[i].len), hints[i]))
                return true;
        }
    }
    return false;
}
