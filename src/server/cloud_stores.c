#include "server/cloud_stores.h"

#include "base/err.h"
#include "secrets/aws_store.h"
#include "secrets/azure_store.h"
#include "secrets/google_store.h"
#include "secrets/kubernetes_store.h"

static const char *text_or_null(struct span text)
{
    return text.len ? text.ptr : NULL;
}

/* By what is declared; else as the machine does. */
static struct cloud_login aws_login(const struct conf_cloud *conf)
{
    struct cloud_login login = {.kind = CLOUD_LOGIN_AWS_INSTANCE};

    if (conf->access_key_id.len) {
        login.kind = CLOUD_LOGIN_SECRET;
        login.name = conf->access_key_id.ptr;
        login.secret = conf->secret_access_key;
        login.session = conf->session_token;
    } else if (conf->role.len) {
        login.kind = CLOUD_LOGIN_AWS_WEB_IDENTITY;
        login.name = conf->role.ptr;
        login.file = text_or_null(conf->token_file);
    } else if (conf->credentials_url.len) {
        login.kind = CLOUD_LOGIN_AWS_CONTAINER;
        login.url = conf->credentials_url.ptr;
        login.file = text_or_null(conf->token_file);
    }
    return login;
}

/* The same for clouds that take tokens. */
static struct cloud_login token_login(const struct conf_cloud *conf, enum cloud_login_kind machine)
{
    struct cloud_login login = {.kind = machine, .name = text_or_null(conf->client_id)};

    if (conf->account) {
        login.kind = CLOUD_LOGIN_CREDENTIAL;
        login.credential = conf->account;
    } else if (conf->token_file.len) {
        login.kind = CLOUD_LOGIN_FILE;
        login.file = conf->token_file.ptr;
    }
    return login;
}

static int open_aws(const struct cloud_tools *tools, const struct conf_cloud *conf,
                    uint64_t poll_us, char *why, struct secret_store **ret_store)
{
    const struct aws_options options = {.loop = tools->loop,
                                        .fetcher = tools->fetcher,
                                        .secrets = tools->secrets,
                                        .region = conf->region.ptr,
                                        .url = text_or_null(conf->url),
                                        .ca_file = text_or_null(conf->ca),
                                        .kms_key = text_or_null(conf->kms_key),
                                        .recovery_days = conf->recovery_days,
                                        .login = aws_login(conf),
                                        .poll_us = poll_us};

    return aws_store_open(&options, ret_store, why);
}

static int open_google(const struct cloud_tools *tools, const struct conf_cloud *conf,
                       uint64_t poll_us, char *why, struct secret_store **ret_store)
{
    const struct google_options options = {.loop = tools->loop,
                                           .fetcher = tools->fetcher,
                                           .secrets = tools->secrets,
                                           .project = conf->project.ptr,
                                           .location = text_or_null(conf->location),
                                           .url = text_or_null(conf->url),
                                           .ca_file = text_or_null(conf->ca),
                                           .login = token_login(conf, CLOUD_LOGIN_GOOGLE_METADATA),
                                           .poll_us = poll_us};

    return google_store_open(&options, ret_store, why);
}

static int open_azure(const struct cloud_tools *tools, const struct conf_cloud *conf,
                      uint64_t poll_us, char *why, struct secret_store **ret_store)
{
    const struct azure_options options = {.loop = tools->loop,
                                          .fetcher = tools->fetcher,
                                          .secrets = tools->secrets,
                                          .url = conf->url.ptr,
                                          .ca_file = text_or_null(conf->ca),
                                          .login = token_login(conf, CLOUD_LOGIN_AZURE_IDENTITY),
                                          .poll_us = poll_us};

    return azure_store_open(&options, ret_store, why);
}

static int open_kubernetes(const struct cloud_tools *tools, const struct conf_cloud *conf,
                           uint64_t poll_us, char *why, struct secret_store **ret_store)
{
    const struct kubernetes_options options = {.loop = tools->loop,
                                               .fetcher = tools->fetcher,
                                               .secrets = tools->secrets,
                                               .url = text_or_null(conf->url),
                                               .ca_file = text_or_null(conf->ca),
                                               .name_space = text_or_null(conf->name_space),
                                               .prefix = text_or_null(conf->prefix),
                                               .login = token_login(conf, CLOUD_LOGIN_FILE),
                                               .poll_us = poll_us};

    return kubernetes_store_open(&options, ret_store, why);
}

int cloud_open(const struct cloud_tools *tools, const struct conf_secrets *conf,
               enum conf_store_kind kind, char *why, struct secret_store **ret_store)
{
    switch (kind) {
    case CONF_STORE_AWS:
        return open_aws(tools, conf->aws, conf->poll_us, why, ret_store);
    case CONF_STORE_GOOGLE:
        return open_google(tools, conf->google, conf->poll_us, why, ret_store);
    case CONF_STORE_AZURE:
        return open_azure(tools, conf->azure, conf->poll_us, why, ret_store);
    case CONF_STORE_KUBERNETES:
        return open_kubernetes(tools, conf->kubernetes, conf->poll_us, why, ret_store);
    case CONF_STORE_SEALED:
    case CONF_STORE_FOLDER:
    case CONF_STORE_VAULT:
    case CONF_STORE_KINDS:
        break;
    }
    return ERR_UNSUPPORTED;
}
