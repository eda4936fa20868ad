/*
 * What clouds' secret stores answer: a first byte that says whose it is, then the body; and the
 * same bytes as a name. Whatever it says, versions and names are ones that such things can have, an
 * answer of pages stays bounded, no page leads to another host, and a name that is read is written
 * the same again.
 */
#include "fuzz.h"

#include "base/err.h"
#include "secrets/aws_answer.h"
#include "secrets/azure_answer.h"
#include "secrets/cloud_answer.h"
#include "secrets/cloud_proof.h"
#include "secrets/google_answer.h"
#include "secrets/kubernetes_answer.h"
#include "secrets/secret_name.h"

enum { NEXT_MAX_BYTES = 8 << 10 };

static struct secret_arena *secrets;

static void must_be_version(const char *id)
{
    must(secret_version_is_good(span_from_text(id)));
}

static void must_be_versions(struct secret_versions *versions)
{
    struct span rest, line;
    struct buf out;

    buf_init(&out, SECRET_LIST_MAX_BYTES);
    must(secret_versions_write(versions, &out) != ERR_FULL);
    rest = buf_span(&out);
    must(!out.len || out.data[out.len - 1] == '\n');
    while (rest.len && span_next_token(&rest, '\n', &line) && line.len) {
        size_t space = span_find_byte(line, ' ');

        must(secret_version_is_good(span_of(line.ptr, space == SIZE_MAX ? line.len : space)));
    }
    buf_fini(&out);
    secret_versions_fini(versions);
}

static int on_name(void *owner, struct span name)
{
    char path[SECRET_NAME_BYTES];

    for (int style = SECRET_NAME_PLAIN; style <= SECRET_NAME_KUBERNETES; style++) {
        if (secret_name_read((enum secret_name_style)style, name, path))
            must(secret_path_is_good(span_from_text(path)));
    }
    return ++*(int *)owner > 100000 ? ERR_FULL : 0;
}

static void read_aws(struct span body, struct buf *out, struct buf *next)
{
    char id[SECRET_VERSION_MAX_BYTES + 1];
    struct secret_versions versions = {0};
    bool is_deleted;
    int names = 0;

    if (!aws_answer_value(body, out, id))
        must_be_version(id);
    if (!aws_answer_made(body, id))
        must_be_version(id);
    if (!aws_answer_described(body, id, &is_deleted) && *id)
        must_be_version(id);
    aws_answer_names(body, on_name, &names, next);
    aws_answer_versions(body, &versions, next);
    must_be_versions(&versions);
    for (int status = 400; status <= 503; status += 103)
        must(aws_answer_refusal(status, body) <= AWS_SERVER_FAILS);
    aws_answer_words(body, out);
}

static void read_google(struct span body, struct buf *out, struct buf *next)
{
    struct google_newest newest = {0};
    struct secret_versions versions = {0};
    uint64_t number = 0, stamp;
    int names = 0;

    if (!google_answer_value(body, out, &number))
        must(number != 0 && number != SECRET_ANY);
    if (!google_answer_version(body, &number, &stamp))
        must(number != 0 && number != SECRET_ANY);
    google_answer_versions(body, &newest, &versions, next);
    must(newest.enabled <= newest.highest);
    must_be_versions(&versions);
    google_answer_names(body, on_name, &names, next);
}

static void read_azure(struct span body, struct buf *out, struct buf *next)
{
    const struct span vault = SPAN("https://v.example");
    char id[SECRET_VERSION_MAX_BYTES + 1];
    struct secret_versions versions = {0};
    int names = 0;

    if (!azure_answer_value(body, out, id))
        must_be_version(id);
    azure_answer_versions(body, vault, &versions, next);
    must_be_versions(&versions);
    buf_clear(next);
    azure_answer_names(body, vault, on_name, &names, next);
    must(!next->len || span_has_prefix(buf_span(next), SPAN("https://v.example/")));
}

static void read_kubernetes(struct span body, struct buf *out, struct buf *next)
{
    char id[SECRET_VERSION_MAX_BYTES + 1];
    int names = 0;

    if (!kubernetes_answer_version(body, id))
        must_be_version(id);
    kubernetes_answer_value(body, out);
    kubernetes_answer_names(body, on_name, &names, next);
    cloud_answer_words(body, out);
    cloud_answer_is(body, "NotFound");
}

/* Keys that come are three lines, each of which a header can carry. */
static void read_proof(struct span body, enum cloud_login_kind kind)
{
    const struct cloud_login login = {.kind = kind};
    struct cloud_reply reply = {.why = "", .status = 200, .body = body};
    struct cloud_proof proof;

    cloud_proof_init(&proof, &login, secrets);
    proof.step = kind == CLOUD_LOGIN_AWS_INSTANCE ? 2 : 0;
    if (!cloud_proof_take(&proof, &reply, 1)) {
        struct cloud_keys keys = cloud_keys_of(proof.secret);

        must(keys.id.len > 0 && keys.secret.len > 0);
        must(span_find_byte(keys.session, '\n') == SIZE_MAX);
        must(proof.life_us > 0 && proof.life_us <= TOKEN_MAX_LIFE_US);
    }
    must(strnlen(proof.words, TOKEN_WORDS_BYTES) < TOKEN_WORDS_BYTES);
    secret_unref(&proof.secret);
    cloud_proof_fini(&proof);
    reply.status = 403;
    cloud_proof_init(&proof, &login, secrets);
    must(cloud_proof_take(&proof, &reply, 1) != 0 && !proof.secret);
    cloud_proof_fini(&proof);
}

static void read_names(struct span name)
{
    char path[SECRET_NAME_BYTES], again[SECRET_NAME_BYTES];

    for (int style = SECRET_NAME_PLAIN; style <= SECRET_NAME_KUBERNETES; style++) {
        if (!secret_name_read((enum secret_name_style)style, name, path))
            continue;
        must(secret_name_write((enum secret_name_style)style, SPAN(""), span_from_text(path),
                               again) == 0);
        must(span_is_equal(span_from_text(again), name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body;
    struct buf out, next;
    bool is_locked;

    if (!secrets)
        secrets = secret_arena_new(1 << 20, &is_locked);
    if (!secrets || size < 1)
        return 0;
    body = span_of((const char *)data + 1, size - 1);
    buf_init(&out, 4 * (size_t)SECRET_ENTRY_MAX_BYTES);
    buf_init(&next, NEXT_MAX_BYTES);
    out.is_secret = true;
    if (data[0] == 'a')
        read_aws(body, &out, &next);
    else if (data[0] == 'g')
        read_google(body, &out, &next);
    else if (data[0] == 'z')
        read_azure(body, &out, &next);
    else if (data[0] == 'k')
        read_kubernetes(body, &out, &next);
    else if (data[0] == 'x')
        read_proof(body, CLOUD_LOGIN_AWS_WEB_IDENTITY);
    else if (data[0] == 'i')
        read_proof(body, CLOUD_LOGIN_AWS_INSTANCE);
    else
        read_names(body);
    buf_fini(&out);
    buf_fini(&next);
    return 0;
}
