#include "proto/code.h"

#include <stdio.h>
#include <string.h>

const char *request_code_name(int code)
{
    switch (code) {
#define X(name, number, doc) \
    case number:             \
        return #name;
#include "proto/request_code.def"
#undef X
    }
    return "?";
}

const char *response_code_name(int code)
{
    switch (code) {
#define X(name, number, doc) \
    case number:             \
        return #name;
#include "proto/response_code.def"
#undef X
    }
    return "?";
}

static const char *const languages[] = {"JAVA",   "CPP",  "DOTNET", "PYTHON", "DELPHI",
                                        "ERLANG", "RUBY", "OTHER",  "HTTP",   "GO",
                                        "PHP",    "OMS",  "RUST",   "NODE_JS"};
enum { LANGUAGES = sizeof(languages) / sizeof(languages[0]) };

const char *language_name(int ordinal)
{
    return ordinal >= 0 && ordinal < LANGUAGES ? languages[ordinal] : NULL;
}

int language_ordinal(const char *name, unsigned long len)
{
    for (int i = 0; i < LANGUAGES; i++) {
        if (strlen(languages[i]) == len && memcmp(languages[i], name, len) == 0)
            return i;
    }
    return -1;
}

/* From 4.0.0 on: 213 + (major-4)*200 + minor*20 + patch*2; a snapshot is one less. */
enum { VERSION_4_0_0 = 213, VERSION_LAST = 611 };

const char *version_name(int version, char buf[32])
{
    if (version > VERSION_LAST)
        return "HIGHER_VERSION";
    if (version < VERSION_4_0_0 - 1) {
        snprintf(buf, 32, "V3_%d", version);
        return buf;
    }
    int snapshot = (version - VERSION_4_0_0) & 1;
    int n = version - VERSION_4_0_0 + snapshot;
    snprintf(buf, 32, "V%d_%d_%d%s", 4 + n / 200, n % 200 / 20, n % 20 / 2,
             snapshot ? "_SNAPSHOT" : "");
    return buf;
}
