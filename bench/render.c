#include "render.h"
#include "common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    " the", " answer", " is",  " that", " a",     " relay", " spends", " its", " time",   " in",
    " the", " kernel", " and", " that", " fewer", " calls", " make",   " it",  " faster", ",",
};

static void append(struct bytes *bytes, const char *more, size_t size)
{
    bytes->at = need_realloc(bytes->at, bytes->size + size + 1);
    memcpy(bytes->at + bytes->size, more, size);
    bytes->size += size;
    bytes->at[bytes->size] = '\0';
}

void render(struct bytes *bytes, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        die("vasprintf");
    append(bytes, text, (size_t)size);
    free(text);
}

void render_bytes(struct bytes *bytes, const struct bytes *more)
{
    append(bytes, more->at, more->size);
}

void render_chunk(struct bytes *bytes, const struct bytes *data)
{
    render(bytes, "%zx\r\n%s\r\n", data->size, data->at);
}

void render_words(struct bytes *bytes, size_t size)
{
    size_t end = bytes->size + size;
    for (size_t i = 0; bytes->size < end; i++) {
        const char *word = words[i % (sizeof(words) / sizeof(words[0]))];
        size_t room = end - bytes->size, length = strlen(word);
        append(bytes, word, length < room ? length : room);
    }
}

void render_whole(struct stream_parts *parts, size_t count)
{
    render_bytes(&parts->whole, &parts->opening);
    for (size_t i = 0; i < count; i++)
        render_bytes(&parts->whole, &parts->word);
    render_bytes(&parts->whole, &parts->ending);
}
