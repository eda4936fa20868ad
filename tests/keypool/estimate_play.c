#include "estimate_play.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/rand.h"
#include "dialect/request_scan.h"
#include "limits/estimates.h"

enum {
    PIECES_MAX = 64,
    TEXT_MAX = 16384,
    REQUEST_MAX = 8 * TEXT_MAX,
    LINE_MAX_BYTES = TEXT_MAX + 256,
    KINDS = ESTIMATE_MIXED, /* of texts */
    ASKED = 300,            /* of each kind, at each look */
};

struct piece {
    unsigned tokens[ESTIMATE_VOCABULARIES];
    char *text; /* as JSON spells it, with the quotes */
};

static const char *const kind_names[ESTIMATE_KINDS] = {"english", "chinese", "vietnamese", "code",
                                                       "json",    "mixed",   "all"};
static const char *const vocabularies[ESTIMATE_VOCABULARIES] = {"o200k", "cl100k", "claude"};

/* style: of the one play that is on. */
static struct piece pieces[KINDS][PIECES_MAX];
static unsigned counts[KINDS];

const char *estimate_kind_name(enum estimate_kind kind)
{
    return kind_names[kind];
}

const char *estimate_vocabulary_name(unsigned vocabulary)
{
    return vocabularies[vocabulary];
}

/* kind, a number for each vocabulary, the text. */
static bool read_line(char *line)
{
    char *fields[2 + ESTIMATE_VOCABULARIES];
    unsigned kind = 0;
    struct piece *piece;

    line[strcspn(line, "\n")] = '\0';
    for (unsigned i = 0; i < 2 + ESTIMATE_VOCABULARIES; i++) {
        fields[i] = line;
        line += strcspn(line, "\t");
        if (*line)
            *line++ = '\0';
    }
    while (kind < KINDS && strcmp(kind_names[kind], fields[0]) != 0)
        kind++;
    if (kind == KINDS || counts[kind] == PIECES_MAX)
        return false;
    piece = &pieces[kind][counts[kind]++];
    for (unsigned i = 0; i < ESTIMATE_VOCABULARIES; i++)
        piece->tokens[i] = (unsigned)strtoul(fields[1 + i], NULL, 10);
    piece->text = strdup(fields[1 + ESTIMATE_VOCABULARIES]);
    return piece->text && piece->text[0] == '"';
}

bool estimate_play_begin(const char *source_root)
{
    char path[4096], *line = malloc(LINE_MAX_BYTES);
    bool is_good = line != NULL;
    FILE *file;

    snprintf(path, sizeof(path), "%s/bench/estimates/texts.tsv", source_root);
    file = fopen(path, "r");
    while (is_good && file && fgets(line, LINE_MAX_BYTES, file))
        is_good = read_line(line);
    if (file)
        fclose(file);
    free(line);
    return is_good && counts[0] > 0;
}

void estimate_play_end(void)
{
    for (unsigned i = 0; i < KINDS; i++) {
        for (unsigned j = 0; j < counts[i]; j++)
            free(pieces[i][j].text);
        counts[i] = 0;
    }
}

/* A request, and what its provider counts: of each message its text and four tokens more, and three
 * for the answer to come, as the providers that tell how they count do. */
struct request {
    char body[REQUEST_MAX];
    size_t len;
    uint64_t tokens;
};

static void put(struct request *request, const char *text)
{
    size_t len = strlen(text);

    memcpy(request->body + request->len, text, len);
    request->len += len;
}

/* One to eight messages; of the texts, those that stand at even places, or at odd ones. */
static void make(struct request *request, enum estimate_kind kind, bool is_asked,
                 unsigned vocabulary, struct rand *rand)
{
    static const unsigned sizes[] = {1, 1, 2, 3, 5, 8};
    uint64_t messages = sizes[rand_below(rand, sizeof(sizes) / sizeof(sizes[0]))];

    request->len = 0;
    request->tokens = 3;
    put(request, "{\"model\":\"m\",\"messages\":[");
    for (uint64_t i = 0; i < messages; i++) {
        unsigned of = kind == ESTIMATE_MIXED ? (unsigned)rand_below(rand, KINDS) : kind;
        const struct piece *piece = &pieces[of][2 * rand_below(rand, counts[of] / 2) + is_asked];

        put(request, i ? ",{\"role\":\"user\",\"content\":" : "{\"role\":\"user\",\"content\":");
        put(request, piece->text);
        put(request, "}");
        request->tokens += piece->tokens[vocabulary] + 4;
    }
    put(request, "]}");
}

