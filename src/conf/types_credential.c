/* Credentials that are exchanged for tokens, in place of a key's secret. */
#include "conf/types.h"

#include "base/err.h"
#include "base/list.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "secrets/service_account.h"

enum { SCOPE_MAX_BYTES = 2048 };

/* ---- where tokens are asked for ---- */

/* A literal address, or the one name that never leaves the machine. */
static bool is_loopback(struct span host)
{
    if (span_is_equal_nocase(host, SPAN("localhost")) || span_is_equal(host, SPAN("::1")))
        return true;
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
            return false;
    }
    return span_has_prefix(host, SPAN("127."));
}

/* What is wrong with a URL that credentials are sent to; NULL if nothing. */
static const char *url_fault(struct span text, struct conf_url *ret_url)
{
    const char *why = NULL;

    if (conf_url_parse(text, ret_url, &why))
        return why;
    if (ret_url->unix_path.len)
        return "it names a socket";
    if (!ret_url->is_tls && !is_loopback(ret_url->host))
        return "a credential would be sent without TLS";
    return NULL;
}

/* Without the slashes at its end, as a path is put behind it. */
static void read_token_url(struct loading *loading, const struct conf_row *row,
                           const struct yaml_node *node, void *field)
{
    struct conf_url url;
    struct span text;
    const char *fault;

    if (!loading_text(loading, row, node, &text))
        return;
    fault = url_fault(text, &url);
    while (!fault && span_has_suffix(text, SPAN("/")))
        text.len--;
    if (fault)
        loading_error(
            loading, node->mark,
            "this is no URL for credentials: %s; allowed: https://host, https://host/path", fault);
    else
        *(struct span *)field = loading_keep(loading, text);
    loading_end_text(loading);
}

static void tell_token_url(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "https://host, https://host/path");
}

const struct conf_type conf_type_token_url = {.name = "URL",
                                              .read = read_token_url,
                                              .otherwise = "is no URL for credentials",
                                              .print = print_text_row,
                                              .tell = tell_token_url};

/* ---- scopes ---- */

/* RFC 6749 3.3. */
static int parse_scope(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            return ERR_SYNTAX;
    }
    return text.len && text.len <= SCOPE_MAX_BYTES ? 0 : ERR_SYNTAX;
}

static void read_scope(struct loading *loading, const struct conf_row *row,
                       const struct yaml_node *node, void *field)
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    text = span_trim(text);
    if (parse_scope(text))
        loading_refuse(loading, row, node, row->type->otherwise);
    else
        *(struct span *)field = loading_keep(loading, text);
    loading_end_text(loading);
}

static void tell_scope(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "scopes with spaces between them");
}

const struct conf_type conf_type_scope = {.name = "scopes",
                                          .read = read_scope,
                                          .otherwise = "is no scope",
                                          .print = print_text_row,
                                          .tell = tell_scope};

/* ---- Google's key file ---- */

static void tell_service_account(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "the JSON of a service account's key file, best as ${file:/path}");
}

static void keep_account(struct loading *loading, struct conf_mark mark,
                         const struct service_account *account, struct credential *credential)
{
    struct conf_url url;
    const char *fault = url_fault(account->token_uri, &url);

    if (fault) {
        loading_error(loading, mark,
                      "its token_uri is no URL for credentials: %s; allowed: https://host/path",
                      fault);
        return;
    }
    credential->url = loading_keep(loading, account->token_uri);
    credential->client_id = loading_keep(loading, account->email);
    credential->key_id = loading_keep(loading, account->key_id);
    credential->secret = loading_keep_document(loading, mark, account->private_key);
}

/* The field is the private key's; what else the file tells goes beside it. */
static void read_service_account(struct loading *loading, const struct conf_row *row,
                                 const struct yaml_node *node, void *field)
{
    struct credential *credential = container_of(field, struct credential, secret);
    struct service_account account;
    const char *why = NULL;
    struct span text;
    int err;

    if (!loading_text(loading, row, node, &text))
        return;
    err = service_account_read(text, &account, &why);
    if (err == ERR_SYNTAX)
        loading_refuse(loading, row, node, why);
    else if (err)
        loading->err = ERR_NOMEM;
    else
        keep_account(loading, node->mark, &account, credential);
    service_account_fini(&account);
    loading_end_text(loading);
}

static void print_service_account(struct printing *printing, const struct conf_row *row,
                                  const void *field)
{
    if (*(struct secret *const *)field)
        print_line(printing, row->name, SPAN(PRINT_MASK));
}

const struct conf_type conf_type_service_account = {.name = "secret",
                                                    .read = read_service_account,
                                                    .print = print_service_account,
                                                    .tell = tell_service_account,
                                                    .is_secret = true};

/* ---- the groups ---- */

static void begin(void *object, enum credential_kind kind)
{
    ((struct credential *)object)->kind = kind;
}

static void need(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                 const char *name, const char *example)
{
    if (!yaml_find(node, span_from_text(name)))
        loading_error(loading, mark, "the %s is missing; allowed: %s: %s", name, name, example);
}

void hook_azure_entra_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                              void *object)
{
    (void)loading, (void)name, (void)mark;
    begin(object, CREDENTIAL_AZURE_ENTRA);
}

void hook_azure_entra_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object)
{
    bool has_secret = yaml_find(node, SPAN("client_secret")) != NULL;
    bool has_file = yaml_find(node, SPAN("token_file")) != NULL;

    (void)object;
    need(loading, node, mark, "tenant", "the directory's id");
    need(loading, node, mark, "client_id", "the application's id");
    if (has_secret == has_file)
        loading_error(loading, mark, "%s; allowed: one of client_secret and token_file",
                      has_secret ? "client_secret stands beside token_file"
                                 : "nothing proves who the client is");
}

void hook_google_service_account_prepare(struct loading *loading, struct span name,
                                         struct conf_mark mark, void *object)
{
    (void)loading, (void)name, (void)mark;
    begin(object, CREDENTIAL_GOOGLE_SERVICE_ACCOUNT);
}

void hook_google_service_account_short(struct loading *loading, const struct yaml_node *node,
                                       void *object)
{
    const struct conf_row row = {.name = SPAN("key"), .type = &conf_type_service_account};

    read_service_account(loading, &row, node, &((struct credential *)object)->secret);
}

void hook_google_service_account_finish(struct loading *loading, const struct yaml_node *node,
                                        struct conf_mark mark, void *object)
{
    (void)object;
    if (node->kind != YAML_SCALAR)
        need(loading, node, mark, "key", "${file:/path}");
}

void hook_anthropic_federation_prepare(struct loading *loading, struct span name,
                                       struct conf_mark mark, void *object)
{
    (void)loading, (void)name, (void)mark;
    begin(object, CREDENTIAL_ANTHROPIC_FEDERATION);
}

void hook_anthropic_federation_finish(struct loading *loading, const struct yaml_node *node,
                                      struct conf_mark mark, void *object)
{
    (void)object;
    need(loading, node, mark, "token_file", "the path of an OIDC token");
    need(loading, node, mark, "rule", "the federation rule's id");
    need(loading, node, mark, "organization", "the organization's id");
}
