/*
 * flags - bits of sysFlag, permissions, pull flags (MessageSysFlag, PermName, PullSysFlag)
 */
#ifndef PROTO_FLAGS_H
#define PROTO_FLAGS_H

enum message_sys_flag {
    SYS_COMPRESSED = 0x001,
    SYS_MULTI_TAGS = 0x002,
    SYS_PREPARED = 0x004,
    SYS_COMMIT = 0x008,
    SYS_ROLLBACK = 0x00c,
    SYS_TRANSACTION_MASK = 0x00c,
    SYS_BORNHOST_V6 = 0x010,
    SYS_STOREHOST_V6 = 0x020,
    SYS_NEED_UNWRAP = 0x040,
    SYS_INNER_BATCH = 0x080,
    SYS_COMPRESSION_MASK = 0x700,
    SYS_COMPRESSION_SHIFT = 8,
};

enum perm { PERM_INHERIT = 1, PERM_WRITE = 2, PERM_READ = 4, PERM_PRIORITY = 8 };

enum pull_sys_flag {
    PULL_COMMIT = 1,
    PULL_SUSPEND = 2,
    PULL_SUBSCRIPTION = 4,
    PULL_CLASS_FILTER = 8,
    PULL_LITE = 16
};

#endif
