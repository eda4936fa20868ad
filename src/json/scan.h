/*
 * An incremental, validating JSON scanner (RFC 8259, strict): it reads a body in whatever pieces it
 * arrives, builds nothing, and notes where the values of a few watched members stand. Owned by
 * whoever receives the body; one thread. Pure: no I/O, no clock, no allocation.
 *
 * What is watched is a table of rows. A row names a member of the root object, or, by `parent`, of
 * the object that another row's value is, or of the objects inside the array that it is. A name
 * spelled with escapes counts as the name it spells. One liberty: an unpaired surrogate escape is
 * let through, as the grammar of RFC 8259 (section 8.2) does.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "json/kinds.h"

/* Kinds of values, as bits, so that a row can allow several. */
enum json_type {
    JSON_NULL = 1 << 0,
    JSON_BOOL = 1 << 1,
    JSON_NUMBER = 1 << 2,
    JSON_STRING = 1 << 3,
    JSON_OBJECT = 1 << 4,
    JSON_ARRAY = 1 << 5,
    JSON_ANY = (1 << 6) - 1,
};

enum json_watch_flag {
    JSON_UNIQUE = 1 << 0,   /* standing there twice is a fault; else the last one counts */
    JSON_COUNTED = 1 << 1,  /* characters of text below it are counted: see text_names */
    JSON_SPELLED = 1 << 2,  /* its name may not be spelled with escapes */
    JSON_PER_ITEM = 1 << 3, /* an array: `on_item` is called after each object in it, and what was
                               seen of the rows below is forgotten then */
    JSON_TELLS = 1 << 4,    /* captured: how its text begins, in whatever case, is a sign: those
                               whose parent it is are looked for there */
};

enum {
    JSON_WATCH_MAX = 24,  /* rows of a table */
    JSON_NAME_MAX = 32,   /* bytes of a watched name */
    JSON_DEPTH_MAX = 512, /* the most that a depth limit may be */
    JSON_SCOPE_MAX = 8,   /* watched members stand no deeper than this */
};

/* Names leave marks, so that most others are told apart without a search: one bit of 64, by the
 * length and the first byte; `name` is a literal. */
#define JSON_MARK(name) (UINT64_C(1) << (((unsigned char)(name)[0] ^ (sizeof(name) - 1) << 2) & 63))

/* The rows of one parent stand in a run behind it, those of the root object first of all. */
struct json_watch {
    struct span name; /* empty: the row matches nothing */
    int16_t parent;   /* row whose value holds the member; -1: the root object; JSON_SIGN_TEXT:
                         found where signs are looked for; it stands last */
    uint8_t types;    /* enum json_type bits allowed; any other is a fault */
    uint8_t flags;    /* enum json_watch_flag bits */
    uint8_t below;    /* the first of the rows whose parent this one is; 0: there are none */
    uint64_t marks;   /* JSON_MARK of their names and their other spellings, or-ed */
};

/* A name whose standing there is all that matters: a bit of json_scan.signs. */
enum {
    JSON_SIGN_ROOT = -1,
    JSON_SIGN_TEXT = -2
}; /* of the root object; anywhere below a
      JSON_COUNTED row */

struct json_sign {
    struct span name;
    int16_t parent; /* a row whose value is an object, or that is JSON_TELLS, or one of the above */
    uint8_t bit;    /* below 64; several names may share one */
};

/* Another name of a row: who writes the body may use either. */
struct json_spelling {
    struct span name;
    uint8_t row;
};

struct json_watchlist {
    const struct json_watch *rows;
    size_t count; /* at most JSON_WATCH_MAX */
    /* Below a JSON_COUNTED row a string counts where it is the row's own value, an item of an
     * array, or a member of one of these names. */
    const struct span *text_names;
    size_t text_name_count;
    /* Behind those in the same list: names whose members are but counted (named_members). */
    size_t counted_name_count;
    const struct json_spelling *spellings; /* looked at where no row has a name */
    size_t spelling_count;
    uint64_t root_marks, text_marks; /* JSON_MARK of the root's rows, and of text_names with all
                                        that stand behind */
    const struct json_sign
        *signs; /* where there are any, every name that may be one is looked up */
    size_t sign_count;
};

/* What was seen of one row. Offsets count from the first byte of the body. */
struct json_seen {
    uint64_t start;      /* first byte of the value */
    uint64_t end;        /* behind its last byte */
    int64_t number;      /* JSON_NUMBER: whole part, towards zero, saturated */
    uint32_t text_len;   /* bytes put into the capture */
    uint8_t type;        /* 0: not there, or not begun; else one enum json_type */
    bool is_whole : 1;   /* the value has ended */
    bool is_true : 1;    /* JSON_BOOL */
    bool is_integer : 1; /* JSON_NUMBER: without fraction and exponent */
    bool is_empty : 1;   /* JSON_STRING, JSON_OBJECT, JSON_ARRAY: "", {} or [] */
    bool is_escaped : 1; /* JSON_STRING: spelled with escapes */
    bool is_cut : 1;     /* the value was larger than its capture */
    bool is_twice : 1;   /* the member stood there more than once */
};

