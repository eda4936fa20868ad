#include "secrets/cloud_proof.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "base/percent.h"
#include "secrets/secret_store_kind.h"
#include "secrets/token_file.h"
#include "secrets/token_request.h"

#define FILE_LIFE_US (60 * US_PER_SEC)
#define LINK_LOCAL   "http://169.254.169.254"

enum { KEPT_MAX_BYTES = 4096, TREE_MAX_BYTES = 1 << 20, KEY_MAX_BYTES = 8192 };

static int fail(struct cloud_proof *proof, int err, const char *words)
{
    token_words(span_from_text(words), proof->words);
    return err;
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text && *text ? text : otherwise;
}

void cloud_proof_init(struct cloud_proof *proof, const struct cloud_login *login,
                      struct secret_arena *secrets)
{
    *proof = (struct cloud_proof){.login = login, .secrets = secrets};
    buf_init(&proof->kept, KEPT_MAX_BYTES);
    buf_init(&proof->more, KEPT_MAX_BYTES);
    proof->kept.is_secret = proof->more.is_secret = true;
}

void cloud_proof_fini(struct cloud_proof *proof)
{
    buf_fini(&proof->kept);
    buf_fini(&proof->more);
}

/* ---- texts ---- */

/* What a header line can carry, and a line of three can hold. */
static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len <= KEY_MAX_BYTES;
}

static int join_keys(struct cloud_proof *proof, const struct cloud_keys *keys)
{
    const struct span pieces[] = {keys->id, SPAN("\n"), keys->secret, SPAN("\n"), keys->session};

    if (!keys->id.len || !keys->secret.len || !is_plain(keys->id) || !is_plain(keys->secret) ||
        !is_plain(keys->session))
        return fail(proof, ERR_PROTO, "the keys that came are none");
    return secret_join(proof->secrets, pieces, sizeof(pieces) / sizeof(pieces[0]), &proof->secret);
}

struct cloud_keys cloud_keys_of(const struct secret *secret)
{
    struct span text = secret_reveal(secret), *at[3];
    struct cloud_keys keys = {{NULL, 0}, {NULL, 0}, {NULL, 0}};

    at[0] = &keys.id, at[1] = &keys.secret, at[2] = &keys.session;
    for (int i = 0; i < 3; i++) {
        size_t end = span_find_byte(text, '\n');

        *at[i] = span_of(text.ptr, end == SIZE_MAX ? text.len : end);
        text = span_skip(text, at[i]->len + (end != SIZE_MAX));
    }
    return keys;
}

static int read_file(struct cloud_proof *proof, const char *path, struct buf *out)
{
    char words[TOKEN_WORDS_BYTES];
    int err = token_file_read(path, out);

    if (!err && (!out->len || !is_plain(span_of(out->data, out->len < 64 ? out->len : 64))))
        err = ERR_SYNTAX;
    if (!err)
        return 0;
    snprintf(words, sizeof(words), "the token's file cannot be read: %.100s",
             err == ERR_SYNTAX ? "it holds none" : err_text(err));
    return fail(proof, err, words);
}

/* ---- what is there already ---- */

static int take_declared(struct cloud_proof *proof)
{
    const struct cloud_login *login = proof->login;
    struct cloud_keys keys = {.id = span_from_text(login->name),
                              .secret = secret_reveal(login->secret),
                              .session = SPAN("")};

    if (!login->name) {
        proof->secret = secret_ref(login->secret);
        return 0;
    }
    if (login->session)
        keys.session = secret_reveal(login->session);
    return join_keys(proof, &keys);
}

static int take_file(struct cloud_proof *proof)
{
    struct buf token;
    int err;

    buf_init(&token, TOKEN_MAX_BYTES);
    token.is_secret = true;
    err = read_file(proof, proof->login->file, &token);
    if (!err && !is_plain(buf_span(&token)))
        err = fail(proof, ERR_SYNTAX, "the token's file holds what is no token");
    if (!err)
        err = secret_new(proof->secrets, buf_span(&token), &proof->secret);
    proof->life_us = FILE_LIFE_US;
    buf_fini(&token);
    return err;
}

/* ---- questions ---- */

