/*
 * hash - checksums and hashes of the formats we share with Java
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* CRC-32 as java.util.zip.CRC32 (libdeflate).  hash_crc31() is masked with 0x7fffffff, the form
 * RocketMQ stores (UtilAll.crc32); 0 for no bytes. */
uint32_t hash_crc32(const void *data, size_t len);
uint32_t hash_crc31(const void *data, size_t len);

/*
 * java.lang.String.hashCode of the UTF-8 text @s: over UTF-16 code units, 32-bit wrap.  Invalid
 * UTF-8 counts as U+FFFD, one per offending byte.
 */
int32_t hash_java_string(struct tl_str s);

/* For our own tables (uthash excepted): FNV-1a, 64 bit. */
uint64_t hash_bytes(const void *data, size_t len);

#endif
