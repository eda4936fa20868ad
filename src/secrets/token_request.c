#include "secrets/token_request.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/write.h"
#include "secrets/jwt.h"

/* Form encoding may treble an assertion. */
enum { URL_MAX_BYTES = 4096, BODY_MAX_BYTES = 128 << 10, CLAIMS_MAX_BYTES = 8192 };

/* Servers refuse what was signed in their future; and an hour is the longest that Google takes. */
enum { SKEW_SECONDS = 10, SIGNED_LIFE_SECONDS = 3600 };

#define JWT_BEARER "urn:ietf:params:oauth:grant-type:jwt-bearer"

static const char *const form_fields[] = {
    "Content-Type: application/x-www-form-urlencoded",
    "Accept: application/json",
    NULL,
};

static const char *const anthropic_fields[] = {
    "Content-Type: application/json",
    "Accept: application/json",
    "anthropic-beta: oauth-2025-04-20,oidc-federation-2026-04-01",
    NULL,
};

/* ---- forms ---- */

static void put_member(struct buf *out, const char *name, struct span value)
{
    buf_printf(out, "%s%s=", out->len ? "&" : "", name);
    percent_write(out, value, "");
}

static void write_azure(struct token_request *request, const struct credential *credential,
                        struct span assertion)
{
    struct buf *body = &request->body;

    buf_append_span(&request->url, credential->url);
    buf_append_byte(&request->url, '/');
    percent_write(&request->url, credential->tenant, "");
    buf_append_span(&request->url, SPAN("/oauth2/v2.0/token"));
    put_member(body, "grant_type", SPAN("client_credentials"));
    put_member(body, "client_id", credential->client_id);
    put_member(body, "scope", credential->scope);
    if (credential->secret) {
        put_member(body, "client_secret", secret_reveal(credential->secret));
        return;
    }
    put_member(body, "client_assertion_type",
               SPAN("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    put_member(body, "client_assertion", assertion);
}

/* ---- Google ---- */

static int sign_claims(const struct credential *credential, uint64_t wall_us, struct buf *out)
{
    uint64_t issued = wall_us / US_PER_SEC - SKEW_SECONDS;
    struct json_writer writer;
    struct buf header, claims;
    int err;

    buf_init(&header, CLAIMS_MAX_BYTES);
    json_writer_init(&writer, &header);
    json_begin_object(&writer);
    json_member_text(&writer, "alg", "RS256");
    json_member_text(&writer, "typ", "JWT");
    if (credential->key_id.len)
        json_member_string(&writer, "kid", credential->key_id);
    json_end_object(&writer);
    buf_init(&claims, CLAIMS_MAX_BYTES);
    json_writer_init(&writer, &claims);
    json_begin_object(&writer);
    json_member_string(&writer, "iss", credential->client_id);
    json_member_string(&writer, "scope", credential->scope);
    json_member_string(&writer, "aud", credential->url);
    json_member_uint(&writer, "iat", issued);
    json_member_uint(&writer, "exp", issued + SIGNED_LIFE_SECONDS);
    json_end_object(&writer);
    err = header.err ? header.err : claims.err;
    if (!err)
        err =
            jwt_sign(out, buf_span(&header), buf_span(&claims), secret_reveal(credential->secret));
    buf_fini(&header);
    buf_fini(&claims);
    return err;
}

static int write_google(struct token_request *request, const struct credential *credential,
                        uint64_t wall_us)
{
    int err;

    buf_append_span(&request->url, credential->url);
    put_member(&request->body, "grant_type", SPAN(JWT_BEARER));
    err = buf_append_span(&request->body, SPAN("&assertion="));
    /* Of base64url and dots: nothing of it needs to be encoded. */
    return err ? err : sign_claims(credential, wall_us, &request->body);
}

/* ---- Anthropic ---- */

static void write_anthropic(struct token_request *request, const struct credential *credential,
                            struct span assertion)
{
    struct json_writer writer;

    buf_append_span(&request->url, credential->url);
    buf_append_span(&request->url, SPAN("/v1/oauth/token"));
    json_writer_init(&writer, &request->body);
    json_begin_object(&writer);
    json_member_text(&writer, "grant_type", JWT_BEARER);
    json_member_string(&writer, "assertion", assertion);
    json_member_string(&writer, "federation_rule_id", credential->rule);
    json_member_string(&writer, "organization_id", credential->organization);
    if (credential->service_account.len)
        json_member_string(&writer, "service_account_id", credential->service_account);
    if (credential->workspace.len)
        json_member_string(&writer, "workspace_id", credential->workspace);
    json_end_object(&writer);
}

/* ---- all ---- */

static bool is_assertion(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0 && text.len <= TOKEN_ASSERTION_MAX_BYTES;
}

int token_request_write(struct token_request *request, const struct credential *credential,
                        struct span assertion, uint64_t wall_us)
{
    int err = 0;

    *request = (struct token_request){.fields = form_fields};
    buf_init(&request->url, URL_MAX_BYTES);
    buf_init(&request->body, BODY_MAX_BYTES);
    request->body.is_secret = true;
    if (credential->token_file.len && !is_assertion(assertion))
        return ERR_SYNTAX;
    switch (credential->kind) {
    case CREDENTIAL_AZURE_ENTRA:
        write_azure(request, credential, assertion);
        break;
    case CREDENTIAL_GOOGLE_SERVICE_ACCOUNT:
        err = write_google(request, credential, wall_us);
        break;
    case CREDENTIAL_ANTHROPIC_FEDERATION:
        request->fields = anthropic_fields;
        write_anthropic(request, credential, assertion);
        break;
    case CREDENTIAL_KINDS:
        break;
    }
    if (!err)
        err = request->url.err ? request->url.err : request->body.err;
    return err;
}

void token_request_fini(struct token_request *request)
{
    buf_fini(&request->url);
    buf_fini(&request->body);
}
