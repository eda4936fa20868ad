/* How the stores of clouds are reached: what each section of `secrets` needs. */
#include "conf/types.h"

#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "secrets/azure_store.h"
#include "secrets/google_store.h"

enum { IDENTIFIER_MAX_BYTES = 2048, RECOVERY_DAYS_MIN = 7 };

/* An identifier of somebody else's: a line of ASCII without spaces. */
static bool is_identifier(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0 && text.len < IDENTIFIER_MAX_BYTES;
}

static void read_identifier(struct loading *loading, const struct conf_row *row,
                            const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, is_identifier);
}

static void tell_identifier(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "one word of ASCII, fewer than 2048 bytes");
}

const struct conf_type conf_type_identifier = {.name = "identifier",
                                               .read = read_identifier,
                                               .otherwise = "is no identifier",
                                               .print = print_text_row,
                                               .tell = tell_identifier};

static void need(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                 struct span name, const char *example)
{
    if (!yaml_find(node, name))
        loading_error(loading, mark, "the %.*s is missing; allowed: %.*s: %s", SPAN_ARG(name),
                      SPAN_ARG(name), example);
}

/* At most one of these may prove who asks. */
static void check_proofs(struct loading *loading, const struct yaml_node *node,
                         const struct span *names, size_t count)
{
    const struct yaml_item *first = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct yaml_item *item = yaml_find(node, names[i]);

        if (item && first)
            loading_error(loading, item->mark, "%.*s stands beside %.*s; allowed: one of them",
                          SPAN_ARG(item->key), SPAN_ARG(first->key));
        else if (item)
            first = item;
    }
}

void hook_aws_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                     void *object)
{
    static const struct span proofs[] = {SPAN_INIT("access_key_id"), SPAN_INIT("role_arn"),
                                         SPAN_INIT("credentials_url")};
    const struct conf_cloud *cloud = object;

    need(loading, node, mark, SPAN("region"), "eu-west-1");
    check_proofs(loading, node, proofs, sizeof(proofs) / sizeof(proofs[0]));
    if (!yaml_find(node, proofs[0]) != !yaml_find(node, SPAN("secret_access_key")))
        loading_error(loading, mark,
                      "one of access_key_id and secret_access_key is missing; allowed: both or "
                      "none");
    if (yaml_find(node, proofs[1]))
        need(loading, node, mark, SPAN("token_file"), "the path of a token");
    if (cloud->recovery_days && cloud->recovery_days < RECOVERY_DAYS_MIN)
        loading_error(loading, mark, "recovery_days is too small; allowed: 0, or from 7 to 30");
}

/* The scope of the store, where the file names no other. */
static void settle_scope(struct loading *loading, const struct yaml_node *node, struct span group,
                         struct credential *account, struct span scope)
{
    const struct yaml_item *item = yaml_find(node, group);

    if (account && item &&
        !(item->value->kind == YAML_MAP && yaml_find(item->value, SPAN("scope"))))
        account->scope = loading_keep(loading, scope);
}

void hook_google_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    static const struct span proofs[] = {SPAN_INIT("google_service_account"),
                                         SPAN_INIT("token_file")};
    const struct conf_cloud *cloud = object;

    need(loading, node, mark, SPAN("project"), "its id");
    check_proofs(loading, node, proofs, sizeof(proofs) / sizeof(proofs[0]));
    settle_scope(loading, node, proofs[0], cloud->account, SPAN(GOOGLE_STORE_SCOPE));
}

void hook_azure_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object)
{
    static const struct span proofs[] = {SPAN_INIT("azure_entra"), SPAN_INIT("token_file"),
                                         SPAN_INIT("client_id")};
    const struct conf_cloud *cloud = object;

    need(loading, node, mark, SPAN("url"), "https://NAME.vault.azure.net");
    check_proofs(loading, node, proofs, sizeof(proofs) / sizeof(proofs[0]));
    settle_scope(loading, node, proofs[0], cloud->account, SPAN(AZURE_STORE_SCOPE));
}
