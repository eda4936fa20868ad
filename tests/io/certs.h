/*
 * For tests: certificates made on the spot, in a folder of their own.
 */
#ifndef TESTS_IO_CERTS_H
#define TESTS_IO_CERTS_H

struct certs {
    char dir[64];
    char ca[96], other_ca[96];       /* two authorities that know nothing of each other */
    char server[96], server_key[96]; /* by ca, for localhost and 127.0.0.1 */
    char client[96], client_key[96]; /* by ca */
    char nonsense[96];               /* no PEM */
};

void certs_make(struct certs *certs);
void certs_remove(struct certs *certs);

#endif
