/*
 * An issuer as the configuration declares it. The control thread's.
 */
#ifndef SERVER_ISSUER_OF_CONF_H
#define SERVER_ISSUER_OF_CONF_H

#include "conf/config.h"
#include "rotation/issuer.h"

/* As issuer_new. */
int issuer_of_conf(const struct issuer_options *options, const struct conf_issuer *conf, char *why,
                   struct issuer **ret_issuer);

#endif