enum json_fault {
    JSON_FAULT_NONE,
    JSON_FAULT_EMPTY,      /* nothing but white space */
    JSON_FAULT_SYNTAX,     /* no JSON: `fault_at` is the first byte that cannot stand there */
    JSON_FAULT_CUT,        /* it ended in the middle */
    JSON_FAULT_NOT_OBJECT, /* JSON perhaps, and not an object */
    JSON_FAULT_DEPTH,      /* nested deeper than the limit */
    JSON_FAULT_UTF8,       /* bytes that are not UTF-8 (RFC 3629) */
    JSON_FAULT_TRAILING,   /* something behind the object's end */
    JSON_FAULT_DUPLICATE,  /* row `fault_row`, JSON_UNIQUE, stands there again */
    JSON_FAULT_SPELLING,   /* row `fault_row`, JSON_SPELLED, has escapes in its name */
    JSON_FAULT_TYPE, /* row `fault_row` has a value of `fault_type`, which it does not allow */
};

struct json_capture {
    char *data;
    uint32_t cap;
};

/* Whether the rows stand, and the marks are set, as struct json_watch says; for tests of a table.
 */
bool json_watchlist_is_sound(const struct json_watchlist *list);

/* Embedded and never moved while scanning; to be read, not written, by its owner. */
struct json_scan {
    const struct json_watchlist *list;
    struct json_seen seen[JSON_WATCH_MAX];
    struct json_capture captures[JSON_WATCH_MAX]; /* of the rows in `captured` */
    void (*on_item)(void *context, int row);      /* see JSON_PER_ITEM; may be NULL */
    void *context;

    uint64_t root_start;      /* offset behind the root's opening brace; 0 before it */
    bool root_is_empty;       /* valid when finished */
    uint64_t text_chars;      /* characters (code points) of counted text */
    uint64_t text_bytes;      /* the same in bytes of UTF-8 */
    uint64_t text_numbers;    /* numbers that are items below counted rows: tokens given as such */
    uint64_t named_members;   /* below counted rows, of the names that are but counted */
    uint64_t signs;           /* a bit for each that was met, whatever its value */
    struct json_kinds *kinds; /* counted text by kinds; NULL: nobody wants to know */

    enum json_fault fault;
    uint64_t fault_at; /* offset */
    int fault_row;
    enum json_type fault_type;

    /* What follows is the scanner's own. */
    const unsigned char *origin;       /* first byte of the piece at hand */
    const unsigned char *capture_from; /* first byte of it not yet captured */
    uint64_t base;                     /* offset of the piece at hand */
    uint64_t marks;                    /* of the names that matter in the container at hand */
    uint32_t captured;                 /* a bit for each row that has a capture */
    uint8_t state;                     /* enum state of scan.c */
    uint8_t sink;                      /* enum sink: where the string being read goes */
    bool is_name;                      /* it is a member's name */
    bool is_name_escaped;
    bool is_counted;             /* it is counted as text */
    uint8_t utf8_need;           /* continuation bytes still to come */
    uint8_t utf8_low, utf8_high; /* bounds of the next one */
    uint8_t digits;              /* hexadecimal digits of `unit` read */
    uint16_t unit;               /* the escaped code unit being read */
    uint16_t high_surrogate;     /* the one before it, where it waits for its other half */
    uint8_t literal;             /* which of the literals is being read */
    uint8_t literal_at;          /* bytes of it matched */
    bool is_negative;
    bool name_is_text;   /* the member being read is one of text_names */
    int16_t row;         /* row of the value being read, or -1 */
    int16_t capture_row; /* row captured as it is spelled, or -1 */
    uint8_t name_len;    /* bytes in name; JSON_NAME_MAX + 1: longer than any watched one */
    uint16_t depth, max_depth;
    uint16_t capture_depth; /* depth within the captured value; 0: it is no container */
    uint16_t text_depth;    /* depth within the counted value; 0: not in one */
    char name[JSON_NAME_MAX];
    int16_t scope[JSON_SCOPE_MAX]; /* whose members stand at that depth: a row, or enum scope */
    uint8_t is_array[JSON_DEPTH_MAX / 8 + 1];
};

/* Ready for the first piece. The list outlives the scanner; max_depth is 1 to JSON_DEPTH_MAX. */
void json_scan_init(struct json_scan *scan, const struct json_watchlist *list, unsigned max_depth);

/* From here on the counted text is counted by kinds too, into the caller's zeroed struct, which
 * outlives the scan. Before the first piece. */
void json_scan_count_kinds(struct json_scan *scan, struct json_kinds *kinds);

/* From here on the row's value is copied to data as it passes: a string decoded (an unpaired
 * surrogate as U+FFFD), anything else as it is spelled. What does not fit is dropped whole
 * character by whole character, and is_cut says so. Before the first piece; data outlives the scan.
 */
void json_scan_capture(struct json_scan *scan, int row, char *data, size_t cap);

/* Reads the next piece, of any length: 0, or ERR_SYNTAX once a fault is found, which `fault` and
 * its fields then describe; further pieces change nothing. */
int json_scan_feed(struct json_scan *scan, struct span piece);

/* The body has ended: 0, or ERR_SYNTAX as above. */
int json_scan_finish(struct json_scan *scan);

/* The captured text of a row; empty where it is absent. */
static inline struct span json_scan_text(const struct json_scan *scan, int row)
{
    return scan->captured >> row & 1 ? span_of(scan->captures[row].data, scan->seen[row].text_len)
                                     : span_of(NULL, 0);
}

/* "a string", "an object", …: for messages. */
const char *json_type_text(enum json_type type);

#endif