static int ask_credential(struct cloud_proof *proof, uint64_t wall_us,
                          struct cloud_question *question)
{
    const struct credential *credential = proof->login->credential;
    struct token_request request;
    struct buf assertion;
    int err = 0;

    buf_init(&assertion, TOKEN_ASSERTION_MAX_BYTES);
    assertion.is_secret = true;
    if (credential->token_file.len)
        err = read_file(proof, credential->token_file.ptr, &assertion);
    if (!err) {
        err = token_request_write(&request, credential, buf_span(&assertion), wall_us);
        question->method = "POST";
        buf_append_span(&question->url, buf_span(&request.url));
        buf_append_span(&question->body, buf_span(&request.body));
        for (const char *const *line = request.fields; *line; line++)
            buf_append(&question->lines, *line, strlen(*line) + 1);
        token_request_fini(&request);
        if (err == ERR_SYNTAX)
            fail(proof, err,
                 "the credential cannot be used: no token, or no key, is what it holds");
    }
    buf_fini(&assertion);
    return err;
}

static int ask_google(struct cloud_proof *proof, struct cloud_question *question)
{
    buf_printf(&question->url, "%s/computeMetadata/v1/instance/service-accounts/default/token",
               or_else(proof->login->url, "http://metadata.google.internal"));
    cloud_question_line(question, "Metadata-Flavor", SPAN("Google"));
    return 0;
}

static int ask_azure(struct cloud_proof *proof, struct cloud_question *question)
{
    buf_printf(&question->url, "%s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=",
               or_else(proof->login->url, LINK_LOCAL));
    percent_write(&question->url, span_from_text(proof->resource), "");
    if (proof->login->name) {
        buf_append_span(&question->url, SPAN("&client_id="));
        percent_write(&question->url, span_from_text(proof->login->name), "");
    }
    cloud_question_line(question, "Metadata", SPAN("true"));
    return 0;
}

/* RFC 3986 has more reserved bytes than a form does; STS takes both. */
static int ask_web_identity(struct cloud_proof *proof, struct cloud_question *question)
{
    struct buf token;
    int err;

    buf_init(&token, TOKEN_ASSERTION_MAX_BYTES);
    token.is_secret = true;
    err = read_file(proof, proof->login->file, &token);
    question->method = "POST";
    if (proof->login->url)
        buf_printf(&question->url, "%s/", proof->login->url);
    else
        buf_printf(&question->url, "https://sts.%s.amazonaws.com%s/", proof->region,
                   span_has_prefix(span_from_text(proof->region), SPAN("cn-")) ? ".cn" : "");
    cloud_question_line(question, "Content-Type",
                        SPAN("application/x-www-form-urlencoded; charset=utf-8"));
    cloud_question_line(question, "Accept", SPAN("text/xml"));
    buf_append_span(&question->body, SPAN("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&"
                                          "RoleSessionName=bellwether&RoleArn="));
    percent_write(&question->body, span_from_text(proof->login->name), "");
    buf_append_span(&question->body, SPAN("&WebIdentityToken="));
    percent_write(&question->body, buf_span(&token), "");
    buf_fini(&token);
    return err;
}

static int ask_container(struct cloud_proof *proof, struct cloud_question *question)
{
    struct buf token;
    int err = 0;

    buf_init(&token, TOKEN_ASSERTION_MAX_BYTES);
    token.is_secret = true;
    buf_append_span(&question->url, span_from_text(proof->login->url));
    cloud_question_line(question, "Accept", SPAN("application/json"));
    if (proof->login->file)
        err = read_file(proof, proof->login->file, &token);
    else if (proof->login->secret)
        err = buf_append_span(&token, secret_reveal(proof->login->secret));
    if (!err && token.len)
        cloud_question_line(question, "Authorization", buf_span(&token));
    buf_fini(&token);
    return err;
}

/* IMDSv2: a token of its own, the role's name, the role's keys. */
static int ask_instance(struct cloud_proof *proof, struct cloud_question *question)
{
    const char *url = or_else(proof->login->url, LINK_LOCAL);

    if (proof->step == 0) {
        question->method = "PUT";
        buf_printf(&question->url, "%s/latest/api/token", url);
        cloud_question_line(question, "X-aws-ec2-metadata-token-ttl-seconds", SPAN("300"));
        return 0;
    }
    buf_printf(&question->url, "%s/latest/meta-data/iam/security-credentials/", url);
    if (proof->step == 2)
        percent_write(&question->url, buf_span(&proof->more), "");
    cloud_question_line(question, "X-aws-ec2-metadata-token", buf_span(&proof->kept));
    return 0;
}

