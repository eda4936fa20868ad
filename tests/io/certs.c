#include "certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <cmocka.h>

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static void add_extension(X509 *cert, int id, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, id, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* by NULL: signed by itself. */
static struct identity make(const char *name, const struct identity *by, const char *alt_names)
{
    static long serial = 1;
    struct identity made = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_NAME *subject = X509_get_subject_name(made.cert);

    assert_non_null(made.key);
    X509_set_version(made.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), 24 * 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.cert, by ? X509_get_subject_name(by->cert) : subject);
    X509_set_pubkey(made.cert, made.key);
    add_extension(made.cert, NID_basic_constraints, by ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt_names)
        add_extension(made.cert, NID_subject_alt_name, alt_names);
    assert_true(X509_sign(made.cert, by ? by->key : made.key, EVP_sha256()) > 0);
    return made;
}

static void drop(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->cert);
}

static void name_file(const struct certs *certs, char path[96], const char *name)
{
    snprintf(path, 96, "%s/%s", certs->dir, name);
}

static void write_pem(const char *cert_path, const char *key_path, const struct identity *identity)
{
    FILE *file = fopen(cert_path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, identity->cert), 1);
    fclose(file);
    if (!key_path)
        return;
    file = fopen(key_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

static void write_nonsense(const char *path)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs("this is not a certificate\n", file);
    fclose(file);
}

void certs_make(struct certs *certs)
{
    struct identity ca = make("Test CA", NULL, NULL);
    struct identity other = make("Other CA", NULL, NULL);
    struct identity server = make("server", &ca, "DNS:localhost,IP:127.0.0.1");
    struct identity client = make("client", &ca, NULL);

    snprintf(certs->dir, sizeof(certs->dir), "/tmp/certs-XXXXXX");
    assert_non_null(mkdtemp(certs->dir));
    name_file(certs, certs->ca, "ca.pem");
    name_file(certs, certs->other_ca, "other.pem");
    name_file(certs, certs->server, "server.pem");
    name_file(certs, certs->server_key, "server.key");
    name_file(certs, certs->client, "client.pem");
    name_file(certs, certs->client_key, "client.key");
    name_file(certs, certs->nonsense, "nonsense.pem");
    write_pem(certs->ca, NULL, &ca);
    write_pem(certs->other_ca, NULL, &other);
    write_pem(certs->server, certs->server_key, &server);
    write_pem(certs->client, certs->client_key, &client);
    write_nonsense(certs->nonsense);
    drop(&ca);
    drop(&other);
    drop(&server);
    drop(&client);
}

void certs_remove(struct certs *certs)
{
    unlink(certs->ca);
    unlink(certs->other_ca);
    unlink(certs->server);
    unlink(certs->server_key);
    unlink(certs->client);
    unlink(certs->client_key);
    unlink(certs->nonsense);
    rmdir(certs->dir);
}
