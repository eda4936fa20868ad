/*
 * Kubernetes Secrets as a store, by the cluster's API: each entry is a Secret of its own in one
 * namespace, its JSON object under the key "entry". One each, because the cluster counts versions,
 * grants rights and bounds sizes by Secret: so entries neither lock nor wake one another. One made
 * by hand that has no "entry" but "api_key" is a key alone. Control thread.
 *
 * A Secret's name has small letters, digits, '-' and '.': of a path, '/' becomes '.', '.' "zd",
 * '_' "zu", a 'z' "zz", a large letter "zc" with the small one, and a '-' at the edge of a segment
 * "zh" (secrets/secret_name.h), so no two paths meet; one whose name had more than 253 characters
 * is not taken (ERR_UNSUPPORTED).
 *
 * Writes and removals that expect a version are true check-and-sets, by resourceVersion. Older
 * versions there are none. Rights that are needed: deploy/kubernetes/rbac.yaml.
 */
#ifndef SECRETS_KUBERNETES_STORE_H
#define SECRETS_KUBERNETES_STORE_H

#include "secrets/cloud_login.h"
#include "secrets/fetch.h"
#include "secrets/secret_store.h"

/* Where a pod finds what it needs to ask its cluster. */
#define KUBERNETES_STORE_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

/* All texts are copied. */
struct kubernetes_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets; /* of tokens */
    const char *url;     /* "https://HOST:PORT"; NULL: as KUBERNETES_SERVICE_HOST and _PORT say */
    const char *ca_file; /* PEM; NULL: the pod's own with url NULL, else the system's */
    const char *name_space;   /* NULL: the pod's own */
    const char *prefix;       /* a folder that all paths are below; NULL: "bellwether" */
    struct cloud_login login; /* SECRET or FILE; FILE with file NULL: the pod's own */
    uint64_t poll_us;    /* between two looks at what is watched, give or take a tenth; 0: 15 s */
    uint64_t connect_us; /* 0: 5 s */
    uint64_t total_us;   /* of one request; 0: 15 s */
};

/* As aws_store_open; it reads the pod's namespace from its file, where it is to. */
int kubernetes_store_open(const struct kubernetes_options *options, struct secret_store **ret_store,
                          char *why);

#endif