int cloud_proof_ask(struct cloud_proof *proof, uint64_t wall_us, struct cloud_question *question)
{
    question->is_repeatable = true;
    switch (proof->login->kind) {
    case CLOUD_LOGIN_SECRET:
        return take_declared(proof);
    case CLOUD_LOGIN_FILE:
        return take_file(proof);
    case CLOUD_LOGIN_CREDENTIAL:
        return ask_credential(proof, wall_us, question);
    case CLOUD_LOGIN_GOOGLE_METADATA:
        return ask_google(proof, question);
    case CLOUD_LOGIN_AZURE_IDENTITY:
        return ask_azure(proof, question);
    case CLOUD_LOGIN_AWS_WEB_IDENTITY:
        return ask_web_identity(proof, question);
    case CLOUD_LOGIN_AWS_CONTAINER:
        return ask_container(proof, question);
    case CLOUD_LOGIN_AWS_INSTANCE:
        return ask_instance(proof, question);
    }
    return fail(proof, ERR_SYNTAX, "there is no such login");
}

/* ---- answers ---- */

struct span cloud_xml_text(struct span xml, const char *name)
{
    char tag[64];
    size_t len = (size_t)snprintf(tag, sizeof(tag), "<%s>", name), at;
    struct span rest;

    at = len < sizeof(tag) ? span_find(xml, span_of(tag, len)) : SIZE_MAX;
    if (at == SIZE_MAX)
        return SPAN("");
    rest = span_skip(xml, at + len);
    at = span_find_byte(rest, '<');
    snprintf(tag, sizeof(tag), "</%s>", name);
    if (at == SIZE_MAX || !span_has_prefix(span_skip(rest, at), span_from_text(tag)) ||
        span_find_byte(span_of(rest.ptr, at), '&') != SIZE_MAX)
        return SPAN("");
    return span_of(rest.ptr, at);
}

/* Until when they can be used. */
static int take_keys(struct cloud_proof *proof, const struct cloud_keys *keys, struct span until,
                     uint64_t wall_us)
{
    uint64_t until_us = 0;

    if (until.len && datetime_read_rfc3339(until, &until_us))
        return fail(proof, ERR_PROTO, "the end of the keys that came is no time");
    if (until.len && until_us <= wall_us)
        return fail(proof, ERR_PROTO, "the keys that came have ended already");
    proof->life_us = until.len ? until_us - wall_us : TOKEN_UNTOLD_LIFE_US;
    if (proof->life_us > TOKEN_MAX_LIFE_US)
        proof->life_us = TOKEN_MAX_LIFE_US;
    return join_keys(proof, keys);
}

static int take_xml(struct cloud_proof *proof, const struct cloud_reply *reply, uint64_t wall_us)
{
    struct cloud_keys keys = {.id = cloud_xml_text(reply->body, "AccessKeyId"),
                              .secret = cloud_xml_text(reply->body, "SecretAccessKey"),
                              .session = cloud_xml_text(reply->body, "SessionToken")};
    struct span until = cloud_xml_text(reply->body, "Expiration");

    if (!keys.session.len)
        return fail(proof, ERR_PROTO, "the STS answers without keys");
    return take_keys(proof, &keys, until, wall_us);
}

static int take_json(struct cloud_proof *proof, const struct cloud_reply *reply, uint64_t wall_us)
{
    struct json_tree tree;
    int err = json_tree_read(&tree, reply->body, TREE_MAX_BYTES);
    yyjson_val *root = err ? NULL : yyjson_doc_get_root(tree.doc);
    struct span code = json_tree_string(root, "Code");
    struct cloud_keys keys = {.id = json_tree_string(root, "AccessKeyId"),
                              .secret = json_tree_string(root, "SecretAccessKey"),
                              .session = json_tree_string(root, "Token")};

    if (err != ERR_NOMEM && code.len && !span_is_equal(code, SPAN("Success"))) {
        token_words(code, proof->words);
        err = ERR_DENIED;
    } else if (err != ERR_NOMEM && !keys.secret.len) {
        err = fail(proof, ERR_PROTO, "an answer came without keys");
    } else if (!err) {
        err = take_keys(proof, &keys, json_tree_string(root, "Expiration"), wall_us);
    }
    secret_tree_fini(&tree);
    return err;
}

