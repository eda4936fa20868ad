/*
 * An issuer as the configuration declares it. The control thread's.
 */
#ifndef SERVER_ISSUER_OF_CONF_H
#define SERVER_ISSUER_OF_CONF_H

#include "conf/config.h"
#include "rotation/issuer.h"

/* As issuer_new. `from`: the store of conf->from; NULL where that names none. */
int issuer_of_conf(const struct issuer_options *options, const struct conf_issuer *conf,
                   struct secret_store *from, char *why, struct issuer **ret_issuer);

#endif
