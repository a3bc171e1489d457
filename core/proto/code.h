/*
 * code (language_, version_) - the vocabulary of request and response codes
 *
 * request_code.def and response_code.def hold X(NAME, number, "doc") with the names and numbers of
 * org.apache.rocketmq.remoting.protocol.RequestCode, ResponseCode and RemotingSysResponseCode;
 * sorted by number.  Who serves a code is a row in broker/routes.c or namesrv/routes.c.
 */
#ifndef PROTO_CODE_H
#define PROTO_CODE_H

enum request_code {
#define X(name, number, doc) RQ_##name = number,
#include "proto/request_code.def"
#undef X
};

enum response_code {
#define X(name, number, doc) RS_##name = number,
#include "proto/response_code.def"
#undef X
};

const char *request_code_name(int code);  /* "SEND_MESSAGE"; "?" when unknown */
const char *response_code_name(int code); /* "SUCCESS"; "?" when unknown */

/* Language codes of a header (LanguageCode): name by ordinal and back; -1 / NULL when unknown. */
const char *language_name(int ordinal);
int language_ordinal(const char *name, unsigned long len);

/* MQVersion: the int we put in every header (V5_3_3) and the name of any (e.g. "V4_9_3"). */
enum { VERSION_OURS = 479 };
const char *version_name(int version, char buf[32]);

/* The suffix FAQUrl appends to some remarks. */
#define FAQ_SUFFIX \
    "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

#endif