static int take_token(struct cloud_proof *proof, const struct cloud_reply *reply)
{
    struct token_answer answer = {.token = NULL};
    int err = token_answer_read(reply->status, reply->body, proof->secrets, &answer);

    proof->secret = answer.token;
    proof->life_us = answer.life_us;
    if (err)
        fail(proof, err, answer.words[0] ? answer.words : err_text(err));
    return err == ERR_SYNTAX ? ERR_PROTO : err;
}

/* A line of plain characters, kept for the next step. */
static int keep(struct cloud_proof *proof, struct buf *kept, struct span body)
{
    struct span line = span_of(
        body.ptr, span_find_byte(body, '\n') == SIZE_MAX ? body.len : span_find_byte(body, '\n'));

    line = span_trim(line);
    if (!line.len || !is_plain(line))
        return fail(proof, ERR_PROTO, "the machine's metadata are answered in another way");
    proof->step++;
    return buf_append_span(kept, line);
}

static int take_instance(struct cloud_proof *proof, const struct cloud_reply *reply,
                         uint64_t wall_us)
{
    if (proof->step == 0)
        return keep(proof, &proof->kept, reply->body);
    if (proof->step == 1)
        return keep(proof, &proof->more, reply->body);
    return take_json(proof, reply, wall_us);
}

static int err_of_status(int status)
{
    return status >= 500 || status == 429 ? ERR_UNREACHABLE : ERR_DENIED;
}

static int refuse(struct cloud_proof *proof, const struct cloud_reply *reply)
{
    struct span code = cloud_xml_text(reply->body, "Code");
    struct span message = cloud_xml_text(reply->body, "Message");
    char words[TOKEN_WORDS_BYTES];

    if (!code.len)
        code = SPAN("refused");
    snprintf(words, sizeof(words), "HTTP %d: %.*s%s%.*s", reply->status,
             (int)(code.len < 60 ? code.len : 60), code.ptr, message.len ? ": " : "",
             (int)(message.len < 120 ? message.len : 120), message.ptr);
    token_words(span_from_text(words), proof->words);
    return err_of_status(reply->status);
}

static int take(struct cloud_proof *proof, const struct cloud_reply *reply, uint64_t wall_us)
{
    bool is_good = reply->status >= 200 && reply->status <= 299;

    switch (proof->login->kind) {
    case CLOUD_LOGIN_SECRET:
    case CLOUD_LOGIN_FILE:
        break;
    case CLOUD_LOGIN_CREDENTIAL:
    case CLOUD_LOGIN_GOOGLE_METADATA:
    case CLOUD_LOGIN_AZURE_IDENTITY: {
        int err = take_token(proof, reply);

        if (err == ERR_PROTO && !is_good)
            return err_of_status(reply->status);
        return err;
    }
    case CLOUD_LOGIN_AWS_WEB_IDENTITY:
        return is_good ? take_xml(proof, reply, wall_us) : refuse(proof, reply);
    case CLOUD_LOGIN_AWS_CONTAINER:
        return is_good ? take_json(proof, reply, wall_us) : refuse(proof, reply);
    case CLOUD_LOGIN_AWS_INSTANCE:
        return is_good ? take_instance(proof, reply, wall_us) : refuse(proof, reply);
    }
    return fail(proof, ERR_PROTO, "nothing was asked");
}

int cloud_proof_take(struct cloud_proof *proof, const struct cloud_reply *reply, uint64_t wall_us)
{
    int err = take(proof, reply, wall_us);

    if (err && proof->login->secret)
        token_words_guard(proof->words, secret_reveal(proof->login->secret));
    if (err && proof->login->credential && proof->login->credential->secret)
        token_words_guard(proof->words, secret_reveal(proof->login->credential->secret));
    return err;
}
