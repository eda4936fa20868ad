#include "secrets/service_account.h"

#include "base/err.h"
#include "base/secret.h"
#include "secrets/jwt.h"

/* A file has 2.4 KB, of which a tree fits in the struct; one with a longer key takes a little more
 * from the heap. */
enum { TREE_MAX_BYTES = 65536, EMAIL_MAX_BYTES = 256 };

static int fail(const char **ret_why, const char *why)
{
    *ret_why = why;
    return ERR_SYNTAX;
}

static bool is_plain(struct span text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len <= max;
}

int service_account_read(struct span json, struct service_account *account, const char **ret_why)
{
    yyjson_val *root;
    int err;

    *account = (struct service_account){.email = {NULL, 0}};
    err = json_tree_read(&account->tree, json, TREE_MAX_BYTES);
    root = err ? NULL : yyjson_doc_get_root(account->tree.doc);
    if (!yyjson_is_obj(root))
        return fail(ret_why, "is no JSON object");
    if (!span_is_equal(json_tree_string(root, "type"), SPAN("service_account")))
        return fail(ret_why, "has not the type service_account");
    account->email = json_tree_string(root, "client_email");
    account->private_key = json_tree_string(root, "private_key");
    account->key_id = json_tree_string(root, "private_key_id");
    account->token_uri = json_tree_string(root, "token_uri");
    if (!account->token_uri.len)
        account->token_uri = SPAN("https://oauth2.googleapis.com/token");
    if (!account->email.len || !is_plain(account->email, EMAIL_MAX_BYTES))
        return fail(ret_why, "has no client_email");
    if (!is_plain(account->key_id, EMAIL_MAX_BYTES))
        return fail(ret_why, "has a private_key_id that is none");
    err = jwt_check_key(account->private_key);
    return err == ERR_SYNTAX ? fail(ret_why, "has no private_key in PEM, of RSA and without a "
                                             "passphrase")
                             : err;
}

void service_account_fini(struct service_account *account)
{
    /* Where the tree is the heap's, too. */
    if (account->private_key.len)
        secret_wipe((char *)(uintptr_t)account->private_key.ptr, account->private_key.len);
    json_tree_fini(&account->tree);
    secret_wipe(account, sizeof(*account));
}