struct play {
    const struct estimate_question *question;
    struct estimates *estimates;
    struct rand rand;
    struct json_scan scan;
    struct request_scan scanned;
    struct request request;
};

static const struct estimates_key *the_model(void)
{
    static struct estimates_key key = {SPAN_INIT("provider"), SPAN_INIT("m"), 0};

    key.hash = estimates_hash(key.provider, map_hash(key.model));
    return &key;
}

static struct estimate_text read_text(struct play *play)
{
    struct request_text text;

    request_scan_init(&play->scanned, FORM_CHAT, &play->scan);
    request_scan_count_kinds(&play->scanned);
    if (request_scan_feed(&play->scanned, span_of(play->request.body, play->request.len)) ||
        request_scan_finish(&play->scanned))
        abort();
    text = request_scan_text(&play->scanned);
    return (struct estimate_text){text.kinds, text.numbers, text.tool_bytes, text.media};
}

static void exchange_once(struct play *play)
{
    static const uint64_t nonsense[] = {0, 1, UINT64_C(1000000000000)};
    struct estimate_text text;
    uint64_t tokens;

    make(&play->request, (enum estimate_kind)rand_below(&play->rand, ESTIMATE_ALL), false,
         play->question->vocabulary, &play->rand);
    text = read_text(play);
    tokens = play->request.tokens;
    if (rand_below(&play->rand, 100) < play->question->nonsense_percent)
        tokens = nonsense[rand_below(&play->rand, 3)];
    if (!play->question->is_by_bytes)
        estimates_tell(play->estimates, 0, the_model(), &text, tokens, 0);
    estimates_learn(play->estimates);
}

static double ask_once(struct play *play, enum estimate_kind kind)
{
    struct estimate_text text;
    double guess;

    make(&play->request, kind, true, play->question->vocabulary, &play->rand);
    text = read_text(play);
    guess = play->question->is_by_bytes
                ? (double)request_scan_estimate_tokens(&play->scanned)
                : (double)estimates_guess(play->estimates, the_model(), &text).prompt;
    return fabs(guess / (double)play->request.tokens - 1);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static void sum_up(double *errors, size_t count, double *ret_p50, double *ret_p90)
{
    qsort(errors, count, sizeof(errors[0]), compare);
    *ret_p50 = errors[count / 2];
    *ret_p90 = errors[count * 9 / 10];
}

static void look(struct play *play, struct estimate_errors *ret_errors)
{
    static double errors[ESTIMATE_ALL * ASKED];

    for (unsigned kind = 0; kind < ESTIMATE_ALL; kind++) {
        for (unsigned i = 0; i < ASKED; i++)
            errors[kind * ASKED + i] = ask_once(play, (enum estimate_kind)kind);
        sum_up(&errors[(size_t)kind * ASKED], ASKED, &ret_errors->p50[kind],
               &ret_errors->p90[kind]);
    }
    sum_up(errors, (size_t)ESTIMATE_ALL * ASKED, &ret_errors->p50[ESTIMATE_ALL],
           &ret_errors->p90[ESTIMATE_ALL]);
}

void estimate_play(const struct estimate_question *question, struct estimate_errors *ret_errors)
{
    struct play *play = malloc(sizeof(*play));
    unsigned done = 0;

    if (!play)
        abort();
    play->question = question;
    play->estimates = estimates_new(1);
    if (!play->estimates)
        abort();
    rand_init(&play->rand, question->seed);
    for (unsigned i = 0; i < question->look_count; i++) {
        for (; done < question->looks[i]; done++)
            exchange_once(play);
        look(play, &ret_errors[i]);
    }
    estimates_free(&play->estimates);
    free(play);
}
