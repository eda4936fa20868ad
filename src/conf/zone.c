#include "conf/zone.h"

#include "base/alloc.h"
#include "base/err.h"
#include "conf/zone_rule.h"

enum {
    HEADER_BYTES = 44,
    TYPES_MAX = 256, /* an index has one byte */
    TYPE_BYTES = 6,
    OFFSET_MAX_S = 26 * 3600, /* clocks are never further from UTC (RFC 8536 3.2) */
};

#define TIME_MAX_S INT64_C(1000000000000)

struct zone {
    size_t count;
    bool has_rule; /* what holds from the last change on; else that change's offset */
    struct zone_rule rule;
    int32_t first_offset_s; /* before the first change */
    int32_t *offsets;       /* from each change on; in the block of the zone */
    int64_t changes[];      /* UTC, ascending */
};

/* ---- reading ---- */

struct header {
    unsigned version;
    uint64_t utc_flags, standard_flags, leaps, times, types, chars;
    size_t time_bytes; /* of one time of the block behind it */
};

static uint32_t read_u32(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t read_time(const char *bytes, size_t size)
{
    if (size == 4)
        return (int32_t)read_u32(bytes);
    return (int64_t)((uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4));
}

static int take_header(struct span *rest, size_t time_bytes, struct header *ret_header)
{
    struct header header = {.time_bytes = time_bytes};
    const char *counts;

    if (rest->len < HEADER_BYTES || !span_has_prefix(*rest, SPAN("TZif")))
        return ERR_SYNTAX;
    if (rest->ptr[4] == '\0')
        header.version = 1;
    else if (rest->ptr[4] >= '2' && rest->ptr[4] <= '4')
        header.version = (unsigned)(rest->ptr[4] - '0');
    else
        return ERR_UNSUPPORTED;
    counts = rest->ptr + 20;
    header.utc_flags = read_u32(counts);
    header.standard_flags = read_u32(counts + 4);
    header.leaps = read_u32(counts + 8);
    header.times = read_u32(counts + 12);
    header.types = read_u32(counts + 16);
    header.chars = read_u32(counts + 20);
    *rest = span_skip(*rest, HEADER_BYTES);
    *ret_header = header;
    return 0;
}

static uint64_t block_bytes(const struct header *header)
{
    return header->times * (header->time_bytes + 1) + header->types * TYPE_BYTES + header->chars +
           header->leaps * (header->time_bytes + 4) + header->standard_flags + header->utc_flags;
}

static int take_block(struct span *rest, const struct header *header, struct span *ret_block)
{
    uint64_t bytes = block_bytes(header);

    if (bytes > rest->len)
        return ERR_SYNTAX;
    *ret_block = span_of(rest->ptr, (size_t)bytes);
    *rest = span_skip(*rest, (size_t)bytes);
    return 0;
}

/* Where the parts of a block begin. */
struct parts {
    const char *times, *indexes, *types, *chars, *standard_flags, *utc_flags;
};

static struct parts parts_of(const struct header *header, struct span block)
{
    struct parts parts = {.times = block.ptr};

    parts.indexes = parts.times + header->times * header->time_bytes;
    parts.types = parts.indexes + header->times;
    parts.chars = parts.types + header->types * TYPE_BYTES;
    parts.standard_flags = parts.chars + header->chars;
    parts.utc_flags = parts.standard_flags + header->standard_flags;
    return parts;
}

static int check_counts(const struct header *header)
{
    if (header->leaps)
        return ERR_UNSUPPORTED;
    if (header->times > ZONE_CHANGES_MAX)
        return ERR_FULL;
    if (header->types == 0 || header->types > TYPES_MAX || header->chars == 0 ||
        (header->utc_flags && header->utc_flags != header->types) ||
        (header->standard_flags && header->standard_flags != header->types))
        return ERR_SYNTAX;
    return 0;
}

/* Each type: its offset, whether it is summer time, and where its abbreviation begins, which ends
 * with a NUL. */
static int check_types(const struct header *header, const struct parts *parts)
{
    if (parts->chars[header->chars - 1] != '\0')
        return ERR_SYNTAX;
    for (size_t i = 0; i < header->types; i++) {
        const char *type = parts->types + i * TYPE_BYTES;
        int64_t offset_s = read_time(type, 4);

        if (offset_s < -OFFSET_MAX_S || offset_s > OFFSET_MAX_S || (unsigned char)type[4] > 1 ||
            (unsigned char)type[5] >= header->chars)
            return ERR_SYNTAX;
    }
    return 0;
}

/* Of what each is one byte, 0 or 1. A change given in UTC is one given in standard time too. */
static int check_flags(const struct header *header, const struct parts *parts)
{
    for (size_t i = 0; i < header->standard_flags; i++) {
        if ((unsigned char)parts->standard_flags[i] > 1)
            return ERR_SYNTAX;
    }
    for (size_t i = 0; i < header->utc_flags; i++) {
        if ((unsigned char)parts->utc_flags[i] > 1 ||
            (parts->utc_flags[i] && (!header->standard_flags || !parts->standard_flags[i])))
            return ERR_SYNTAX;
    }
    return 0;
}

static int check_changes(const struct header *header, const struct parts *parts)
{
    for (size_t i = 0; i < header->times; i++) {
        const char *time = parts->times + i * header->time_bytes;

        if ((unsigned char)parts->indexes[i] >= header->types ||
            (i && read_time(time - header->time_bytes, header->time_bytes) >=
                      read_time(time, header->time_bytes)))
            return ERR_SYNTAX;
    }
    return 0;
}

static struct zone *build(const struct header *header, const struct parts *parts)
{
    size_t count = (size_t)header->times;
    struct zone *zone =
        mem_alloc(sizeof(*zone) + count * (sizeof(*zone->changes) + sizeof(*zone->offsets)));

    if (!zone)
        return NULL;
    *zone = (struct zone){.count = count, .offsets = (int32_t *)(zone->changes + count)};
    /* Before its first change a zone has its first type. */
    zone->first_offset_s = (int32_t)read_u32(parts->types);
    for (size_t i = 0; i < count; i++) {
        size_t type = (unsigned char)parts->indexes[i];

        zone->changes[i] = read_time(parts->times + i * header->time_bytes, header->time_bytes);
        zone->offsets[i] = (int32_t)read_u32(parts->types + type * TYPE_BYTES);
    }
    return zone;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; nothing between the newlines: nobody knows what comes. */
static int read_footer(struct span text, const struct header *header, struct zone *zone)
{
    int64_t last_s = zone->count ? zone->changes[zone->count - 1] : 0;
    int err;

    if (text.len < 2 || text.ptr[0] != '\n' || text.ptr[text.len - 1] != '\n')
        return ERR_SYNTAX;
    text = span_of(text.ptr + 1, text.len - 2);
    if (!text.len)
        return 0;
    err = zone_rule_read(text, header->version >= 3, &zone->rule);
    if (err)
        return err;
    zone->has_rule = true;
    /* Both have to say the same of the time of the last change (RFC 8536 3.3). */
    if (zone->count && last_s > -TIME_MAX_S && last_s < TIME_MAX_S &&
        zone_rule_at(&zone->rule, last_s).offset_s != zone->offsets[zone->count - 1])
        return ERR_SYNTAX;
    return 0;
}

/* The block that counts: of a version 1 the only one, else the second, with times of 8 bytes. */
static int find_block(struct span *rest, struct header *ret_header, struct span *ret_block)
{
    struct header header;
    struct span block;
    unsigned version;
    int err = take_header(rest, 4, &header);

    if (err == 0)
        err = take_block(rest, &header, &block);
    if (err == 0 && header.version > 1) {
        version = header.version;
        err = take_header(rest, 8, &header);
        if (err == 0)
            err = header.version == version ? take_block(rest, &header, &block) : ERR_SYNTAX;
    }
    if (err)
        return err;
    *ret_header = header;
    *ret_block = block;
    return 0;
}

int zone_read(struct span bytes, struct zone **ret_zone)
{
    struct zone *zone = NULL;
    struct header header;
    struct parts parts;
    struct span block;
    int err;

    if (bytes.len > ZONE_FILE_MAX_BYTES)
        return ERR_FULL;
    err = find_block(&bytes, &header, &block);
    if (err == 0)
        err = check_counts(&header);
    if (err)
        return err;
    parts = parts_of(&header, block);
    if (check_types(&header, &parts) || check_flags(&header, &parts) ||
        check_changes(&header, &parts))
        return ERR_SYNTAX;
    zone = build(&header, &parts);
    if (!zone)
        return ERR_NOMEM;
    if (header.version > 1)
        err = read_footer(bytes, &header, zone);
    else if (bytes.len)
        err = ERR_SYNTAX;
    if (err)
        zone_free(&zone);
    else
        *ret_zone = zone;
    return err;
}

void zone_free(struct zone **place)
{
    MEM_CLEAR(*place);
}

/* ---- asking ---- */

/* What holds at a time. */
static struct zone_stretch stretch_at(const struct zone *zone, int64_t utc_s)
{
    struct zone_stretch stretch = {0, INT64_MAX};
    size_t low = 0, high;

    if (!zone)
        return stretch;
    high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zone->changes[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule)
        return zone_rule_at(&zone->rule, utc_s);
    stretch.offset_s = low ? zone->offsets[low - 1] : zone->first_offset_s;
    if (low < zone->count)
        stretch.until_s = zone->changes[low];
    return stretch;
}

static int64_t bounded(int64_t seconds)
{
    return seconds > TIME_MAX_S ? TIME_MAX_S : seconds < -TIME_MAX_S ? -TIME_MAX_S : seconds;
}

int32_t zone_offset_s(const struct zone *zone, int64_t utc_s)
{
    return stretch_at(zone, bounded(utc_s)).offset_s;
}

size_t zone_times(const struct zone *zone, int64_t local_s, int64_t ret_utc_s[2])
{
    int64_t local = bounded(local_s), from = local - OFFSET_MAX_S;
    size_t count = 0;

    while (from <= local + OFFSET_MAX_S && count < 2) {
        struct zone_stretch stretch = stretch_at(zone, from);
        int64_t utc = local - stretch.offset_s;

        if (utc >= from && utc < stretch.until_s)
            ret_utc_s[count++] = utc;
        from = stretch.until_s;
    }
    return count;
}

int64_t zone_first_s(const struct zone *zone, int64_t local_s)
{
    int64_t local = bounded(local_s), from = local - OFFSET_MAX_S;

    /* Ends: at local + OFFSET_MAX_S every clock shows it, or later. */
    for (;;) {
        struct zone_stretch stretch = stretch_at(zone, from);
        int64_t utc = local - stretch.offset_s;

        if (utc <= from)
            return from;
        if (utc < stretch.until_s)
            return utc;
        from = stretch.until_s;
    }
}
