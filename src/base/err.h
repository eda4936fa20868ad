/*
 * What can go wrong in the environment: the return codes of every fallible function, 0 or a
 * negative enum err. What a client may see of it is decided elsewhere (tables/failures.def). Any
 * thread.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
    ERR_OK = 0,
    ERR_NOMEM = -1,        /* the system has no memory left */
    ERR_FULL = -2,         /* a declared maximum is reached */
    ERR_AGAIN = -3,        /* not now; readiness will be told */
    ERR_EOF = -4,          /* the peer ended in an orderly way */
    ERR_RESET = -5,        /* the peer broke the connection */
    ERR_TIMEOUT = -6,      /* no progress within the allowed time */
    ERR_REFUSED = -7,      /* nobody listens there */
    ERR_UNREACHABLE = -8,  /* no route, or the network is down */
    ERR_RESOLVE = -9,      /* the name has no address */
    ERR_TLS = -10,         /* handshake, verification or record failure */
    ERR_PROTO = -11,       /* the peer broke its protocol */
    ERR_SYNTAX = -12,      /* the text does not follow its grammar */
    ERR_RANGE = -13,       /* a value outside what is allowed */
    ERR_NOTFOUND = -14,    /* no such thing */
    ERR_EXISTS = -15,      /* the name is taken */
    ERR_IO = -16,          /* a file or descriptor failed */
    ERR_CANCELLED = -17,   /* given up by our own side */
    ERR_UNSUPPORTED = -18, /* understood, and not offered */
    ERR_DENIED = -19,      /* the system forbids it */
};

/* A short lower-case phrase such as "connection reset"; never NULL. err may be any int. */
const char *err_text(int err);

/* The enum err that an errno value of a socket or file call stands for. */
int err_from_errno(int errno_value);

#endif
